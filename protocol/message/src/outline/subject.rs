//! The base subject: what is left of a subject without `Re:`, `Fwd:`, `[list]` and `(fwd)`.
//!
//! RFC 5256 §2.1 (the procedure), §5 (its grammar); RFC 2047 (encoded words).
//!
//! Invariants: exactly the RFC's procedure on at most [`CHARS_MAX`] characters; the base of a base is itself.
//! Not here: comparing (collations).

use crate::mime::words;

/// How many characters of a subject are looked at: RFC 5322 §2.1.1 has a line for it, folded ones are a little longer.
pub const CHARS_MAX: usize = 2_000;

/// A base subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base {
    /// What is left.
    pub text: String,
    /// Whether it is a reply or forward: RFC 5256 §3, REFERENCES, step 5 (A).
    pub is_reply: bool,
}

/// Of a raw subject.
pub fn base(raw: &[u8]) -> Base {
    let text = in_one_line(&words::decode(raw));
    let (mut rest, mut is_reply) = (&*text, false);
    loop {
        rest = without_trailers(rest, &mut is_reply);
        rest = without_front(rest, &mut is_reply);
        match forwarded(rest) {
            Some(inside) => (rest, is_reply) = (inside, true),
            None => return Base { text: rest.to_owned(), is_reply },
        }
    }
}

/// Step 1: tabs and line ends are blanks, and one blank is enough.
fn in_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars().take(CHARS_MAX) {
        match c {
            ' ' | '\t' | '\r' | '\n' if line.ends_with(' ') => {}
            ' ' | '\t' | '\r' | '\n' => line.push(' '),
            c => line.push(c),
        }
    }
    line
}

/// Step 2: `subj-trailer`.
fn without_trailers<'a>(mut text: &'a str, is_reply: &mut bool) -> &'a str {
    loop {
        text = text.trim_end_matches(' ');
        match strip_end(text, "(fwd)") {
            Some(rest) => (text, *is_reply) = (rest, true),
            None => return text,
        }
    }
}

/// Steps 3 to 5: `subj-leader`, and `subj-blob` where something is left behind it.
fn without_front<'a>(mut text: &'a str, is_reply: &mut bool) -> &'a str {
    loop {
        text = text.trim_start_matches(' ');
        if let Some(rest) = leader(text) {
            (text, *is_reply) = (rest, true);
            continue;
        }
        match blob(text).filter(|rest| !rest.is_empty()) {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

/// `*subj-blob subj-refwd`.
fn leader(mut text: &str) -> Option<&str> {
    while let Some(rest) = blob(text) {
        text = rest;
    }
    let rest = ["re", "fwd", "fw"].iter().find_map(|word| strip_front(text, word))?.trim_start_matches(' ');
    blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// `subj-blob`: brackets with no bracket in them, and blanks.
fn blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    Some(inside[end..].strip_prefix(']')?.trim_start_matches(' '))
}

/// Step 6: `[fwd: … ]`.
fn forwarded(text: &str) -> Option<&str> {
    strip_front(text, "[fwd:")?.strip_suffix(']')
}

fn strip_front<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.get(..word.len()).filter(|front| front.eq_ignore_ascii_case(word)).map(|_| &text[word.len()..])
}

fn strip_end<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(word.len())?;
    text.get(at..).filter(|end| end.eq_ignore_ascii_case(word)).map(|_| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_base_is_found_by_the_procedure() {
        for (subject, text, is_reply) in [
            ("Pickles", "Pickles", false),
            ("Re: Pickles", "Pickles", true),
            ("RE : re:Fw:  fwd: Pickles  and\tketchup (Fwd) (fwd)", "Pickles and ketchup", true),
            ("[list] Re: [list] Pickles", "Pickles", true),
            ("[list] Pickles", "Pickles", false),
            ("[list]", "[list]", false),
            ("[a] [b]", "[b]", false),
            ("Re[2]: Pickles", "Pickles", true),
            ("Re [2] : Pickles", "Pickles", true),
            ("[fwd: [x] Re: Pickles]", "Pickles", true),
            ("[Fwd: Pickles] (fwd)", "Pickles", true),
            ("[fwd: Pickles", "[fwd: Pickles", false),
            ("Reminder: x", "Reminder: x", false),
            ("Re", "Re", false),
            ("Re:", "", true),
            ("", "", false),
            ("=?utf-8?q?Re=3A_K=C3=A4se?=", "K\u{e4}se", true),
            ("\u{e9}", "\u{e9}", false),
        ] {
            assert_eq!(base(subject.as_bytes()), Base { text: text.into(), is_reply }, "{subject}");
        }
    }

    #[test]
    fn a_flood_of_brackets_ends() {
        assert!(base("[x]".repeat(100_000).as_bytes()).text.len() <= CHARS_MAX);
        assert_eq!(base("re:".repeat(10_000).as_bytes()).text.len(), CHARS_MAX % 3);
    }

    proptest! {
        #[test]
        fn the_base_of_a_base_is_itself(subject in "(re|fwd?|\\[|\\]|:|x| |\\(fwd\\)|\\[fwd:|é){0,12}") {
            let text = base(subject.as_bytes()).text;
            prop_assert_eq!(&base(text.as_bytes()).text, &text);
        }
    }
}
