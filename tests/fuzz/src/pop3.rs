//! POP3: commands, replies and both sides of the dialogue.

use crate::dialogue::{check, choice, mood, tls};
use crate::line::{is_line, read_and_written};
use crate::sasl;
use ::pop3::client::{self, Client, Order, Stls};
use ::pop3::server::{Answer, Ask, Entry, Server, Settings, Unopened, Unread, Unremoved};
use ::pop3::{Command, Reply};
use line::Session;
use std::sync::Arc;
use std::time::Instant;

/// What is read as a command is written so that it is read the same, in one line.
pub fn command(input: &[u8]) {
    read_and_written(input, |line| Command::parse(line).ok(), Command::write);
}

/// What is read as a reply is written so that it is read the same, if it is short enough to be said.
pub fn reply(input: &[u8]) {
    if !is_line(input) {
        return;
    }
    let Some(reply) = Reply::parse(input) else { return };
    let mut wire = Vec::new();
    reply.write(&mut wire);
    let line = wire.strip_suffix(b"\r\n").expect("a reply ends its line");
    let again = Reply::parse(line).expect("what is written is a reply");
    assert_eq!(again.is_ok(), reply.is_ok());
    let mut once_more = Vec::new();
    again.write(&mut once_more);
    assert_eq!(once_more, wire, "what was written once is written the same for ever");
}

/// Messages with dots, without last line end, empty, and long.
fn maildrop() -> Vec<Vec<u8>> {
    vec![
        b"Subject: one\r\n\r\n.dots\r\n..\r\n.\r\n".to_vec(),
        b"no header, no line end".to_vec(),
        Vec::new(),
        [b"Subject: long\r\n\r\n".to_vec(), b"x".repeat(3_000), b"\r\n".to_vec()].concat(),
    ]
}

/// The server, in several settings, with a house of moods.
pub fn server(input: &[u8]) {
    let mood = mood(input);
    let settings = Arc::new(Settings {
        tls_available: choice(mood, 1, 2) == 0,
        clear_login: choice(mood, 2, 4) != 0,
        ..Settings::new("hamburger.test")
    });
    let messages = maildrop();
    let open = || Server::new(settings.clone(), &[3; 32], Instant::now());
    check(input, open, |ask, nth| answer(ask, mood, nth, &messages), |_| {});
}

fn answer(ask: &Ask, mood: u64, nth: usize, messages: &[Vec<u8>]) -> Answer {
    let chance = choice(mood, nth, 16);
    match ask {
        Ask::Auth(ask) => Answer::Auth(sasl::answer(ask, mood, nth)),
        Ask::OpenMaildrop { .. } => Answer::Maildrop(match chance {
            0 => Err(Unopened::InUse),
            1 => Err(Unopened::Temporary),
            2 => Err(Unopened::Policy("by no means".to_owned())),
            _ => Ok(messages.iter().enumerate().map(|(at, text)| entry(at, text)).collect()),
        }),
        Ask::Read { message, offset } => {
            let text = &messages[*message];
            let rest =
                usize::try_from(*offset).ok().and_then(|offset| text.get(offset..)).expect("an offset in the message");
            assert!(!rest.is_empty(), "nothing is read beyond the end");
            Answer::Octets(match chance {
                0 => Err(Unread::Gone),
                1 => Err(Unread::Temporary),
                _ => Ok(rest[..rest.len().min(1 + 300 * chance as usize)].to_vec()),
            })
        }
        Ask::Remove(removed) => {
            assert!(removed.iter().all(|at| *at < messages.len()));
            Answer::Removed(if chance == 0 { Err(Unremoved) } else { Ok(()) })
        }
    }
}

fn entry(at: usize, text: &[u8]) -> Entry {
    Entry { size: text.len() as u64, uidl: format!("uid-{at}") }
}

/// The client, whatever the server says.
pub fn client(input: &[u8]) {
    if sasl::challenges_much_work(input) {
        return;
    }
    let mood = mood(input);
    let settings = client::Settings {
        credentials: sasl::credentials(),
        stls: [Stls::Never, Stls::IfOffered, Stls::Required][choice(mood, 1, 3) as usize],
        clear_login: choice(mood, 2, 2) == 0,
    };
    let open = || {
        let mut client = Client::new(settings.clone(), &[3; 32], Instant::now());
        if choice(mood, 3, 2) == 0 {
            client.secured(tls(), Instant::now());
        }
        client
    };
    check(input, open, |ask, nth| order(ask, mood, nth), |_| {});
}

fn order(ask: &client::Ask, mood: u64, nth: usize) -> client::Answer {
    let client::Ask::Next(_) = ask else { return client::Answer::Understood };
    client::Answer::Order(match choice(mood, nth, 9) {
        0 => Order::Stat,
        1 => Order::List,
        2 => Order::Uidl,
        3 => Order::Retrieve(1),
        4 => Order::Top(1, 3),
        5 => Order::Delete(1),
        6 => Order::Reset,
        7 => Order::Noop,
        _ => Order::Quit,
    })
}
