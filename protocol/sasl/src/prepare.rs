//! SASLprep: one spelling for names and passwords that look the same.
//!
//! RFC 4013 §2 (the profile), RFC 3454 §3–5 (mapping, NFKC, prohibited characters).
//!
//! Departure: unassigned characters are always let through (RFC 4013 §2.5 forbids them in stored strings), and the
//! check of directions (RFC 3454 §6) is not made. Neither changes what a string is prepared to; they only refuse,
//! by the Unicode of 2002, passwords that people have: with emoji, or in two scripts.
//!
//! Invariants: what is prepared twice is as prepared once; printable ASCII is left as it is.
//! Not here: which accounts a name means (directory).

use icu_normalizer::ComposingNormalizerBorrowed;
use line::Secret;
use std::borrow::Cow;

/// The prepared text; `None` if a character is prohibited or nothing is left.
pub fn prepared(text: &str) -> Option<Cow<'_, str>> {
    if text.is_empty() {
        return None;
    }
    if text.is_ascii() {
        return (!text.bytes().any(|octet| octet.is_ascii_control())).then_some(Cow::Borrowed(text));
    }
    let mapped: String = text.chars().filter_map(mapping).collect();
    let normal = ComposingNormalizerBorrowed::new_nfkc().normalize(&mapped).into_owned();
    (!normal.is_empty() && !normal.chars().any(is_prohibited)).then_some(Cow::Owned(normal))
}

/// The prepared password, for setting it and for comparing it; or the octets as they came if they cannot be prepared
/// (not UTF-8, a tab in it): the house compares them as they are, and so does whoever sent them.
pub fn prepared_password(password: &[u8]) -> Secret {
    let text = std::str::from_utf8(password).ok().and_then(prepared);
    match text {
        Some(text) => Secret::new(text.as_bytes()),
        None => Secret::new(password),
    }
}

/// RFC 4013 §2.1: other spaces become a space, and what is commonly mapped to nothing vanishes.
fn mapping(character: char) -> Option<char> {
    match character {
        // RFC 3454 C.1.2. U+200B stands in B.1 too, but RFC 4013 maps spaces first.
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(' '),
        // RFC 3454 B.1.
        '\u{ad}'
        | '\u{34f}'
        | '\u{1806}'
        | '\u{180b}'..='\u{180d}'
        | '\u{200c}'
        | '\u{200d}'
        | '\u{2060}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' => None,
        other => Some(other),
    }
}

/// RFC 4013 §2.3: what must not be left. Surrogates are no `char`.
fn is_prohibited(character: char) -> bool {
    match character {
        // C.2.1 and C.2.2: controls.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{200c}' | '\u{200d}' | '\u{2028}' | '\u{2029}' => true,
        '\u{2060}'..='\u{2063}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{1d173}'..='\u{1d17a}' => true,
        // C.3: private use.
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => true,
        // C.4: no characters. C.6: no plain text. C.7: describing ideographs.
        '\u{fdd0}'..='\u{fdef}' | '\u{fff9}'..='\u{ffff}' | '\u{2ff0}'..='\u{2ffb}' => true,
        // C.8: changing display. C.9: tags.
        '\u{340}' | '\u{341}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' => true,
        '\u{e0001}' | '\u{e0020}'..='\u{e007f}' => true,
        // C.4 again: the last two of each plane.
        other => (other as u32) & 0xfffe == 0xfffe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_4013_section_3() {
        assert_eq!(prepared("I\u{ad}X").as_deref(), Some("IX"));
        assert_eq!(prepared("user").as_deref(), Some("user"));
        assert_eq!(prepared("USER").as_deref(), Some("USER"));
        assert_eq!(prepared("\u{aa}").as_deref(), Some("a"));
        assert_eq!(prepared("\u{2168}").as_deref(), Some("IX"));
        assert_eq!(prepared("\u{7}"), None);
    }

    #[test]
    fn spaces_are_one_and_emptiness_is_refused() {
        assert_eq!(prepared("a\u{3000}b").as_deref(), Some("a b"));
        assert_eq!(prepared("\u{ad}"), None);
        assert_eq!(prepared(""), None);
        assert_eq!(prepared("a\u{fffd}"), None);
        assert_eq!(prepared("pass\u{1f511}word").as_deref(), Some("pass\u{1f511}word"));
    }

    #[test]
    fn a_password_that_cannot_be_prepared_stays_as_it_came() {
        assert_eq!(prepared_password(b"p\xe9ch\xe9").reveal(), b"p\xe9ch\xe9");
        assert_eq!(prepared_password(b"tab\there").reveal(), b"tab\there");
        assert_eq!(prepared_password("e\u{301}".as_bytes()).reveal(), "\u{e9}".as_bytes());
    }

    proptest! {
        #[test]
        fn prepared_twice_is_prepared_once(text in any::<String>()) {
            if let Some(once) = prepared(&text) {
                prop_assert_eq!(prepared(&once), Some(once.clone()));
            }
        }
    }
}
