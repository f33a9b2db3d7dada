//! After login: looking, fetching, marking.
//!
//! RFC 1939 §5 (STAT LIST RETR DELE NOOP RSET), §7 (TOP UIDL), §11 (sizes).
//!
//! Departure: RFC 6856 §2.1 says that without UTF8 no octets outside ASCII are sent, but a surrogate or `-ERR [UTF8]`.
//! We send every message as it is, to everybody. Octets beyond ASCII in headers are older than UTF8, and every client
//! has met them; to refuse would strand mail, and a surrogate would break signatures and the promise that what came in
//! goes out octet by octet.
//!
//! Invariants: a listing goes out in pieces of bounded size; a message goes out as it is read, each octet copied once.
//! Not here: byte-stuffing (line).

use super::maildrop::Maildrop;
use super::{Ask, Server, State, Unread};
use crate::command::Command;
use crate::reply::{Code, write_number};
use line::Dotter;

/// A piece of a listing: large enough for few writes, small enough to be forgotten.
const LISTING_PIECE: usize = 16 * 1024;

/// Which listing, and how far it has come.
#[derive(Debug)]
pub(super) struct Listing {
    column: Column,
    place: usize,
}

/// What stands behind the number.
#[derive(Debug, Clone, Copy)]
enum Column {
    Size,
    Uidl,
}

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Retrieval {
    message: usize,
    size: u64,
    offset: u64,
    dots: Dotter,
    top: Option<Top>,
}

impl Retrieval {
    fn is_over(&self) -> bool {
        self.offset == self.size || self.top.as_ref().is_some_and(Top::is_over)
    }
}

impl Server {
    /// A command that makes sense after login only.
    pub(super) fn transact(&mut self, command: &Command, mut maildrop: Maildrop) {
        match *command {
            Command::Stat => self.two_numbers(maildrop.count() as u64, maildrop.octets()),
            Command::List(None) => return self.list(maildrop, Column::Size),
            Command::Uidl(None) => return self.list(maildrop, Column::Uidl),
            Command::List(Some(number)) => self.list_one(&maildrop, number, Column::Size),
            Command::Uidl(Some(number)) => self.list_one(&maildrop, number, Column::Uidl),
            Command::Retr(number) => return self.fetch(maildrop, number, None),
            Command::Top { message, lines } => return self.fetch(maildrop, message, Some(Top::new(lines))),
            Command::Dele(number) => self.delete(&mut maildrop, number),
            Command::Rset => {
                maildrop.reset();
                self.ok(maildrop.summary());
            }
            _ => self.ok(""),
        }
        self.state = State::Transaction { maildrop };
    }

    fn two_numbers(&mut self, one: u64, other: u64) {
        self.replies.extend_from_slice(b"+OK ");
        write_number(one, &mut self.replies);
        self.replies.push(b' ');
        write_number(other, &mut self.replies);
        self.replies.extend_from_slice(b"\r\n");
    }

    fn no_such(&mut self, maildrop: &Maildrop) {
        self.err(format!("no such message, there were {} and {} are left", maildrop.len(), maildrop.count()));
    }

    fn list_one(&mut self, maildrop: &Maildrop, number: u64, column: Column) {
        let Some((_, entry)) = maildrop.find(number) else {
            return self.no_such(maildrop);
        };
        match column {
            Column::Size => self.two_numbers(number, entry.size),
            Column::Uidl => self.ok(format!("{number} {}", entry.uidl)),
        }
    }

    fn list(&mut self, maildrop: Maildrop, column: Column) {
        self.ok(maildrop.summary());
        self.state = State::Listing { maildrop, listing: Listing { column, place: 0 } };
    }

    /// The next piece of a listing.
    pub(super) fn list_on(&mut self, maildrop: Maildrop, mut listing: Listing, out: &mut Vec<u8>) {
        while out.len() < LISTING_PIECE {
            let Some((place, entry)) = maildrop.next_from(listing.place) else {
                out.extend_from_slice(b".\r\n");
                self.state = State::Transaction { maildrop };
                return;
            };
            write_number(place as u64 + 1, out);
            out.push(b' ');
            match listing.column {
                Column::Size => write_number(entry.size, out),
                Column::Uidl => out.extend_from_slice(entry.uidl.as_bytes()),
            }
            out.extend_from_slice(b"\r\n");
            listing.place = place + 1;
        }
        self.was_listing = true;
        self.state = State::Listing { maildrop, listing };
    }

    fn delete(&mut self, maildrop: &mut Maildrop, number: u64) {
        match maildrop.find(number).map(|(place, _)| place) {
            Some(place) => {
                maildrop.delete(place);
                self.ok("marked to be deleted");
            }
            None => self.no_such(maildrop),
        }
    }

    /// RETR and TOP. The first stretch is read before we say yes, so that a message that cannot be read costs a no.
    fn fetch(&mut self, maildrop: Maildrop, number: u64, top: Option<Top>) {
        let found = maildrop.find(number).map(|(message, entry)| (message, entry.size));
        let Some((message, size)) = found else {
            self.no_such(&maildrop);
            self.state = State::Transaction { maildrop };
            return;
        };
        let retrieval = Retrieval { message, size, offset: 0, dots: Dotter::new(), top };
        if size == 0 {
            return self.retrieve(maildrop, retrieval, &[]);
        }
        self.ask(Ask::Read { message, offset: 0 });
        self.state = State::Retrieving { maildrop, retrieval };
    }

    /// A stretch has been read.
    pub(super) fn retrieve(&mut self, maildrop: Maildrop, mut retrieval: Retrieval, octets: &[u8]) {
        let left = usize::try_from(retrieval.size - retrieval.offset).unwrap_or(usize::MAX);
        let octets = &octets[..octets.len().min(left)];
        if octets.is_empty() && left > 0 {
            return self.unread(maildrop, &retrieval, Unread::Temporary);
        }
        if retrieval.offset == 0 {
            self.announce(&retrieval);
        }
        let wanted = match &mut retrieval.top {
            Some(top) => top.take(octets),
            None => octets.len(),
        };
        retrieval.dots.put(&octets[..wanted], &mut self.replies);
        retrieval.offset += octets.len() as u64;
        self.sends_content = true;
        if retrieval.is_over() {
            retrieval.dots.end(&mut self.replies);
            self.state = State::Transaction { maildrop };
        } else {
            self.ask(Ask::Read { message: retrieval.message, offset: retrieval.offset });
            self.state = State::Retrieving { maildrop, retrieval };
        }
    }

    fn announce(&mut self, retrieval: &Retrieval) {
        match retrieval.top {
            Some(_) => self.ok("top of message follows"),
            None => {
                self.replies.extend_from_slice(b"+OK ");
                write_number(retrieval.size, &mut self.replies);
                self.replies.extend_from_slice(b" octets\r\n");
            }
        }
    }

    /// Before the first octet a no is honest. In the middle the client must see that the message is not whole,
    /// and only a connection that breaks without the final dot says so.
    pub(super) fn unread(&mut self, maildrop: Maildrop, retrieval: &Retrieval, why: Unread) {
        if retrieval.offset > 0 {
            self.state = State::Closing;
            return;
        }
        match why {
            Unread::Gone => self.err("the message has been removed by someone else"),
            Unread::Temporary => self.err_coded(Code::SysTemp, "cannot read the message now"),
        }
        self.state = State::Transaction { maildrop };
    }
}

/// How much of a message TOP still wants: the header, the empty line, and some lines of the body.
#[derive(Debug)]
struct Top {
    place: Place,
    body_lines: u64,
}

/// Where in the message the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// At the start of a line of the header.
    HeaderStart,
    /// Behind a CR at the start of such a line.
    HeaderCr,
    /// Inside such a line.
    Header,
    /// In the body.
    Body,
}

impl Top {
    fn new(body_lines: u64) -> Self {
        Top { place: Place::HeaderStart, body_lines }
    }

    fn is_over(&self) -> bool {
        self.place == Place::Body && self.body_lines == 0
    }

    /// How many of these octets are wanted.
    fn take(&mut self, octets: &[u8]) -> usize {
        let mut at = 0;
        while at < octets.len() && !self.is_over() {
            at += match memchr::memchr(b'\n', &octets[at..]) {
                Some(len) => {
                    self.line_ended(&octets[at..at + len]);
                    len + 1
                }
                None => {
                    self.line_began(&octets[at..]);
                    octets.len() - at
                }
            };
        }
        at
    }

    /// An LF stands behind this last part of a line.
    fn line_ended(&mut self, text: &[u8]) {
        self.place = match (self.place, text) {
            (Place::Body, _) => {
                self.body_lines -= 1;
                Place::Body
            }
            (Place::HeaderStart, b"" | b"\r") | (Place::HeaderCr, b"") => Place::Body,
            _ => Place::HeaderStart,
        };
    }

    /// This part of a line, not empty, is all there is of it yet.
    fn line_began(&mut self, text: &[u8]) {
        self.place = match (self.place, text) {
            (Place::Body, _) => Place::Body,
            (Place::HeaderStart, b"\r") => Place::HeaderCr,
            _ => Place::Header,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What TOP gives of a message that is read in stretches of `size`.
    fn top(message: &str, lines: u64, size: usize) -> String {
        let (mut top, mut given) = (Top::new(lines), String::new());
        for stretch in message.as_bytes().chunks(size) {
            let wanted = top.take(stretch);
            given.push_str(std::str::from_utf8(&stretch[..wanted]).expect("ASCII"));
            if top.is_over() {
                break;
            }
        }
        given
    }

    #[test]
    fn header_empty_line_and_some_of_the_body() {
        let message = "A: b\r\nC: d\r\n\r\none\r\n\r\nthree\r\n";
        for size in 1..message.len() + 1 {
            assert_eq!(top(message, 0, size), "A: b\r\nC: d\r\n\r\n", "{size}");
            assert_eq!(top(message, 2, size), "A: b\r\nC: d\r\n\r\none\r\n\r\n", "{size}");
            assert_eq!(top(message, 3, size), message, "{size}");
            assert_eq!(top(message, u64::MAX, size), message, "{size}");
        }
    }

    #[test]
    fn messages_without_header_or_without_body() {
        assert_eq!(top("\r\none\r\ntwo\r\n", 1, 2), "\r\none\r\n");
        assert_eq!(top("no colon\r\nno empty line\r\n", 0, 3), "no colon\r\nno empty line\r\n");
        assert_eq!(top("a\n\nb\nc\n", 1, 2), "a\n\nb\n", "bare line feeds that others have stored");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(message in "[a\r\n]{0,40}", lines in 0u64..5, size in 1usize..10) {
            prop_assert_eq!(top(&message, lines, size), top(&message, lines, 1000));
        }
    }
}
