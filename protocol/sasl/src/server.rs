//! The server's side of an exchange.
//!
//! RFC 4422 §5 (mechanisms), App. A (EXTERNAL), RFC 4616 §2 (PLAIN), RFC 5802 §5 and §6 (SCRAM, channel binding).
//!
//! ```text
//! AwaitingPlain ────────────────────respond────────────────────→ AwaitingVerdict ─answer→ granted
//! AwaitingIdentity ─────────────────respond────────────────────→ AwaitingVerdict ─answer→ granted   (EXTERNAL)
//! AwaitingName ─respond→ AwaitingPassword ──────respond────────→ AwaitingVerdict
//! AwaitingFirst ─respond→ AwaitingKeys ─answer→ AwaitingFinal ─respond→ AwaitingProven ─answer→ AwaitingEmpty ─respond→ granted
//! ```
//!
//! Invariants: the house is asked about every password and every proof, right or wrong; a wrong proof is not granted
//! even if the house says yes; whoever exists not takes the same way through here as whoever does (the house gives
//! keys for both).
//! Not here: `*` and base64 (the dialogues), passwords, throttling and the keys of nobody (directory).

use crate::scram::{self, ClientFinal, ClientFirst, Flag, Hash, KeyPair, ScramKeys, ServerFinal, ServerFirst};
use crate::{Mechanism, prepared, prepared_password};
use line::{Secret, Secured};

/// What an exchange must know of the session it happens in.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The TLS of the session.
    pub channel: Option<&'a Secured>,
    /// What the client was offered: to see whether someone struck -PLUS from the list (RFC 5802 §6).
    pub offered: &'a [Mechanism],
    /// Fresh for this exchange (see [`crate::Nonces`]): printable ASCII without comma, 16 characters at least.
    pub nonce: &'a str,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Send this, and give the client's response to [`Exchange::respond`].
    Challenge(Vec<u8>),
    /// Ask the house, and give its answer to [`Exchange::answer`].
    Ask(Ask),
    /// It is over, and well.
    Granted(Granted),
    /// It is over.
    Failed(Failure),
}

/// A question to the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The SCRAM keys of a login. Whoever has none gets false ones, always the same for the same login.
    Keys {
        /// As the client gave it, prepared.
        login: String,
    },
    /// May this login in? Asked also when the proof is known to be wrong, so that the house can count.
    Login {
        /// As the client gave it, prepared.
        login: String,
        /// Whom it wants to act for, if not for itself.
        acting_for: Option<String>,
        /// How it proves itself.
        proof: Proof,
    },
}

/// How a client proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// By its password, prepared ([`crate::prepared_password`]), as it must also be when it is set; the house must
    /// look whether it is right.
    Password(Secret),
    /// By SCRAM; of which password it had the key, among those that the house gave.
    Scram {
        /// `None` must be refused, after counting.
        proved: Option<KeyPair>,
    },
    /// By the certificate that TLS has verified: the login is a mail address in it, and no short name of one.
    Certificate,
}

/// What the house answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Ask::Keys`].
    Keys(Result<ScramKeys, Denied>),
    /// To [`Ask::Login`]: the account that is open now.
    Login(Result<String, Denied>),
}

/// Why the house says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// No such login, or not this password; nobody learns which.
    Credentials,
    /// Too many attempts lately; this one was not even looked at.
    Throttled,
    /// The house cannot tell now.
    Temporary,
    /// The password may be right, but this account may not in, for this reason (one line of text for the user).
    Policy(String),
}

/// Who is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The account, as the house calls it.
    pub account: String,
    /// The login, as the client gave it, prepared.
    pub login: String,
}

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The client's message breaks the mechanism's rules.
    Malformed,
    /// The channel is not the one the client believes to speak over, or cannot be bound as it wishes:
    /// someone may be in between.
    ChannelBinding,
    /// The house said no.
    Denied(Denied),
}

/// One exchange: one attempt to log in.
#[derive(Debug)]
pub struct Exchange {
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitingPlain,
    /// EXTERNAL: whom the certificate is for.
    AwaitingIdentity {
        names: Vec<String>,
    },
    AwaitingName,
    AwaitingPassword {
        login: String,
    },
    AwaitingFirst(Scram),
    AwaitingKeys {
        first: ClientFirst,
        login: String,
        bound: Vec<u8>,
        nonce: String,
    },
    AwaitingFinal(Halfway),
    AwaitingProven {
        login: String,
        /// What the server proves itself with.
        proved: Option<Hash>,
    },
    AwaitingVerdict {
        login: String,
    },
    AwaitingEmpty(Granted),
    Over,
}

/// What SCRAM needs before the first message.
#[derive(Debug)]
struct Scram {
    channel: Option<Secured>,
    plus: bool,
    plus_offered: bool,
    nonce: String,
}

/// What SCRAM needs before the last message.
struct Halfway {
    login: String,
    acting_for: Option<String>,
    /// What `c=` must say.
    bound: Vec<u8>,
    nonce: String,
    keys: ScramKeys,
    client_first_bare: String,
    server_first: String,
}

impl std::fmt::Debug for Halfway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Halfway").field("login", &self.login).finish_non_exhaustive()
    }
}

impl Exchange {
    /// Begins. `initial` is what the client sent along with the command, decoded; `None` if it sent nothing.
    ///
    /// # Panics
    /// If the nonce in `terms` is not one: we are wrong, not the peer.
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>, terms: Terms<'_>) -> (Exchange, Move) {
        assert!(scram::is_nonce(terms.nonce) && terms.nonce.len() >= 16, "a nonce is printable and long");
        let mut exchange = Exchange { state: opening(mechanism, terms) };
        let first = match (initial, mechanism) {
            (Some(message), _) => exchange.respond(message),
            (None, Mechanism::Login) => Move::Challenge(USERNAME.to_vec()),
            (None, _) => Move::Challenge(Vec::new()),
        };
        (exchange, first)
    }

    /// The client's response to the last challenge, decoded.
    pub fn respond(&mut self, message: &[u8]) -> Move {
        if message.len() > crate::MESSAGE_MAX {
            return self.fail(Failure::Malformed);
        }
        let step = match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitingPlain => plain(message),
            State::AwaitingIdentity { names } => external(&names, message),
            State::AwaitingName => name(message),
            State::AwaitingPassword { login } => password(login, message),
            State::AwaitingFirst(scram) => first(scram, message),
            State::AwaitingFinal(halfway) => last(halfway, message),
            State::AwaitingEmpty(granted) if message.is_empty() => Ok((State::Over, Move::Granted(granted))),
            _ => Err(Failure::Malformed),
        };
        self.enter(step)
    }

    /// The house's answer to the last question. An answer to another question counts as a failure of the house.
    pub fn answer(&mut self, answer: Answer) -> Move {
        let step = match (std::mem::replace(&mut self.state, State::Over), answer) {
            (State::AwaitingKeys { first, login, bound, nonce }, Answer::Keys(Ok(keys))) => {
                Ok(keyed(first, login, bound, &nonce, keys))
            }
            (State::AwaitingVerdict { login }, Answer::Login(Ok(account))) => {
                Ok((State::Over, Move::Granted(Granted { account, login })))
            }
            (State::AwaitingProven { login, proved }, Answer::Login(Ok(account))) => proven(login, proved, account),
            (_, Answer::Keys(Err(denied)) | Answer::Login(Err(denied))) => Err(Failure::Denied(denied)),
            _ => Err(Failure::Denied(Denied::Temporary)),
        };
        self.enter(step)
    }

    fn enter(&mut self, step: Result<(State, Move), Failure>) -> Move {
        match step {
            Ok((state, next)) => {
                self.state = state;
                next
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn fail(&mut self, failure: Failure) -> Move {
        self.state = State::Over;
        Move::Failed(failure)
    }
}

/// Outlook and others look at these very words.
const USERNAME: &[u8] = b"Username:";
const PASSWORD: &[u8] = b"Password:";

type Next = Result<(State, Move), Failure>;

fn opening(mechanism: Mechanism, terms: Terms<'_>) -> State {
    match mechanism {
        Mechanism::Plain => State::AwaitingPlain,
        Mechanism::Login => State::AwaitingName,
        Mechanism::External => State::AwaitingIdentity {
            names: terms.channel.map(|channel| channel.client_names.clone()).unwrap_or_default(),
        },
        Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => State::AwaitingFirst(Scram {
            channel: terms.channel.cloned(),
            plus: mechanism == Mechanism::ScramSha256Plus,
            plus_offered: terms.offered.contains(&Mechanism::ScramSha256Plus),
            nonce: terms.nonce.to_owned(),
        }),
    }
}

/// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
fn plain(message: &[u8]) -> Next {
    let mut parts = message.split(|&octet| octet == 0);
    let (Some(acting_for), Some(login), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::Malformed);
    };
    let login = login_name(login)?;
    let acting_for = match acting_for {
        b"" => None,
        name => Some(login_name(name)?),
    };
    ask_password(login, acting_for, password)
}

/// RFC 4422 App. A.2: the client says whom it wants to be, or nothing and leaves it to its certificate. Of several names in
/// that the one it asks for counts, and the first otherwise.
fn external(names: &[String], message: &[u8]) -> Next {
    let wanted = match message {
        b"" => None,
        name => Some(login_name(name)?),
    };
    let asked_for = wanted.as_ref().and_then(|wanted| names.iter().find(|name| name.eq_ignore_ascii_case(wanted)));
    let acting_for = if asked_for.is_some() { None } else { wanted };
    let name = asked_for.or(names.first()).ok_or(Failure::Denied(Denied::Credentials))?;
    let login = login_name(name.as_bytes())?;
    let ask = Ask::Login { login: login.clone(), acting_for, proof: Proof::Certificate };
    Ok((State::AwaitingVerdict { login }, Move::Ask(ask)))
}

fn name(message: &[u8]) -> Next {
    let login = login_name(message)?;
    Ok((State::AwaitingPassword { login }, Move::Challenge(PASSWORD.to_vec())))
}

fn password(login: String, message: &[u8]) -> Next {
    ask_password(login, None, message)
}

fn ask_password(login: String, acting_for: Option<String>, password: &[u8]) -> Next {
    if password.is_empty() || password.len() > crate::PASSWORD_MAX {
        return Err(Failure::Malformed);
    }
    let proof = Proof::Password(prepared_password(password));
    let ask = Ask::Login { login: login.clone(), acting_for: other_than(&login, acting_for), proof };
    Ok((State::AwaitingVerdict { login }, Move::Ask(ask)))
}

/// The client's first message: who it is, how it binds, its nonce.
fn first(scram: Scram, message: &[u8]) -> Next {
    let first = ClientFirst::parse(message).ok_or(Failure::Malformed)?;
    let login = login_name(first.login.as_bytes())?;
    let bound = bound(&scram, &first)?;
    let nonce = format!("{}{}", first.nonce, scram.nonce);
    if !scram::is_nonce(&nonce) {
        return Err(Failure::Malformed);
    }
    let ask = Ask::Keys { login: login.clone() };
    Ok((State::AwaitingKeys { first, login, bound, nonce }, Move::Ask(ask)))
}

/// RFC 5802 §6: what `c=` will have to say, if the flag fits the mechanism, the channel and what we offered.
fn bound(scram: &Scram, first: &ClientFirst) -> Result<Vec<u8>, Failure> {
    let header = first.gs2.as_bytes();
    match &first.flag {
        Flag::Bound(kind) if scram.plus => {
            let binding = scram.channel.as_ref().and_then(|channel| scram::binding(channel, kind));
            binding.map(|binding| [header, binding].concat()).ok_or(Failure::ChannelBinding)
        }
        // The client could bind and believes we cannot: someone has taken -PLUS from our list.
        Flag::Unoffered if scram.plus_offered => Err(Failure::ChannelBinding),
        Flag::Unable | Flag::Unoffered if !scram.plus => Ok(header.to_vec()),
        _ => Err(Failure::Malformed),
    }
}

fn keyed(first: ClientFirst, login: String, bound: Vec<u8>, nonce: &str, keys: ScramKeys) -> (State, Move) {
    let server_first =
        ServerFirst { nonce: nonce.to_owned(), salt: keys.salt.clone(), iterations: keys.iterations }.write();
    let challenge = Move::Challenge(server_first.clone().into_bytes());
    let acting_for = other_than(&login, first.acting_for);
    let nonce = nonce.to_owned();
    let halfway = Halfway { login, acting_for, bound, nonce, keys, client_first_bare: first.bare, server_first };
    (State::AwaitingFinal(halfway), challenge)
}

/// The client's last message: is it the same client, on the same channel, and does it know the password?
fn last(halfway: Halfway, message: &[u8]) -> Next {
    let last = ClientFinal::parse(message).ok_or(Failure::Malformed)?;
    if last.nonce != halfway.nonce {
        return Err(Failure::Malformed);
    }
    if last.bound != halfway.bound {
        return Err(Failure::ChannelBinding);
    }
    let signed = scram::auth_message(&halfway.client_first_bare, &halfway.server_first, &last.without_proof);
    // All of them, whichever it is.
    let try_one =
        |found: Option<KeyPair>, pair: &KeyPair| if pair.is_proved(&last.proof, &signed) { Some(*pair) } else { found };
    let proved = halfway.keys.pairs.iter().fold(None, try_one);
    let verifier = proved.map(|pair| scram::sign(&pair.server_key, &signed));
    let login = halfway.login;
    let ask = Ask::Login { login: login.clone(), acting_for: halfway.acting_for, proof: Proof::Scram { proved } };
    Ok((State::AwaitingProven { login, proved: verifier }, Move::Ask(ask)))
}

fn proven(login: String, proved: Option<Hash>, account: String) -> Next {
    let Some(verifier) = proved else {
        return Err(Failure::Denied(Denied::Credentials));
    };
    let word = ServerFinal::Verifier(verifier).write().into_bytes();
    Ok((State::AwaitingEmpty(Granted { account, login }), Move::Challenge(word)))
}

/// A login as the house may see it: UTF-8, prepared, within the limit.
fn login_name(octets: &[u8]) -> Result<String, Failure> {
    let text = std::str::from_utf8(octets).ok().filter(|text| text.len() <= crate::LOGIN_MAX);
    let name = text.and_then(prepared).ok_or(Failure::Malformed)?;
    Ok(name.into_owned())
}

/// Acting for oneself is acting for nobody else.
fn other_than(login: &str, acting_for: Option<String>) -> Option<String> {
    acting_for.filter(|name| name != login)
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
