//! Real and hostile messages, and ten thousand damaged ones, from SMTP through the store to POP3: octet for octet the
//! same behind our trace fields, or refused with the code that is documented for what is wrong with them. And by IMAP, where
//! they are taken as they are ([`imap`]).
//!
//! The messages are not part of the project: `PACKETBOAT_CORPUS` names their folder. A few of our own are always sent.

mod imap;

use harness::{Server, Speaker};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

const BINARY: &str = env!("CARGO_BIN_EXE_packetboat");
/// Damaged messages, besides the whole ones.
const VARIANTS: usize = 10_000;
/// The server's limit for one line of content (`smtp::server::Settings::line_max_bytes`).
const LINE_MAX: usize = 1 << 20;
/// Larger files of the corpus are no messages.
const FILE_MAX: u64 = 4 << 20;
const SENDERS: usize = 8;

/// Always at hand, with what real mail does to readers.
const OWN: &[&str] = &[
    "Subject: plain\r\n\r\ntext\r\n",
    "no header at all\r\nand a second line\r\n",
    "\r\nan empty header\r\n",
    " begins with a blank\r\n\r\nx\r\n",
    "Received: not ours\r\n\tfolded\r\n\r\n.\r\n..\r\n...\r\n",
    "Return-Path: <someone@else.test>\r\nDelivered-To: x@y.test\r\n\r\nbody",
    "Subject: \u{e9}\u{301}\r\n\r\n\u{1f955}\r\n",
    "Subject: smuggle\r\n\r\na\n.\nb\r\n",
    "Subject: bare\r\n\r\na\rb\r\n",
    "Subject: nul\r\n\r\na\0b\r\n",
    "",
];

#[test]
fn every_message_survives_or_is_refused_for_a_reason() {
    let texts: Vec<Vec<u8>> = texts(VARIANTS).into_iter().map(with_last_line_end).collect();

    let server = Server::dev(BINARY);
    send_all(&server, &texts);
    let kept = fetch_all(&server, texts.len());
    for (number, text) in texts.iter().enumerate() {
        match (&kept[number], is_clean(text)) {
            (Some(message), true) => assert_same(number, message, text),
            (None, false) => {}
            (Some(_), false) => panic!("message {number} should have been refused: {}", shown(text)),
            (None, true) => panic!("message {number} is lost: {}", shown(text)),
        }
    }
}

/// The corpus, and so many damaged messages.
fn texts(damaged: usize) -> Vec<Vec<u8>> {
    let whole = messages();
    let variants =
        (0..).flat_map(|seed| whole.iter().flat_map(move |text| message::mutate::variants(text, seed).take(1)));
    whole.iter().cloned().chain(variants.take(damaged)).collect()
}

/// The corpus, with line ends as mail has them; and as it is, where that differs.
fn messages() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = OWN.iter().map(|text| text.as_bytes().to_vec()).collect();
    let corpus = std::env::var_os("PACKETBOAT_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    if !corpus.is_dir() {
        eprintln!("SKIPPED: no corpus at {}; set PACKETBOAT_CORPUS. Sending only our own messages", corpus.display());
        return texts;
    }
    let mut files = Vec::new();
    walk(&corpus, &mut files);
    for file in files {
        let text = fs::read(&file).expect("a readable corpus");
        if !text.contains(&b'\r') {
            texts.push(text.split(|octet| *octet == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]));
        }
        texts.push(text);
    }
    eprintln!("{} messages", texts.len());
    texts
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("a readable corpus").map(|entry| entry.expect("an entry")).collect();
    entries.sort_by_key(|entry| entry.path());
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else if entry.metadata().expect("its size").len() <= FILE_MAX {
            files.push(path);
        }
    }
}

/// DATA cannot send a text whose last line has no end.
fn with_last_line_end(mut text: Vec<u8>) -> Vec<u8> {
    if !text.is_empty() && !text.ends_with(b"\r\n") {
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// What the documentation says is taken: CRLF alone ends lines, no NUL, no endless line.
fn is_clean(text: &[u8]) -> bool {
    let bare = |at: usize| match text[at] {
        b'\r' => text.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || text[at - 1] != b'\r',
        octet => octet == 0,
    };
    !(0..text.len()).any(bare) && text.split(|octet| *octet == b'\n').all(|line| line.len() < LINE_MAX)
}

/// Each text to an address of its own, by which it is known again.
fn send_all(server: &Server, texts: &[Vec<u8>]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let mut smtp = greet(server);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(text) = texts.get(number) else { return };
                    if !send(&mut smtp, number, text) {
                        smtp = greet(server);
                    }
                }
            });
        }
    });
}

fn greet(server: &Server) -> Speaker {
    let mut smtp = server.speak("smtp");
    smtp.play("S: 220 ~\nC: EHLO client.test");
    smtp.reply().expect("its keywords");
    smtp
}

/// Sends one text; says whether the conversation goes on.
fn send(smtp: &mut Speaker, number: usize, text: &[u8]) -> bool {
    smtp.send(format!("MAIL FROM:<>\r\nRCPT TO:<bob+{number}@hamburger.test>\r\nDATA\r\n").as_bytes());
    smtp.play("S: 250 ~\nS: 250 ~\nS: 354 ~");
    smtp.send_text(text);
    let (code, words) = smtp.reply().expect("a verdict");
    match is_clean(text) {
        true => assert_eq!(code, 250, "message {number}: {words}{}", shown(text)),
        false => assert!(code == 550 && words.starts_with("5.6.0 "), "message {number}: {code} {words}{}", shown(text)),
    }
    // Whoever keeps sending what is refused is hung up on after a while.
    if code == 250 {
        return true;
    }
    smtp.say("NOOP");
    matches!(smtp.reply(), Some((250, _)))
}

/// What each text became, by its number.
fn fetch_all(server: &Server, count: usize) -> Vec<Option<Vec<u8>>> {
    let mut kept = vec![None; count];
    let mut pop3 = server.speak("pop3");
    pop3.play("S: +OK ~\nC: USER bob\nS: +OK~\nC: PASS hungry\nS: +OK~\nC: STAT");
    let stat = pop3.expect("+OK ~");
    let messages: usize = stat.split(' ').nth(1).and_then(|count| count.parse().ok()).expect("a count");
    for number in 1..=messages {
        pop3.say(&format!("LIST {number}"));
        let listed = pop3.expect("+OK ~ ~");
        let size: usize = listed.rsplit(' ').next().and_then(|size| size.parse().ok()).expect("a size");
        pop3.say(&format!("RETR {number}"));
        pop3.expect("+OK~");
        let message = pop3.text();
        assert_eq!(message.len(), size, "the size that is listed is the size that comes");
        let place = addressed(&message);
        assert!(kept[place].is_none(), "message {place} came twice");
        kept[place] = Some(message);
    }
    kept
}

/// The number in `Delivered-To: bob+NUMBER@hamburger.test`, which is ours and stands on top.
fn addressed(message: &[u8]) -> usize {
    let top = String::from_utf8_lossy(&message[..message.len().min(500)]);
    let behind = top.split("\r\nDelivered-To: bob+").nth(1).unwrap_or_else(|| panic!("no address: {top}"));
    behind.split('@').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// The message is ours on top, then the text.
fn assert_same(number: usize, message: &[u8], text: &[u8]) {
    assert!(message.ends_with(text), "message {number} has changed:\n{}\n{}", shown(message), shown(text));
    let top = String::from_utf8_lossy(&message[..message.len() - text.len()]);
    let mut lines = top.split_inclusive("\r\n");
    for start in ["Return-Path: <>\r\n", "Delivered-To: ", "Received: "] {
        assert!(
            lines.next().is_some_and(|line| line.starts_with(start)),
            "message {number}: {start} is missing in {top}"
        );
    }
    let rest: Vec<_> = lines.skip_while(|line| line.starts_with('\t')).collect();
    let separated = !message::header::begins_with_header(text);
    assert_eq!(rest, if separated { vec!["\r\n"] } else { vec![] }, "message {number}: {top}");
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned()
}
