//! The few character classes and line rules that every parser here shares.
//!
//! RFC 5322 §2.1 (lines), §3.2.3 (atext), RFC 6532 §3.2 (atext beyond ASCII).
//!
//! Invariants: a line ends behind an LF, with or without a CR before it; a lone CR ends nothing.
//! What came by SMTP has no bare LF (the dialogue refuses it); what was imported may have.
//! Not here: what a line means (header, mime).

use memchr::memchr;

/// RFC 5322 §3.2.3, and RFC 6532 §3.2: octets beyond ASCII are text of an atom too.
pub(crate) fn is_atext(octet: u8) -> bool {
    octet >= 0x80 || octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

/// RFC 5234 appendix B.1: blank or tab.
pub(crate) fn is_wsp(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// Where the line that holds `at` ends: behind its LF, or at the end of `text`.
pub(crate) fn line_end(text: &[u8], at: usize) -> usize {
    memchr(b'\n', &text[at..]).map_or(text.len(), |lf| at + lf + 1)
}

/// The line without its LF or CRLF.
pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    match line {
        [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
        text => text,
    }
}

/// Without blanks and tabs at either side.
pub(crate) fn trim_wsp(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_wsp(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_wsp(*last)
    {
        text = rest;
    }
    text
}

/// Text that may stand in a line we write: what would end, hide or garble a line becomes a blank or a `?`.
///
/// At most `max` octets, cut at a character. What is not UTF-8 is shown as such.
pub(crate) fn one_line(text: &[u8], max: usize, keep_unicode: bool) -> String {
    let text = if text.len() > max { without_torn_character(&text[..max]) } else { text };
    let decoded = String::from_utf8_lossy(text);
    let mut line = String::with_capacity(decoded.len());
    for c in decoded.chars() {
        match c {
            '\t' | '\r' | '\n' | ' ' if line.ends_with(' ') => {}
            '\t' | '\r' | '\n' => line.push(' '),
            c if c.is_control() => line.push('?'),
            c if c.is_ascii() || (keep_unicode && c != '\u{2028}' && c != '\u{2029}') => line.push(c),
            _ => line.push('?'),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Text that was cut, without the octets of a UTF-8 character whose rest is missing.
pub(crate) fn without_torn_character(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        // `error_len` is absent where the text ends too early.
        Err(error) if error.error_len().is_none() => &text[..error.valid_up_to()],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_ends_a_line_stays_in_one() {
        assert_eq!(one_line(b"a\r\nBcc: x\0\x1b[2J \xff", 100, true), "a Bcc: x??[2J \u{fffd}");
        assert_eq!(one_line("käse\u{2028}".as_bytes(), 100, false), "k?se?");
        assert_eq!(one_line(b"abcdef", 3, true), "abc");
        assert_eq!(one_line("abé".as_bytes(), 3, true), "ab");
    }

    #[test]
    fn a_lone_cr_ends_no_line() {
        assert_eq!(line_end(b"a\rb\nc", 0), 4);
        assert_eq!(without_line_end(b"a\r\n"), b"a");
        assert_eq!(without_line_end(b"a\r"), b"a\r");
    }
}
