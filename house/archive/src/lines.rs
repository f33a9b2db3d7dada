//! Line ends: LF on other programs' disks, CRLF in mail.
//!
//! Invariants: pieces do not matter; a lone CR is never taken for a line end, and stays.
//! Not here: whether a message may have a lone CR (whoever takes it in).

/// Makes a CRLF of each LF that has no CR in front.
#[derive(Debug, Default)]
pub struct ToCrlf {
    behind_cr: bool,
}

impl ToCrlf {
    /// Takes octets, and adds to `out` what becomes of them.
    pub fn feed(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        out.reserve(octets.len() + octets.len() / 32);
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            match line.split_last() {
                Some((b'\n', text)) => {
                    let has_cr = text.last().map_or(self.behind_cr, |octet| *octet == b'\r');
                    out.extend_from_slice(text);
                    out.extend_from_slice(if has_cr { b"\n" } else { b"\r\n" });
                    self.behind_cr = false;
                }
                last => {
                    out.extend_from_slice(line);
                    self.behind_cr = last.is_some_and(|(octet, _)| *octet == b'\r');
                }
            }
        }
    }
}

/// Makes an LF of each CRLF, but not behind a CR: it could not be told from a CRLF afterwards.
#[derive(Debug, Default)]
pub struct ToLf {
    crs: u8,
}

impl ToLf {
    /// Takes octets, and adds to `out` what becomes of them.
    pub fn feed(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        for octet in octets {
            match (octet, self.crs) {
                (b'\r', 0) => self.crs = 1,
                (b'\r', _) => {
                    out.push(b'\r');
                    self.crs = 2;
                }
                (b'\n', 1) => {
                    out.push(b'\n');
                    self.crs = 0;
                }
                (other, held) => {
                    out.extend((held > 0).then_some(b'\r'));
                    out.push(*other);
                    self.crs = 0;
                }
            }
        }
    }

    /// The end: what is still held.
    pub fn finish(self, out: &mut Vec<u8>) {
        out.extend((self.crs > 0).then_some(b'\r'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn to_crlf(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut filter, mut out) = (ToCrlf::default(), Vec::new());
        pieces.iter().for_each(|piece| filter.feed(piece, &mut out));
        out
    }

    fn to_lf(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut filter, mut out) = (ToLf::default(), Vec::new());
        pieces.iter().for_each(|piece| filter.feed(piece, &mut out));
        filter.finish(&mut out);
        out
    }

    #[test]
    fn each_line_gets_one_crlf() {
        assert_eq!(to_crlf(&[b"a\nb\r\n\n\r\nc\rd\n\r"]), b"a\r\nb\r\n\r\n\r\nc\rd\r\n\r");
        assert_eq!(to_crlf(&[b"a\r", b"\nb", b"\n"]), b"a\r\nb\r\n");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter_and_one_undoes_the_other(text in "[ab\r\n]{0,40}", at in 0usize..40) {
            let text = text.as_bytes();
            let (front, back) = text.split_at(at.min(text.len()));
            prop_assert_eq!(to_crlf(&[front, back]), to_crlf(&[text]));
            prop_assert_eq!(to_lf(&[front, back]), to_lf(&[text]));
            let mail = to_crlf(&[text]);
            prop_assert_eq!(to_crlf(&[&to_lf(&[&mail])]), mail);
        }
    }
}
