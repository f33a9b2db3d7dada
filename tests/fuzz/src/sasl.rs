//! SASL exchanges, both sides: any messages in any order, and a house that may say anything.

use crate::dialogue::{choice, mood, tls};
use ::sasl::server::{Answer, Ask, Denied, Exchange, Move, Proof, Terms};
use ::sasl::{Mechanism, ScramKeys, client};
use line::Secret;
use std::num::NonZeroU32;
use std::sync::OnceLock;

const NONCE: &str = "3rfcNHYJY1ZVvWVs7j";
/// More messages than any exchange has.
const TURNS_MAX: usize = 10;

/// The keys of everybody's password, which cost a few milliseconds once.
pub fn keys() -> ScramKeys {
    static KEYS: OnceLock<ScramKeys> = OnceLock::new();
    KEYS.get_or_init(|| ScramKeys::derive(b"hungry", b"salt of the earth", NonZeroU32::MIN)).clone()
}

/// What the house says, by its mood: mostly yes.
pub fn answer(ask: &Ask, mood: u64, nth: usize) -> Answer {
    let denied = match choice(mood, nth, 8) {
        0 => Some(Denied::Credentials),
        1 => Some(Denied::Throttled),
        2 => Some(Denied::Temporary),
        3 => Some(Denied::Policy("not on Sundays".to_owned())),
        _ => None,
    };
    match (ask, denied) {
        (Ask::Keys { .. }, None) => Answer::Keys(Ok(keys())),
        (Ask::Keys { .. }, Some(denied)) => Answer::Keys(Err(denied)),
        // Whoever has proved nothing is never let in: that is the house's part of the contract.
        (Ask::Login { proof: Proof::Scram { proved: None }, .. }, _) => Answer::Login(Err(Denied::Credentials)),
        (Ask::Login { login, .. }, None) => Answer::Login(Ok(login.clone())),
        (Ask::Login { .. }, Some(denied)) => Answer::Login(Err(denied)),
    }
}

/// With what our clients log in.
pub fn credentials() -> client::Credentials {
    client::Credentials { login: "bob".to_owned(), password: Secret::new("hungry"), acting_for: None }
}

/// The first octet chooses the mechanism; then come messages, each behind a newline.
fn cut(input: &[u8]) -> Option<(Mechanism, impl Iterator<Item = &[u8]>)> {
    let (first, rest) = input.split_first()?;
    Some((Mechanism::ALL[usize::from(*first) % Mechanism::ALL.len()], rest.split(|octet| *octet == b'\n')))
}

/// The server's side ends after a few turns; whoever is in was let in by the house, under the name it said.
pub fn server(input: &[u8]) {
    let Some((mechanism, mut messages)) = cut(input) else { return };
    let (mood, channel) = (mood(input), tls());
    let terms = Terms { channel: Some(&channel), offered: &Mechanism::ALL, nonce: NONCE };
    let (mut exchange, mut step) = Exchange::start(mechanism, messages.next().filter(|first| !first.is_empty()), terms);
    let mut let_in = None;
    for turn in 0..TURNS_MAX {
        step = match step {
            Move::Challenge(_) => exchange.respond(messages.next().unwrap_or_default()),
            Move::Ask(ask) => {
                let answer = answer(&ask, mood, turn);
                if let (Ask::Login { login, .. }, Answer::Login(Ok(_))) = (&ask, &answer) {
                    let_in = Some(login.clone());
                }
                exchange.answer(answer)
            }
            Move::Granted(granted) => {
                return assert_eq!(let_in, Some(granted.login), "nobody is in whom the house did not let in");
            }
            Move::Failed(_) => return,
        };
    }
    panic!("the exchange does not end");
}

/// The client's side: no challenge makes it panic, and SCRAM trusts no server without proof.
pub fn client(input: &[u8]) {
    if wants_much_work(input) {
        return;
    }
    let Some((mechanism, messages)) = cut(input) else { return };
    let channel = tls();
    let terms = client::Terms { channel: Some(&channel), offered: &Mechanism::ALL, nonce: NONCE };
    let started = client::Exchange::start(mechanism, credentials(), terms);
    if mechanism == Mechanism::External {
        return assert!(started.is_err(), "there is no certificate to show");
    }
    let (mut exchange, _) = started.expect("these can be sent");
    let mut verified = false;
    for message in messages.take(TURNS_MAX) {
        match exchange.respond(message) {
            Ok(response) => verified |= message.starts_with(b"v=") && response.is_empty(),
            Err(_) => return,
        }
    }
    let granted = exchange.granted(None);
    if !mechanism.sends_password() {
        assert!(granted.is_err() || verified, "a server was trusted that proved nothing");
    }
}

/// A server may ask for seconds of hashing, which the limits allow and no fuzzer has the time for.
fn wants_much_work(input: &[u8]) -> bool {
    /// Some milliseconds.
    const DIGITS: usize = 5;
    input.windows(2 + DIGITS).any(|window| window.starts_with(b"i=") && window[2..].iter().all(u8::is_ascii_digit))
}

/// The same within base64, as protocols carry challenges.
pub fn challenges_much_work(input: &[u8]) -> bool {
    input.split(|octet| *octet == b'\n').any(|line| {
        let text = line.trim_ascii_end().rsplit(|octet| *octet == b' ').next().unwrap_or_default();
        ::sasl::wire::decode(text).is_some_and(|challenge| wants_much_work(&challenge))
    })
}
