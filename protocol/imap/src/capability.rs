//! Capabilities: what can be offered, and under which name.
//!
//! RFC 9051 §6.1.1 and Appendix E (what IMAP4rev2 contains must be offered to clients of RFC 3501 by name, too).
//!
//! What stands here is entire in the dialogue. Whether the whole system does it is the desk's to say: it gives a set, and a
//! command or an option that belongs to a capability outside of it is not known here.
//!
//! Not here: AUTH= and STARTTLS, which depend on the channel (server).

/// Something that can be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // Each is its name.
pub enum Capability {
    Imap4rev2,
    Imap4rev1,
    LiteralPlus,
    LiteralMinus,
    SaslIr,
    Enable,
    Id,
    Idle,
    Namespace,
    Unselect,
    Uidplus,
    Move,
    Children,
    ListExtended,
    ListStatus,
    SpecialUse,
    CreateSpecialUse,
    StatusSize,
    Esearch,
    Searchres,
    Within,
    Binary,
    Multiappend,
    Appendlimit,
    Condstore,
    Qresync,
    Sort,
    SortDisplay,
    Esort,
    ThreadOrderedSubject,
    ThreadReferences,
    ThreadRefs,
    ObjectId,
    Preview,
    Savedate,
    Partial,
    Uidonly,
    Uidbatches,
    Replace,
    SearchFuzzy,
    I18nLevel1,
    Utf8Accept,
    Inprogress,
    CompressDeflate,
    Unauthenticate,
    Quota,
    QuotaSet,
    QuotaResStorage,
    QuotaResMessage,
    QuotaResMailbox,
    QuotaResAnnotationStorage,
    Metadata,
    MetadataServer,
    ListMetadata,
    Acl,
    ListMyrights,
    Notify,
    Catenate,
    Multisearch,
    ContextSearch,
    ContextSort,
    Urlauth,
    UrlPartial,
}

use Capability as C;

/// All of them with their names, in the order they are announced.
const TABLE: [(Capability, &str); 63] = [
    (C::Imap4rev2, "IMAP4rev2"),
    (C::Imap4rev1, "IMAP4rev1"),
    (C::LiteralPlus, "LITERAL+"),
    (C::LiteralMinus, "LITERAL-"),
    (C::SaslIr, "SASL-IR"),
    (C::Enable, "ENABLE"),
    (C::Id, "ID"),
    (C::Idle, "IDLE"),
    (C::Namespace, "NAMESPACE"),
    (C::Unselect, "UNSELECT"),
    (C::Uidplus, "UIDPLUS"),
    (C::Move, "MOVE"),
    (C::Children, "CHILDREN"),
    (C::ListExtended, "LIST-EXTENDED"),
    (C::ListStatus, "LIST-STATUS"),
    (C::SpecialUse, "SPECIAL-USE"),
    (C::CreateSpecialUse, "CREATE-SPECIAL-USE"),
    (C::StatusSize, "STATUS=SIZE"),
    (C::Esearch, "ESEARCH"),
    (C::Searchres, "SEARCHRES"),
    (C::Within, "WITHIN"),
    (C::Binary, "BINARY"),
    (C::Multiappend, "MULTIAPPEND"),
    (C::Appendlimit, "APPENDLIMIT"),
    (C::Condstore, "CONDSTORE"),
    (C::Qresync, "QRESYNC"),
    (C::Sort, "SORT"),
    (C::SortDisplay, "SORT=DISPLAY"),
    (C::Esort, "ESORT"),
    (C::ThreadOrderedSubject, "THREAD=ORDEREDSUBJECT"),
    (C::ThreadReferences, "THREAD=REFERENCES"),
    (C::ThreadRefs, "THREAD=REFS"),
    (C::ObjectId, "OBJECTID"),
    (C::Preview, "PREVIEW"),
    (C::Savedate, "SAVEDATE"),
    (C::Partial, "PARTIAL"),
    (C::Uidonly, "UIDONLY"),
    (C::Uidbatches, "UIDBATCHES"),
    (C::Replace, "REPLACE"),
    (C::SearchFuzzy, "SEARCH=FUZZY"),
    (C::I18nLevel1, "I18NLEVEL=1"),
    (C::Utf8Accept, "UTF8=ACCEPT"),
    (C::Inprogress, "INPROGRESS"),
    (C::CompressDeflate, "COMPRESS=DEFLATE"),
    (C::Unauthenticate, "UNAUTHENTICATE"),
    (C::Quota, "QUOTA"),
    (C::QuotaSet, "QUOTASET"),
    (C::QuotaResStorage, "QUOTA=RES-STORAGE"),
    (C::QuotaResMessage, "QUOTA=RES-MESSAGE"),
    (C::QuotaResMailbox, "QUOTA=RES-MAILBOX"),
    (C::QuotaResAnnotationStorage, "QUOTA=RES-ANNOTATION-STORAGE"),
    (C::Metadata, "METADATA"),
    (C::MetadataServer, "METADATA-SERVER"),
    (C::ListMetadata, "LIST-METADATA"),
    (C::Acl, "ACL"),
    (C::ListMyrights, "LIST-MYRIGHTS"),
    (C::Notify, "NOTIFY"),
    (C::Catenate, "CATENATE"),
    (C::Multisearch, "MULTISEARCH"),
    (C::ContextSearch, "CONTEXT=SEARCH"),
    (C::ContextSort, "CONTEXT=SORT"),
    (C::Urlauth, "URLAUTH"),
    (C::UrlPartial, "URL-PARTIAL"),
];

impl Capability {
    /// As on the wire, without what depends on settings.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Whether it is told before login, because it matters there.
    pub fn before_login(self) -> bool {
        matches!(
            self,
            C::Imap4rev1 | C::Imap4rev2 | C::LiteralPlus | C::LiteralMinus | C::SaslIr | C::Enable | C::Id | C::Idle
        )
    }
}

/// Some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u64);

impl Capabilities {
    /// None.
    pub const NONE: Capabilities = Capabilities(0);

    /// Everything that is entire in the dialogue, with LITERAL+ of the two kinds that exclude each other.
    pub fn all() -> Self {
        let all = TABLE.iter().map(|(capability, _)| *capability);
        all.filter(|capability| *capability != C::LiteralMinus).collect()
    }

    /// Whether it is among them.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u64) != 0
    }

    /// And this one.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Capabilities(self.0 | 1 << capability as u64)
    }

    /// But not this one.
    #[must_use]
    pub fn without(self, capability: Capability) -> Self {
        Capabilities(self.0 & !(1 << capability as u64))
    }

    /// Those among them, in the order they are announced.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        TABLE.into_iter().map(|(capability, _)| capability).filter(move |capability| self.has(*capability))
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Capabilities::NONE, Capabilities::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_at_its_place() {
        for (at, (capability, name)) in TABLE.iter().enumerate() {
            assert_eq!(*capability as usize, at, "{name}");
        }
        let all = Capabilities::all();
        assert!(all.has(C::Notify) && !all.has(C::LiteralMinus));
        assert_eq!(all.iter().count(), TABLE.len() - 1);
        assert!(!all.without(C::Move).has(C::Move));
    }
}
