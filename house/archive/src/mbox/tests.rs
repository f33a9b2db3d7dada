//! mbox files that others write, and our own read again.

use super::*;
use proptest::prelude::*;
use std::io::{BufReader, Cursor};

fn read(kind: Kind, file: &[u8]) -> Vec<(Letter, String)> {
    read_by(BufReader::new(Cursor::new(file)), kind)
}

fn read_by(source: impl BufRead + Seek, kind: Kind) -> Vec<(Letter, String)> {
    let mut reader = Reader::new(source, kind).unwrap();
    let mut all = Vec::new();
    loop {
        let mut octets = Vec::new();
        let next = reader.next(|piece| {
            octets.extend_from_slice(piece);
            Ok(())
        });
        match next.unwrap() {
            Some(letter) => all.push((letter, String::from_utf8(octets).unwrap())),
            None => return all,
        }
    }
}

fn texts(kind: Kind, file: &str) -> Vec<String> {
    read(kind, file.as_bytes()).into_iter().map(|(_, text)| text).collect()
}

const FROM: &str = "From joe@example.org Tue Nov 14 22:13:20 2023\n";

#[test]
fn each_kind_has_its_own_quoting() {
    let file = format!("{FROM}Subject: a\n\n>From me\n>>From me\n\n{FROM}Subject: b\n\nb\n\n");
    assert_eq!(texts(Kind::O, &file)[0], "Subject: a\n\nFrom me\n>>From me\n");
    assert_eq!(texts(Kind::Rd, &file)[0], "Subject: a\n\nFrom me\n>From me\n");
    assert_eq!(texts(Kind::Guess, &file), texts(Kind::Rd, &file));
    assert_eq!(texts(Kind::Cl2, &file)[0], "Subject: a\n\n>From me\n>>From me\n");
}

#[test]
fn a_content_length_that_holds_is_believed_and_is_not_the_messages() {
    let body = format!("one\n\n{FROM}>From two\n");
    let file = format!("{FROM}Content-Length: {}\nSubject: a\n\n{body}\n{FROM}Subject: b\n\nb\n", body.len());
    assert_eq!(texts(Kind::Guess, &file), [format!("Subject: a\n\n{body}"), "Subject: b\n\nb\n".into()]);
    assert_eq!(texts(Kind::Cl2, &file), texts(Kind::Guess, &file));
    assert_eq!(texts(Kind::Cl, &file)[0], format!("Subject: a\n\none\n\n{FROM}From two\n"));
    assert_eq!(texts(Kind::Rd, &file).len(), 3);
}

#[test]
fn a_content_length_that_lies_is_not_believed() {
    let file = format!("{FROM}Content-Length: 3\nSubject: a\n\nlonger\n\n{FROM}Content-Length: 99999\n\nb\n");
    assert_eq!(texts(Kind::Cl, &file), ["Content-Length: 3\nSubject: a\n\nlonger\n", "Content-Length: 99999\n\nb\n"]);
}

#[test]
fn prose_is_no_line_between_messages() {
    let file = format!("{FROM}Subject: a\n\nhello\n\nFrom here on it rains.\n{FROM}\n\nFrom what I know,\nbye\n");
    assert_eq!(texts(Kind::Guess, &file).len(), 1);
}

#[test]
fn state_is_in_fields_that_are_not_the_messages() {
    let file =
        format!("{FROM}Status: RO\nSubject: a\nX-Status: AFDT\nX-Keywords: Junk\n $Label1\nX-UID: 7\nTo: b\n\nx\n");
    let (letter, text) = read(Kind::Guess, file.as_bytes()).remove(0);
    assert_eq!(text, "Subject: a\nTo: b\n\nx\n");
    let Marks { seen, answered, flagged, deleted, draft, keywords } = letter.marks;
    assert!(seen && answered && flagged && deleted && draft);
    assert_eq!(keywords, ["Junk"]);
    assert_eq!(letter.received_at, Some(1_700_000_000));
}

#[test]
fn the_note_of_a_mail_program_to_itself_is_no_message() {
    let note =
        "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\nStatus: RO\n\nThis text is part …\n";
    let read = read(Kind::Guess, format!("{FROM}{note}\n{FROM}Subject: b\n\n").as_bytes());
    assert_eq!(read.iter().map(|(letter, _)| letter.is_internal).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn dates_in_all_the_forms_that_are_about() {
    for line in [
        "From a@b Tue Nov 14 22:13:20 2023",
        "From a@b  Tue Nov 14 23:13:20 2023 +0100",
        "From - Tue Nov 14 17:13:20 EST 2023",
        "From \"a b\"@c Tue Nov 14 22:13:20 GMT 2023",
    ] {
        assert_eq!(from_line_date(line.as_bytes()), Some(1_700_000_000), "{line}");
    }
    assert_eq!(from_line_date(b"From a@b yesterday"), None);
    let dated = "From a@b 22:13\nDate: Tue, 14 Nov 2023 22:13:20 +0000\n\n";
    assert_eq!(read(Kind::Guess, dated.as_bytes())[0].0.received_at, Some(1_700_000_000));
}

#[test]
fn what_is_no_mbox_is_not_read() {
    let mut reader = Reader::new(Cursor::new(&b"Subject: a\n\nb\n"[..]), Kind::Guess).unwrap();
    assert_eq!(reader.next(|_| Ok(())).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(texts(Kind::Guess, ""), Vec::<String>::new());
}

#[test]
fn crlf_and_a_missing_last_line_end() {
    let file = "From a Tue Nov 14 22:13:20 2023\r\nSubject: a\r\n\r\nx\r\n\r\nFrom b Tue Nov 14 22:13:20 2023\r\n\r\ny";
    assert_eq!(texts(Kind::Guess, file), ["Subject: a\r\n\r\nx\r\n", "\r\ny"]);
}

#[test]
fn a_long_line_is_read_in_pieces() {
    let body = format!("{}From x 1:2\nFrom y 1:2\n", "x".repeat(3 * PIECE_MAX - 5));
    let file = write(&[(format!("a: b\n\n{body}"), 0, Marks::default())]);
    assert_eq!(read(Kind::Rd, &file)[0].1, format!("a: b\n\n{body}"));
}

#[test]
fn a_header_without_an_end_is_not_held_back_for_ever() {
    let text = "a: b\n".repeat(HEADER_MAX);
    let mut most = 0;
    let file = write(&[(text.clone(), 0, Marks { seen: true, ..Marks::default() })]);
    let mut reader = Reader::new(Cursor::new(file), Kind::Guess).unwrap();
    let mut count = 0;
    let letter = reader.next(|piece| {
        most = most.max(piece.len());
        count += piece.len();
        Ok(())
    });
    assert!(letter.unwrap().unwrap().marks.seen);
    assert_eq!((count, most <= HEADER_MAX + PIECE_MAX), (text.len(), true));
}

fn write(messages: &[(String, i64, Marks)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (text, at, marks) in messages {
        writer.begin(None, *at, marks).unwrap();
        writer.feed(text.as_bytes()).unwrap();
        writer.end().unwrap();
    }
    writer.into_inner()
}

fn any_marks() -> impl Strategy<Value = Marks> {
    (any::<[bool; 5]>(), prop::collection::vec("[a-c]{2}", 0..2)).prop_map(|(flags, keywords)| {
        let [seen, answered, flagged, deleted, draft] = flags;
        let mut marks = Marks { seen, answered, flagged, deleted, draft, keywords: Vec::new() };
        keywords.iter().for_each(|keyword| marks.add_keyword(keyword));
        marks
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        lines in prop::collection::vec(prop::collection::vec(
            prop::sample::select(vec!["\n", "From a 1:2\n", ">From a 1:2\n", ">>From\n", "a: b\n", " c\n", "x\r\n", "\r", "Content-Type: 3\n"]),
            0..8,
        ), 0..4),
        marks in any_marks(),
        at in 0i64..4_000_000_000,
    ) {
        let messages: Vec<_> = lines.iter().map(|lines| {
            let text = lines.concat();
            let text = if text.is_empty() || text.ends_with('\n') { text } else { text + "\n" };
            (text, at, marks.clone())
        }).collect();
        let file = write(&messages);
        let again = read_by(BufReader::with_capacity(3, Cursor::new(&file)), Kind::Rd);
        prop_assert_eq!(again.len(), messages.len());
        for ((letter, text), (wanted, at, marks)) in again.iter().zip(&messages) {
            prop_assert_eq!(text, wanted);
            prop_assert_eq!((letter.received_at, &letter.marks), (Some(*at), marks));
        }
        // No length is told in it, so a guess is as good.
        prop_assert_eq!(read(Kind::Guess, &file), again);
    }
}
