//! Replays the client's transcripts.

use super::*;
use crate::command::HelloName;
use crate::path::Mailbox;
use line::Secret;
use sasl::client::Credentials;
use transcript::{Given, Side, Stage as Theatre};

struct Post;

impl Theatre for Post {
    type Session = Client;
    const SIDE: Side = Side::Client;

    fn open(given: &Given, now: Instant) -> Client {
        let usual = Settings::new(HelloName::parse("crepes.fr").expect("a name"));
        let settings = Settings {
            tls: match given.setting("tls") {
                Some("never") => Tls::Never,
                Some("required") => Tls::Required,
                _ => Tls::IfOffered,
            },
            login: given.setting("login").map(credentials),
            clear_login: given.is("clear_login"),
            pipelining: given.setting("pipelining") != Some("no"),
            recipients_max: given.number("recipients").map_or(100, |max| usize::try_from(max).expect("small")),
            ..usual
        };
        Client::new(Arc::new(settings), &[7; 32], now)
    }

    fn question(ask: &Ask) -> String {
        match ask {
            Ask::Next => "next".into(),
            Ask::Content { offset } => format!("content {offset}"),
            Ask::Report(outcomes) => {
                let outcomes: Vec<String> = outcomes.iter().map(outcome).collect();
                format!("report {}", outcomes.join(" | "))
            }
            Ask::Broken(trouble) => {
                let kind = if trouble.is_permanent() { "permanent" } else { "temporary" };
                format!("broken {kind} {} {trouble}", trouble.status())
            }
        }
    }

    fn answer(text: &str) -> Result<Answer, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "mail" => mail(rest).map(|mail| Answer::Mail(Box::new(mail))),
            "done" => Ok(Answer::Done),
            "content" => Ok(Answer::Content { octets: octets(rest), last: false }),
            "last" => Ok(Answer::Content { octets: octets(rest), last: true }),
            "unreadable" => Ok(Answer::Unreadable),
            "noted" => Ok(Answer::Noted),
            _ => Err(format!("no answer is `{text}`")),
        }
    }
}

fn credentials(text: &str) -> Credentials {
    let (login, password) = text.split_once(':').expect("login:password");
    Credentials { login: login.into(), password: Secret::new(password), acting_for: None }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered(reply) => format!("delivered {reply}"),
        Outcome::Deferred(trouble) => format!("deferred {} {trouble}", trouble.status()),
        Outcome::Failed(trouble) => format!("failed {} {trouble}", trouble.status()),
    }
}

fn octets(text: &str) -> Vec<u8> {
    text.replace("\\r", "\r").replace("\\n", "\n").into_bytes()
}

/// `<sender> <recipient> NOTIFY=NEVER <recipient> size=12 8bit utf8 RET=HDRS ENVID=x`
fn mail(text: &str) -> Result<Mail, String> {
    let mut words = text.split(' ');
    let sender = ReversePath::parse(words.next().unwrap_or_default()).map_err(|error| format!("{error:?}"))?.0;
    let mut mail =
        Mail { sender, recipients: vec![], size: 0, eight_bit: false, smtputf8: false, ret: None, envid: None };
    for word in words {
        match (word.split_once('='), word) {
            (Some(("size", size)), _) => mail.size = size.parse().map_err(|_| "size=number")?,
            (Some(("ENVID", envid)), _) => mail.envid = Some(envid.into()),
            (Some(("RET", "HDRS")), _) => mail.ret = Some(Ret::Headers),
            (Some(("NOTIFY" | "ORCPT", _)), _) => {
                mail.recipients.last_mut().ok_or("for whom?")?.params = RcptParams::parse(word).map_err(|_| word)?;
            }
            (None, "8bit") => mail.eight_bit = true,
            (None, "utf8") => mail.smtputf8 = true,
            _ => {
                let inside = word.trim_matches(['<', '>']);
                let mailbox = Mailbox::parse(inside).map_err(|error| format!("{word}: {error:?}"))?;
                let path = ForwardPath::Mailbox(mailbox);
                mail.recipients.push(Recipient { path, params: RcptParams::default() });
            }
        }
    }
    Ok(mail)
}

#[test]
fn transcripts() {
    transcript::replay_folder::<Post>(concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts/client"));
}

proptest::proptest! {
    /// Whatever a server says, in whatever pieces: every mail that was taken is reported once, with an outcome for each
    /// recipient, and the pieces make no difference.
    #[test]
    fn every_mail_is_accounted_for(
        lines in proptest::collection::vec(proptest::sample::select(vec![
            "220 hi", "250 ok", "250-PIPELINING", "250 STARTTLS", "354 go", "450 4.2.0 later", "550 5.1.1 no",
            "421 bye", "452 4.5.3 too many", "552 full", "503 what", "250-", "250", "nonsense", "235 2.7.0 in", "334 ",
            "",
        ]), 0..40),
        size in 1usize..20,
    ) {
        let wire = format!("220 x\r\n250-x\r\n250 PIPELINING\r\n{}\r\n", lines.join("\r\n"));
        let (taken, reports) = heard(wire.as_bytes(), size);
        proptest::prop_assert_eq!(taken, reports.len());
        proptest::prop_assert!(reports.iter().all(|outcomes| outcomes.len() == 3));
        proptest::prop_assert_eq!(heard(wire.as_bytes(), 100_000), (taken, reports));
    }
}

/// How many mails were taken by a client that hears `wire` and then nothing more, and what it reported.
fn heard(wire: &[u8], size: usize) -> (usize, Vec<Vec<Outcome>>) {
    let now = Instant::now();
    let settings = Settings { recipients_max: 2, ..Settings::new(HelloName::parse("crepes.fr").expect("a name")) };
    let mut client = Client::new(Arc::new(settings), &[7; 32], now);
    let (mut held, mut pieces) = (Vec::new(), wire.chunks(size));
    let (mut taken, mut reports) = (0, Vec::new());
    loop {
        match client.next(&mut Vec::new()) {
            Step::Ask(Ask::Next) => {
                taken += 1;
                let mail = mail("<> <a@x.test> <b@x.test> <c@x.test>").expect("a mail");
                client.answer(Answer::Mail(Box::new(mail)), now);
            }
            Step::Ask(Ask::Content { .. }) => {
                client.answer(Answer::Content { octets: b"hi\r\n".to_vec(), last: true }, now);
            }
            Step::Ask(Ask::Report(outcomes)) => {
                reports.push(outcomes);
                client.answer(Answer::Noted, now);
            }
            Step::Ask(Ask::Broken(_)) => client.answer(Answer::Noted, now),
            Step::Secure => client.secured(Secured::default(), now),
            Step::Clear | Step::Deflate => panic!("TLS is not ended here, and nothing compressed"),
            Step::Send | Step::Keep => {}
            Step::Close => return (taken, reports),
            Step::Wait { .. } => {
                let done = if held.is_empty() { 0 } else { client.receive(&held, now) };
                held.drain(..done);
                if done == 0 {
                    match pieces.next() {
                        Some(piece) => held.extend_from_slice(piece),
                        None => client.closed(now),
                    }
                }
            }
        }
    }
}
