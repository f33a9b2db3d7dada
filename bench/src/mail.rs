//! The mails a mailbox is filled with: each another text, so that nothing is found by all of them being alike.
//!
//! A mail is made from its number alone, so whoever reads it back makes it again and compares every octet. Its words come from one
//! long text that all mails begin at another place of; a few words are frequent and many are rare, as in a language.
//!
//! Invariants: sender, subject, date and text differ from one mail to the next; [`token`] stands in the text of one mail alone.
//! Not here: mails that cross SMTP (`letter`).

use std::io::Write;
use std::sync::OnceLock;

/// Below this the header alone would not fit.
pub const SIZE_MIN: usize = 640;

/// So many words there are; one in the middle of the list is in one line of a hundred.
const WORDS: usize = 4_000;
/// Octets of the text that all mails are cut from.
const TEXT: usize = 1 << 20;
/// With its CRLF.
const LINE_LEN: usize = 74;

const FIRST_NAMES: [&str; 8] = ["Ada", "Grace", "Edsger", "Barbara", "Donald", "Radia", "Jon", "Vint"];
const LAST_NAMES: [&str; 8] = ["Lovelace", "Hopper", "Dijkstra", "Liskov", "Knuth", "Perlman", "Postel", "Cerf"];

/// Words that stand in the text of the mail with this number and in no other.
pub fn token(number: u32) -> String {
    format!("parcel {number:08x} ends")
}

/// What stands in the subject of the mail with this number and of no other.
pub fn subject(number: u32) -> String {
    let mut subject = String::new();
    write_subject(number, &mut subject);
    subject
}

/// The same in place of what `subject` holds: for lists, in which the client must not be what is measured.
pub fn write_subject(number: u32, subject: &mut String) {
    let words = words();
    subject.clear();
    for factor in [7919, 104_729, 1_299_709_u32] {
        subject.push_str(&words[number.wrapping_mul(factor) as usize % WORDS]);
        subject.push(' ');
    }
    subject.pop();
    // Writing into memory does not fail.
    let _ = std::fmt::Write::write_fmt(subject, format_args!(", number {number}"));
}

/// Writes the mail with this number, `size` octets of it, in place of what `mail` holds.
pub fn write(number: u32, size: usize, mail: &mut Vec<u8>) {
    mail.clear();
    let people = FIRST_NAMES.len() as u32;
    let person = |at: u32| {
        let (first, last) = ((at % people) as usize, (at / people % people) as usize);
        format!(
            "{} {} <{}.{}@example.test>",
            FIRST_NAMES[first], LAST_NAMES[last], FIRST_NAMES[first], LAST_NAMES[last]
        )
    };
    let (day, hour, minute) = (1 + number / 1440 % 28, number / 60 % 24, number % 60);
    let header = format!(
        "From: {}\r\nTo: {},\r\n\t{}\r\nSubject: {}\r\nDate: {day} Nov 2026 {hour:02}:{minute:02}:00 +0000\r\n\
         Message-ID: <{number:08x}@bench.example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
        person(number.wrapping_mul(31)),
        person(number.wrapping_add(1)),
        person(number.wrapping_mul(5)),
        subject(number),
    );
    let end = format!("{}\r\n", token(number));
    mail.extend_from_slice(header.as_bytes());
    let lines = text();
    let mut at = number as usize * 7_919 % (TEXT / LINE_LEN) * LINE_LEN;
    while mail.len() + end.len() + LINE_LEN <= size {
        mail.extend_from_slice(&lines[at..at + LINE_LEN]);
        at = (at + LINE_LEN) % (TEXT / LINE_LEN * LINE_LEN);
    }
    let left = size.saturating_sub(mail.len() + end.len());
    mail.extend(std::iter::repeat_n(b'=', left));
    // A vector takes what is written to it.
    drop(mail.write_all(end.as_bytes()));
}

fn words() -> &'static [String] {
    static MADE: OnceLock<Vec<String>> = OnceLock::new();
    MADE.get_or_init(|| {
        let (consonants, vowels) = (b"bcdfghklmnprstvw", b"aeiou");
        let word = |at: usize| {
            let (mut rest, mut word) = (at.wrapping_mul(2_654_435_761) % 16_777_216, String::new());
            for _ in 0..2 + at % 3 {
                word.push(consonants[rest % 16].into());
                word.push(vowels[rest / 16 % 5].into());
                rest /= 80;
            }
            word
        };
        (0..WORDS).map(word).collect()
    })
}

/// Lines of [`LINE_LEN`] octets each.
fn text() -> &'static [u8] {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    MADE.get_or_init(|| {
        let (words, mut chance, mut text) = (words(), 1_u64, Vec::with_capacity(TEXT + LINE_LEN));
        while text.len() < TEXT {
            let end = text.len() + LINE_LEN - 2;
            while text.len() < end {
                chance = chance.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                // The square of an even draw is more often small.
                let draw = (chance >> 40) as usize % WORDS;
                text.extend_from_slice(words[draw * draw / WORDS].as_bytes());
                text.push(b' ');
            }
            text.truncate(end);
            text.extend_from_slice(b"\r\n");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use memchr::memmem;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_size_is_met_and_no_mail_is_another(number: u32, size in SIZE_MIN..9000) {
            let (mut mail, mut other) = (Vec::new(), Vec::new());
            write(number, size, &mut mail);
            prop_assert_eq!(mail.len(), size);
            prop_assert!(mail.ends_with(b"\r\n"));
            prop_assert!(mail.split(|octet| *octet == b'\n').all(|line| line.len() <= 200));
            write(number.wrapping_add(1), size, &mut other);
            prop_assert!(memmem::find(&mail, token(number).as_bytes()).is_some());
            prop_assert!(memmem::find(&other, token(number).as_bytes()).is_none());
            prop_assert!(memmem::find(&other, subject(number).as_bytes()).is_none());
        }
    }
}
