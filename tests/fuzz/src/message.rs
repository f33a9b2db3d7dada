//! Messages: header, addresses, dates, parts, text.

use ::message::address::{MAILBOXES_MAX, parse_address_list};
use ::message::find;
use ::message::header::scan::HeaderScan;
use ::message::header::{Fields, begins_with_header, section_len};
use ::message::mime::params::{ContentType, Disposition};
use ::message::mime::tree::{DEPTH_MAX, PARTS_MAX, Tree};
use ::message::mime::{text as mime_text, transfer, words};
use ::message::report::{Action, DeliveryStatus, Diagnosis, Original, Outcome, Recipient, Report, Status, Step};
use ::message::{Address, Date, Domain, Outline, outline};

/// Fields stand in the section, in order; the scanner sees the same in pieces as in one.
pub fn header(input: &[u8]) {
    let section = section_len(input);
    assert!(section <= input.len());
    assert!(begins_with_header(input) || section == 0);
    let mut at = 0;
    for field in Fields::new(input) {
        assert!(field.span.start >= at && field.span.end <= section, "fields stand one behind the other");
        assert!(!field.name.is_empty() && !field.unfolded().contains(&b'\n'));
        field.text();
        at = field.span.end;
    }
    let whole = scan(input, input.len());
    assert_eq!(whole, scan(input, 1 + input.len() % 17));
    assert_eq!((whole.size, whole.begins_with_header), (input.len() as u64, begins_with_header(input)));
}

fn scan(input: &[u8], size: usize) -> ::message::header::scan::Facts {
    let mut scan = HeaderScan::new();
    input.chunks(size.max(1)).for_each(|piece| scan.feed(piece));
    scan.finish()
}

/// What is read as an address is written so that it is read the same; lists have limits.
pub fn address(input: &[u8]) {
    let list = parse_address_list(input);
    assert!(list.mailboxes().count() <= MAILBOXES_MAX);
    for mailbox in list.mailboxes() {
        mailbox.display_name();
        if let Some(address) = mailbox.address() {
            same(&address);
        }
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(address) = Address::parse(text) {
        same(&address);
    }
    if let Ok((address, rest)) = Address::take(text) {
        assert!(text.ends_with(rest));
        same(&address);
    }
    if let Ok(domain) = Domain::parse(text) {
        assert_eq!(Domain::parse(&domain.to_string()).as_ref(), Ok(&domain));
        domain.to_unicode();
    }
}

fn same(address: &Address) {
    let text = address.to_string();
    assert!(!text.chars().any(char::is_control), "no address ends a line: {text:?}");
    assert_eq!(Address::parse(&text).as_ref(), Ok(address), "{text}");
}

/// What is read as a date is written so that it is read the same.
pub fn date(input: &[u8]) {
    let Some(date) = Date::parse(input) else { return };
    let text = date.to_string();
    assert_eq!(Date::parse(text.as_bytes()), Some(date), "{text}");
    let local = date.local();
    assert!((0..=9999).contains(&local.year) && (1..=12).contains(&local.month));
}

/// Parts lie within the message and within their parents; there are not too many, nor too deep.
pub fn mime(input: &[u8]) {
    let tree = Tree::parse(input);
    assert!((1..=PARTS_MAX).contains(&tree.parts.len()), "{} parts", tree.parts.len());
    for (at, part) in tree.parts.iter().enumerate() {
        let span = part.span();
        assert!(span.end <= input.len() && part.header.end <= part.body.end, "{span:?} of {}", input.len());
        if let Some(parent) = part.parent {
            assert!(parent < at, "a parent stands before its parts");
            let body = &tree.parts[parent].body;
            assert!(body.start <= span.start && span.end <= body.end, "{span:?} in {body:?}");
        }
        part.decoded(input);
        part.file_name();
        mime_text::of_part(input, part, 10_000);
    }
    let depth = |mut at: usize| std::iter::from_fn(|| tree.parts[at].parent.inspect(|parent| at = *parent)).count();
    assert!((0..tree.parts.len()).all(|at| depth(at) <= DEPTH_MAX));
    assert!(mime_text::preview(input, &tree, 100).chars().count() <= 100);
    outline(input, &tree);
}

/// An outline has the same parts however the message came, and its stored form is read back; damaged ones do no harm.
fn outline(input: &[u8], tree: &Tree) {
    let mut scan = outline::Scan::new();
    input.chunks(1 + input.len() % 13).for_each(|piece| scan.feed(piece));
    let outline = scan.finish(|range| input[range].to_vec());
    assert_eq!(&outline.tree, tree);
    let stored = outline.encode();
    assert_eq!(Outline::decode(&stored), Some(outline));
    Outline::decode(&[&[outline::VERSION], input].concat());
    let wanted = [find::Scope::Body, find::Scope::Text].map(|scope| (scope, find::Pattern::new("a")));
    let found = find::find(tree, &wanted, |range| Ok::<_, ()>(input[range].to_vec())).expect("it is in memory");
    assert!(found[1] || !found[0], "what is in a body is in the text");
}

/// Encoded words, parameters and transfer encodings: what is encoded is decoded to the same.
pub fn text(input: &[u8]) {
    words::decode(input);
    ContentType::parse(input);
    Disposition::parse(input);
    let base64 = transfer::Encoding::parse(b"base64");
    assert_eq!(base64.decode(&transfer::encode_base64(input)), input);
    base64.decode(input);
    let quoted = transfer::Encoding::parse(b"quoted-printable");
    let lines = crlf(&quoted.decode(&transfer::encode_quoted_printable(input)));
    assert_eq!(lines, crlf(input), "line ends aside, quoted-printable gives back what it took");
    quoted.decode(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    let encoded = words::encode(text);
    assert!(encoded.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{encoded}");
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    assert_eq!(words::decode(encoded.as_bytes()), clean);
}

/// Reports are read without harm; and whatever a server said, our own report about it says what it should.
pub fn report(input: &[u8]) {
    DeliveryStatus::parse(input);
    if let Some(status) = DeliveryStatus::find(input) {
        status
            .recipients
            .iter()
            .filter_map(|recipient| recipient.final_recipient.as_ref()?.address())
            .for_each(|address| same(&address));
    }
    let text = String::from_utf8_lossy(input);
    let [bob, alice, postmaster] = ["bob@hamburger.test", "alice@crepes.test", "postmaster@crepes.test"]
        .map(|address| Address::parse(address).expect("an address"));
    let recipient = Recipient {
        address: &bob,
        original: Some(("rfc822", &text)),
        outcome: Outcome::Failed,
        status: Status::new(5, 1, 1),
        step: Some(Step::Recipient),
        server: None,
        diagnosis: Diagnosis::Said(&text),
        last_attempt: None,
        log_id: None,
    };
    let report = Report {
        reporting: postmaster.domain(),
        postmaster: &postmaster,
        to: &alice,
        date: Date::utc(1_795_435_200),
        chance: 42,
        arrival: None,
        envelope_id: Some(&text),
        recipients: &[recipient],
        original: Original::Header(&input[..section_len(input)]),
    };
    let written = report.compose().around(b"");
    let read = DeliveryStatus::find(&written).expect("a report says what it reports");
    let [read] = read.recipients.as_slice() else { panic!("{} recipients", read.recipients.len()) };
    assert_eq!((read.action, read.status), (Some(Action::Failed), Some(Status::new(5, 1, 1))));
    assert_eq!(read.final_recipient.as_ref().and_then(|typed| typed.address()), Some(bob));
}

/// Every line end as CRLF.
fn crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        let content = line.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(content.unwrap_or(line));
        out.extend_from_slice(if content.is_some() { b"\r\n" } else { b"" });
    }
    out
}
