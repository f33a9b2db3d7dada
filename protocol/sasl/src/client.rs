//! The client's side of an exchange.
//!
//! RFC 4616 §2 (PLAIN), RFC 5802 §5 and §6 (SCRAM, channel binding), RFC 7677 §4 (iterations).
//!
//! ```text
//! Said ─granted→ over                                              (PLAIN: all is in the initial response)
//! AwaitingNamePrompt ─respond→ AwaitingPasswordPrompt ─respond→ Said
//! AwaitingServerFirst ─respond→ AwaitingServerFinal ─respond→ Trusted ─granted→ over
//! ```
//!
//! Invariants: a server that cannot prove that it knows the password is not believed, even when it says yes.
//! Not here: EXTERNAL, for which we have no certificate; base64, sending the initial response late where a protocol has no room for it (the dialogues).

use crate::scram::{self, ClientFinal, ClientFirst, Flag, Hash, Salted, ServerFinal, ServerFirst};
use crate::{Mechanism, prepared};
use line::{Secret, Secured};

/// RFC 7677 §4: fewer would make it cheap for a false server to guess the password from our proof.
pub const ITERATIONS_MIN: u32 = 4096;

/// About two seconds of work; a server that wants more wants to keep us busy.
pub const ITERATIONS_MAX: u32 = 10_000_000;

/// With what we log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The login.
    pub login: String,
    /// The password.
    pub password: Secret,
    /// Whom to act for, if not for oneself.
    pub acting_for: Option<String>,
}

/// What an exchange must know of the session it happens in.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The TLS of the session.
    pub channel: Option<&'a Secured>,
    /// What the server offers.
    pub offered: &'a [Mechanism],
    /// Fresh for this exchange (see [`crate::Nonces`]): printable ASCII without comma, 16 characters at least.
    pub nonce: &'a str,
}

/// Why we do not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The login or the password cannot be sent by this mechanism: empty, too long, or with forbidden characters.
    Unsendable,
    /// The channel has nothing to bind to, or no certificate of ours.
    ChannelBinding,
    /// The server's message breaks the mechanism's rules.
    Malformed,
    /// The server asks for fewer rounds than are safe or more than are reasonable.
    Iterations(u32),
    /// The server does not know our password: it is not the server we take it for.
    Untrusted,
    /// The server said within the mechanism why it refuses.
    Refused(String),
}

/// The best mechanism of those offered: one that hides the password before one that does not,
/// and one that does not only over TLS or with `clear_login`.
pub fn choose(offered: &[Mechanism], channel: Option<&Secured>, clear_login: bool) -> Option<Mechanism> {
    crate::available(offered, channel, clear_login).into_iter().max()
}

/// One exchange: one attempt to log in.
#[derive(Debug)]
pub struct Exchange {
    state: State,
}

enum State {
    AwaitingNamePrompt(Credentials),
    AwaitingPasswordPrompt(Secret),
    AwaitingServerFirst {
        first: ClientFirst,
        binding: Vec<u8>,
        password: Secret,
    },
    AwaitingServerFinal {
        verifier: Hash,
    },
    /// The server has proved itself.
    Trusted,
    /// All is said, and the mechanism proves nothing of the server.
    Said,
    Over,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::AwaitingNamePrompt(_) => "AwaitingNamePrompt",
            State::AwaitingPasswordPrompt(_) => "AwaitingPasswordPrompt",
            State::AwaitingServerFirst { .. } => "AwaitingServerFirst",
            State::AwaitingServerFinal { .. } => "AwaitingServerFinal",
            State::Trusted => "Trusted",
            State::Said => "Said",
            State::Over => "Over",
        })
    }
}

impl Exchange {
    /// Begins. The second value is the initial response, for mechanisms where the client speaks first; where the
    /// protocol has no room for it beside the command, it is sent when the server asks with an empty challenge.
    ///
    /// # Errors
    /// [`Failure::Unsendable`], [`Failure::ChannelBinding`].
    ///
    /// # Panics
    /// If the nonce in `terms` is not one: we are wrong, not the peer.
    pub fn start(
        mechanism: Mechanism,
        credentials: Credentials,
        terms: Terms<'_>,
    ) -> Result<(Exchange, Option<Vec<u8>>), Failure> {
        assert!(scram::is_nonce(terms.nonce) && terms.nonce.len() >= 16, "a nonce is printable and long");
        let (state, initial) = match mechanism {
            Mechanism::Plain => (State::Said, Some(plain(&credentials)?)),
            // We have no certificate to show.
            Mechanism::External => return Err(Failure::ChannelBinding),
            Mechanism::Login => (State::AwaitingNamePrompt(sendable(credentials)?), None),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => scram_start(mechanism, credentials, terms)?,
        };
        Ok((Exchange { state }, initial))
    }

    /// Our response to a challenge, both decoded.
    ///
    /// # Errors
    /// Any but [`Failure::Unsendable`] and [`Failure::ChannelBinding`]; the exchange should be cancelled then.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Failure> {
        let (state, response) = match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitingNamePrompt(credentials) => {
                (State::AwaitingPasswordPrompt(credentials.password), credentials.login.into_bytes())
            }
            State::AwaitingPasswordPrompt(password) => (State::Said, password.reveal().to_vec()),
            State::AwaitingServerFirst { first, binding, password } => proof(&first, &binding, &password, challenge)?,
            State::AwaitingServerFinal { verifier } => (trust(&verifier, challenge)?, Vec::new()),
            State::Trusted | State::Said | State::Over => return Err(Failure::Malformed),
        };
        self.state = state;
        Ok(response)
    }

    /// The server says yes; `data` is what it sent along, where a protocol has room for it.
    ///
    /// # Errors
    /// [`Failure::Untrusted`] if it should have proved itself and has not: leave at once.
    pub fn granted(&mut self, data: Option<&[u8]>) -> Result<(), Failure> {
        match (std::mem::replace(&mut self.state, State::Over), data) {
            (State::Trusted | State::Said, None) => Ok(()),
            (State::AwaitingServerFinal { verifier }, Some(challenge)) => trust(&verifier, challenge).map(|_| ()),
            _ => Err(Failure::Untrusted),
        }
    }
}

fn plain(credentials: &Credentials) -> Result<Vec<u8>, Failure> {
    let password = credentials.password.reveal();
    let acting_for = credentials.acting_for.as_deref().unwrap_or_default();
    let parts = [acting_for.as_bytes(), credentials.login.as_bytes(), password];
    if credentials.login.is_empty() || password.is_empty() || parts.iter().any(|part| part.contains(&0)) {
        return Err(Failure::Unsendable);
    }
    Some(parts.join(&0)).filter(|message| message.len() <= crate::MESSAGE_MAX).ok_or(Failure::Unsendable)
}

fn sendable(credentials: Credentials) -> Result<Credentials, Failure> {
    let fits = |octets: &[u8]| !octets.is_empty() && octets.len() <= crate::MESSAGE_MAX;
    let sendable =
        fits(credentials.login.as_bytes()) && fits(credentials.password.reveal()) && credentials.acting_for.is_none();
    sendable.then_some(credentials).ok_or(Failure::Unsendable)
}

fn scram_start(
    mechanism: Mechanism,
    credentials: Credentials,
    terms: Terms<'_>,
) -> Result<(State, Option<Vec<u8>>), Failure> {
    let name = |text: &str| match prepared(text) {
        Some(name) if name.len() <= crate::LOGIN_MAX => Ok(name.into_owned()),
        _ => Err(Failure::Unsendable),
    };
    let login = name(&credentials.login)?;
    let acting_for = credentials.acting_for.as_deref().map(name).transpose()?;
    let (flag, binding) = flag(mechanism, terms)?;
    let first = ClientFirst::compose(flag, acting_for.as_deref(), &login, terms.nonce);
    let initial = first.write().into_bytes();
    Ok((State::AwaitingServerFirst { first, binding, password: credentials.password }, Some(initial)))
}

/// RFC 5802 §6: how we bind, and to what.
fn flag(mechanism: Mechanism, terms: Terms<'_>) -> Result<(Flag, Vec<u8>), Failure> {
    let bindable = |channel: &Secured| {
        [scram::TLS_EXPORTER, scram::TLS_SERVER_END_POINT]
            .into_iter()
            .find_map(|kind| Some((kind.to_owned(), scram::binding(channel, kind)?.to_vec())))
    };
    match (mechanism, terms.channel.and_then(bindable)) {
        (Mechanism::ScramSha256Plus, Some((kind, binding))) => Ok((Flag::Bound(kind), binding)),
        (Mechanism::ScramSha256Plus, None) => Err(Failure::ChannelBinding),
        (_, Some(_)) if !terms.offered.contains(&Mechanism::ScramSha256Plus) => Ok((Flag::Unoffered, Vec::new())),
        _ => Ok((Flag::Unable, Vec::new())),
    }
}

fn proof(
    first: &ClientFirst,
    binding: &[u8],
    password: &Secret,
    challenge: &[u8],
) -> Result<(State, Vec<u8>), Failure> {
    let server = ServerFirst::parse(challenge).ok_or(Failure::Malformed)?;
    // A server that adds nothing of its own could be a recording.
    if !server.nonce.starts_with(&first.nonce) || server.nonce.len() == first.nonce.len() {
        return Err(Failure::Malformed);
    }
    if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&server.iterations.get()) {
        return Err(Failure::Iterations(server.iterations.get()));
    }
    let salted = Salted::derive(password.reveal(), &server.salt, server.iterations);
    let bound = [first.gs2.as_bytes(), binding].concat();
    let without_proof = ClientFinal::without_proof(&bound, &server.nonce);
    // RFC 5802 §3 signs what the server sent, extensions included.
    let server_first = std::str::from_utf8(challenge).map_err(|_| Failure::Malformed)?;
    let signed = scram::auth_message(&first.bare, server_first, &without_proof);
    let client_key = salted.client_key();
    let proof = scram::xor(&client_key, &scram::sign(&scram::sha256(&client_key), &signed));
    let verifier = scram::sign(&salted.server_key(), &signed);
    let last = ClientFinal { bound, nonce: server.nonce, proof, without_proof };
    Ok((State::AwaitingServerFinal { verifier }, last.write().into_bytes()))
}

fn trust(verifier: &Hash, challenge: &[u8]) -> Result<State, Failure> {
    match ServerFinal::parse(challenge).ok_or(Failure::Malformed)? {
        ServerFinal::Verifier(theirs) if scram::same(&theirs, verifier) => Ok(State::Trusted),
        ServerFinal::Verifier(_) => Err(Failure::Untrusted),
        ServerFinal::Error(reason) => Err(Failure::Refused(reason)),
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
