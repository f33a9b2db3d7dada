//! Message identifiers, as threading compares them.
//!
//! RFC 5322 §3.6.4 (msg-id), §4.5.4 (phrases between them); RFC 5256 §3, REFERENCES (quoted local parts mean the same).
//!
//! Invariants: an identifier has neither angle brackets nor blanks, and no more than [`ID_MAX`] octets; at most [`IDS_MAX`] are kept.
//! Not here: who answers whom (imap, store).

/// RFC 5322 §2.1.1: an identifier cannot be folded, so it is no longer than a line.
pub const ID_MAX: usize = 998;

/// How many identifiers of one field are kept: the first, which begins the thread, and the last. Long discussions have a hundred.
pub const IDS_MAX: usize = 200;

/// The identifiers in a field, in order.
pub fn all(value: &[u8]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in (Ids { rest: value }) {
        if ids.len() == IDS_MAX {
            ids.remove(1);
        }
        ids.push(id);
    }
    ids
}

/// The first identifier in a field.
pub fn first(value: &[u8]) -> Option<String> {
    Ids { rest: value }.next()
}

struct Ids<'a> {
    rest: &'a [u8],
}

impl Iterator for Ids<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            let start = memchr::memchr(b'<', self.rest)? + 1;
            let len = memchr::memchr2(b'<', b'>', &self.rest[start..])?;
            let (id, rest) = self.rest[start..].split_at(len);
            self.rest = rest;
            if rest.first() == Some(&b'>') && (1..=ID_MAX).contains(&id.len()) {
                return Some(unquoted(id)).filter(|id| !id.is_empty());
            }
        }
    }
}

/// `"01KF8JCEOCBS0045PS"@xxx.yyy.com` is `01KF8JCEOCBS0045PS@xxx.yyy.com`; line ends and blanks of folding go.
fn unquoted(id: &[u8]) -> String {
    let clean: Vec<u8> =
        id.iter().copied().filter(|&octet| octet > b' ' && octet != 0x7f && !matches!(octet, b'"' | b'\\')).collect();
    String::from_utf8_lossy(&clean).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_found_between_anything() {
        assert_eq!(all(b" <a@x>\r\n\t<b@y>, Joe's message of Monday <\"c\"@z> <> <unclosed"), ["a@x", "b@y", "c@z"]);
        assert_eq!(first(b"<<a@x>"), Some("a@x".into()));
        assert_eq!(first(b"a@x"), None);
    }

    #[test]
    fn of_too_many_the_first_and_the_last_stay() {
        let value: String = (0..IDS_MAX + 50).map(|number| format!("<{number}@x> ")).collect();
        let ids = all(value.as_bytes());
        assert_eq!((ids.len(), &*ids[0], &*ids[1]), (IDS_MAX, "0@x", "51@x"));
        assert_eq!(all(format!("<{}>", "x".repeat(ID_MAX + 1)).as_bytes()), Vec::<String>::new());
    }
}
