//! What SEARCH looks for.
//!
//! RFC 9051 §6.4.4 (keys); RFC 3501 §6.4.4 (NEW, OLD, RECENT); RFC 5032 (OLDER, YOUNGER); RFC 7162 §3.1.5 (MODSEQ);
//! RFC 8474 §6 (EMAILID, THREADID); RFC 8514 §4.3 (SAVEDBEFORE and its kin); RFC 6203 (FUZZY); RFC 5182 (`$`).
//!
//! Programs are trees of bounded depth and size. `\Recent` is nobody's here: RECENT and NEW find nothing, OLD all.
//!
//! Invariants: a tree has at most [`KEYS_MAX`] keys and is at most [`DEPTH_MAX`] deep; its strings are UTF-8.
//! Not here: how it is looked for (house), sorting and threading ([`crate::command`]).

use crate::flag::{Flag, Keyword, SystemFlag};
use crate::moment::Day;
use crate::set::SequenceSet;
use crate::words::{Misread, Reading, Scanner, is_atom_char};

/// So deep may parentheses, NOT, OR and FUZZY stand inside one another.
pub const DEPTH_MAX: usize = 32;

/// So many keys may one program have: one is looked at for each message.
pub const KEYS_MAX: usize = 1_000;

/// No text to be looked for is longer, in octets.
pub const TEXT_MAX: usize = 1_024;

/// One condition. `S` is how sets of messages are written: as clients do, or resolved to UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key<S> {
    /// Every message.
    All,
    /// All of these hold.
    And(Vec<Key<S>>),
    /// One of the two holds.
    Or(Box<(Key<S>, Key<S>)>),
    /// It does not hold.
    Not(Box<Key<S>>),
    /// It holds more or less (RFC 6203).
    Fuzzy(Box<Key<S>>),
    /// It is one of these.
    Among(S),
    /// It has the system flag.
    Flag(SystemFlag),
    /// It has the keyword.
    Keyword(Keyword),
    /// This field has this text in it; an empty text asks for the field itself.
    Header(String, String),
    /// One of the address or text fields that have keys of their own.
    Field(Field, String),
    /// Its body has this text.
    Body(String),
    /// Its header or its body has it.
    Text(String),
    /// A date is before, on, or since a day.
    Date(Clock, When, Day),
    /// More octets than this.
    Larger(u64),
    /// Fewer.
    Smaller(u64),
    /// It came into the mailbox at least so many seconds ago.
    Older(u32),
    /// At most so many.
    Younger(u32),
    /// It was last changed with this number or a later one.
    ModSeq(u64),
    /// RFC 8474.
    EmailId(String),
    /// RFC 8474.
    ThreadId(String),
    /// Whether save dates are kept at all.
    SaveDateSupported,
}

/// The fields with keys of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// BCC
    Bcc,
    /// CC
    Cc,
    /// FROM
    From,
    /// SUBJECT
    Subject,
    /// TO
    To,
}

/// Which date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// When it arrived.
    Internal,
    /// What its Date field says.
    Sent,
    /// When it came into this mailbox.
    Saved,
}

/// On which side of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before it.
    Before,
    /// Within it.
    On,
    /// Within it or later.
    Since,
}

/// How a client names messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Messages {
    /// By sequence numbers.
    Sequence(SequenceSet),
    /// By UIDs.
    Uid(SequenceSet),
    /// What was saved last.
    Saved,
}

/// A program as a client wrote it.
pub type Program = Key<Messages>;

/// Charsets that a program may be written in.
pub const CHARSETS: [&str; 2] = ["US-ASCII", "UTF-8"];

/// Reads keys until the end of the command.
pub fn scan(scanner: &mut Scanner<'_>) -> Reading<Program> {
    let mut reader = Reader { keys_left: KEYS_MAX };
    let mut keys = vec![reader.key(scanner, DEPTH_MAX)?];
    while !scanner.is_at_end() {
        scanner.space()?;
        keys.push(reader.key(scanner, DEPTH_MAX)?);
    }
    Ok(one_or_and(keys))
}

fn one_or_and<S>(mut keys: Vec<Key<S>>) -> Key<S> {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            Key::And(keys)
        }
        None => Key::All,
    }
}

struct Reader {
    keys_left: usize,
}

impl Reader {
    fn key(&mut self, scanner: &mut Scanner<'_>, depth_left: usize) -> Reading<Program> {
        self.keys_left = self.keys_left.checked_sub(1).ok_or(Misread("too many search keys"))?;
        let deeper = depth_left.checked_sub(1).ok_or(Misread("the search keys nest too deeply"))?;
        if scanner.peek() == Some(b'(') {
            return self.group(scanner, deeper);
        }
        let word = scanner.take_while(|octet| is_atom_char(octet) || octet == b'*');
        if word.first().is_some_and(|octet| octet.is_ascii_digit() || *octet == b'*') {
            return Ok(Key::Among(Messages::Sequence(sequence(word)?)));
        }
        let word = word.to_ascii_uppercase();
        if let Some(key) = flag_key(&word) {
            return Ok(key);
        }
        match word.as_slice() {
            b"ALL" | b"OLD" => Ok(Key::All),
            b"NEW" | b"RECENT" => Ok(Key::Not(Box::new(Key::All))),
            b"$" => Ok(Key::Among(Messages::Saved)),
            b"SAVEDATESUPPORTED" => Ok(Key::SaveDateSupported),
            b"NOT" => Ok(Key::Not(Box::new(self.operand(scanner, deeper)?))),
            b"FUZZY" => Ok(Key::Fuzzy(Box::new(self.operand(scanner, deeper)?))),
            b"OR" => {
                let one = self.operand(scanner, deeper)?;
                Ok(Key::Or(Box::new((one, self.operand(scanner, deeper)?))))
            }
            b"" => Err(Misread("a search key is missing")),
            word => with_argument(word, scanner),
        }
    }

    fn operand(&mut self, scanner: &mut Scanner<'_>, depth_left: usize) -> Reading<Program> {
        scanner.space()?;
        self.key(scanner, depth_left)
    }

    fn group(&mut self, scanner: &mut Scanner<'_>, depth_left: usize) -> Reading<Program> {
        let mut keys = Vec::new();
        scanner.list(|scanner| {
            keys.push(self.key(scanner, depth_left)?);
            Ok(())
        })?;
        if keys.is_empty() { Err(Misread("a search key is missing")) } else { Ok(one_or_and(keys)) }
    }
}

fn flag_key(word: &[u8]) -> Option<Program> {
    let (positive, word) = word.strip_prefix(b"UN").map_or((true, word), |rest| (false, rest));
    let flag = match word {
        b"ANSWERED" => SystemFlag::Answered,
        b"DELETED" => SystemFlag::Deleted,
        b"DRAFT" => SystemFlag::Draft,
        b"FLAGGED" => SystemFlag::Flagged,
        b"SEEN" => SystemFlag::Seen,
        _ => return None,
    };
    Some(if positive { Key::Flag(flag) } else { Key::Not(Box::new(Key::Flag(flag))) })
}

fn with_argument(word: &[u8], scanner: &mut Scanner<'_>) -> Reading<Program> {
    const NONE: Misread = Misread("no such search key");
    let known: &[&[u8]] = &[
        b"BCC",
        b"CC",
        b"FROM",
        b"SUBJECT",
        b"TO",
        b"BODY",
        b"TEXT",
        b"HEADER",
        b"KEYWORD",
        b"UNKEYWORD",
        b"LARGER",
        b"SMALLER",
        b"OLDER",
        b"YOUNGER",
        b"MODSEQ",
        b"EMAILID",
        b"THREADID",
        b"UID",
        b"BEFORE",
        b"ON",
        b"SINCE",
        b"SENTBEFORE",
        b"SENTON",
        b"SENTSINCE",
        b"SAVEDBEFORE",
        b"SAVEDON",
        b"SAVEDSINCE",
    ];
    if !known.contains(&word) {
        return Err(NONE);
    }
    scanner.space()?;
    let field = |field, scanner: &mut Scanner<'_>| Ok(Key::Field(field, text(scanner)?));
    let date = |clock, when, scanner: &mut Scanner<'_>| Ok(Key::Date(clock, when, day(scanner)?));
    match word {
        b"BCC" => field(Field::Bcc, scanner),
        b"CC" => field(Field::Cc, scanner),
        b"FROM" => field(Field::From, scanner),
        b"SUBJECT" => field(Field::Subject, scanner),
        b"TO" => field(Field::To, scanner),
        b"BODY" => Ok(Key::Body(text(scanner)?)),
        b"TEXT" => Ok(Key::Text(text(scanner)?)),
        b"HEADER" => {
            let name = text(scanner)?;
            scanner.space()?;
            Ok(Key::Header(name, text(scanner)?))
        }
        b"KEYWORD" => Ok(Key::Keyword(keyword(scanner)?)),
        b"UNKEYWORD" => Ok(Key::Not(Box::new(Key::Keyword(keyword(scanner)?)))),
        b"LARGER" => Ok(Key::Larger(scanner.number64()?)),
        b"SMALLER" => Ok(Key::Smaller(scanner.number64()?)),
        b"OLDER" => Ok(Key::Older(scanner.nonzero()?)),
        b"YOUNGER" => Ok(Key::Younger(scanner.nonzero()?)),
        b"MODSEQ" => modseq(scanner),
        b"EMAILID" => Ok(Key::EmailId(object_id(scanner)?)),
        b"THREADID" => Ok(Key::ThreadId(object_id(scanner)?)),
        b"UID" if scanner.eat(b'$') => Ok(Key::Among(Messages::Saved)),
        b"UID" => {
            let set = scanner.take_while(|octet| octet.is_ascii_digit() || matches!(octet, b':' | b',' | b'*'));
            Ok(Key::Among(Messages::Uid(sequence(set)?)))
        }
        b"BEFORE" => date(Clock::Internal, When::Before, scanner),
        b"ON" => date(Clock::Internal, When::On, scanner),
        b"SINCE" => date(Clock::Internal, When::Since, scanner),
        b"SENTBEFORE" => date(Clock::Sent, When::Before, scanner),
        b"SENTON" => date(Clock::Sent, When::On, scanner),
        b"SENTSINCE" => date(Clock::Sent, When::Since, scanner),
        b"SAVEDBEFORE" => date(Clock::Saved, When::Before, scanner),
        b"SAVEDON" => date(Clock::Saved, When::On, scanner),
        b"SAVEDSINCE" => date(Clock::Saved, When::Since, scanner),
        _ => Err(NONE),
    }
}

fn sequence(text: &[u8]) -> Reading<SequenceSet> {
    SequenceSet::parse(text).ok_or(Misread("a set of messages is like 2,4:7,9,12:*"))
}

fn text(scanner: &mut Scanner<'_>) -> Reading<String> {
    let text = scanner.text()?;
    if text.len() > TEXT_MAX { Err(Misread("the text to look for is too long")) } else { Ok(text) }
}

fn keyword(scanner: &mut Scanner<'_>) -> Reading<Keyword> {
    let word = scanner.atom()?;
    match Flag::parse(word) {
        Some(Flag::Keyword(keyword)) => Ok(keyword),
        _ => Err(Misread("no such keyword can be")),
    }
}

/// RFC 7162 §3.1.5: an entry name and a type may stand before the number, and mean nothing to us: there is one number
/// for all of a message.
fn modseq(scanner: &mut Scanner<'_>) -> Reading<Program> {
    if scanner.peek() == Some(b'"') {
        scanner.string()?;
        scanner.space()?;
        match scanner.atom()?.to_ascii_lowercase().as_slice() {
            b"priv" | b"shared" | b"all" => {}
            _ => return Err(Misread("a type is priv, shared, or all")),
        }
        scanner.space()?;
    }
    Ok(Key::ModSeq(scanner.number64()?))
}

fn object_id(scanner: &mut Scanner<'_>) -> Reading<String> {
    let id = scanner.take_while(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-'));
    if id.is_empty() || id.len() > 255 {
        return Err(Misread("an id is 1 to 255 letters, digits, - and _"));
    }
    Ok(String::from_utf8_lossy(id).into_owned())
}

fn day(scanner: &mut Scanner<'_>) -> Reading<Day> {
    let quoted = scanner.eat(b'"');
    let text = scanner.take_while(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    if quoted {
        scanner.expect(b'"', "a quoted string has no end")?;
    }
    Day::parse(text).ok_or(Misread("a date is like 1-Feb-1994"))
}

impl<S> Key<S> {
    /// The same program with its sets in another form.
    pub fn map<T, E>(self, of: &mut impl FnMut(S) -> Result<T, E>) -> Result<Key<T>, E> {
        Ok(match self {
            Key::And(keys) => Key::And(keys.into_iter().map(|key| key.map(of)).collect::<Result<_, _>>()?),
            Key::Or(keys) => Key::Or(Box::new((keys.0.map(of)?, keys.1.map(of)?))),
            Key::Not(key) => Key::Not(Box::new(key.map(of)?)),
            Key::Fuzzy(key) => Key::Fuzzy(Box::new(key.map(of)?)),
            Key::Among(set) => Key::Among(of(set)?),
            Key::All => Key::All,
            Key::Flag(flag) => Key::Flag(flag),
            Key::Keyword(keyword) => Key::Keyword(keyword),
            Key::Header(name, text) => Key::Header(name, text),
            Key::Field(field, text) => Key::Field(field, text),
            Key::Body(text) => Key::Body(text),
            Key::Text(text) => Key::Text(text),
            Key::Date(clock, when, day) => Key::Date(clock, when, day),
            Key::Larger(octets) => Key::Larger(octets),
            Key::Smaller(octets) => Key::Smaller(octets),
            Key::Older(secs) => Key::Older(secs),
            Key::Younger(secs) => Key::Younger(secs),
            Key::ModSeq(modseq) => Key::ModSeq(modseq),
            Key::EmailId(id) => Key::EmailId(id),
            Key::ThreadId(id) => Key::ThreadId(id),
            Key::SaveDateSupported => Key::SaveDateSupported,
        })
    }

    /// Whether a condition of this kind stands anywhere in the program.
    pub fn any(&self, wanted: &impl Fn(&Key<S>) -> bool) -> bool {
        wanted(self)
            || match self {
                Key::And(keys) => keys.iter().any(|key| key.any(wanted)),
                Key::Or(keys) => keys.0.any(wanted) || keys.1.any(wanted),
                Key::Not(key) | Key::Fuzzy(key) => key.any(wanted),
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reading<Program> {
        scan(&mut Scanner::new(text.as_bytes(), false))
    }

    #[test]
    fn keys_of_the_textbook() {
        let read = read("FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"").expect("a program");
        let Key::And(keys) = read else { panic!("three keys") };
        assert_eq!(keys[0], Key::Flag(SystemFlag::Flagged));
        assert_eq!(keys[2], Key::Not(Box::new(Key::Field(Field::From, "Smith".into()))));
    }

    #[test]
    fn every_key_is_known() {
        for text in [
            "ALL ANSWERED DELETED DRAFT FLAGGED NEW OLD RECENT SEEN UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN",
            "BCC a BODY a CC a FROM a KEYWORD a UNKEYWORD a SUBJECT {1}\r\na TEXT a TO a HEADER a \"\"",
            "BEFORE 1-Feb-1994 ON 1-Feb-1994 SINCE \"1-Feb-1994\" SENTBEFORE 1-Feb-1994 SENTON 1-Feb-1994 SENTSINCE 1-Feb-1994",
            "LARGER 1 SMALLER 9223372036854775807 OLDER 1 YOUNGER 2 MODSEQ 620162338",
            "MODSEQ \"/flags/\\\\draft\" all 620162338 EMAILID M6d99 THREADID T-_1 SAVEDATESUPPORTED",
            "SAVEDBEFORE 1-Feb-1994 SAVEDON 1-Feb-1994 SAVEDSINCE 1-Feb-1994 FUZZY BODY x",
            "1,3:* * UID 1:* $ UID $ OR (ALL) (ALL SEEN) NOT NOT OR 1 2",
        ] {
            assert!(read(text).is_ok(), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn programs_that_are_none() {
        let deep = format!("{}ALL", "NOT ".repeat(DEPTH_MAX));
        let parens = format!("{}ALL{}", "(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
        let many = "ALL ".repeat(KEYS_MAX) + "ALL";
        let long = format!("TEXT {}", "x".repeat(TEXT_MAX + 1));
        for text in [
            "",
            "FOO",
            "()",
            "(ALL",
            "ALL)",
            "NOT",
            "OR ALL",
            "0",
            "1,",
            "UID",
            "UID 0",
            "FROM",
            "BEFORE 1994",
            "LARGER x",
            "KEYWORD \\Seen",
            "OLDER 0",
            "HEADER a",
            "EMAILID",
            "ALL  ALL",
            "MODSEQ \"a\" x 1",
            &deep,
            &parens,
            &many,
            &long,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
