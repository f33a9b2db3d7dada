//! IMAP: commands, the small languages inside, and the server's side of the dialogue.

use crate::dialogue::{check_with_news, choice, mood};
use ::imap::capability::Capabilities;
use ::imap::command::{Command, Opening, append};
use ::imap::flag::{Flag, Flags, Keyword};
use ::imap::moment::{Day, Moment};
use ::imap::name::MailboxName;
use ::imap::pattern::Pattern;
use ::imap::server::ask::*;
use ::imap::server::{Server, Settings};
use ::imap::set::{NumberSet, SequenceSet};
use ::imap::url::{AuthorizedUrl, MessageUrl};
use std::sync::Arc;
use std::time::Instant;

/// What is read as a command is written so that it reads the same again, whichever way names travel.
pub fn command(input: &[u8]) {
    for utf8 in [false, true] {
        let Some((uid, command)) = read(input, utf8) else { continue };
        let mut written = Vec::new();
        match uid {
            true => command.write_uid(b"a", utf8, &mut written),
            false => command.write(b"a", utf8, &mut written),
        }
        let line = written.strip_suffix(b"\r\n").expect("it ends its line");
        if !matches!(command, Command::BadCharset { .. }) {
            assert_eq!(read(line, utf8), Some((uid, command)), "{}", line.escape_ascii());
        }
    }
    for replaces in [false, true] {
        let _ = append::head(input, replaces, true);
    }
    let _ = append::next(input, input.first() == Some(&b')'));
    let _ = append::parts(input);
    let _ = std::str::from_utf8(input).map(|url| (MessageUrl::parse(url), AuthorizedUrl::parse_rump(url)));
    let _ = AuthorizedUrl::parse(input);
}

fn read(input: &[u8], utf8: bool) -> Option<(bool, Command)> {
    let opening = Opening::read(input).ok()?;
    Some((opening.uid, opening.command(utf8).ok()?))
}

/// Sets, names, patterns, dates, flags.
pub fn words(input: &[u8]) {
    if let Some(set) = SequenceSet::parse(input) {
        assert_eq!(SequenceSet::parse(set.to_string().as_bytes()).as_ref(), Some(&set));
        let resolved = set.resolve(Some(1000));
        assert!(resolved.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "ranges are apart");
    }
    for utf8 in [false, true] {
        if let Ok(name) = MailboxName::parse(input, utf8) {
            assert_eq!(MailboxName::parse(name.to_wire(utf8).as_bytes(), utf8).as_ref(), Ok(&name));
            if let Ok(pattern) = Pattern::parse(b"", input, utf8) {
                pattern.fits(&name);
            }
        }
    }
    if let Some(moment) = Moment::parse(input) {
        assert_eq!(Moment::parse(moment.to_string().as_bytes()), Some(moment));
    }
    if let Some(day) = Day::parse(input) {
        assert_eq!(Day::of_number(day.number()), Some(day));
    }
    if let Some(flag) = Flag::parse(input) {
        assert_eq!(Flag::parse(flag.name().as_bytes()), Some(flag));
    }
}

/// The server, with a house of moods, in which mailboxes change all the time.
pub fn server(input: &[u8]) {
    let mood = mood(input);
    let mut settings = Settings::new("imap.example.org");
    settings.clear_login = true;
    settings.message_max = 3_000;
    if choice(mood, 1, 4) == 0 {
        settings.capabilities = Capabilities::NONE;
    }
    let settings = Arc::new(settings);
    // Most seeds do not log in by themselves.
    let input = match choice(mood, 2, 4) {
        0 => input.to_vec(),
        1 => [b"x LOGIN a b\r\n", input].concat(),
        2 => [b"x LOGIN a b\r\ny ENABLE QRESYNC IMAP4rev2\r\nz SELECT INBOX\r\n", input].concat(),
        _ => [b"x LOGIN a b\r\nz SELECT INBOX\r\n", input].concat(),
    };
    let open = || Server::new(settings.clone(), &[7; 32], Instant::now());
    check_with_news(&input, open, |ask, nth| answer(ask, mood, nth), |ask, nth| news(ask, mood, nth), |_| {});
}

fn news(ask: &Ask, mood: u64, nth: usize) -> Option<News> {
    // Not behind each `Sync`, or an idle session never comes to rest.
    let some = matches!(ask, Ask::Fetch(_) | Ask::Search(_) | Ask::Store(_) | Ask::Status { .. });
    (some && nth < 60).then(|| if choice(mood, nth, 2) == 0 { News::Changed } else { News::Elsewhere })
}

fn answer(ask: &Ask, mood: u64, nth: usize) -> Answer {
    let uid = |salt: usize| u32::try_from(choice(mood, nth + salt, 40)).unwrap_or(0) + 1;
    match (ask, choice(mood, nth, 12)) {
        (Ask::Auth(sasl::server::Ask::Keys { .. }), _) => {
            return Answer::Auth(sasl::server::Answer::Keys(Err(sasl::server::Denied::Credentials)));
        }
        (Ask::Auth(_), 0) => {
            return Answer::Auth(sasl::server::Answer::Login(Err(sasl::server::Denied::Credentials)));
        }
        (Ask::Auth(_), _) => return Answer::Auth(sasl::server::Answer::Login(Ok("1".into()))),
        (_, 0) => return Answer::Refused(Refusal::Unavailable),
        (_, 1) => return Answer::Namespaces(Namespaces::default()),
        (Ask::Search(_) | Ask::Sync, 2) => return Answer::Working { done: Some(uid(1)), goal: Some(uid(2)) },
        _ => {}
    }
    match ask {
        Ask::Mailboxes => Answer::Mailboxes(vec![listed("INBOX"), listed("a/b"), listed("a/b/c"), listed("日本")]),
        Ask::Status { .. } => Answer::Status(status()),
        Ask::Select { .. } => Answer::Selected(Box::new(selected(uid(3)))),
        Ask::Create { .. } => Answer::Created { id: id() },
        Ask::AppendCommit { .. } => Answer::Appended { uidvalidity: 1, uids: NumberSet::range(41, 41) },
        Ask::Sync => Answer::Changes(Changes {
            expunged: NumberSet::range(uid(4), uid(5)),
            added: NumberSet::range(uid(6) + 10, uid(7) + 20),
            flags: vec![Flagged { uid: uid(8), flags: Flags::default(), modseq: 9 }],
            keywords: (uid(9) == 1).then(|| Keyword::parse(b"x").into_iter().collect()),
            more: uid(10) < 8,
            lost: uid(11) == 1,
            ..Changes::default()
        }),
        Ask::Fetch(fetch) => Answer::Fetched(Fetched {
            messages: fetch.uids.iter().take(3).map(|uid| message(uid, fetch)).collect(),
            octets: OCTETS.to_vec(),
            apart: vec![OCTETS.to_vec(), vec![b'x'; 5_000]],
            looked_until: fetch.uids.iter().nth(2),
        }),
        Ask::Read { from, to, .. } if from % 2 == 1 => Answer::Sent((to - from).min(3)),
        Ask::Read { from, to, .. } => Answer::Octets(vec![b'x'; usize::try_from(to - from).unwrap_or(1).min(3)]),
        Ask::Vanished { uids, .. } => Answer::Vanished(uids.clone()),
        Ask::Store(store) => Answer::Stored(Stored {
            flagged: store
                .uids
                .iter()
                .take(5)
                .map(|uid| Flagged { uid, flags: store.flags.clone(), modseq: 4 })
                .collect(),
            modified: NumberSet::range(uid(12), uid(13)),
            ..Stored::default()
        }),
        Ask::Copy { uids, .. } => {
            Answer::Copied(Copied { uidvalidity: 1, from: uids.clone(), to: uids.clone(), modseq: 8 })
        }
        Ask::Expunge { .. } => Answer::Expunged { uids: NumberSet::range(uid(14), uid(15)), modseq: 7 },
        Ask::Search(search) => Answer::Found(found(search, uid(16))),
        Ask::Quota { .. } | Ask::QuotaRoots { .. } | Ask::SetQuota { .. } => {
            Answer::Quotas(vec![QuotaRoot { name: "\"x".into(), resources: vec![(Resource::Storage, 1, 2)] }])
        }
        Ask::Metadata { entries, .. } => {
            Answer::Metadata(entries.iter().map(|name| (name.clone(), Some(b"a\0\r\n".to_vec()))).collect())
        }
        Ask::Acl(_) => Answer::Acl(vec![("a b".into(), "lr".into())]),
        Ask::MyRights(_) => Answer::MyRights("lr".into()),
        Ask::Watch(_) => Answer::Watching(vec![MailboxName::inbox()]),
        Ask::Elsewhere => Answer::Elsewhere {
            happened: vec![
                Happening::Messages { mailbox: MailboxName::inbox(), status: status(), flags_only: uid(17) < 9 },
                Happening::Name { listed: listed("a/b"), has_children: false, old: Some(MailboxName::inbox()) },
                Happening::Metadata { mailbox: None, entries: vec!["/shared/x".into()] },
            ],
            more: uid(18) < 9,
        },
        Ask::Namespaces => Answer::Namespaces(Namespaces::default()),
        Ask::GrantableRights { .. } => Answer::GrantableRights { always: String::new(), others: vec!["l".into()] },
        _ => Answer::Done,
    }
}

fn id() -> ObjectId {
    ObjectId::new("F1").expect("an id")
}

fn listed(name: &str) -> Listed {
    Listed {
        name: MailboxName::new(name).expect("a name"),
        selectable: true,
        exists: true,
        subscribed: name.len() == 3,
        uses: vec![SpecialUse::Sent],
        marked: None,
        no_inferiors: false,
    }
}

fn status() -> Status {
    Status {
        messages: 1,
        unseen: 1,
        deleted: 0,
        uidnext: 2,
        uidvalidity: 1,
        highestmodseq: 3,
        size: 4,
        deleted_size: 0,
        append_limit: None,
        id: id(),
    }
}

fn selected(count: u32) -> Selected {
    Selected {
        id: id(),
        uidvalidity: 1,
        uidnext: count + 5,
        highestmodseq: 9,
        uids: NumberSet::from_ranges([(2, count), (count + 2, count + 3)]),
        keywords: Vec::new(),
        permanent: Permanent::Everything,
        first_unseen: Some(2),
        read_only: false,
    }
}

const OCTETS: &[u8] = b"a\0b";

fn message(uid: u32, fetch: &Fetch) -> Message {
    let content = |at: usize| match at % 5 {
        0 => Content::Octets(Excerpt::since(0, OCTETS)),
        1 => Content::Stretch { reader: 1, from: 0, to: 7 },
        2 => Content::Nil,
        // What was taken before, or was never there, is empty.
        3 => Content::Apart(uid % 3),
        _ => Content::UnknownEncoding,
    };
    let sections = (0..fetch.items.len()).map(|at| content(at + uid as usize)).collect();
    Message { uid, seen_now: uid.is_multiple_of(2), sections, ..Message::default() }
}

fn found(search: &Search, uid: u32) -> Found {
    let hits = match search.order {
        Order::Uid => Hits::Set(NumberSet::range(uid, uid + 5)),
        Order::Sorted(_) => Hits::Sorted(vec![uid, 3, 2, 9]),
        Order::Threaded(_) => Hits::Threads(
            [(0, Some(uid)), (1, None), (7, Some(2)), (1, Some(3)), (0, None)]
                .map(|(depth, uid)| ThreadNode { depth, uid })
                .to_vec(),
        ),
    };
    Found { hits, modseq: Some(5) }
}
