//! Mail on other programs' disks: mbox files, names of folders and of messages.
//!
//! Not here: what is made of them (archive).

use archive::lines::{ToCrlf, ToLf};
use archive::maildir::{self, Keywords};
use archive::mbox::{Kind, Letter, Reader, Writer};
use archive::names;
use std::io::{BufReader, Cursor};

const KINDS: [Kind; 5] = [Kind::Guess, Kind::O, Kind::Rd, Kind::Cl, Kind::Cl2];

/// Whatever the kind: buffers do not matter, nothing is made up, and what was read can be written and read again.
pub fn mbox(input: &[u8]) {
    for kind in KINDS {
        let Some(read) = read(input, kind, 8192) else { continue };
        assert_eq!(Some(&read), self::read(input, kind, 1).as_ref(), "buffers do not matter");
        let octets: usize = read.iter().map(|(_, text)| text.len()).sum();
        assert!(octets <= input.len(), "nothing is made up");
        again(&read);
    }
}

type Read = Vec<(Letter, Vec<u8>)>;

fn read(input: &[u8], kind: Kind, buffer: usize) -> Option<Read> {
    let source = BufReader::with_capacity(buffer, Cursor::new(input));
    let mut reader = Reader::new(source, kind).expect("memory can be read");
    let mut all = Vec::new();
    loop {
        let mut text = Vec::new();
        let next = reader.next(|piece| {
            text.extend_from_slice(piece);
            Ok(())
        });
        match next {
            Ok(Some(letter)) => all.push((letter, text)),
            Ok(None) => return Some(all),
            Err(_) => return None,
        }
    }
}

/// A second time nothing changes any more: fields of the file are gone, and last lines have their ends.
fn again(read: &Read) {
    let once = self::read(&write(read), Kind::Rd, 8192).expect("what we write is an mbox");
    assert_eq!(once.len(), read.len());
    for ((letter, _), (before, _)) in once.iter().zip(read) {
        assert_eq!(letter.marks.seen, before.marks.seen);
    }
    let twice = self::read(&write(&once), Kind::Rd, 8192).expect("what we write is an mbox");
    let texts = |read: &Read| read.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&once), texts(&twice));
}

fn write(read: &Read) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (letter, text) in read {
        writer.begin(None, letter.received_at.unwrap_or_default(), &letter.marks).expect("memory can be written");
        writer.feed(text).expect("memory can be written");
        writer.end().expect("memory can be written");
    }
    writer.into_inner()
}

/// Names that are read and written again mean the same, and never leave their directory; line ends come back.
pub fn names(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let level = names::from_directory(&text);
    assert!(!level.contains(['/', '\0', '\n']));
    if !level.is_empty() {
        let name = names::to_directory(&level);
        assert!(!name.contains('/') && !name.starts_with('.'));
        assert_eq!(names::from_directory(&name), level);
    }
    if let Some(mailbox) = names::from_maildir_plus(&text) {
        assert_eq!(names::from_maildir_plus(&names::to_maildir_plus(&mailbox)), Some(mailbox));
    }
    let mut keywords = Keywords::parse(&text);
    let marks = maildir::marks(&text, &keywords);
    let (name, without_letter) = maildir::name(maildir::base(&text), &marks, &mut keywords);
    assert_eq!((maildir::base(&name), without_letter), (maildir::base(&text), 0));
    let (mut mail, mut file, mut back) = (Vec::new(), Vec::new(), Vec::new());
    ToCrlf::default().feed(input, &mut mail);
    let mut filter = ToLf::default();
    filter.feed(&mail, &mut file);
    filter.finish(&mut file);
    ToCrlf::default().feed(&file, &mut back);
    assert_eq!(back, mail);
}
