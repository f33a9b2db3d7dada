//! Line ends on their way out: none but CRLF leaves us.
//!
//! RFC 5321 §2.3.8: CR and LF must not be sent but together. Nothing else is let into the store, but a report may
//! quote what it found, and an older store may hold more; what some servers take for the end of a message must not
//! be in one of ours.
//!
//! Invariants: what is clean goes through unchanged and uncopied; the pieces do not matter.

use memchr::{memchr_iter, memchr2_iter};
use std::borrow::Cow;

/// Makes every line end a CRLF.
#[derive(Debug, Clone, Default)]
pub(super) struct Endings {
    /// A CR has come and is not given out yet.
    cr: bool,
}

impl Endings {
    /// The next piece, with clean line ends.
    pub fn clean<'a>(&mut self, octets: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.cr && is_clean(octets) { Cow::Borrowed(octets) } else { Cow::Owned(self.mend(octets)) }
    }

    /// What is left at the end of the text.
    pub fn end(&mut self) -> &'static [u8] {
        if std::mem::take(&mut self.cr) { b"\r\n" } else { b"" }
    }

    fn mend(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut mended = Vec::with_capacity(octets.len() + 16);
        for &octet in octets {
            match (std::mem::take(&mut self.cr), octet) {
                (_, b'\n') => mended.extend(b"\r\n"),
                (bare, octet) => {
                    if bare {
                        mended.extend(b"\r\n");
                    }
                    if octet == b'\r' {
                        self.cr = true;
                    } else {
                        mended.push(octet);
                    }
                }
            }
        }
        mended
    }
}

/// Whether every CR and LF stands in a CRLF that is whole within these octets.
fn is_clean(octets: &[u8]) -> bool {
    let crlfs = memchr_iter(b'\n', octets).filter(|&at| at > 0 && octets[at - 1] == b'\r').count();
    memchr2_iter(b'\r', b'\n', octets).count() == 2 * crlfs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleaned(text: &[u8], size: usize) -> Vec<u8> {
        let mut endings = Endings::default();
        let mut clean: Vec<u8> = text.chunks(size).flat_map(|piece| endings.clean(piece).into_owned()).collect();
        clean.extend(endings.end());
        clean
    }

    #[test]
    fn bare_line_ends_become_whole() {
        assert_eq!(cleaned(b"a\nb\rc\r\nd\n\r\n\r\r\ne\r", 100), b"a\r\nb\r\nc\r\nd\r\n\r\n\r\n\r\ne\r\n");
        assert!(matches!(Endings::default().clean(b"a\r\nb\r\n\r\n"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter_and_nothing_bare_is_left(
            text in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60),
            size in 1usize..10,
        ) {
            let clean = cleaned(&text, size);
            prop_assert_eq!(&clean, &cleaned(&text, 1000));
            prop_assert!(is_clean(&clean));
            if is_clean(&text) {
                prop_assert_eq!(clean, text);
            }
        }
    }
}
