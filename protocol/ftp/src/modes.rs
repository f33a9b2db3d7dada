//! TYPE A: line ends between the file and the wire.
//!
//! RFC 959 §3.1.1.1 (CRLF on the wire); RFC 1123 §4.1.2.2 (T is N). A line of a file here ends in LF.
//!
//! Sending, an LF gets a CR before it unless it has one, so a file with CRLF goes out unchanged.
//! Receiving, CRLF becomes LF; a CR alone and an LF alone are data and stay.
//!
//! Invariants: the same octets give the same result wherever they are cut; what is received after it was sent is the
//! file again, unless the file has CRLF; at most one octet is held back.
//! Not here: TYPE I (nothing to do), MODE Z (deflate), sockets and files.

/// From a file to the wire.
#[derive(Debug, Clone, Default)]
pub struct ToWire {
    /// The last octet was a CR.
    cr: bool,
}

/// From the wire to a file.
#[derive(Debug, Clone, Default)]
pub struct FromWire {
    /// The last octet was a CR, and is not given out yet.
    cr: bool,
}

impl ToWire {
    /// At the start of a file, or behind any LF.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends to `wire` what this piece of the file is on the wire: at most twice as much.
    pub fn put(&mut self, piece: &[u8], wire: &mut Vec<u8>) {
        wire.reserve(piece.len() + piece.len() / 16);
        let mut done = 0;
        for lf in memchr::memchr_iter(b'\n', piece) {
            let behind_cr = if lf == 0 { self.cr } else { piece[lf - 1] == b'\r' };
            wire.extend_from_slice(&piece[done..lf]);
            wire.extend_from_slice(if behind_cr { b"\n" } else { b"\r\n" });
            done = lf + 1;
        }
        wire.extend_from_slice(&piece[done..]);
        if let Some(last) = piece.last() {
            self.cr = *last == b'\r';
        }
    }
}

impl FromWire {
    /// At the start of a transfer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends to `file` what this piece is in a file.
    pub fn put(&mut self, piece: &[u8], file: &mut Vec<u8>) {
        let Some(first) = piece.first() else { return };
        if std::mem::take(&mut self.cr) && *first != b'\n' {
            file.push(b'\r');
        }
        let mut done = 0;
        for cr in memchr::memchr_iter(b'\r', piece) {
            match piece.get(cr + 1) {
                Some(b'\n') => {
                    file.extend_from_slice(&piece[done..cr]);
                    done = cr + 1;
                }
                Some(_) => {}
                None => {
                    self.cr = true;
                    file.extend_from_slice(&piece[done..cr]);
                    return;
                }
            }
        }
        file.extend_from_slice(&piece[done..]);
    }

    /// The transfer is over: gives out what was held back.
    pub fn end(&mut self, file: &mut Vec<u8>) {
        if std::mem::take(&mut self.cr) {
            file.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(file: &[u8], size: usize) -> Vec<u8> {
        let (mut filter, mut wire) = (ToWire::new(), Vec::new());
        file.chunks(size).for_each(|piece| filter.put(piece, &mut wire));
        wire
    }

    fn stored(wire: &[u8], size: usize) -> Vec<u8> {
        let (mut filter, mut file) = (FromWire::new(), Vec::new());
        wire.chunks(size).for_each(|piece| filter.put(piece, &mut file));
        filter.end(&mut file);
        file
    }

    #[test]
    fn lines_end_in_crlf_on_the_wire_and_in_lf_in_a_file() {
        assert_eq!(sent(b"a\nb\n\nc", 100), b"a\r\nb\r\n\r\nc");
        assert_eq!(stored(b"a\r\nb\r\n\r\nc", 100), b"a\nb\n\nc");
    }

    #[test]
    fn crlf_is_not_doubled_and_a_lone_cr_stays() {
        for size in 1..4 {
            assert_eq!(sent(b"a\r\nb\rc\r\r\nd\n\r", size), b"a\r\nb\rc\r\r\nd\r\n\r");
            assert_eq!(stored(b"a\nb\rc\r\r\nd\r", size), b"a\nb\rc\r\nd\r");
        }
    }

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(proptest::sample::select(b"a\r\n".to_vec()), 0..60)
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in texts(), size in 1usize..9) {
            prop_assert_eq!(sent(&text, size), sent(&text, 1000));
            prop_assert_eq!(stored(&text, size), stored(&text, 1000));
        }

        #[test]
        fn what_was_sent_is_stored_as_it_was(text in "([ab\n]|\r[ab])*\r?", put in 1usize..9, take in 1usize..9) {
            let text = text.into_bytes();
            prop_assert_eq!(stored(&sent(&text, put), take), text);
        }

        #[test]
        fn on_the_wire_every_lf_has_its_cr(text in texts(), size in 1usize..9) {
            let wire = sent(&text, size);
            prop_assert!(wire.iter().enumerate().all(|(at, octet)| *octet != b'\n' || at > 0 && wire[at - 1] == b'\r'));
        }
    }
}
