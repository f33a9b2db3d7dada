//! Modified UTF-7: how names of mailboxes are written in ASCII, over IMAP and in Maildirs.
//!
//! RFC 3501 §5.1.3. Printable ASCII stands for itself, `&-` for `&`, and between `&` and `-` stands UTF-16 in base64.
//!
//! Invariants: reading what was written gives the text again.
//! Not here: what a mailbox may be called (imap, store).

/// RFC 3501 §5.1.3: base64 with `,` for `/` and without padding.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// The text in modified UTF-7.
pub fn encoded(text: &str) -> String {
    encoded_where(text, |_| true)
}

/// The same, but printable ASCII that is not `plain` is coded, too: not the shortest spelling, where it may not stand.
pub fn encoded_where(text: &str, plain: impl Fn(char) -> bool) -> String {
    let is_plain = |c: char| (c == ' ' || c.is_ascii_graphic()) && plain(c);
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let plain = is_plain(first);
        let (run, behind) = rest.split_at(rest.find(|c| is_plain(c) != plain).unwrap_or(rest.len()));
        if plain {
            out.push_str(&run.replace('&', "&-"))
        } else {
            write_base64(run, &mut out)
        }
        rest = behind;
    }
    out
}

fn write_base64(text: &str, out: &mut String) {
    out.push('&');
    let (mut bits, mut held) = (0u32, 0u32);
    for unit in text.encode_utf16() {
        bits = bits << 16 | u32::from(unit);
        held += 16;
        while held >= 6 {
            held -= 6;
            out.push(char::from(BASE64[(bits >> held) as usize & 63]));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        out.push(char::from(BASE64[(bits << (6 - held)) as usize & 63]));
    }
    out.push('-');
}

/// The text that was coded, in whatever spelling; `None` where it is no modified UTF-7.
pub fn decoded(coded: &str) -> Option<String> {
    let (mut text, mut rest) = (String::with_capacity(coded.len()), coded);
    while let Some((plain, behind)) = rest.split_once('&') {
        text.push_str(plain);
        let (shifted, behind) = behind.split_once('-')?;
        text.push_str(&if shifted.is_empty() { "&".to_owned() } else { read_base64(shifted)? });
        rest = behind;
    }
    text.push_str(rest);
    Some(text)
}

fn read_base64(coded: &str) -> Option<String> {
    let (mut units, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for octet in coded.bytes() {
        let value = BASE64.iter().position(|letter| *letter == octet)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push(u16::try_from(bits >> held).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    String::from_utf16(&units).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_names_of_the_rfc() {
        assert_eq!(encoded("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(encoded("Tom & Jerry"), "Tom &- Jerry");
        assert_eq!(decoded("&Jjo-!").as_deref(), Some("\u{263a}!"));
        for flawed in ["&", "&Jjo", "&?-", "&A-", "&2D0-"] {
            assert_eq!(decoded(flawed), None, "{flawed}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in "\\PC{0,12}", other in "[a-z&]") {
            let coded = encoded_where(&text, |c| !other.contains(c));
            prop_assert!(coded.is_ascii());
            prop_assert_eq!(decoded(&coded), Some(text));
        }
    }
}
