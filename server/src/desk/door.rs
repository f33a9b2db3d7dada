//! The door: who may in, for every protocol alike.
//!
//! RFC 4954 §9, RFC 5034 §6 (guessing), RFC 5802 §9 (unknown users).
//!
//! Invariants: an unknown user and a wrong password take the same way and the same time; every attempt is counted,
//! whichever way it ended; passwords are hashed on a bounded number of threads.
//! Not here: the exchange of messages (sasl), what a password is compared with (directory), how many are too many (policy).

use crate::house::{House, SessionId};
use crate::settings::Purpose;
use directory::{Denied, Login, Password, Scram, ScramPair, ScramTerms};
use sasl::KeyPair;
use sasl::server::{Answer, Ask, Denied as Refused, Proof};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;
use tracing::{info, warn};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The connection's name in logs.
    pub session: SessionId,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// The port it came to.
    pub purpose: Purpose,
}

/// Answers what an exchange asks.
pub async fn answer(house: &Arc<House>, caller: &Caller, ask: Ask) -> Answer {
    match ask {
        Ask::Keys { login } => Answer::Keys(Ok(keys(house.directory().scram(&login)))),
        Ask::Login { login, acting_for, proof } => Answer::Login(admit(house, caller, &login, acting_for, proof).await),
    }
}

fn keys(scram: Scram) -> sasl::ScramKeys {
    let Scram { terms: ScramTerms { salt, iterations }, pairs } = scram;
    // Nobody's password is derived with no iteration at all; the type just cannot say so.
    let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    let pair = |ScramPair { stored_key, server_key }| KeyPair { stored_key, server_key };
    sasl::ScramKeys { salt, iterations, pairs: pairs.into_iter().map(pair).collect() }
}

async fn admit(
    house: &Arc<House>,
    caller: &Caller,
    login: &str,
    acting_for: Option<String>,
    proof: Proof,
) -> Result<String, Refused> {
    let directory = house.directory();
    let key = directory.login_key(login);
    if let Err(why) = house.judgement.admit(caller.peer.ip(), &key).await {
        warn!(session = %caller.session, peer = %caller.peer, login = key, %why, "login not heard");
        return Err(Refused::Throttled);
    }
    let (verdict, fingerprint) = match proof {
        Proof::Password(password) => {
            let password = Password::new(password.reveal());
            let fingerprint = house.doorkeeper.fingerprint(&directory, login, &password);
            (verify(house, caller.purpose.service(), login, password).await?, Some(fingerprint))
        }
        Proof::Scram { proved: Some(pair) } => {
            (directory.proved(login, &pair.stored_key, caller.purpose.service()), None)
        }
        // A proof does not tell which password it was made from.
        Proof::Scram { proved: None } => (Err(Denied::WrongPassword), None),
        Proof::Certificate => (directory.certified(login), None),
    };
    let verdict = verdict.and_then(|login| only_for_itself(&directory, login, acting_for.as_deref()));
    match verdict {
        Ok(login) => {
            house.judgement.succeeded(caller.peer.ip(), &key);
            if let Some(present) = house.sessions.find(caller.session) {
                present.log_in(Arc::clone(&login.name));
            }
            if let Some(id) = login.app_password {
                house.app_password_uses.note(house, login.account, id);
            }
            let (service, app_password) = (caller.purpose.name(), login.app_password);
            info!(session = %caller.session, peer = %caller.peer, account = &*login.name, service, app_password, "logged in");
            Ok(login.name.to_string())
        }
        Err(denied) => {
            if denied != Denied::Disabled
                && let Some(ban) = house.judgement.failed(caller.peer.ip(), &key, fingerprint)
            {
                house.keep_ban(&ban);
            }
            warn!(session = %caller.session, peer = %caller.peer, login = key, why = %denied, "login failed");
            Err(refused(denied))
        }
    }
}

/// The cache first; a miss waits for one of the few threads that hash.
async fn verify(
    house: &Arc<House>,
    service: &'static str,
    login: &str,
    password: Password,
) -> Result<Result<Login, Denied>, Refused> {
    let directory = house.directory();
    if let Some(login) = house.doorkeeper.check_cached(&directory, login, &password, service, Instant::now()) {
        return Ok(Ok(login));
    }
    let permit = house.hashing.acquire().await.map_err(|_| Refused::Temporary)?;
    let (house, login) = (Arc::clone(house), login.to_string());
    let verified = tokio::task::spawn_blocking(move || {
        house.doorkeeper.verify_slow(&directory, &login, &password, service, Instant::now())
    });
    let verified = verified.await.map_err(|_| Refused::Temporary);
    drop(permit);
    verified
}

/// Nobody acts for others yet; asking for oneself is fine.
fn only_for_itself(directory: &directory::Directory, login: Login, acting_for: Option<&str>) -> Result<Login, Denied> {
    match acting_for {
        Some(other) if directory.account_for_login(other).is_none_or(|other| other.id != login.account) => {
            Err(Denied::WrongPassword)
        }
        _ => Ok(login),
    }
}

fn refused(denied: Denied) -> Refused {
    match denied {
        Denied::Disabled => Refused::Policy("this account is closed".into()),
        Denied::UnknownAccount | Denied::WrongPassword | Denied::NoPassword | Denied::OtherService => {
            Refused::Credentials
        }
    }
}
