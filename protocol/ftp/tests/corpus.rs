//! Raw sessions that fuzzers have collected: none brings the server down, and all it says is replies.
//!
//! From ProFuzzBench (`fuzz-seeds-ftp` of the corpus). Skipped, loudly, where the corpus is not there.

use ftp::reply::{Heard, Replies};
use ftp::server::{Answer, Ask, Begun, Ends, News, Server, Settings, Tls, Welcome};
use ftp::{Outcome, Permissions, Refusal, VirtualPath};
use line::{Secured, Session, Step};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

fn seeds() -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("PACKETBOAT_CORPUS")
        .map_or(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"), PathBuf::from);
    let folders = std::fs::read_dir(root.join("fuzz-seeds-ftp")).ok()?;
    let files = folders.flatten().filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flatten().flatten();
    Some(files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "raw")).collect())
}

fn answer(ask: Ask) -> Answer {
    match ask {
        Ask::Login(_) => {
            Answer::Login(Ok(Welcome { permissions: Permissions::ALL, home: VirtualPath::root(), message: None }))
        }
        Ask::Host(_) => Answer::Host(Ok(None)),
        Ask::Listen(_) => Answer::Listening("127.0.0.1:4000".parse().expect("an address")),
        Ask::Begin(_) => Answer::Begun(Begun::default()),
        Ask::Stat(_) | Ask::Kept(_) | Ask::Overview { .. } => Answer::Refused(Refusal::NotFound),
        Ask::Change { change, .. } => Answer::Changed(change),
        Ask::Space(_) => Answer::Space(1),
        _ => Answer::Done,
    }
}

/// What the server says to a raw session that arrives in pieces.
fn said(session: &[u8], size: usize) -> Vec<u8> {
    let now = Instant::now();
    let address = "127.0.0.1:21".parse().expect("an address");
    let settings = Settings { tls: Tls::Optional, anonymous: true, ..Settings::default() };
    let mut server = Server::new(Arc::new(settings), Ends::new(address, address), now);
    let (mut held, mut said, mut pieces, mut out) = (Vec::new(), Vec::new(), session.chunks(size), Vec::new());
    loop {
        match server.next(&mut out) {
            Step::Send => said.append(&mut out),
            Step::Ask(ask) => {
                let begun = matches!(*ask, Ask::Begin(_));
                server.answer(answer(*ask), now);
                if begun {
                    while server.next(&mut out) == Step::Send {
                        said.append(&mut out);
                    }
                    server.news(News::Ended(Outcome::Completed { octets: 1 }), now);
                }
            }
            Step::Clear => held.clear(),
            Step::Deflate => panic!("control connections are not compressed"),
            Step::Secure => {
                held.clear();
                server.secured(Secured::default(), now);
            }
            Step::Close => return said,
            Step::Keep => panic!("nothing is kept"),
            Step::Wait { .. } => {
                let taken = server.receive(&held, now);
                held.drain(..taken);
                if taken == 0 {
                    match pieces.next() {
                        Some(piece) => held.extend_from_slice(piece),
                        None => return said,
                    }
                }
            }
        }
    }
}

fn replies(said: &[u8]) -> usize {
    let (mut replies, mut at, mut count) = (Replies::new(), 0, 0);
    while at < said.len() {
        let (taken, heard) = replies.hear(&said[at..]);
        assert!(!matches!(heard, Heard::Partial | Heard::Nonsense), "{:?}", String::from_utf8_lossy(&said[at..]));
        at += taken;
        count += usize::from(matches!(heard, Heard::Reply(_)));
    }
    count
}

#[test]
fn seeds_of_fuzzers_are_answered_with_replies() {
    let Some(seeds) = seeds() else {
        eprintln!("SKIPPED: the corpus is not there (set PACKETBOAT_CORPUS)");
        return;
    };
    assert!(!seeds.is_empty(), "a corpus without seeds");
    for path in seeds {
        let session = std::fs::read(&path).expect("a readable seed");
        let whole = said(&session, session.len().max(1));
        assert!(replies(&whole) > 1, "{}", path.display());
        assert_eq!(said(&session, 3), whole, "{}", path.display());
    }
}
