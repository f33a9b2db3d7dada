//! What folders are called on disk: modified UTF-7, levels with dots between them, and names that cannot be ours.
//!
//! RFC 3501 §5.1.3 (modified UTF-7). Maildir++ has `.Work.Bills` for the folder Bills in Work. A dot within a level is
//! written as `&AC4-` there: not the shortest spelling, but the only one that comes back.
//!
//! Invariants: reading what was written gives the name again.
//! Not here: which names a mailbox may have at last (store), the names of message files ([`crate::maildir`]).

/// Base64 with `,` for `/`.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Modified UTF-7 of a text; what `is_plain` does not like is coded as well.
fn coded(text: &str, is_plain: impl Fn(char) -> bool) -> String {
    let is_plain = |c: char| (c == ' ' || c.is_ascii_graphic()) && is_plain(c);
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

/// The text of a name on disk: modified UTF-7 where it is that, otherwise UTF-8 as it stands.
pub fn decoded(name: &str) -> String {
    decode(name).unwrap_or_else(|| name.to_owned())
}

fn decode(name: &str) -> Option<String> {
    if !name.is_ascii() {
        return None;
    }
    let (mut text, mut rest) = (String::with_capacity(name.len()), name);
    while let Some((plain, behind)) = rest.split_once('&') {
        text.push_str(plain);
        let (coded, behind) = behind.split_once('-')?;
        text.push_str(&if coded.is_empty() { "&".to_owned() } else { read_base64(coded)? });
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

/// The folder of a mailbox in a Maildir++: `Work/Bills` is `.Work.Bills`.
pub fn to_maildir_plus(mailbox: &str) -> String {
    mailbox.split('/').map(|level| format!(".{}", coded(level, |c| c != '.'))).collect()
}

/// The mailbox of a Maildir++ folder, without what makes it unfit; `None` where it is no such folder's name.
pub fn from_maildir_plus(folder: &str) -> Option<String> {
    from_dotted(folder.strip_prefix('.')?)
}

/// A line of a file of subscriptions as Dovecot keeps it beside a Maildir++: the folder's name without the first dot.
pub fn to_subscription(mailbox: &str) -> String {
    if mailbox == "INBOX" { mailbox.into() } else { to_maildir_plus(mailbox)[1..].to_owned() }
}

/// The mailbox of such a line.
pub fn from_dotted(name: &str) -> Option<String> {
    let levels: Vec<_> = name.split('.').map(|level| fit(&decoded(level))).collect();
    (!levels.iter().any(String::is_empty)).then(|| levels.join("/"))
}

/// The directory or file of one level in a tree of directories.
pub fn to_directory(level: &str) -> String {
    // A first dot would hide it, and `cur`, `new` and `tmp` belong to the Maildir itself.
    match level {
        "cur" | "new" | "tmp" => coded(level, |_| false),
        _ if level.starts_with('.') => coded(level, |c| c != '.'),
        _ => coded(level, |_| true),
    }
}

/// The level of a mailbox's name that a directory or file stands for.
pub fn from_directory(name: &str) -> String {
    fit(&decoded(name))
}

/// A level without what no mailbox may have in its name.
fn fit(level: &str) -> String {
    let is_unfit = |c: char| c.is_control() || matches!(c, '/' | '*' | '%' | '\u{2028}' | '\u{2029}');
    level.chars().map(|c| if is_unfit(c) { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folders_are_called_as_elsewhere() {
        assert_eq!(to_maildir_plus("Work/Bills"), ".Work.Bills");
        assert_eq!(to_maildir_plus("Entw\u{fc}rfe"), ".Entw&APw-rfe");
        assert_eq!(to_maildir_plus("R & D/v1.2"), ".R &- D.v1&AC4-2");
        assert_eq!(from_maildir_plus(".&ZeVnLIqe-.x"), Some("\u{65e5}\u{672c}\u{8a9e}/x".into()));
        assert_eq!(from_maildir_plus(".Entw\u{fc}rfe"), Some("Entw\u{fc}rfe".into()));
        assert_eq!(from_maildir_plus(".a*b"), Some("a_b".into()));
        assert_eq!(from_maildir_plus(".R&D"), Some("R&D".into()));
        assert_eq!((from_maildir_plus("."), from_maildir_plus(".a..b"), from_maildir_plus("a")), (None, None, None));
        assert_eq!(to_directory("cur"), "&AGMAdQBy-");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(levels in prop::collection::vec("[a-c.&\u{e4}\u{1f4ee} -]{1,6}|cur|tmp", 1..4)) {
            let mailbox = levels.join("/");
            prop_assert_eq!(from_maildir_plus(&to_maildir_plus(&mailbox)), Some(mailbox.clone()));
            for level in levels {
                let name = to_directory(&level);
                prop_assert!(!name.starts_with('.') && name != "cur" && name != "tmp");
                prop_assert_eq!(from_directory(&name), level);
            }
        }
    }
}
