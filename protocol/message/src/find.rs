//! Looking for words in a message, as people search: decoded, whatever the charset, whatever the case.
//!
//! RFC 9051 §6.4.4 (SEARCH: BODY, TEXT, HEADER); RFC 5255 §4, RFC 5051 (i;unicode-casemap: letters by their title case, decomposed);
//! RFC 2045 §6 (transfer encodings), RFC 2047 (encoded words).
//!
//! ```text
//! body ─transfer decoding→ octets ─charset→ text ─fold→ window ─memmem→ found
//! ```
//!
//! Text is in bodies of `text` and `message` parts, and in multiparts in which no part was found. HTML is looked into as it stands.
//! BODY looks into bodies, and into headers of messages inside; TEXT into all headers, those of MIME too.
//!
//! Invariants: never fails by itself; memory is bounded by [`PIECE`] and the longest pattern, whatever the message; the same
//! text is found wherever it is split, encoded or not.
//! Not here: which messages are looked into (store), fuzziness.

use std::borrow::Cow;
use std::ops::Range;

use icu_normalizer::DecomposingNormalizerBorrowed;
use memchr::memmem;

use crate::header::{Field, Fields};
use crate::mime::charset::{self, Pieces};
use crate::mime::transfer::Decoder;
use crate::mime::tree::{Content, Part, Tree};

/// How many octets of a body are looked at in one go.
pub const PIECE: usize = 32 * 1024;

/// How many octets of one header are looked at.
pub const HEADER_LOOKED_MAX: usize = 1024 * 1024;

/// How long text without any ASCII in it may wait for the marks that belong to its last letter.
const HELD_MAX: usize = 4 * 1024;

/// What is no longer and ASCII, as most values of fields are, is compared without taking memory for it.
const LINE_USUAL: usize = 256;

/// Text in the form in which it is compared.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return match text.bytes().any(|octet| octet.is_ascii_lowercase()) {
            true => Cow::Owned(text.to_ascii_uppercase()),
            false => Cow::Borrowed(text),
        };
    }
    let normalizer = DecomposingNormalizerBorrowed::new_nfkd();
    // Departure: RFC 5051 leaves the letters of a ligature as they are; who looks for FIN means to find it, too.
    Cow::Owned(normalizer.normalize_iter(text.chars().map(upper)).map(|c| c.to_ascii_uppercase()).collect())
}

/// The upper case of a letter, where that is one letter. (RFC 5051 says title case; these differ for four Croatian digraphs.)
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Something to be looked for.
#[derive(Debug, Clone)]
pub struct Pattern {
    folded: String,
    finder: memmem::Finder<'static>,
}

impl Pattern {
    /// For a text.
    pub fn new(text: &str) -> Pattern {
        let folded = fold(text).into_owned();
        let finder = memmem::Finder::new(folded.as_bytes()).into_owned();
        Pattern { folded, finder }
    }

    /// Whether it stands in a text.
    pub fn is_in(&self, text: &str) -> bool {
        let mut line = [0; LINE_USUAL];
        match line.get_mut(..text.len()) {
            Some(line) if text.is_ascii() => {
                line.copy_from_slice(text.as_bytes());
                line.make_ascii_uppercase();
                self.finder.find(line).is_some()
            }
            _ => self.is_empty() || self.finder.find(fold(text).as_bytes()).is_some(),
        }
    }

    /// Whether there is nothing to be looked for: then it is found everywhere.
    pub fn is_empty(&self) -> bool {
        self.folded.is_empty()
    }

    /// It in the form in which it is compared.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// Whether a field of that name in a header section has it in its value; an empty pattern asks for the field alone.
    pub fn is_in_field(&self, header: &[u8], name: &str) -> bool {
        Fields::new(header).any(|field| field.is(name) && self.is_in(&field.text()))
    }
}

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In bodies.
    Body,
    /// In headers too.
    Text,
}

/// Looks into a message for several things at once, and says which are there. `fetch` gives stretches of the message, none longer than
/// [`HEADER_LOOKED_MAX`]; what it cannot give ends the search.
pub fn find<E>(
    tree: &Tree,
    wanted: &[(Scope, Pattern)],
    mut fetch: impl FnMut(Range<usize>) -> Result<Vec<u8>, E>,
) -> Result<Vec<bool>, E> {
    let mut search = Search::new(wanted);
    for part in &tree.parts {
        if search.is_over() {
            break;
        }
        let is_body = part.parent.is_some_and(|parent| matches!(tree.parts[parent].content, Content::Message(_)));
        let header = part.header.start..part.header.end.min(part.header.start + HEADER_LOOKED_MAX);
        if !header.is_empty() && (is_body || search.wants_headers()) {
            search.look_into_header(&fetch(header)?, is_body);
        }
        if is_text(part) {
            search.look_into_body(part, &mut fetch)?;
        }
    }
    Ok(search.found)
}

/// The text of all that [`find`] would look into with [`Scope::Text`], in the form in which it is compared; for an index. Pieces follow one
/// another as they stand: what begins in one may end in the next. Ends when `take` says that it has enough.
pub fn each_text<E>(
    tree: &Tree,
    mut fetch: impl FnMut(Range<usize>) -> Result<Vec<u8>, E>,
    mut take: impl FnMut(&str) -> bool,
) -> Result<(), E> {
    for part in &tree.parts {
        let header = part.header.start..part.header.end.min(part.header.start + HEADER_LOOKED_MAX);
        for field in Fields::new(&fetch(header)?) {
            if !take(&fold(&shown(&field))) || !take("\n") {
                return Ok(());
            }
        }
        if is_text(part) && !each_text_of_body(part, &mut fetch, &mut take)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Says whether more is wanted.
fn each_text_of_body<E>(
    part: &Part,
    fetch: &mut impl FnMut(Range<usize>) -> Result<Vec<u8>, E>,
    take: &mut impl FnMut(&str) -> bool,
) -> Result<bool, E> {
    let mut goes_on = true;
    for charset in charsets_of(part) {
        let mut folding = Folding::default();
        let mut folded = String::new();
        decoded(part, &charset, fetch, |text| {
            folded.clear();
            folding.put(text, &mut folded);
            goes_on = take(&folded);
            goes_on
        })?;
        folded.clear();
        folding.end(&mut folded);
        goes_on = goes_on && take(&folded) && take("\n");
        if !goes_on || !folding.is_garbled {
            break;
        }
    }
    Ok(goes_on)
}

fn is_text(part: &Part) -> bool {
    match &part.content {
        Content::Leaf => matches!(part.content_type.kind.as_str(), "text" | "message"),
        Content::Multipart(children) => children.is_empty(),
        Content::Message(_) => false,
    }
}

/// A field as people see it, and as it is looked into.
pub fn shown(field: &Field<'_>) -> String {
    format!("{}: {}", String::from_utf8_lossy(field.name), field.text())
}

struct Search<'a> {
    wanted: &'a [(Scope, Pattern)],
    found: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(wanted: &'a [(Scope, Pattern)]) -> Self {
        Search { wanted, found: wanted.iter().map(|(_, pattern)| pattern.is_empty()).collect() }
    }

    fn is_over(&self) -> bool {
        self.found.iter().all(|found| *found)
    }

    fn wants_headers(&self) -> bool {
        self.wanted.iter().zip(&self.found).any(|((scope, _), found)| *scope == Scope::Text && !found)
    }

    fn look_into_header(&mut self, header: &[u8], is_body: bool) {
        for field in Fields::new(header) {
            let shown = shown(&field);
            let text = fold(&shown);
            for ((scope, pattern), found) in self.wanted.iter().zip(&mut self.found) {
                if !*found && (is_body || *scope == Scope::Text) {
                    *found = pattern.finder.find(text.as_bytes()).is_some();
                }
            }
        }
    }

    fn look_into_body<E>(
        &mut self,
        part: &Part,
        fetch: &mut impl FnMut(Range<usize>) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        for charset in charsets_of(part) {
            let mut window = Window::new(self);
            decoded(part, &charset, fetch, |text| window.put(text))?;
            let is_other = window.end();
            if self.is_over() || !is_other {
                break;
            }
        }
        Ok(())
    }
}

/// The charsets to be tried in turn: what is said to be ASCII, or nothing, is UTF-8 or, where it is not that, Windows-1252
/// (see [`charset::guess`]).
fn charsets_of(part: &Part) -> Vec<Vec<u8>> {
    let named = part.content_type.params.octets("charset").unwrap_or_default();
    match charset::says_something(&named) {
        true => vec![named],
        false => vec![b"utf-8".to_vec(), b"windows-1252".to_vec()],
    }
}

/// Decodes a body piece by piece, until `take` has enough.
fn decoded<E>(
    part: &Part,
    charset: &[u8],
    fetch: &mut impl FnMut(Range<usize>) -> Result<Vec<u8>, E>,
    mut take: impl FnMut(&str) -> bool,
) -> Result<(), E> {
    let mut decoder = Decoder::new(&part.encoding);
    let mut pieces = Pieces::new(charset);
    let (mut octets, mut text) = (Vec::new(), String::new());
    let mut at = part.body.start;
    while at < part.body.end {
        let end = part.body.end.min(at + PIECE);
        octets.clear();
        decoder.put(&fetch(at..end)?, &mut octets);
        at = end;
        text.clear();
        pieces.put(&octets, false, &mut text);
        if !take(&text) {
            return Ok(());
        }
    }
    octets.clear();
    decoder.end(&mut octets);
    text.clear();
    pieces.put(&octets, true, &mut text);
    take(&text);
    Ok(())
}

/// Folds text that comes in pieces, as if it were one.
#[derive(Default)]
struct Folding {
    /// Letters at the end of the text that may have marks behind them still.
    held: String,
    /// Whether some of it could not be decoded.
    is_garbled: bool,
}

impl Folding {
    fn put(&mut self, text: &str, folded: &mut String) {
        if self.held.is_empty() && text.is_ascii() {
            let start = folded.len();
            folded.push_str(text);
            folded[start..].make_ascii_uppercase();
            return;
        }
        self.is_garbled |= text.contains('\u{fffd}');
        self.held.push_str(text);
        // Marks are put in order between letters, and ASCII has no marks.
        let ascii = self.held.bytes().rposition(|octet| octet.is_ascii()).map(|at| at + 1);
        let ready = ascii.unwrap_or(if self.held.len() > HELD_MAX { self.held.len() } else { 0 });
        folded.push_str(&fold(&self.held[..ready]));
        self.held.drain(..ready);
    }

    fn end(&mut self, folded: &mut String) {
        folded.push_str(&fold(&std::mem::take(&mut self.held)));
    }
}

/// The text that was just decoded, folded, and as much of what was before as a pattern may begin in.
struct Window<'s, 'a> {
    search: &'s mut Search<'a>,
    folding: Folding,
    folded: String,
    overlap: usize,
}

impl<'s, 'a> Window<'s, 'a> {
    fn new(search: &'s mut Search<'a>) -> Self {
        let overlap = search.wanted.iter().map(|(_, pattern)| pattern.folded.len()).max().unwrap_or(1);
        Window { search, folding: Folding::default(), folded: String::new(), overlap }
    }

    /// Looks at the next text. Says whether there is still something to look for.
    fn put(&mut self, text: &str) -> bool {
        self.folding.put(text, &mut self.folded);
        self.look();
        !self.search.is_over()
    }

    /// The text is complete. Says whether some of it could not be decoded.
    fn end(mut self) -> bool {
        self.folding.end(&mut self.folded);
        self.look();
        self.folding.is_garbled
    }

    fn look(&mut self) {
        for ((_, pattern), found) in self.search.wanted.iter().zip(&mut self.search.found) {
            *found = *found || pattern.finder.find(self.folded.as_bytes()).is_some();
        }
        let kept = self.folded.ceil_char_boundary(self.folded.len().saturating_sub(self.overlap));
        self.folded.drain(..kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(message: &[u8], scope: Scope, text: &str) -> bool {
        let tree = Tree::parse(message);
        let wanted = [(scope, Pattern::new(text))];
        find(&tree, &wanted, |range| Ok::<_, ()>(message[range].to_vec())).expect("it is in memory")[0]
    }

    const MAIL: &str = "Subject: =?utf-8?q?K=C3=A4se?=\r\nX-Folded: one\r\n two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nCr=E8pes=\r\n et ketchup\r\n\
        --b\r\nContent-Type: image/png; name=pickles.png\r\n\r\nonion\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nZ3LDvMOf\r\nZQ==\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\nX-Y: =?utf-8?b?w4k=?=\r\n\r\ncaf\u{e9}\r\n--b--\r\n";

    #[test]
    fn what_is_encoded_is_found_in_any_case() {
        for (text, in_body, in_text) in [
            ("cr\u{c8}PES ET", true, true),
            ("gr\u{fc}\u{df}e", true, true),
            ("GR\u{dc}\u{df}E", true, true),
            ("k\u{c4}se", false, true),
            ("ONE TWO", false, true),
            ("x-folded: one", false, true),
            ("inside", true, true),
            ("x-y: \u{e9}", true, true),
            ("CAF\u{c9}", true, true),
            ("pickles", false, true),
            ("onion", false, false),
            ("Cr=E8", false, false),
            ("", true, true),
        ] {
            assert_eq!(found(MAIL.as_bytes(), Scope::Body, text), in_body, "BODY {text}");
            assert_eq!(found(MAIL.as_bytes(), Scope::Text, text), in_text, "TEXT {text}");
        }
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same() {
        assert!(Pattern::new("e\u{301}").is_in("CAF\u{c9}"));
        assert!(Pattern::new("\u{fb01}n").is_in("FIN"));
        assert!(Pattern::new("\u{410}\u{431}").is_in("\u{430}\u{411}"));
        assert!(!Pattern::new("\u{e9}").is_in("e"));
    }

    #[test]
    fn what_names_no_charset_is_utf_8_or_windows_1252() {
        assert!(found("A: b\r\n\r\nKäse".as_bytes(), Scope::Body, "kä"));
        assert!(found(b"A: b\r\n\r\nK\xe4se", Scope::Body, "kä"));
        assert!(found(b"Content-Type: text/plain; charset=x-unknown\r\n\r\nK\xe4se", Scope::Body, "kä"));
    }

    #[test]
    fn a_field_is_asked_for_by_its_name() {
        let header = MAIL.as_bytes();
        assert!(Pattern::new("KÄ").is_in_field(header, "subject"));
        assert!(Pattern::new("").is_in_field(header, "x-folded") && !Pattern::new("").is_in_field(header, "x-none"));
    }

    #[test]
    fn several_things_are_looked_for_at_once_and_a_failure_is_told() {
        let tree = Tree::parse(MAIL.as_bytes());
        let wanted = ["ketchup", "nowhere", "inside"].map(|text| (Scope::Body, Pattern::new(text)));
        let fetch = |range: Range<usize>| Ok::<_, ()>(MAIL.as_bytes()[range].to_vec());
        assert_eq!(find(&tree, &wanted, fetch), Ok(vec![true, false, true]));
        assert_eq!(find(&tree, &wanted, |_| Err("gone")), Err("gone"));
    }

    #[test]
    fn an_index_is_given_both_readings_of_what_names_no_charset() {
        let message = b"A: b\r\n\r\nK\xe4se";
        let mut text = String::new();
        let fetch = |range: Range<usize>| Ok::<_, ()>(message[range].to_vec());
        let take = |piece: &str| {
            text.push_str(piece);
            true
        };
        each_text(&Tree::parse(message), fetch, take).expect("it is in memory");
        assert!(text.contains(&*fold("K\u{e4}se")), "{text}");
    }

    proptest! {
        #[test]
        fn it_is_found_wherever_it_is_split(before in 0..40usize, word in "[a-zé漢\u{301}]{1,6}", base64 in any::<bool>()) {
            let text = format!("{}{word} behind", "é ".repeat(PIECE / 3 - 20 + before));
            let (name, body) = match base64 {
                true => ("base64", crate::mime::transfer::encode_base64(text.as_bytes())),
                false => ("8bit", text.into_bytes()),
            };
            let head = format!("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {name}\r\n\r\n");
            prop_assert!(found(&[head.as_bytes(), &body[..]].concat(), Scope::Body, &word.to_uppercase()));
        }

        #[test]
        fn what_an_index_is_given_has_everything_that_is_found(word in "[a-zA-Zé:=]{1,4}") {
            let tree = Tree::parse(MAIL.as_bytes());
            let mut texts = Vec::new();
            let fetch = |range: Range<usize>| Ok::<_, ()>(MAIL.as_bytes()[range].to_vec());
            each_text(&tree, fetch, |text| { texts.push(text.to_owned()); true }).expect("it is in memory");
            let folded = fold(&word).into_owned();
            prop_assert_eq!(texts.concat().contains(&folded), found(MAIL.as_bytes(), Scope::Text, &word));
        }
    }
}
