//! An IMAP client's copy of a mailbox: it goes away, comes back, and asks what it has missed.
//!
//! RFC 7162 §3.2.5 (QRESYNC).
//!
//! Invariant: whatever it was told when it came back, it then knows what is there; anything else fails the test.
//! Not here: what is changed meanwhile.

use crate::{Server, Speaker};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A copy of the flags of all messages.
pub struct Replica {
    login: String,
    mailbox: String,
    /// UIDVALIDITY and HIGHESTMODSEQ when it left.
    left_at: Option<(u32, u64)>,
    flags: BTreeMap<u32, String>,
}

/// What a client that came back was told, by UID.
#[derive(Debug, PartialEq, Eq)]
pub struct Missed {
    /// These are new or changed.
    pub changed: Vec<u32>,
    /// These it knew, and they have vanished. It may be told of others that it has never known.
    pub gone: Vec<u32>,
}

impl Replica {
    /// It has never been there. `login` is user and password.
    pub fn new(login: &str, mailbox: &str) -> Replica {
        Replica { login: login.to_owned(), mailbox: mailbox.to_owned(), left_at: None, flags: BTreeMap::new() }
    }

    /// The mailbox has this name now.
    pub fn renamed(&mut self, mailbox: &str) {
        mailbox.clone_into(&mut self.mailbox);
    }

    /// Comes back, hears what it has missed, and looks whether that was all.
    pub fn catch_up(&mut self, server: &Server) -> Missed {
        let mut imap = server.speak("imap");
        imap.play(&format!("S: * OK ~\nC: l LOGIN {}\nS: l OK ~\nC: e ENABLE QRESYNC\nS: * ~\nS: e OK ~", self.login));
        let since = self.left_at.map(|(validity, modseq)| format!(" (QRESYNC ({validity} {modseq}))"));
        let told = ask(&mut imap, &format!("SELECT {}{}", self.mailbox, since.unwrap_or_default()));
        let gone = vanished(&told).into_iter().filter(|uid| self.flags.remove(uid).is_some()).collect();
        let missed = Missed { changed: fetched(&told).map(|(uid, _)| uid).collect(), gone };
        self.flags.extend(fetched(&told));

        let there = fetched(&ask(&mut imap, "UID FETCH 1:* (FLAGS)")).collect();
        let thought = std::mem::replace(&mut self.flags, there);
        let now = (code(&told, "[UIDVALIDITY "), code(&told, "[HIGHESTMODSEQ "));
        if let Some(left_at) = self.left_at.replace(now) {
            assert_eq!(thought, self.flags, "QRESYNC since {left_at:?} has not told all: {told:#?}");
        }
        missed
    }
}

/// Says a command, which must go well, and gives what was told.
fn ask(imap: &mut Speaker, command: &str) -> Vec<String> {
    imap.say(&format!("r {command}"));
    let mut told = Vec::new();
    loop {
        let line = imap.hear().expect("an answer");
        if let Some(end) = line.strip_prefix("r ") {
            assert!(end.starts_with("OK "), "{command}: {end}");
            return told;
        }
        told.push(line);
    }
}

/// The number of a response code.
fn code<T: std::str::FromStr>(told: &[String], code: &str) -> T {
    let rest = told.iter().find_map(|line| line.split_once(code)).map(|(_, rest)| rest);
    let digits = rest.and_then(|rest| rest.split(']').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no {code}: {told:#?}"))
}

/// UID and flags of each message that was told of.
fn fetched(told: &[String]) -> impl Iterator<Item = (u32, String)> {
    told.iter().filter(|line| line.contains(" FETCH (")).map(|line| {
        let uid = line.split_once("UID ").and_then(|(_, rest)| rest.split([' ', ')']).next());
        let flags = line.split_once("FLAGS (").and_then(|(_, rest)| rest.split(')').next());
        (uid.and_then(|uid| uid.parse().ok()).expect("a UID"), flags.expect("flags").to_owned())
    })
}

fn vanished(told: &[String]) -> Vec<u32> {
    let sets = told.iter().filter_map(|line| line.strip_prefix("* VANISHED (EARLIER) "));
    sets.flat_map(|set| set.split(',')).flat_map(range).collect()
}

/// `3` or `3:5`.
fn range(text: &str) -> RangeInclusive<u32> {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("no UID: {text}"));
    number(from)..=number(to)
}
