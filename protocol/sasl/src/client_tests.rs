//! The rules of the client's side, RFC 7677 §3, and duets of both sides.
//!
//! Not here: the parsers alone (scram).

use super::*;
use crate::server;
use proptest::prelude::*;
use std::num::NonZeroU32;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

fn bob(password: &str) -> Credentials {
    Credentials { login: "bob".into(), password: Secret::new(password), acting_for: None }
}

fn clear() -> Terms<'static> {
    Terms { channel: None, offered: &[], nonce: NONCE }
}

/// All mechanisms but EXTERNAL.
const BY_PASSWORD: [Mechanism; 4] =
    [Mechanism::ScramSha256Plus, Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login];

fn tls(exporter: Option<u8>, end_point: Option<u8>) -> Secured {
    let octets = |octet: Option<u8>| octet.map(|octet| vec![octet; 32]);
    Secured { exporter: octets(exporter), server_end_point: octets(end_point), ..Secured::default() }
}

/// RFC 7677 §3, from the client's chair, up to the server's last word.
fn example() -> Exchange {
    let user = Credentials { login: "user".into(), password: Secret::new("pencil"), acting_for: None };
    let (mut exchange, initial) = Exchange::start(Mechanism::ScramSha256, user, clear()).expect("started");
    assert_eq!(initial.as_deref(), Some(&b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"[..]));
    let response = exchange.respond(&server_first(4096)).expect("a response");
    let last =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(response, last.as_bytes());
    exchange
}

fn server_first(iterations: u32) -> Vec<u8> {
    format!("r={NONCE}{SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i={iterations}").into_bytes()
}

const VERIFIER: &[u8] = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

#[test]
fn the_example_of_rfc_7677_section_3() {
    let mut exchange = example();
    assert_eq!(exchange.respond(VERIFIER), Ok(vec![]));
    assert_eq!(exchange.granted(None), Ok(()));
}

#[test]
fn the_verifier_may_come_along_with_the_yes() {
    assert_eq!(example().granted(Some(VERIFIER)), Ok(()));
}

#[test]
fn a_server_that_proves_nothing_is_not_believed() {
    assert_eq!(example().granted(None), Err(Failure::Untrusted));
    assert_eq!(example().respond(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Err(Failure::Untrusted));
    assert_eq!(example().respond(b"e=invalid-proof"), Err(Failure::Refused("invalid-proof".into())));
    assert_eq!(example().respond(b""), Err(Failure::Malformed));
    let (mut exchange, _) = Exchange::start(Mechanism::ScramSha256, bob("x"), clear()).expect("started");
    assert_eq!(exchange.granted(None), Err(Failure::Untrusted), "before it has seen a proof");
    let mut exchange = example();
    exchange.respond(VERIFIER).expect("trusted");
    assert_eq!(exchange.respond(b""), Err(Failure::Malformed), "nothing comes behind the verifier");
    assert_eq!(exchange.granted(None), Err(Failure::Untrusted));
}

#[test]
fn a_first_word_of_the_server_that_we_do_not_answer() {
    let answer = |challenge: &[u8]| {
        let (mut exchange, _) = Exchange::start(Mechanism::ScramSha256, bob("x"), clear()).expect("started");
        exchange.respond(challenge)
    };
    assert_eq!(answer(&server_first(4095)), Err(Failure::Iterations(4095)));
    assert_eq!(answer(&server_first(ITERATIONS_MAX + 1)), Err(Failure::Iterations(ITERATIONS_MAX + 1)));
    for text in ["", "r=other,s=YQ==,i=4096", "r=rOprNGfwEbeRWgbNEkqO,s=YQ==,i=4096", "e=other-error"] {
        assert_eq!(answer(text.as_bytes()), Err(Failure::Malformed), "{text:?}");
    }
}

#[test]
fn plain_and_login_say_their_lines() {
    let (mut exchange, initial) = Exchange::start(Mechanism::Plain, bob("hungry"), clear()).expect("started");
    assert_eq!(initial.as_deref(), Some(&b"\0bob\0hungry"[..]));
    assert_eq!(exchange.respond(b""), Err(Failure::Malformed), "all has been said");
    let (mut exchange, initial) = Exchange::start(Mechanism::Login, bob("hungry"), clear()).expect("started");
    assert_eq!(initial, None);
    assert_eq!(exchange.respond(b"User Name\0").as_deref(), Ok(&b"bob"[..]));
    assert_eq!(exchange.granted(None), Err(Failure::Untrusted), "before the password was asked for");
    let (mut exchange, _) = Exchange::start(Mechanism::Login, bob("hungry"), clear()).expect("started");
    exchange.respond(b"Username:").expect("a response");
    assert_eq!(exchange.respond(b"Password:").as_deref(), Ok(&b"hungry"[..]));
    assert_eq!(exchange.granted(None), Ok(()));
}

#[test]
fn what_cannot_be_sent_is_not() {
    let start = |mechanism, credentials| Exchange::start(mechanism, credentials, clear()).map(|_| ());
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        assert_eq!(start(mechanism, bob("")), Err(Failure::Unsendable));
    }
    assert_eq!(start(Mechanism::Plain, bob("a\0b")), Err(Failure::Unsendable));
    for mechanism in Mechanism::ALL {
        let nobody = Credentials { login: String::new(), ..bob("x") };
        assert!(start(mechanism, nobody).is_err(), "{mechanism:?}");
    }
    let other = Credentials { acting_for: Some("alice".into()), ..bob("x") };
    assert_eq!(start(Mechanism::Login, other), Err(Failure::Unsendable));
    assert_eq!(start(Mechanism::ScramSha256Plus, bob("x")), Err(Failure::ChannelBinding));
}

#[test]
fn the_flag_tells_whether_we_could_bind() {
    let channel = tls(Some(1), Some(2));
    let initial = |mechanism, channel, offered: &[Mechanism]| {
        let terms = Terms { channel, offered, nonce: NONCE };
        let (_, initial) = Exchange::start(mechanism, bob("x"), terms).expect("started");
        String::from_utf8(initial.expect("an initial response")).expect("text")
    };
    assert!(initial(Mechanism::ScramSha256, None, &[]).starts_with("n,,"));
    assert!(initial(Mechanism::ScramSha256, Some(&channel), &[]).starts_with("y,,"));
    assert!(initial(Mechanism::ScramSha256, Some(&channel), &Mechanism::ALL).starts_with("n,,"));
    assert!(initial(Mechanism::ScramSha256Plus, Some(&channel), &[]).starts_with("p=tls-exporter,,"));
    let old = tls(None, Some(2));
    assert!(initial(Mechanism::ScramSha256Plus, Some(&old), &[]).starts_with("p=tls-server-end-point,,"));
}

#[test]
fn the_best_mechanism_that_the_channel_allows() {
    let channel = tls(Some(1), None);
    assert_eq!(choose(&Mechanism::ALL, Some(&channel), false), Some(Mechanism::ScramSha256Plus));
    assert_eq!(choose(&Mechanism::ALL, None, false), Some(Mechanism::ScramSha256));
    assert_eq!(choose(&[Mechanism::Login, Mechanism::Plain], None, true), Some(Mechanism::Plain));
    assert_eq!(choose(&[Mechanism::Plain], None, false), None);
}

/// How a duet ended: the server's last move, and what the client thinks of a yes.
#[derive(Debug, PartialEq)]
enum End {
    Granted(server::Granted),
    ClientLeft(Failure),
    Refused(server::Failure),
}

/// Both sides with each other, over their own views of the channel. The house knows one password.
fn duet(
    mechanism: Mechanism,
    credentials: Credentials,
    known: &str,
    ours: Option<&Secured>,
    theirs: Option<&Secured>,
    initial: bool,
) -> End {
    let terms = Terms { channel: ours, offered: &Mechanism::ALL, nonce: NONCE };
    let (mut client, first) = match Exchange::start(mechanism, credentials, terms) {
        Ok(started) => started,
        Err(failure) => return End::ClientLeft(failure),
    };
    let terms = server::Terms { channel: theirs, offered: &Mechanism::ALL, nonce: SERVER_NONCE };
    let (mut server, mut step) = server::Exchange::start(mechanism, first.as_deref().filter(|_| initial), terms);
    let mut unsaid = first.filter(|_| !initial);
    loop {
        step = match step {
            server::Move::Challenge(challenge) => match unsaid.take() {
                Some(first) => server.respond(&first),
                None => match client.respond(&challenge) {
                    Ok(response) => server.respond(&response),
                    Err(failure) => return End::ClientLeft(failure),
                },
            },
            server::Move::Ask(ask) => server.answer(house(ask, known)),
            server::Move::Granted(granted) => {
                return client.granted(None).map_or_else(End::ClientLeft, |()| End::Granted(granted));
            }
            server::Move::Failed(failure) => return End::Refused(failure),
        }
    }
}

fn house(ask: server::Ask, known: &str) -> server::Answer {
    match ask {
        server::Ask::Keys { login } => {
            let iterations = NonZeroU32::new(ITERATIONS_MIN).expect("not zero");
            server::Answer::Keys(Ok(crate::ScramKeys::derive(known.as_bytes(), login.as_bytes(), iterations)))
        }
        server::Ask::Login { login, proof, .. } => {
            let right = match proof {
                server::Proof::Password(password) => password == crate::prepared_password(known.as_bytes()),
                server::Proof::Scram { proved } => proved.is_some(),
                server::Proof::Certificate => true,
            };
            server::Answer::Login(if right { Ok(login) } else { Err(server::Denied::Credentials) })
        }
    }
}

#[test]
fn scram_finds_passwords_that_look_the_same_to_be_the_same() {
    let end = duet(Mechanism::ScramSha256, bob("cafe\u{301}\u{3000}\u{2168}"), "caf\u{e9} IX", None, None, true);
    assert!(matches!(end, End::Granted(_)), "{end:?}");
}

#[test]
fn two_ends_of_two_channels_do_not_agree() {
    let (ours, theirs) = (tls(Some(1), None), tls(Some(2), None));
    let end = duet(Mechanism::ScramSha256Plus, bob("hungry"), "hungry", Some(&ours), Some(&theirs), true);
    assert_eq!(end, End::Refused(server::Failure::ChannelBinding));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn who_knows_the_password_gets_in_and_nobody_else(
        mechanism in proptest::sample::select(&BY_PASSWORD[..]), login in "[a-z=,@.\u{e9}]{1,20}",
        password in "[ -~\u{e9}\u{4e2d}]{1,30}", known in proptest::option::of("[ -~]{1,30}"),
        exporter in proptest::option::of(any::<u8>()), initial: bool,
    ) {
        let channel = tls(exporter, Some(7));
        let right = known.as_ref().is_none_or(|known| *known == password);
        let known = known.unwrap_or_else(|| password.clone());
        let credentials = Credentials { login: login.clone(), ..bob(&password) };
        let end = duet(mechanism, credentials, &known, Some(&channel), Some(&channel), initial);
        let expected = match right {
            true => End::Granted(server::Granted { account: login.clone(), login }),
            false => End::Refused(server::Failure::Denied(server::Denied::Credentials)),
        };
        prop_assert_eq!(end, expected);
    }

    #[test]
    fn noise_makes_neither_side_stumble(
        mechanism in proptest::sample::select(&BY_PASSWORD[..]),
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..4),
    ) {
        let channel = tls(Some(1), None);
        let terms = Terms { channel: Some(&channel), offered: &[], nonce: NONCE };
        let (mut client, _) = Exchange::start(mechanism, bob("x"), terms).expect("started");
        let terms = server::Terms { channel: Some(&channel), offered: &[], nonce: SERVER_NONCE };
        let (mut server, _) = server::Exchange::start(mechanism, None, terms);
        for message in &messages {
            let _ = client.respond(message);
            let step = server.respond(message);
            prop_assert!(!matches!(step, server::Move::Granted(_)));
        }
        if mechanism >= Mechanism::ScramSha256 {
            prop_assert_eq!(client.granted(None), Err(Failure::Untrusted));
        }
    }
}
