//! What a message says, as text: for previews and for search.
//!
//! RFC 2046 §4.1 (text), §5.1.4 (alternative); RFC 8621 §4.1.4 (preview: at most 256 characters of plain text).
//!
//! Invariants: no more of a part is decoded than asked for; the result is text without control characters but line ends
//! (and none at all in a preview).
//! Not here: showing HTML safely (webmail). What is made of HTML here is words, not a page.

use std::ops::Range;

use super::charset;
use super::transfer::Decoder;
use super::tree::{Part, Tree};
use crate::syntax::without_torn_character;

/// How many octets of a part are decoded at a time.
const PIECE: usize = 8 * 1024;

/// How many encoded octets of a plain part are looked at for a preview …
const PREVIEW_PLAIN_MAX: usize = 8 * 1024;

/// … and of HTML, where style sheets may come first.
const PREVIEW_HTML_MAX: usize = 64 * 1024;

/// How many parts are looked at for one that says something.
const PREVIEW_PARTS_MAX: usize = 10;

/// The longest name of a character in HTML that is looked for, with its `&` and `;`.
const ENTITY_MAX: usize = 10;

const ENTITIES: [(&str, char); 13] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("ndash", '–'),
    ("mdash", '—'),
    ("hellip", '…'),
    ("euro", '€'),
    ("copy", '©'),
    ("zwnj", ' '),
    ("shy", ' '),
];

/// What a text part says, up to `octets_max` of its decoded text; HTML becomes words. `None` if it is no text.
pub fn of_part(message: &[u8], part: &Part, octets_max: usize) -> Option<String> {
    (part.content_type.kind == "text").then(|| of_body(&message[part.body.clone()], part, octets_max))
}

fn of_body(body: &[u8], part: &Part, octets_max: usize) -> String {
    shown(&said(body, part, octets_max)).collect()
}

/// What a body says, control characters and all.
fn said(body: &[u8], part: &Part, octets_max: usize) -> String {
    let text = decode_front(part, body, octets_max);
    if part.content_type.subtype == "html" { words_of_html(&text) } else { text }
}

fn shown(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|&c| !c.is_control() || matches!(c, '\n' | '\t'))
}

/// The first words of a message in one line of at most `chars_max` characters: of its first plain text, or else of its first HTML.
pub fn preview(message: &[u8], tree: &Tree, chars_max: usize) -> String {
    preview_with(tree, chars_max, |range| message[range].to_vec())
}

/// The same for a message that is somewhere else: `fetch` gives a stretch of it.
pub fn preview_with(tree: &Tree, chars_max: usize, mut fetch: impl FnMut(Range<usize>) -> Vec<u8>) -> String {
    let mut first = |subtype: &str, looked_max: usize| {
        let parts = tree.leaves().filter(|part| part.content_type.is("text", subtype) && !part.is_attachment());
        parts.take(PREVIEW_PARTS_MAX).find_map(|part| {
            let body = fetch(part.body.start..part.body.end.min(part.body.start + looked_max));
            Some(one_line(shown(&said(&body, part, looked_max)), chars_max)).filter(|line| !line.is_empty())
        })
    };
    first("plain", PREVIEW_PLAIN_MAX).or_else(|| first("html", PREVIEW_HTML_MAX)).unwrap_or_default()
}

/// The first words with one blank between them; reads no further than that.
fn one_line(text: impl Iterator<Item = char>, chars_max: usize) -> String {
    let (mut line, mut len, mut is_apart) = (String::new(), 0, false);
    for c in text {
        if len >= chars_max {
            break;
        }
        if c.is_whitespace() {
            is_apart = len > 0;
            continue;
        }
        if std::mem::take(&mut is_apart) {
            line.push(' ');
            len += 1;
        }
        if len < chars_max {
            line.push(c);
            len += 1;
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Decodes from the front of a body until `octets_max` octets of text are there.
fn decode_front(part: &Part, body: &[u8], octets_max: usize) -> String {
    let mut decoder = Decoder::new(&part.encoding);
    let mut octets = Vec::new();
    for piece in body.chunks(PIECE) {
        decoder.put(piece, &mut octets);
        if octets.len() >= octets_max {
            break;
        }
    }
    decoder.end(&mut octets);
    let is_cut = octets.len() > octets_max;
    octets.truncate(octets_max);
    let charset = part.content_type.params.octets("charset").unwrap_or_else(|| b"us-ascii".to_vec());
    charset::decode(&charset, if is_cut { without_torn_character(&octets) } else { &octets }).into_owned()
}

/// The words of an HTML text: tags, comments, scripts and styles taken away, the most common names of characters put in.
fn words_of_html(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = if rest.starts_with('&') { character(rest, &mut text) } else { behind_tag(rest, &mut text) };
    }
    text.push_str(rest);
    text
}

/// What stands behind the tag, comment or whole element at the front. Blocks leave a line end, others nothing.
fn behind_tag<'a>(html: &'a str, text: &mut String) -> &'a str {
    if html.starts_with("<!--") {
        return behind(html, "-->");
    }
    let name = html[1..].trim_start_matches('/');
    let name: String =
        name.chars().take_while(char::is_ascii_alphanumeric).take(ENTITY_MAX).collect::<String>().to_ascii_lowercase();
    match name.as_str() {
        "" if !html.starts_with("</") && !html.starts_with("<!") && !html.starts_with("<?") => {
            // `a < b`: no tag.
            text.push('<');
            return &html[1..];
        }
        "script" | "style" | "title" | "head" if !html.starts_with("</") => {
            return behind(behind_end_tag(html, &name), ">");
        }
        "b" | "i" | "u" | "a" | "em" | "strong" | "span" | "font" | "small" | "sup" | "sub" => {}
        _ => text.push('\n'),
    }
    behind(html, ">")
}

fn behind<'a>(html: &'a str, end: &str) -> &'a str {
    html.find(end).map_or("", |at| &html[at + end.len()..])
}

/// From the end tag of that name on; nothing if there is none.
fn behind_end_tag<'a>(html: &'a str, name: &str) -> &'a str {
    let is_end = |at: usize| {
        html.as_bytes()[at + 2..].get(..name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()))
    };
    html.match_indices("</").find(|(at, _)| is_end(*at)).map_or("", |(at, _)| &html[at..])
}

/// Puts the character in that an `&…;` at the front names, and gives what follows.
fn character<'a>(html: &'a str, text: &mut String) -> &'a str {
    let window = html.bytes().take(ENTITY_MAX).position(|octet| octet == b';');
    let named = window.and_then(|end| Some((numbered(&html[1..end]).or_else(|| entity(&html[1..end]))?, end)));
    match named {
        Some((c, end)) => {
            text.push(c);
            &html[end + 1..]
        }
        None => {
            text.push('&');
            &html[1..]
        }
    }
}

fn numbered(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

fn entity(name: &str) -> Option<char> {
    ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, c)| *c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn preview_of(message: &str, chars_max: usize) -> String {
        preview(message.as_bytes(), &Tree::parse(message.as_bytes()), chars_max)
    }

    #[test]
    fn the_first_words_are_shown() {
        assert_eq!(preview_of("A: b\r\n\r\n\r\n Do you\r\n\tlike  ketchup?\r\n", 100), "Do you like ketchup?");
        assert_eq!(preview_of("A: b\r\n\r\nDo you like ketchup?\r\n", 6), "Do you");
        assert_eq!(preview_of("A: b\r\n\r\nDo you like ketchup?\r\n", 7), "Do you");
        assert_eq!(preview_of("Content-Type: image/png\r\n\r\nx", 7), "");
    }

    #[test]
    fn plain_text_is_preferred_to_html_and_files_do_not_count() {
        let parts = |parts: &[&str]| {
            let body: String = parts.iter().map(|part| format!("--b\r\n{part}\r\n")).collect();
            preview_of(&format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{body}--b--"), 100)
        };
        assert_eq!(parts(&["Content-Type: text/html\r\n\r\n<b>html</b>", "\r\nplain"]), "plain");
        assert_eq!(
            parts(&["Content-Disposition: attachment\r\n\r\nfile", "Content-Type: text/html\r\n\r\n<b>html</b>"]),
            "html"
        );
        assert_eq!(
            parts(&[
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9"
            ]),
            "café"
        );
    }

    #[test]
    fn html_becomes_words() {
        let html = "<!DOCTYPE html><HEAD><title>no</title></head><style>p { x: '</p>' }</style><!-- no > no --><p>Do <b>y</b>ou<br>like&nbsp;ketchup &amp; &#x70;ickles&#63; 1 < 2 &unknown; <";
        assert_eq!(one_line(words_of_html(html).chars(), 200), "Do you like ketchup & pickles? 1 < 2 &unknown; <");
    }

    #[test]
    fn no_more_is_decoded_than_asked_for() {
        let message = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{}", "é".repeat(100_000));
        let tree = Tree::parse(message.as_bytes());
        assert_eq!(of_part(message.as_bytes(), tree.root(), 5).as_deref(), Some("éé"));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_a_preview_is_one_line(html in "(<[a-z/!-]{0,6}|&[#x0-9a-z]{0,6};?|[>é \r\n]|</style>){0,40}", max in 0usize..50) {
            let message = format!("Content-Type: text/html\r\n\r\n{html}");
            let line = preview_of(&message, max);
            prop_assert!(line.chars().count() <= max && !line.chars().any(char::is_control));
        }
    }
}
