//! What folders are called on disk: modified UTF-7, levels with dots between them, and names that cannot be ours.
//!
//! RFC 3501 §5.1.3 (modified UTF-7). Maildir++ has `.Work.Bills` for the folder Bills in Work. A dot within a level is
//! written as `&AC4-` there: not the shortest spelling, but the only one that comes back.
//!
//! Invariants: reading what was written gives the name again.
//! Not here: which names a mailbox may have at last (store), the names of message files ([`crate::maildir`]).

use message::utf7::{self, encoded, encoded_where};

/// The text of a name on disk: modified UTF-7 where it is that, otherwise UTF-8 as it stands.
pub fn decoded(name: &str) -> String {
    utf7::decoded(name).filter(|_| name.is_ascii()).unwrap_or_else(|| name.to_owned())
}

/// The folder of a mailbox in a Maildir++: `Work/Bills` is `.Work.Bills`.
pub fn to_maildir_plus(mailbox: &str) -> String {
    mailbox.split('/').map(|level| format!(".{}", encoded_where(level, |c| c != '.'))).collect()
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
        "cur" | "new" | "tmp" => encoded_where(level, |_| false),
        _ if level.starts_with('.') => encoded_where(level, |c| c != '.'),
        _ => encoded(level),
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
