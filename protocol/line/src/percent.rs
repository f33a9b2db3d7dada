//! What stands in URLs for octets that may not.
//!
//! RFC 3986 §2.1.

/// The octets that a piece of a URL stands for; `None` where a `%` is not followed by two digits.
pub fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let (mut octets, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    loop {
        rest = match rest {
            [] => return Some(octets),
            [b'%', high, low, rest @ ..] => {
                let digit = |octet: &u8| char::from(*octet).to_digit(16);
                octets.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                rest
            }
            [b'%', ..] => return None,
            [octet, rest @ ..] => {
                octets.push(*octet);
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_an_octet() {
        assert_eq!(percent_decoded("a%2Fb%ff%00").as_deref(), Some(&b"a/b\xff\0"[..]));
        for flawed in ["%", "a%2", "%zz", "%+1", "%%41"] {
            assert_eq!(percent_decoded(flawed), None, "{flawed}");
        }
    }
}
