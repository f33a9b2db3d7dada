//! What holds for many commands at once: when they may be said, and what may be announced behind them.
//!
//! RFC 9051 §6 (states), §7.5.1 (where EXPUNGE must not be sent); RFC 9586 §3 (what UIDONLY forbids).
//!
//! Invariants: every verb has one row, at its place.
//! Not here: what the commands do (server).

use crate::capability::Capability as C;

/// The commands by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // Each is its name.
pub enum Verb {
    Capability,
    Noop,
    Logout,
    Id,
    Compress,
    Starttls,
    Login,
    Authenticate,
    Enable,
    Unauthenticate,
    Namespace,
    Select,
    Examine,
    Create,
    Delete,
    Rename,
    Subscribe,
    Unsubscribe,
    List,
    Lsub,
    Status,
    Append,
    Idle,
    Check,
    Close,
    Unselect,
    Expunge,
    Search,
    Sort,
    Thread,
    Fetch,
    Store,
    Copy,
    Move,
    Replace,
    Uidbatches,
    Getquota,
    Getquotaroot,
    Setquota,
    Getmetadata,
    Setmetadata,
    Getacl,
    Setacl,
    Deleteacl,
    Listrights,
    Myrights,
    Notify,
    Esearch,
    Cancelupdate,
    Genurlauth,
    Resetkey,
    Urlfetch,
}

/// When a command may be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Any,
    /// Before login.
    Stranger,
    /// After login.
    Member,
    /// With a mailbox selected.
    Selected,
}

/// Whether UID may stand before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UidForm {
    /// No.
    No,
    /// Yes.
    Yes,
}

/// Whether messages that are gone may be announced behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expunges {
    /// Yes.
    Told,
    /// Not if it named messages by number: the client may have sent more such commands ahead.
    HeldForNumbers,
}

/// What holds for one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub verb: Verb,
    /// Its name in capitals.
    pub name: &'static str,
    /// When it may be said.
    pub when: When,
    /// Whether there is a form with UID.
    pub uid: UidForm,
    /// Whether it changes the selected mailbox, and so is refused in one that is read-only.
    pub changes: bool,
    /// What may be announced behind it.
    pub expunges: Expunges,
    /// What it belongs to; none for what is always there.
    pub capability: Option<C>,
}

const fn row(
    verb: Verb,
    name: &'static str,
    when: When,
    uid: UidForm,
    changes: bool,
    expunges: Expunges,
    capability: Option<C>,
) -> Row {
    Row { verb, name, when, uid, changes, expunges, capability }
}

/// The table.
#[rustfmt::skip]
pub const TABLE: [Row; 52] = {
    use Expunges::{HeldForNumbers as Held, Told};
    use UidForm::{No, Yes};
    use When::{Any, Member, Selected, Stranger};
    [
    //  verb                  name              when      UID  changes expunges belongs to
    row(Verb::Capability,     "CAPABILITY",     Any,      No,  false,  Told,    None),
    row(Verb::Noop,           "NOOP",           Any,      No,  false,  Told,    None),
    row(Verb::Logout,         "LOGOUT",         Any,      No,  false,  Told,    None),
    row(Verb::Id,             "ID",             Any,      No,  false,  Told,    Some(C::Id)),
    row(Verb::Compress,       "COMPRESS",       Any,      No,  false,  Told,    Some(C::CompressDeflate)),
    row(Verb::Starttls,       "STARTTLS",       Stranger, No,  false,  Told,    None),
    row(Verb::Login,          "LOGIN",          Stranger, No,  false,  Told,    None),
    row(Verb::Authenticate,   "AUTHENTICATE",   Stranger, No,  false,  Told,    None),
    row(Verb::Enable,         "ENABLE",         Member,   No,  false,  Told,    Some(C::Enable)),
    row(Verb::Unauthenticate, "UNAUTHENTICATE", Member,   No,  false,  Told,    Some(C::Unauthenticate)),
    row(Verb::Namespace,      "NAMESPACE",      Member,   No,  false,  Told,    Some(C::Namespace)),
    row(Verb::Select,         "SELECT",         Member,   No,  false,  Told,    None),
    row(Verb::Examine,        "EXAMINE",        Member,   No,  false,  Told,    None),
    row(Verb::Create,         "CREATE",         Member,   No,  false,  Told,    None),
    row(Verb::Delete,         "DELETE",         Member,   No,  false,  Told,    None),
    row(Verb::Rename,         "RENAME",         Member,   No,  false,  Told,    None),
    row(Verb::Subscribe,      "SUBSCRIBE",      Member,   No,  false,  Told,    None),
    row(Verb::Unsubscribe,    "UNSUBSCRIBE",    Member,   No,  false,  Told,    None),
    row(Verb::List,           "LIST",           Member,   No,  false,  Told,    None),
    row(Verb::Lsub,           "LSUB",           Member,   No,  false,  Told,    None),
    row(Verb::Status,         "STATUS",         Member,   No,  false,  Told,    None),
    row(Verb::Append,         "APPEND",         Member,   No,  false,  Told,    None),
    row(Verb::Idle,           "IDLE",           Member,   No,  false,  Told,    Some(C::Idle)),
    row(Verb::Check,          "CHECK",          Selected, No,  false,  Told,    None),
    row(Verb::Close,          "CLOSE",          Selected, No,  false,  Told,    None),
    row(Verb::Unselect,       "UNSELECT",       Selected, No,  false,  Told,    Some(C::Unselect)),
    row(Verb::Expunge,        "EXPUNGE",        Selected, Yes, true,   Told,    None),
    row(Verb::Search,         "SEARCH",         Selected, Yes, false,  Held,    None),
    row(Verb::Sort,           "SORT",           Selected, Yes, false,  Held,    Some(C::Sort)),
    row(Verb::Thread,         "THREAD",         Selected, Yes, false,  Held,    None),
    row(Verb::Fetch,          "FETCH",          Selected, Yes, false,  Held,    None),
    row(Verb::Store,          "STORE",          Selected, Yes, true,   Held,    None),
    row(Verb::Copy,           "COPY",           Selected, Yes, false,  Told,    None),
    row(Verb::Move,           "MOVE",           Selected, Yes, true,   Told,    Some(C::Move)),
    row(Verb::Replace,        "REPLACE",        Selected, Yes, true,   Told,    Some(C::Replace)),
    row(Verb::Uidbatches,     "UIDBATCHES",     Selected, No,  false,  Told,    Some(C::Uidbatches)),
    row(Verb::Getquota,       "GETQUOTA",       Member,   No,  false,  Told,    Some(C::Quota)),
    row(Verb::Getquotaroot,   "GETQUOTAROOT",   Member,   No,  false,  Told,    Some(C::Quota)),
    row(Verb::Setquota,       "SETQUOTA",       Member,   No,  false,  Told,    Some(C::QuotaSet)),
    row(Verb::Getmetadata,    "GETMETADATA",    Member,   No,  false,  Told,    Some(C::MetadataServer)),
    row(Verb::Setmetadata,    "SETMETADATA",    Member,   No,  false,  Told,    Some(C::MetadataServer)),
    row(Verb::Getacl,         "GETACL",         Member,   No,  false,  Told,    Some(C::Acl)),
    row(Verb::Setacl,         "SETACL",         Member,   No,  false,  Told,    Some(C::Acl)),
    row(Verb::Deleteacl,      "DELETEACL",      Member,   No,  false,  Told,    Some(C::Acl)),
    row(Verb::Listrights,     "LISTRIGHTS",     Member,   No,  false,  Told,    Some(C::Acl)),
    row(Verb::Myrights,       "MYRIGHTS",       Member,   No,  false,  Told,    Some(C::Acl)),
    row(Verb::Notify,         "NOTIFY",         Member,   No,  false,  Told,    Some(C::Notify)),
    row(Verb::Esearch,        "ESEARCH",        Member,   No,  false,  Told,    Some(C::Multisearch)),
    row(Verb::Cancelupdate,   "CANCELUPDATE",   Selected, No,  false,  Told,    Some(C::ContextSearch)),
    row(Verb::Genurlauth,     "GENURLAUTH",     Member,   No,  false,  Told,    Some(C::Urlauth)),
    row(Verb::Resetkey,       "RESETKEY",       Member,   No,  false,  Told,    Some(C::Urlauth)),
    row(Verb::Urlfetch,       "URLFETCH",       Member,   No,  false,  Told,    Some(C::Urlauth)),
    ]
};

impl Verb {
    /// Its row.
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// Looks a word up, in any case.
pub fn look_up(word: &[u8]) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_stands_at_its_number() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.verb as usize, at, "{}", row.name);
            assert_eq!(row.verb.row(), row);
            assert_eq!(look_up(row.name.to_lowercase().as_bytes()), Some(row));
        }
        assert_eq!(look_up(b"UID"), None);
    }
}
