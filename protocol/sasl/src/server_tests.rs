//! The rules of the server's side, mechanism by mechanism: RFC 4616, RFC 5802, RFC 7677 §3.
//!
//! Not here: both sides together (client_tests).

use super::*;
use std::num::NonZeroU32;

const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const ALL: [Mechanism; 5] = Mechanism::ALL;

fn clear() -> Terms<'static> {
    Terms { channel: None, offered: &[], nonce: NONCE }
}

fn keys() -> ScramKeys {
    let salt = crate::wire::decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
    ScramKeys::derive(b"pencil", &salt, NonZeroU32::new(4096).expect("not zero"))
}

fn start(mechanism: Mechanism, initial: Option<&[u8]>) -> (Exchange, Move) {
    Exchange::start(mechanism, initial, clear())
}

fn ask_password(login: &str, acting_for: Option<&str>, password: &str) -> Move {
    let proof = Proof::Password(Secret::new(password));
    Move::Ask(Ask::Login { login: login.into(), acting_for: acting_for.map(Into::into), proof })
}

fn granted(account: &str, login: &str) -> Move {
    Move::Granted(Granted { account: account.into(), login: login.into() })
}

fn challenge(text: &str) -> Move {
    Move::Challenge(text.as_bytes().to_vec())
}

#[test]
fn plain_with_and_without_initial_response() {
    let message = &b"\0bob\0hungry"[..];
    let (_, first) = start(Mechanism::Plain, Some(message));
    assert_eq!(first, ask_password("bob", None, "hungry"));
    let (mut exchange, first) = start(Mechanism::Plain, None);
    assert_eq!(first, challenge(""));
    assert_eq!(exchange.respond(message), ask_password("bob", None, "hungry"));
    assert_eq!(exchange.answer(Answer::Login(Ok("7".into()))), granted("7", "bob"));
}

#[test]
fn external_is_whom_the_certificate_is_for() {
    let certified = |message: Option<&[u8]>, names: &[&str]| {
        let tls = Secured { client_names: names.iter().map(|name| (*name).to_owned()).collect(), ..Secured::default() };
        let terms = Terms { channel: Some(&tls), offered: &ALL, nonce: NONCE };
        Exchange::start(Mechanism::External, message, terms)
    };
    let ask = |login: &str, acting_for: Option<&str>| {
        let acting_for = acting_for.map(Into::into);
        Move::Ask(Ask::Login { login: login.into(), acting_for, proof: Proof::Certificate })
    };
    let names = ["joe@a.test", "sales@b.test"];
    // RFC 4422 App. A.4: the client speaks first, and may say nothing.
    let (mut exchange, first) = certified(None, &names);
    assert_eq!(first, challenge(""));
    assert_eq!(exchange.respond(b""), ask("joe@a.test", None));
    assert_eq!(exchange.answer(Answer::Login(Ok("7".into()))), granted("7", "joe@a.test"));
    assert_eq!(certified(Some(b"Sales@b.test"), &names).1, ask("sales@b.test", None));
    assert_eq!(certified(Some(b"fred@example.com"), &names).1, ask("joe@a.test", Some("fred@example.com")));
    let denied = Move::Failed(Failure::Denied(Denied::Credentials));
    assert_eq!(certified(Some(b"joe@a.test"), &[]).1, denied);
    assert_eq!(start(Mechanism::External, Some(b"")).1, denied);
    for malformed in [&b"\0"[..], b"\xff", &[b'x'; crate::LOGIN_MAX + 1]] {
        assert_eq!(certified(Some(malformed), &names).1, Move::Failed(Failure::Malformed));
    }
}

#[test]
fn plain_says_for_whom_it_acts() {
    let asked = |message: &[u8]| start(Mechanism::Plain, Some(message)).1;
    assert_eq!(asked(b"alice\0bob\0hungry"), ask_password("bob", Some("alice"), "hungry"));
    assert_eq!(asked(b"bob\0bob\0hungry"), ask_password("bob", None, "hungry"));
}

#[test]
fn plain_that_is_malformed() {
    let long = [&b"\0bob\0"[..], &vec![b'x'; crate::PASSWORD_MAX + 1]].concat();
    let wrong: [&[u8]; 9] =
        [b"", b"\0", b"\0bob", b"bob\0hungry", b"\0\0x", b"\0bob\0", b"\0b\xffb\0x", b"\0b\0x\0y", &long];
    for message in wrong {
        assert_eq!(start(Mechanism::Plain, Some(message)).1, Move::Failed(Failure::Malformed), "{message:?}");
    }
}

#[test]
fn a_password_in_another_charset_reaches_the_house() {
    let (_, asked) = start(Mechanism::Plain, Some(b"\0bob\0p\xe9"));
    let proof = Proof::Password(Secret::new(*b"p\xe9"));
    assert_eq!(asked, Move::Ask(Ask::Login { login: "bob".into(), acting_for: None, proof }));
}

#[test]
fn login_in_two_steps() {
    let (mut exchange, first) = start(Mechanism::Login, None);
    assert_eq!(first, challenge("Username:"));
    assert_eq!(exchange.respond(b"bob"), challenge("Password:"));
    assert_eq!(exchange.respond(b"hungry"), ask_password("bob", None, "hungry"));
    assert_eq!(exchange.answer(Answer::Login(Ok("7".into()))), granted("7", "bob"));
}

#[test]
fn login_with_the_name_beside_the_command() {
    let (mut exchange, first) = start(Mechanism::Login, Some(b"bob"));
    assert_eq!(first, challenge("Password:"));
    assert_eq!(exchange.respond(b""), Move::Failed(Failure::Malformed));
    assert_eq!(exchange.respond(b"hungry"), Move::Failed(Failure::Malformed), "it is over");
}

#[test]
fn the_house_may_refuse_for_its_reasons() {
    for denied in [Denied::Credentials, Denied::Throttled, Denied::Temporary, Denied::Policy("closed".into())] {
        let (mut exchange, _) = start(Mechanism::Plain, Some(b"\0bob\0hungry"));
        let failed = Move::Failed(Failure::Denied(denied.clone()));
        assert_eq!(exchange.answer(Answer::Login(Err(denied.clone()))), failed);
        let (mut exchange, _) = start(Mechanism::ScramSha256, Some(b"n,,n=user,r=x"));
        assert_eq!(exchange.answer(Answer::Keys(Err(denied))), failed);
    }
}

#[test]
fn an_answer_to_another_question_lets_nobody_in() {
    let (mut exchange, _) = start(Mechanism::Plain, Some(b"\0bob\0hungry"));
    let failed = Move::Failed(Failure::Denied(Denied::Temporary));
    assert_eq!(exchange.answer(Answer::Keys(Ok(keys()))), failed);
    let (mut exchange, _) = start(Mechanism::ScramSha256, Some(b"n,,n=user,r=x"));
    assert_eq!(exchange.answer(Answer::Login(Ok("7".into()))), failed);
}

/// RFC 7677 §3, from the server's chair.
const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const LAST: &str =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

fn scram_until_last() -> Exchange {
    let (mut exchange, first) = start(Mechanism::ScramSha256, Some(FIRST));
    assert_eq!(first, Move::Ask(Ask::Keys { login: "user".into() }));
    let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    assert_eq!(exchange.answer(Answer::Keys(Ok(keys()))), challenge(server_first));
    exchange
}

fn ask_proved(proved: bool) -> Move {
    let proved = proved.then(|| keys().pairs[0]);
    Move::Ask(Ask::Login { login: "user".into(), acting_for: None, proof: Proof::Scram { proved } })
}

#[test]
fn the_example_of_rfc_7677_section_3() {
    let mut exchange = scram_until_last();
    assert_eq!(exchange.respond(LAST.as_bytes()), ask_proved(true));
    let verifier = challenge("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_eq!(exchange.answer(Answer::Login(Ok("7".into()))), verifier);
    assert_eq!(exchange.respond(b""), granted("7", "user"));
}

#[test]
fn each_password_of_a_login_is_proved_by_its_own_keys() {
    let other = |password: &[u8]| ScramKeys::derive(password, &keys().salt, keys().iterations).pairs[0];
    let pairs = vec![other(b"pickles"), keys().pairs[0], other(b"hungry")];
    let (mut exchange, _) = start(Mechanism::ScramSha256, Some(FIRST));
    exchange.answer(Answer::Keys(Ok(ScramKeys { pairs, ..keys() })));
    assert_eq!(exchange.respond(LAST.as_bytes()), ask_proved(true));
    let verifier = challenge("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_eq!(exchange.answer(Answer::Login(Ok("7".into()))), verifier);
    let (mut exchange, _) = start(Mechanism::ScramSha256, Some(FIRST));
    exchange.answer(Answer::Keys(Ok(ScramKeys { pairs: vec![other(b"pickles"), other(b"hungry")], ..keys() })));
    assert_eq!(exchange.respond(LAST.as_bytes()), ask_proved(false));
}

#[test]
fn scram_without_initial_response_is_asked_for_it() {
    let (mut exchange, first) = start(Mechanism::ScramSha256, None);
    assert_eq!(first, challenge(""));
    assert_eq!(exchange.respond(FIRST), Move::Ask(Ask::Keys { login: "user".into() }));
}

#[test]
fn a_wrong_proof_is_counted_and_never_granted() {
    let mut exchange = scram_until_last();
    assert_eq!(exchange.respond(LAST.replace("p=dH", "p=dI").as_bytes()), ask_proved(false));
    let refused = Move::Failed(Failure::Denied(Denied::Credentials));
    assert_eq!(exchange.answer(Answer::Login(Ok("7".into()))), refused);
}

#[test]
fn another_nonce_or_channel_is_not_even_counted() {
    let failed = |last: String| scram_until_last().respond(last.as_bytes());
    assert_eq!(failed(LAST.replace("r=rO", "r=rP")), Move::Failed(Failure::Malformed));
    assert_eq!(failed(LAST.replace("c=biws", "c=eSws")), Move::Failed(Failure::ChannelBinding));
    assert_eq!(failed(String::new()), Move::Failed(Failure::Malformed));
}

#[test]
fn nothing_but_emptiness_answers_the_verifier() {
    let mut exchange = scram_until_last();
    exchange.respond(LAST.as_bytes());
    exchange.answer(Answer::Login(Ok("7".into())));
    assert_eq!(exchange.respond(b"x"), Move::Failed(Failure::Malformed));
    assert_eq!(exchange.respond(b""), Move::Failed(Failure::Malformed));
}

#[test]
fn a_client_that_saw_no_plus_where_we_offered_it_is_warned() {
    let terms = Terms { offered: &ALL, ..clear() };
    let (_, first) = Exchange::start(Mechanism::ScramSha256, Some(b"y,,n=user,r=x"), terms);
    assert_eq!(first, Move::Failed(Failure::ChannelBinding));
    let (_, first) = Exchange::start(Mechanism::ScramSha256, Some(b"n,,n=user,r=x"), terms);
    assert_eq!(first, Move::Ask(Ask::Keys { login: "user".into() }));
    let (_, first) = start(Mechanism::ScramSha256, Some(b"y,,n=user,r=x"));
    assert_eq!(first, Move::Ask(Ask::Keys { login: "user".into() }));
}

#[test]
fn the_flag_fits_the_mechanism_and_the_channel() {
    let tls = Secured { exporter: Some(vec![1; 32]), ..Secured::default() };
    let terms = Terms { channel: Some(&tls), offered: &ALL, nonce: NONCE };
    let first = |mechanism, message: &[u8]| Exchange::start(mechanism, Some(message), terms).1;
    let (plus, bare) = (Mechanism::ScramSha256Plus, Mechanism::ScramSha256);
    assert!(matches!(first(plus, b"p=tls-exporter,,n=user,r=x"), Move::Ask(_)));
    for kind in ["tls-server-end-point", "tls-unique", "x"] {
        let message = format!("p={kind},,n=user,r=x");
        assert_eq!(first(plus, message.as_bytes()), Move::Failed(Failure::ChannelBinding), "{kind}");
    }
    assert_eq!(first(plus, b"n,,n=user,r=x"), Move::Failed(Failure::Malformed));
    assert_eq!(first(bare, b"p=tls-exporter,,n=user,r=x"), Move::Failed(Failure::Malformed));
    let unbound = Exchange::start(plus, Some(b"p=tls-exporter,,n=user,r=x"), clear()).1;
    assert_eq!(unbound, Move::Failed(Failure::ChannelBinding));
}

#[test]
fn names_and_passwords_are_prepared() {
    let (_, asked) = start(Mechanism::ScramSha256, Some("n,,n=\u{2168}\u{ad},r=x".as_bytes()));
    assert_eq!(asked, Move::Ask(Ask::Keys { login: "IX".into() }));
    let (_, asked) = start(Mechanism::Plain, Some("\0\u{ff42}ob\0\u{ff42}".as_bytes()));
    assert_eq!(asked, ask_password("bob", None, "b"));
    let (_, failed) = start(Mechanism::Plain, Some(b"\0b\x07b\0x"));
    assert_eq!(failed, Move::Failed(Failure::Malformed));
}

#[test]
fn a_message_without_end_is_refused() {
    let (mut exchange, _) = start(Mechanism::Login, None);
    assert_eq!(exchange.respond(&vec![b'x'; crate::MESSAGE_MAX + 1]), Move::Failed(Failure::Malformed));
}

#[test]
fn debug_shows_no_secret() {
    let (exchange, asked) = start(Mechanism::Plain, Some(b"\0bob\0hungry"));
    assert!(!format!("{exchange:?} {asked:?}").contains("hungry"));
    assert_eq!(
        format!("{:?}", scram_until_last()),
        "Exchange { state: AwaitingFinal(Halfway { login: \"user\", .. }) }"
    );
}
