//! Everything this crate reads, tried on real and on spoilt messages.
//!
//! The corpus is found by `PACKETBOAT_CORPUS`, or beside the repository; without it these tests say so and pass.
//! Its offsets of parts were written by another implementation (MimeKit), so they show that our spans are right, not just ours.
//!
//! Invariants: nothing panics; spans are in bounds, nested and apart; decoding gives no more than it took;
//! the scanner, the fields and the tree agree.
//! Not here: rules, one by one (beside the code that follows them).

use std::fs;
use std::path::{Path, PathBuf};

use crate::address::{Address, Domain, Mailbox, parse_address_list};
use crate::date::Date;
use crate::header::scan::{Facts, HeaderScan};
use crate::header::{Fields, section_len};
use crate::mime::{Content, Part, Tree, text, transfer};
use crate::mutate;
use crate::outline::Outline;
use crate::report::{DeliveryStatus, Original, Report, Typed};

/// Octets of variants that each message gets, so that big ones do not cost more time than small ones.
const VARIANTS_OCTETS: usize = 40_000;

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let path = std::env::var_os("PACKETBOAT_CORPUS").map_or(beside, PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: no corpus at {}; set PACKETBOAT_CORPUS", path.display());
    None
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// All files, the messages in mailbox files, and those in test descriptions.
fn messages(corpus: &Path) -> Vec<(String, Vec<u8>)> {
    let mut paths = Vec::new();
    for folder in ["mime-mimekit", "mime-python", "mail-auth", "arc"] {
        files(&corpus.join(folder), &mut paths);
    }
    let mut messages = Vec::new();
    for path in paths {
        let octets = fs::read(&path).expect("a file");
        let name = path.display().to_string();
        let inside = if name.ends_with(".mbox.txt") {
            in_mailbox(&octets)
        } else if name.ends_with(".yml") {
            in_description(&String::from_utf8_lossy(&octets))
        } else {
            Vec::new()
        };
        messages.extend(inside.into_iter().enumerate().map(|(at, message)| (format!("{name}#{at}"), message)));
        messages.push((name, octets));
    }
    messages
}

fn in_mailbox(mailbox: &[u8]) -> Vec<Vec<u8>> {
    let mut starts: Vec<_> = memchr::memmem::find_iter(mailbox, b"\nFrom ").map(|at| at + 1).collect();
    starts.push(mailbox.len());
    starts.windows(2).map(|pair| mailbox[pair[0]..pair[1]].to_vec()).collect()
}

/// The values of `message: |` in YAML: the lines that are indented more than the key.
fn in_description(yaml: &str) -> Vec<Vec<u8>> {
    let mut lines = yaml.lines().peekable();
    let mut messages = Vec::new();
    while let Some(line) = lines.next() {
        if !(line.trim_start().starts_with("message:") && line.trim_end().ends_with('|')) {
            continue;
        }
        let indent = line.len() - line.trim_start().len() + 2;
        let mut message = String::new();
        while let Some(line) =
            lines.next_if(|line| line.trim().is_empty() || line.len() - line.trim_start().len() >= indent)
        {
            message.push_str(line.get(indent..).unwrap_or(""));
            message.push_str("\r\n");
        }
        messages.push(message.into_bytes());
    }
    messages
}

fn scan(message: &[u8], size: usize) -> Facts {
    let mut scan = HeaderScan::new();
    message.chunks(size).for_each(|piece| scan.feed(piece));
    scan.finish()
}

/// Reads a message in every way there is, and checks what must always hold.
fn examine(message: &[u8]) {
    let facts = scan(message, message.len().max(1));
    let header = &message[..section_len(message)];
    assert_eq!(facts.header_len, header.len() as u64);
    assert_eq!(facts.fields as usize, Fields::new(message).count());
    let tree = Tree::parse(message);
    tree.assert_whole(message);
    let outline = Outline::of(message);
    assert_eq!((&outline.tree, outline.details.len()), (&tree, tree.parts.len()));
    assert_eq!(Outline::decode(&outline.encode()), Some(outline));
    assert_eq!(tree.root().header, 0..header.len());
    for part in &tree.parts {
        examine_part(message, part);
    }
    assert!(text::preview(message, &tree, 256).chars().count() <= 256);
    for field in Fields::new(message) {
        field.text();
        Date::parse(field.raw);
        parse_address_list(field.raw).mailboxes().for_each(examine_mailbox);
    }
    if let Some(status) = DeliveryStatus::find(message) {
        status
            .recipients
            .iter()
            .filter_map(|recipient| recipient.final_recipient.as_ref())
            .for_each(|typed| drop(Typed::address(typed)));
    }
    report_on(message, header);
}

fn examine_part(message: &[u8], part: &Part) {
    part.file_name();
    if part.content == Content::Leaf {
        assert!(part.decoded(message).len() <= part.body.len());
        text::of_part(message, part, 10_000);
    }
}

fn examine_mailbox(mailbox: &Mailbox) {
    mailbox.display_name();
    if let Some(address) = mailbox.address() {
        assert_eq!(Address::parse(&address.to_string()).as_ref(), Ok(&address));
    }
}

/// A report that gives the message back has it inside, octet by octet.
fn report_on(message: &[u8], header: &[u8]) {
    let domain = Domain::parse("mx.test").expect("a domain");
    let address = Address::parse("postmaster@mx.test").expect("an address");
    let report = Report {
        reporting: &domain,
        postmaster: &address,
        to: &address,
        date: Date::utc(0),
        chance: 0xfeed_beef,
        arrival: None,
        envelope_id: None,
        recipients: &[],
        original: Original::Whole { header, eight_bit_body: true },
    };
    let composed = report.compose().around(message);
    let tree = Tree::parse(&composed);
    let part = &tree.parts[tree.section(&[3]).expect("three parts")];
    assert_eq!(&composed[part.body.clone()], message);
}

#[test]
fn every_message_of_the_corpus_is_read() {
    let Some(corpus) = corpus() else { return };
    let messages = messages(&corpus);
    assert!(messages.len() > 400, "{} messages are too few to be the corpus", messages.len());
    for (name, message) in &messages {
        let outcome = std::panic::catch_unwind(|| examine(message));
        assert!(outcome.is_ok(), "{name}");
    }
}

#[test]
fn every_message_of_the_corpus_may_be_spoilt() {
    let Some(corpus) = corpus() else { return };
    let messages = messages(&corpus);
    // What is bigger is mailbox files and web pages, whose like is among the smaller ones too.
    for (number, (name, message)) in messages.iter().enumerate().filter(|(_, (_, message))| message.len() < 60_000) {
        let count = (VARIANTS_OCTETS / message.len().max(1)).clamp(1, 10);
        for (at, variant) in mutate::variants(message, number as u64).take(count).enumerate() {
            let outcome = std::panic::catch_unwind(|| examine(&variant));
            assert!(outcome.is_ok(), "{name}, seed {number}, variant {at}");
        }
    }
}

#[test]
fn pieces_do_not_matter_for_any_message_of_the_corpus() {
    let Some(corpus) = corpus() else { return };
    for (name, message) in messages(&corpus).iter().filter(|(_, message)| message.len() < 40_000) {
        let whole = scan(message, usize::MAX);
        for size in [1, 7, 100] {
            assert_eq!(scan(message, size), whole, "{name} in pieces of {size}");
        }
        assert_eq!(transfer::Encoding::Base64.decode(&transfer::encode_base64(message)), *message, "{name}");
    }
}

/// Compares a part, and the parts in it, with MimeKit's description of them.
fn compare(described: &serde_json::Value, mailbox: &[u8], tree: &Tree, at: usize, shift: usize) {
    let part = &tree.parts[at];
    let number = |key: &str| described[key].as_u64().expect("a number") as usize;
    let body = part.body.start + shift..part.body.end + shift;
    let kind = format!("{}/{}", part.content_type.kind, part.content_type.subtype);
    assert_eq!(described["mimeType"].as_str().map(str::to_ascii_lowercase), Some(kind));
    assert_eq!(number("beginOffset"), part.header.start + shift);
    // Where a boundary follows the blank line at once, they give that line to the boundary, we leave it to the header,
    // because IMAP wants it there (RFC 9051 §6.4.5.1, MIME).
    let given = usize::from(body.is_empty() && mailbox[body.end..].starts_with(b"--"));
    assert_eq!((number("headersEndOffset") + given, number("endOffset") + given), (body.start, body.end));
    // They count the line that the boundary's line end would have ended, we do not (as other IMAP servers).
    let unended = usize::from(!body.is_empty() && mailbox[body.end - 1] != b'\n');
    assert_eq!(number("lines"), part.lines + unended, "lines of the part at {body:?}");
    let described = described["children"].as_array().cloned().unwrap_or_default();
    if let Content::Multipart(children) = &part.content {
        assert_eq!(children.len(), described.len());
        children.iter().zip(&described).for_each(|(child, described)| compare(described, mailbox, tree, *child, shift));
    }
}

#[test]
fn parts_stand_where_another_implementation_sees_them() {
    let Some(corpus) = corpus() else { return };
    for name in ["content-length", "issue1189"] {
        let read =
            |file: &str| fs::read(corpus.join("mime-mimekit/mbox").join(format!("{name}{file}"))).expect("a file");
        let mailbox = read(".mbox.txt");
        let described: serde_json::Value = serde_json::from_slice(&read(".unix-offsets.json")).expect("JSON");
        for described in described.as_array().expect("a list") {
            let offset = |key: &str| described[key].as_u64().expect("an offset") as usize;
            let range = offset("beginOffset")..offset("endOffset");
            compare(&described["body"], &mailbox, &Tree::parse(&mailbox[range.clone()]), 0, range.start);
        }
    }
}

/// What made readers of mail slow elsewhere: whoever looks again from each place where something could begin takes hours here.
#[test]
fn endless_repetitions_are_read_in_one_go() {
    const OCTETS: usize = 30_000;
    let pieces = [
        "<@",
        "@",
        "<a,",
        "<a@b",
        "((",
        "\"",
        "[",
        "a.",
        "a:",
        ";",
        "a@b ",
        "=?",
        "=?a?q?",
        "=?a?q?a",
        "=?a?b?a?= ",
        "\\",
        "\\x{",
        "; a=",
        "; a*0=b",
        "%4",
        "=\r\n ",
        "=4",
        " ",
        "\r\n ",
        "\r\n--b",
        "\r\n--b\r\n",
        "--b--\r\n",
        "\r\n\r\n",
        "A: b\r\n",
        "<a",
        "<!--",
        "<script>",
        "</",
        "&#",
        "&",
        "From ",
        "From x\r\n",
    ];
    let headers = [
        "From: ",
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
        "Content-Type: multipart/digest; boundary=b\r\n\r\n",
        "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: utf-8; ",
        "",
    ];
    for header in headers {
        for piece in pieces {
            examine(format!("{header}{}", piece.repeat(OCTETS / piece.len())).as_bytes());
        }
    }
}
