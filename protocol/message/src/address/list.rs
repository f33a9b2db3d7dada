//! Address lists as header fields have them: `From`, `To`, `Cc`, `Reply-To` and their kin.
//!
//! RFC 5322 §3.4 (mailboxes, groups), §4.4 (obsolete forms: routes, empty members, words between dots);
//! RFC 6854 (groups in From); RFC 2047 §5 (encoded words in display names); RFC 6532 (UTF-8).
//!
//! Invariants: never fails and never guesses in silence: what breaks the grammar is read as well as can be and
//! `flawed` says so. Whatever looks like an address to a lenient reader is among the mailboxes, so that a check of
//! senders cannot be slipped past. Time is linear, memory bounded by the value and [`MAILBOXES_MAX`].
//! Not here: which fields hold lists (header), who may send as whom (policy).

mod tokens;

use self::tokens::{Token, Tokens};
use super::{Address, Domain};
use crate::mime::words;
use crate::syntax::is_wsp;

/// How many mailboxes of one list are read. Big lists of copies have some hundred; the rest is flawed.
pub const MAILBOXES_MAX: usize = 5_000;

/// A list of addresses, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressList {
    /// Its members.
    pub entries: Vec<Entry>,
    /// Whether something in it breaks even the obsolete grammar, or was too long to be read.
    pub flawed: bool,
}

/// One member of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A mailbox of its own.
    Mailbox(Mailbox),
    /// A named group of mailboxes, perhaps empty: `undisclosed-recipients:;`.
    Group {
        /// Its raw name, encoded words as they were; see [`words::decode`].
        name: Vec<u8>,
        /// Its members.
        members: Vec<Mailbox>,
    },
}

/// A mailbox with its display name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailbox {
    /// The raw display name: quotes and comments taken away, encoded words as they were. Absent is not the same as empty.
    ///
    /// Where there is none, a comment behind the address stands in for it, as was the custom before RFC 822.
    pub name: Option<Vec<u8>>,
    /// The obsolete source route (`@a,@b`), as it was.
    pub route: Option<Vec<u8>>,
    /// The unquoted meaning of the local part.
    pub local: Vec<u8>,
    /// The domain; empty where it is missing.
    pub domain: Vec<u8>,
}

impl AddressList {
    /// All mailboxes, those in groups too.
    pub fn mailboxes(&self) -> impl Iterator<Item = &Mailbox> {
        self.entries.iter().flat_map(|entry| match entry {
            Entry::Mailbox(mailbox) => std::slice::from_ref(mailbox),
            Entry::Group { members, .. } => members.as_slice(),
        })
    }
}

impl Mailbox {
    /// The address, if it is one that could be sent to.
    pub fn address(&self) -> Option<Address> {
        let local = std::str::from_utf8(&self.local).ok()?;
        let domain = std::str::from_utf8(&self.domain).ok()?;
        Address::new(local, Domain::parse(domain).ok()?).ok()
    }

    /// The display name with its encoded words decoded.
    pub fn display_name(&self) -> Option<String> {
        self.name.as_deref().map(words::decode)
    }
}

/// Reads the value of an address field, folded or not.
pub fn parse_address_list(value: &[u8]) -> AddressList {
    let mut reader = Reader {
        tokens: Tokens { text: value, at: 0, flawed: false },
        list: AddressList::default(),
        group: None,
        read: 0,
    };
    reader.run();
    reader.list.flawed |= reader.tokens.flawed;
    reader.list
}

/// A word of a phrase or of a local part, or a dot between two.
#[derive(Debug)]
enum Word {
    Atom(Vec<u8>),
    Quoted(Vec<u8>),
    Dot,
}

/// A word where it stands.
struct Placed {
    word: Word,
    after_blank: bool,
}

/// What has been read of the member that is under way.
#[derive(Default)]
struct Pending {
    /// Words in front of an `@`, `<` or `:`.
    words: Vec<Placed>,
    /// The address in front, when it has been read and only its end is awaited.
    address: Option<Mailbox>,
    comment: Option<Vec<u8>>,
}

struct Reader<'a> {
    tokens: Tokens<'a>,
    list: AddressList,
    group: Option<(Vec<u8>, Vec<Mailbox>)>,
    read: usize,
}

impl Reader<'_> {
    fn run(&mut self) {
        let mut pending = Pending::default();
        while self.read < MAILBOXES_MAX {
            let before = self.tokens.at;
            let Some(token) = self.tokens.next() else {
                self.finish(&mut pending);
                self.close_group(true);
                return;
            };
            let after_blank =
                self.tokens.text.get(before).is_some_and(|&octet| is_wsp(octet) || matches!(octet, b'\r' | b'\n'));
            self.token(token, after_blank, &mut pending);
        }
        self.finish(&mut pending);
        self.close_group(true);
        self.list.flawed = true;
    }

    fn token(&mut self, token: Token, after_blank: bool, pending: &mut Pending) {
        match token {
            Token::Comment(text) => pending.comment = Some(text),
            Token::Special(b',') => self.finish(pending),
            Token::Special(b';') => {
                self.finish(pending);
                self.close_group(false);
            }
            Token::Special(b':') => self.open_group(pending),
            Token::Special(b'<') => self.angle(pending),
            Token::Special(b'@') => self.bare(pending),
            Token::Special(b'.') => self.word(Word::Dot, after_blank, pending),
            Token::Special(_) => self.list.flawed = true,
            Token::Atom(text) => self.word(Word::Atom(text), after_blank, pending),
            Token::Quoted(text) => self.word(Word::Quoted(text), after_blank, pending),
            Token::Literal(text) => {
                self.list.flawed = true;
                self.word(Word::Atom(text), after_blank, pending);
            }
        }
    }

    fn word(&mut self, word: Word, after_blank: bool, pending: &mut Pending) {
        if pending.address.is_some() {
            // `a@x.test b@y.test`: a comma is missing.
            self.list.flawed = true;
            self.finish(pending);
        }
        pending.words.push(Placed { word, after_blank });
    }

    /// At an `@` outside of angle brackets: the words in front are a local part, the domain follows.
    fn bare(&mut self, pending: &mut Pending) {
        if pending.address.is_some() {
            self.list.flawed = true;
            self.finish(pending);
        }
        let name = pending.words.drain(..local_start(&pending.words)).collect::<Vec<_>>();
        let local = joined(&pending.words);
        // `Joe joe@example.org` and `@example.org`.
        self.list.flawed |= !name.is_empty() || pending.words.is_empty() || !is_dotted(&pending.words);
        let domain = self.domain();
        pending.words.clear();
        pending.address = Some(Mailbox { name: phrase(&name), route: None, local, domain });
    }

    /// At a `<`: what was before is the display name.
    fn angle(&mut self, pending: &mut Pending) {
        let mut name = phrase(&pending.words);
        if let Some(before) = pending.address.take() {
            // `joe@example.org <joe@example.org>`: the first one is shown, the second one is meant;
            // both are given, because some programs show and answer to the first.
            self.list.flawed = true;
            name = Some([&before.local[..], b"@", &before.domain].concat());
            self.push(before);
        }
        pending.words.clear();
        let mut mailbox = self.in_brackets();
        mailbox.name = name;
        pending.address = Some(mailbox);
    }

    /// Between `<` and `>`: an optional route, and the address.
    fn in_brackets(&mut self) -> Mailbox {
        let (mut mailbox, mut words) = (Mailbox::default(), Vec::new());
        let mut has_domain = false;
        self.route(&mut mailbox);
        loop {
            let before = self.tokens.at;
            match self.tokens.next() {
                Some(Token::Special(b'>')) => break,
                Some(Token::Special(b'@')) if !has_domain => {
                    has_domain = true;
                    mailbox.domain = self.domain();
                }
                Some(Token::Special(b'.')) if !has_domain => words.push(Placed { word: Word::Dot, after_blank: false }),
                Some(Token::Atom(text)) if !has_domain => {
                    words.push(Placed { word: Word::Atom(text), after_blank: false })
                }
                Some(Token::Quoted(text)) if !has_domain => {
                    words.push(Placed { word: Word::Quoted(text), after_blank: false })
                }
                Some(Token::Comment(_)) => {}
                Some(Token::Special(b',' | b';' | b'<')) | None => {
                    // The bracket is never closed: let the member end here and look at this again.
                    self.tokens.at = before;
                    self.list.flawed = true;
                    break;
                }
                Some(_) => self.list.flawed = true,
            }
        }
        // `<>` is a valid Return-Path, and `<joe>` is not an address.
        let is_whole = if has_domain { !words.is_empty() } else { words.is_empty() };
        self.list.flawed |= !is_whole || !is_dotted(&words);
        mailbox.local = joined(&words);
        mailbox
    }

    /// RFC 5322 §4.4 `obs-route`, if the next thing is one: everything up to its colon, to be ignored.
    fn route(&mut self, mailbox: &mut Mailbox) {
        let start = self.tokens.at;
        let rest = &self.tokens.text[start..];
        let end = rest.iter().position(|octet| b":<>\"".contains(octet));
        if let Some(len) = end.filter(|&len| rest[len] == b':')
            && rest.trim_ascii_start().starts_with(b"@")
        {
            mailbox.route = Some(rest[..len].trim_ascii().to_vec());
            self.tokens.at = start + len + 1;
        }
    }

    /// Behind an `@`: a literal, or atoms between dots, blanks and comments allowed between them (RFC 5322 §4.4).
    fn domain(&mut self) -> Vec<u8> {
        let mut domain = Vec::new();
        let mut atom_expected = true;
        loop {
            let before = self.tokens.at;
            match self.tokens.next() {
                Some(Token::Literal(text)) if domain.is_empty() => return text,
                Some(Token::Atom(text)) if atom_expected => {
                    domain.extend_from_slice(&text);
                    atom_expected = false;
                }
                Some(Token::Special(b'.')) if !atom_expected => {
                    domain.push(b'.');
                    atom_expected = true;
                }
                Some(Token::Comment(_)) if atom_expected => {}
                token => {
                    if token.is_some() {
                        self.tokens.at = before;
                    }
                    self.list.flawed |= atom_expected;
                    return domain;
                }
            }
        }
    }

    fn open_group(&mut self, pending: &mut Pending) {
        if self.group.is_some() || pending.address.is_some() {
            // A colon where no group can begin, as in `mailto:joe@example.org`.
            self.list.flawed = true;
            self.finish(pending);
            return;
        }
        self.list.flawed |= pending.words.is_empty();
        let name = phrase(&pending.words).unwrap_or_default();
        *pending = Pending::default();
        self.read += 1;
        self.group = Some((name, Vec::new()));
    }

    fn close_group(&mut self, at_end: bool) {
        match self.group.take() {
            Some((name, members)) => {
                self.list.flawed |= at_end;
                self.list.entries.push(Entry::Group { name, members });
            }
            // A semicolon between addresses, as Outlook shows them.
            None => self.list.flawed |= !at_end,
        }
    }

    /// Ends the member that is under way. An empty one is allowed (RFC 5322 §4.4 `obs-addr-list`).
    fn finish(&mut self, pending: &mut Pending) {
        let Pending { words, address, comment } = std::mem::take(pending);
        let mut mailbox = match address {
            Some(mailbox) => mailbox,
            None if words.is_empty() => return,
            None => {
                // Words without an address: a local user's name, or prose.
                self.list.flawed = true;
                Mailbox { local: phrase(&words).unwrap_or_default(), ..Mailbox::default() }
            }
        };
        if mailbox.name.is_none() {
            mailbox.name = comment;
        }
        self.push(mailbox);
    }

    fn push(&mut self, mailbox: Mailbox) {
        self.read += 1;
        match &mut self.group {
            Some((_, members)) => members.push(mailbox),
            None => self.list.entries.push(Entry::Mailbox(mailbox)),
        }
    }
}

/// Where the local part begins that ends the words: the last stretch of words joined by dots.
fn local_start(words: &[Placed]) -> usize {
    let is_dot = |at: usize| matches!(words[at].word, Word::Dot);
    let mut start = words.len().saturating_sub(1);
    while start > 0 && (is_dot(start) || is_dot(start - 1)) {
        start -= 1;
    }
    start
}

/// RFC 5322 §4.4 `obs-local-part`: words with single dots between them.
fn is_dotted(words: &[Placed]) -> bool {
    let alternates = |(at, placed): (usize, &Placed)| matches!(placed.word, Word::Dot) == (at % 2 == 1);
    words.is_empty() || (words.len() % 2 == 1 && words.iter().enumerate().all(alternates))
}

/// The words of a local part, without what was between them.
fn joined(words: &[Placed]) -> Vec<u8> {
    let mut local = Vec::new();
    for Placed { word, .. } in words {
        match word {
            Word::Atom(text) | Word::Quoted(text) => local.extend_from_slice(text),
            Word::Dot => local.push(b'.'),
        }
    }
    local
}

/// The words of a display name, one blank where there were some. A dot is part of a name (`Joe Q. Public`).
fn phrase(words: &[Placed]) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    for (at, Placed { word, after_blank }) in words.iter().enumerate() {
        if at > 0 && *after_blank {
            name.push(b' ');
        }
        match word {
            Word::Atom(text) | Word::Quoted(text) => name.extend_from_slice(text),
            Word::Dot => name.push(b'.'),
        }
    }
    (!words.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The list in short: `name<local@domain>`, groups in braces, `!` in front if flawed.
    fn short(value: &str) -> String {
        let list = parse_address_list(value.as_bytes());
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let one =
            |m: &Mailbox| format!("{}<{}@{}>", m.display_name().unwrap_or_default(), text(&m.local), text(&m.domain));
        let all = list.entries.iter().map(|entry| match entry {
            Entry::Mailbox(mailbox) => one(mailbox),
            Entry::Group { name, members } => {
                format!("{}{{{}}}", words::decode(name), members.iter().map(one).collect::<Vec<_>>().join(" "))
            }
        });
        format!("{}{}", if list.flawed { "!" } else { "" }, all.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_examples_of_rfc_5322() {
        // RFC 5322 appendix A.1.2, A.1.3, A.5, A.6.1.
        assert_eq!(short("\"Joe Q. Public\" <john.q.public@example.com>"), "Joe Q. Public<john.q.public@example.com>");
        assert_eq!(
            short("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>"),
            "Mary Smith<mary@x.test> <jdoe@example.org> Who?<one@y.test>"
        );
        assert_eq!(
            short("<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>"),
            "<boss@nil.test> Giant; \"Big\" Box<sysservices@example.net>"
        );
        assert_eq!(
            short("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;"),
            "A Group{Ed Jones<c@a.test> <joe@where.test> John<jdoe@one.test>}"
        );
        assert_eq!(short("Undisclosed recipients:;"), "Undisclosed recipients{}");
        assert_eq!(short("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"), "Pete<pete@silly.test>");
        assert_eq!(
            short(
                "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)"
            ),
            "A Group{Chris Jones<c@public.example> <joe@example.org> John<jdoe@one.test>}"
        );
        assert_eq!(short("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;"), "Hidden recipients{}");
        assert_eq!(short("Joe Q. Public <john.q.public@example.com>"), "Joe Q. Public<john.q.public@example.com>");
        assert_eq!(
            short("Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example"),
            "Mary Smith<mary@example.net> <jdoe@test.example>"
        );
    }

    #[test]
    fn encoded_words_are_decoded_in_names_but_not_in_addresses() {
        assert_eq!(
            short("=?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>"),
            "André Pirard<PIRARD@vm1.ulg.ac.be>"
        );
        assert_eq!(short("\"=?utf-8?q?J=C3=B6?=\" <j@x.test>"), "Jö<j@x.test>", "wrong, but everybody does it");
        assert_eq!(short("=?utf-8?q?a=40b.test=2C?= <j@x.test>"), "a@b.test,<j@x.test>");
    }

    #[test]
    fn obsolete_forms_are_no_flaw() {
        assert_eq!(short("joe . doe @ example . org"), "<joe.doe@example.org>");
        assert_eq!(short("\"joe\".doe@example.org,,"), "<joe.doe@example.org>");
        assert_eq!(short("joe@[192.0.2.1]"), "<joe@[192.0.2.1]>");
        assert_eq!(short("joe@example.org (Joe Doe)"), "Joe Doe<joe@example.org>");
        assert_eq!(short(""), "");
        assert_eq!(short("<>"), "<@>");
    }

    #[test]
    fn whatever_may_look_like_an_address_is_given() {
        assert_eq!(short("a@x.test b@y.test"), "!<a@x.test> <b@y.test>");
        assert_eq!(short("a@x.test; b@y.test"), "!<a@x.test> <b@y.test>");
        assert_eq!(short("a@x.test <b@y.test>"), "!<a@x.test> a@x.test<b@y.test>");
        assert_eq!(short("Joe a@x.test"), "!Joe<a@x.test>");
        assert_eq!(short("Joe <a@x.test"), "!Joe<a@x.test>");
        assert_eq!(short("<a@x.test>, <b@y.test, c@z.test"), "!<a@x.test> <b@y.test> <c@z.test>");
        assert_eq!(short("<a@x.test <b@y.test>>"), "!<a@x.test> a@x.test<b@y.test>");
        assert_eq!(short("foo..bar@docomo.test"), "!<foo..bar@docomo.test>");
        assert_eq!(short("mailto:a@x.test"), "!mailto{<a@x.test>}");
        assert_eq!(short("\"a@x.test"), "!<a@x.test@>");
        assert_eq!(short("root"), "!<root@>");
        assert_eq!(short("a@x.test@y.test"), "!<a@x.test> <@y.test>");
    }

    #[test]
    fn a_local_part_that_breaks_the_rules_can_still_be_answered() {
        let list = parse_address_list(b"foo..bar.@docomo.test");
        let address = list.mailboxes().next().and_then(Mailbox::address).expect("an address");
        assert_eq!(address.to_string(), "\"foo..bar.\"@docomo.test");
    }

    #[test]
    fn a_list_without_end_is_cut_and_says_so() {
        let list = parse_address_list("a@b,".repeat(MAILBOXES_MAX + 1).as_bytes());
        assert_eq!((list.mailboxes().count(), list.flawed), (MAILBOXES_MAX, true));
        assert!(!parse_address_list("a@b,".repeat(MAILBOXES_MAX - 1).as_bytes()).flawed);
        assert!(parse_address_list("(".repeat(100_000).as_bytes()).flawed);
    }

    fn names() -> impl Strategy<Value = String> {
        proptest::sample::select(vec!["", "Joe ", "\"Joe, Q.\" ", "=?utf-8?q?=40?= ", "(c) Joe Q. "])
            .prop_map(String::from)
    }

    proptest! {
        #[test]
        fn written_lists_are_read_back(members in proptest::collection::vec((names(), "[a-z@ .\"]{1,10}", "[a-z]{1,8}\\.test"), 1..8)) {
            let addresses: Vec<_> = members.iter().map(|(_, local, domain)| {
                Address::new(local, Domain::parse(domain).expect("a domain")).expect("an address")
            }).collect();
            let written: Vec<_> = members.iter().zip(&addresses).map(|((name, _, _), address)| format!("{name}<{address}>")).collect();
            let list = parse_address_list(written.join(",\r\n ").as_bytes());
            prop_assert!(!list.flawed);
            prop_assert_eq!(list.mailboxes().filter_map(Mailbox::address).collect::<Vec<_>>(), addresses);
        }

        #[test]
        fn nothing_panics(value in proptest::collection::vec(proptest::sample::select(b"a@.<>,;:()[]\"\\ \r\n\xc3=?".to_vec()), 0..60)) {
            let list = parse_address_list(&value);
            list.mailboxes().for_each(|mailbox| { mailbox.address(); mailbox.display_name(); });
        }
    }
}
