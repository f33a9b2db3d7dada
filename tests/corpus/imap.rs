//! The same messages by IMAP: what was appended comes back octet for octet, and all that is said of it agrees with it.
//!
//! RFC 9051 §6.4.5 (sections), §7.5.2 (BODYSTRUCTURE); RFC 3516 (BINARY).
//!
//! Not here: whether a message was read as others read it (message, docs/imap-differences.md).

use super::{BINARY, SENDERS, shown, texts};
use harness::{Server, Speaker};
use std::ops::Range;

/// Damaged messages, besides the whole ones.
const VARIANTS: usize = 2_000;

#[test]
fn what_is_said_of_a_message_agrees_with_it() {
    // RFC 3502 §2: an empty message takes an APPEND back.
    let texts: Vec<Vec<u8>> = texts(VARIANTS).into_iter().filter(|text| !text.is_empty()).collect();
    let server = Server::dev(BINARY);
    std::thread::scope(|scope| {
        for (number, share) in texts.chunks(texts.len().div_ceil(SENDERS)).enumerate() {
            let server = &server;
            scope.spawn(move || judge_all(&mut Reader::enter(server, &format!("Share{number}")), share));
        }
    });
}

fn judge_all(reader: &mut Reader, texts: &[Vec<u8>]) {
    for text in texts {
        reader.append(text);
    }
    reader.say(&format!("SELECT {}", reader.mailbox));
    assert!(reader.end().starts_with("OK"));
    for (number, text) in texts.iter().enumerate() {
        judge(reader, number + 1, text);
    }
}

fn judge(reader: &mut Reader, number: usize, text: &[u8]) {
    let [size, whole, header, rest, envelope, structure, body] = reader
        .fetch(number, "RFC822.SIZE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] ENVELOPE BODYSTRUCTURE BODY")
        .try_into()
        .unwrap_or_else(|values| panic!("{values:?} of {}", shown(text)));
    assert_eq!(size.number(), text.len(), "{}", shown(text));
    assert!(whole.text() == text, "another message than {}", shown(text));
    assert!([header.text(), rest.text()].concat() == text, "header and text are not all of {}", shown(text));
    assert_eq!(envelope.list().len(), 10, "{}", shown(text));
    assert_eq!(shape(body.list()), shape(structure.list()), "{}", shown(text));
    let mut from = 0;
    for part in shape(structure.list()) {
        from = judge_part(reader, number, &part, text, from);
    }
}

/// A part that holds no others, as BODYSTRUCTURE tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    path: String,
    encoding: String,
    octets: usize,
}

/// The parts, in their order.
fn shape(structure: &[Value]) -> Vec<Part> {
    let mut parts = Vec::new();
    match structure.first() {
        Some(Value::List(_)) => collect(structure, "", &mut parts),
        _ => collect(structure, "1", &mut parts),
    }
    parts
}

fn collect(part: &[Value], path: &str, parts: &mut Vec<Part>) {
    let below = |number: usize| match path {
        "" => number.to_string(),
        path => format!("{path}.{number}"),
    };
    if matches!(part[0], Value::List(_)) {
        let children = part.iter().take_while(|value| matches!(value, Value::List(_)));
        return children.enumerate().for_each(|(at, child)| collect(child.list(), &below(at + 1), parts));
    }
    let word = |at: usize| String::from_utf8_lossy(part[at].text()).to_ascii_lowercase();
    if word(0) == "message"
        && matches!(word(1).as_str(), "rfc822" | "global")
        && matches!(word(5).as_str(), "7bit" | "8bit" | "binary")
    {
        let inner = part[8].list();
        // RFC 9051 §6.4.5.1: the parts of a multipart inside count as parts of the message's part.
        return match inner[0] {
            Value::List(_) => collect(inner, path, parts),
            _ => collect(inner, &format!("{path}.1"), parts),
        };
    }
    parts.push(Part { path: path.to_owned(), encoding: word(5), octets: part[6].number() });
}

/// Judges a part that must stand behind `from`, and says where it ends.
fn judge_part(reader: &mut Reader, number: usize, part: &Part, text: &[u8], from: usize) -> usize {
    let Part { path, encoding, octets } = part;
    let values = reader.fetch(number, &format!("BODY.PEEK[{path}] BODY.PEEK[{path}.MIME]"));
    if values[0] == Value::Nil {
        // It stands for those of a multipart that has none, or of a message that nobody has looked into.
        assert_eq!(*octets, 0, "{part:?} of {}", shown(text));
        return from;
    }
    let (body, header) = (values[0].text(), values[1].text());
    assert_eq!(body.len(), *octets, "{part:?} of {}", shown(text));
    let whole = [header, body].concat();
    let found = memmem(text, &whole, from..text.len());
    let found = found.unwrap_or_else(|| panic!("{part:?} is not behind {from} in {}", shown(text)));

    reader.say(&format!("FETCH {number} (BINARY.SIZE[{path}] BINARY.PEEK[{path}])"));
    match reader.values() {
        Ok(values) => {
            let decoded = values[1].text();
            assert_eq!(values[0].number(), decoded.len(), "{part:?} of {}", shown(text));
            match encoding.as_str() {
                "7bit" | "8bit" | "binary" => assert!(decoded == body, "{part:?} of {}", shown(text)),
                _ => assert!(decoded.len() <= body.len() + 1, "{part:?} of {}", shown(text)),
            }
        }
        Err(refusal) => assert!(refusal.starts_with("NO [UNKNOWN-CTE]"), "{refusal}: {part:?} of {}", shown(text)),
    }
    found + whole.len()
}

/// Where it stands in a stretch of the text.
fn memmem(text: &[u8], wanted: &[u8], within: Range<usize>) -> Option<usize> {
    if wanted.is_empty() {
        return Some(within.start);
    }
    text[within.clone()].windows(wanted.len()).position(|window| window == wanted).map(|at| within.start + at)
}

/// A value of a response.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Nil,
    Number(usize),
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    #[track_caller]
    fn number(&self) -> usize {
        let Value::Number(number) = self else { panic!("no number: {self:?}") };
        *number
    }

    #[track_caller]
    fn text(&self) -> &[u8] {
        let Value::Text(text) = self else { panic!("no text: {self:?}") };
        text
    }

    #[track_caller]
    fn list(&self) -> &[Value] {
        let Value::List(list) = self else { panic!("no list: {self:?}") };
        list
    }
}

/// A session with a mailbox of its own.
struct Reader {
    imap: Speaker,
    mailbox: String,
}

impl Reader {
    fn enter(server: &Server, mailbox: &str) -> Reader {
        let mut imap = server.speak("imap");
        imap.play(&format!("S: * OK ~\nC: l LOGIN bob hungry\nS: l OK ~\nC: c CREATE {mailbox}\nS: c OK ~"));
        Reader { imap, mailbox: mailbox.to_owned() }
    }

    fn append(&mut self, text: &[u8]) {
        // RFC 3516 §4.4: only such a literal may hold NUL.
        let mark = if text.contains(&0) { "~" } else { "" };
        self.imap.send(format!("t APPEND {} {mark}{{{}+}}\r\n", self.mailbox, text.len()).as_bytes());
        self.imap.send(&[text, b"\r\n"].concat());
        let end = self.end();
        assert!(end.starts_with("OK [APPENDUID "), "{end}: {}", shown(text));
    }

    fn say(&mut self, command: &str) {
        self.imap.say(&format!("t {command}"));
    }

    /// What the command ended with.
    fn end(&mut self) -> String {
        loop {
            let line = self.imap.hear().expect("an answer");
            if let Some(end) = line.strip_prefix("t ") {
                return end.to_owned();
            }
        }
    }

    fn fetch(&mut self, number: usize, items: &str) -> Vec<Value> {
        self.say(&format!("FETCH {number} ({items})"));
        self.values().unwrap_or_else(|refusal| panic!("{items}: {refusal}"))
    }

    /// The values of one FETCH response, without their names; or why there is none.
    fn values(&mut self) -> Result<Vec<Value>, String> {
        let mut found = Vec::new();
        loop {
            let line = self.line();
            if let Some(end) = line.strip_prefix(b"t ") {
                let end = String::from_utf8_lossy(end).into_owned();
                return if end.starts_with("OK") { Ok(found) } else { Err(end) };
            }
            let Some(at) = memmem(&line, b" FETCH ", 0..line.len().min(40)) else { continue };
            let mut rest = &line[at + 7..];
            let Value::List(pairs) = value(&mut rest) else { panic!("no list: {}", line.escape_ascii()) };
            assert!(rest.is_empty(), "{}", line.escape_ascii());
            found = pairs.into_iter().skip(1).step_by(2).collect();
        }
    }

    /// One response with its literals.
    fn line(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        loop {
            let line = self.imap.hear().expect("an answer");
            whole.extend_from_slice(line.as_bytes());
            let Some(count) = line.strip_suffix('}').and_then(|line| line.rsplit('{').next()) else { return whole };
            let Ok(count) = count.parse() else { return whole };
            whole.extend_from_slice(b"\r\n");
            whole.extend_from_slice(&self.imap.octets(count));
        }
    }
}

/// Reads one value off the front.
fn value(rest: &mut &[u8]) -> Value {
    let all = *rest;
    let take = |rest: &mut &[u8], count: usize| {
        let (taken, behind) = rest.split_at(count);
        *rest = behind;
        taken.to_vec()
    };
    match all.first() {
        Some(b'(') => {
            *rest = &all[1..];
            let mut list = Vec::new();
            while rest[0] != b')' {
                match rest[0] {
                    b' ' => *rest = &rest[1..],
                    _ => list.push(value(rest)),
                }
            }
            *rest = &rest[1..];
            Value::List(list)
        }
        Some(b'"') => {
            let mut text = Vec::new();
            let mut at = 1;
            while all[at] != b'"' {
                at += usize::from(all[at] == b'\\');
                text.push(all[at]);
                at += 1;
            }
            *rest = &all[at + 1..];
            Value::Text(text)
        }
        Some(b'{' | b'~') => {
            let from = all.iter().position(|octet| *octet == b'{').expect("a literal") + 1;
            let to = all.iter().position(|octet| *octet == b'}').expect("a literal");
            let count = std::str::from_utf8(&all[from..to]).expect("digits").parse().expect("a number");
            *rest = &all[to + 3..];
            Value::Text(take(rest, count))
        }
        _ => {
            let is_in_name = |at: usize| all[..at].contains(&b'[') && !all[..at].contains(&b']');
            let end = (0..all.len()).find(|at| matches!(all[*at], b' ' | b')' | b'(') && !is_in_name(*at));
            let word = String::from_utf8_lossy(&take(rest, end.unwrap_or(all.len()))).into_owned();
            match (word.as_str(), word.parse()) {
                ("NIL", _) => Value::Nil,
                (_, Ok(number)) => Value::Number(number),
                _ => Value::Text(word.into_bytes()),
            }
        }
    }
}
