//! Mailboxes as a tree: which there are, what is in them, making, removing and renaming them, annotations and quota.
//!
//! RFC 9051 §6.3 (mailboxes), RFC 5464 (annotations), RFC 9208 (quota).
//!
//! Invariants: a level that only stands in names of others can be listed and not selected.
//! Not here: patterns and options of LIST (imap).

use super::convert::{self, modseq, uses};
use super::selected::Selected;
use super::sharing::{OTHERS, Place};
use super::{Desk, Verdict};
use imap::name::MailboxName;
use imap::server::Answer;
use imap::server::ask::{Depth, Listed, Namespaces, ObjectId, QuotaRoot, Refusal, Resource, SpecialUse, Status};
use std::collections::BTreeMap;
use store::{
    AccountId, Commit, Flags, METADATA_ENTRIES_MAX, METADATA_VALUE_MAX, MailboxId, MailboxRef, MailboxRow, Op,
};
use tracing::info;

/// The one quota root of an account.
const QUOTA_ROOT: &str = "";

/// Annotations that only who made them sees.
const PRIVATE: &str = "/private/";

/// RFC 6154 §4: what a mailbox is for, as LIST says it.
const SPECIAL_USE: &str = "/private/specialuse";

/// Annotations that all see who see the mailbox.
const SHARED: &str = "/shared/";

/// Whether clients can name an annotation; others are ours.
pub(super) fn is_nameable(name: &str) -> bool {
    name.starts_with(PRIVATE) || name.starts_with(SHARED)
}

/// RFC 9208 §5.1: STORAGE counts units of 1024 octets.
const STORAGE_UNIT: u64 = 1024;

/// One's own mailboxes have no prefix.
pub(super) fn namespaces() -> Namespaces {
    Namespaces { personal: vec![String::new()], others: vec![OTHERS.into()], shared: Vec::new() }
}

impl Desk {
    pub(super) async fn mailboxes(&self) -> Verdict<Vec<Listed>> {
        let account = self.account()?;
        let (rows, names) =
            self.read(move |store| Ok((store.mailboxes(account)?, store.subscriptions(account)?))).await?;
        let others = self.others().await?.into_iter().map(|(_, name)| name).collect();
        Ok(tree(&rows, others, &names))
    }

    /// The same as [`Desk::place`]; a level without messages is told from what is not there.
    async fn selectable(&self, name: &MailboxName, rights: &str) -> Verdict<Place> {
        match self.place(name, rights).await {
            Err(Refusal::NoSuchMailbox) => {
                let all = self.mailboxes().await?;
                let is_level = all.iter().any(|listed| listed.exists && listed.name.is_below(name));
                Err(if is_level { Refusal::NoSelect } else { Refusal::NoSuchMailbox })
            }
            found => found,
        }
    }

    pub(super) async fn status(&self, mailbox: &MailboxName) -> Verdict<Status> {
        let row = self.selectable(mailbox, "r").await?.row;
        let deleted_size = if row.deleted == 0 { 0 } else { self.deleted_size(row.id).await? };
        Ok(figures(&row, deleted_size))
    }

    async fn deleted_size(&self, mailbox: MailboxId) -> Verdict<u64> {
        let open = self.read(move |store| store.open_mailbox(mailbox)).await?;
        let now = open.now().ok_or(Refusal::NoSuchMailbox)?;
        let deleted = now.rows().filter(|row| u32::from(row.system) & Flags::DELETED != 0);
        Ok(deleted.map(|row| u64::from(row.size)).sum())
    }

    pub(super) async fn select(&mut self, name: &MailboxName, read_only: bool) -> Verdict<imap::server::ask::Selected> {
        self.selected = None;
        let Place { row, access } = self.selectable(name, "r").await?;
        let open = self.read(move |store| store.open_mailbox(row.id)).await?;
        let selected = Selected::new(open, access, self.house.url_keys.count()).ok_or(Refusal::NoSuchMailbox)?;
        let described = selected.describe(read_only);
        self.selected = Some(Box::new(selected));
        Ok(described)
    }

    pub(super) async fn create(&self, name: &MailboxName, uses: &[SpecialUse]) -> Verdict<ObjectId> {
        let located = self.located_for_new(name)?;
        if located.guest.is_some() && !uses.is_empty() {
            return Err(Refusal::UseAttr);
        }
        let rights = self.inherited(&located).await?;
        let special_use = uses.iter().map(|it| it.name().to_owned()).collect();
        let create = Op::CreateMailbox { account: located.owner, name: located.name.as_str().to_owned(), special_use };
        let ops = std::iter::once(create).chain(rights).collect();
        let made = self.commit(Commit::of(ops)).await?.mailbox().ok_or(Refusal::Unavailable)?;
        info!(session = %self.caller.session, mailbox = name.as_str(), "mailbox made");
        Ok(convert::mailbox_id(made))
    }

    pub(super) async fn delete(&self, name: &MailboxName) -> Verdict<Answer> {
        if name.is_inbox() {
            return Err(Refusal::Cannot);
        }
        let Place { row, access } = self.selectable(name, "x").await.map_err(|refusal| match refusal {
            Refusal::NoSelect => Refusal::HasChildren,
            other => other,
        })?;
        self.order(Op::DeleteMailbox { account: access.owner, mailbox: MailboxRef::Id(row.id) }).await?;
        info!(session = %self.caller.session, mailbox = name.as_str(), messages = row.messages, "mailbox removed");
        Ok(Answer::Done)
    }

    pub(super) async fn rename(&self, from: &MailboxName, to: &MailboxName) -> Verdict<Answer> {
        let (source, target) = (self.located(from)?, self.located_for_new(to)?);
        if source.owner != target.owner {
            return Err(Refusal::Policy("a mailbox stays with whose it is; copy the messages".into()));
        }
        let account = source.owner;
        if source.guest.is_some() {
            self.place(from, "x").await?;
            self.inherited(&target).await?;
            if source.name.is_inbox() {
                return Err(Refusal::Cannot);
            }
        }
        let (source, target) = (source.name.as_str().to_owned(), target.name.as_str().to_owned());
        self.order(Op::RenameMailbox { account, source, target }).await?;
        info!(session = %self.caller.session, from = from.as_str(), to = to.as_str(), "mailbox renamed");
        Ok(Answer::Done)
    }

    pub(super) async fn subscribe(&self, name: &MailboxName, subscribed: bool) -> Verdict<Answer> {
        let (account, name) = (self.account()?, name.as_str().to_owned());
        let op = if subscribed { Op::Subscribe { account, name } } else { Op::Unsubscribe { account, name } };
        self.order(op).await?;
        Ok(Answer::Done)
    }

    pub(super) async fn quota(&self, root: &str) -> Verdict<Answer> {
        if root != QUOTA_ROOT {
            return Err(Refusal::NoSuchRoot);
        }
        Ok(Answer::Quotas(vec![self.quota_root().await?]))
    }

    async fn quota_root(&self) -> Verdict<QuotaRoot> {
        let account = self.account()?;
        let directory = self.house.directory();
        let quota = directory.account(account.0).map(|account| account.record.quota).unwrap_or_default();
        let holding = self.read(move |store| store.holding(account)).await?;
        let storage =
            quota.bytes.map(|most| (Resource::Storage, holding.octets.div_ceil(STORAGE_UNIT), most / STORAGE_UNIT));
        let messages = quota.messages.map(|most| (Resource::Message, holding.messages, most));
        let resources = storage.into_iter().chain(messages).collect();
        Ok(QuotaRoot { name: QUOTA_ROOT.into(), resources })
    }

    /// RFC 9208 §4.2.2: none where nothing limits. An empty list of limits would be as right, but Thunderbird 153 takes it for an error, logs
    /// out of empty mailboxes and never hears of the first mail.
    pub(super) async fn quota_roots(&self, mailbox: &MailboxName) -> Verdict<Answer> {
        let place = self.selectable(mailbox, "r").await?;
        // How much others may have is not told.
        if place.access.owner != self.account()? {
            return Ok(Answer::Quotas(Vec::new()));
        }
        let root = self.quota_root().await?;
        Ok(Answer::Quotas(if root.resources.is_empty() { Vec::new() } else { vec![root] }))
    }

    /// Whose annotations are meant, and of which mailbox.
    async fn annotated(&self, mailbox: Option<&MailboxName>, rights: &str) -> Verdict<(AccountId, Option<MailboxRow>)> {
        match mailbox {
            Some(name) => {
                let place = self.selectable(name, rights).await?;
                Ok((place.access.owner, Some(place.row)))
            }
            None => Ok((self.account()?, None)),
        }
    }

    pub(super) async fn metadata(
        &self,
        mailbox: Option<&MailboxName>,
        entries: &[String],
        depth: Depth,
    ) -> Verdict<Answer> {
        let (account, row) = self.annotated(mailbox, "lr").await?;
        let mailbox = row.as_ref().map(|row| row.id);
        let mut all = self.read(move |store| store.metadata(account, mailbox)).await?;
        if let Some(row) = row.filter(|row| !row.special_use.is_empty()) {
            all.push((SPECIAL_USE.into(), row.special_use.join(" ").into_bytes()));
        }
        if account != self.account()? {
            all.retain(|(name, _)| !name.starts_with(PRIVATE));
        }
        let wanted = |name: &str| entries.iter().any(|entry| reaches(entry, name, depth));
        let mut found: Vec<_> =
            all.into_iter().filter(|(name, _)| wanted(name)).map(|(name, value)| (name, Some(value))).collect();
        let missing = entries.iter().filter(|entry| !found.iter().any(|(name, _)| name == *entry));
        let missing: Vec<_> = missing.map(|entry| (entry.clone(), None)).collect();
        found.extend(missing);
        Ok(Answer::Metadata(found))
    }

    pub(super) async fn set_metadata(
        &self,
        mailbox: Option<&MailboxName>,
        entries: Vec<(String, Option<Vec<u8>>)>,
    ) -> Verdict<Answer> {
        // RFC 5464 §4.3: what is shared by all who use the server is for the administrator to say.
        if mailbox.is_none() && entries.iter().any(|(name, _)| !name.starts_with(PRIVATE)) {
            return Err(Refusal::NoPermission);
        }
        if entries.iter().any(|(_, value)| value.as_ref().is_some_and(|value| value.len() > METADATA_VALUE_MAX)) {
            return Err(Refusal::MetadataTooLarge(METADATA_VALUE_MAX as u64));
        }
        if entries.len() > METADATA_ENTRIES_MAX {
            return Err(Refusal::MetadataTooMany);
        }
        let (account, mailbox) = self.annotated(mailbox, "lw").await?;
        // RFC 5464 §3.3: private entries are each one's own, and one's own are kept with one's own mailboxes only.
        if account != self.account()? && entries.iter().any(|(name, _)| name.starts_with(PRIVATE)) {
            return Err(Refusal::MetadataNoPrivate);
        }
        let mailbox = mailbox.map(|row| MailboxRef::Id(row.id));
        let is_use = |name: &str| mailbox.is_some() && name == SPECIAL_USE;
        let (uses, entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(name, _)| is_use(name));
        let mut ops = Vec::new();
        if let (Some(mailbox), Some((_, value))) = (&mailbox, uses.into_iter().next_back()) {
            let special_use = uses_of(&value.unwrap_or_default()).ok_or(Refusal::UseAttr)?;
            ops.push(Op::SetSpecialUse { account, mailbox: mailbox.clone(), special_use });
        }
        if !entries.is_empty() {
            ops.push(Op::SetMetadata { account, mailbox, entries });
        }
        let set = self.commit(Commit::of(ops)).await;
        set.map(|_| Answer::Done).map_err(|refusal| match refusal {
            Refusal::Limit => Refusal::MetadataTooMany,
            other => other,
        })
    }
}

/// What a mailbox is for, as an annotation says it; `None` where a word is no use that can be had.
fn uses_of(value: &[u8]) -> Option<Vec<String>> {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(|word| SpecialUse::parse(word).map(|it| it.name().to_owned())).collect()
}

/// RFC 5464 §4.2.2: an entry, and with a depth those below it.
fn reaches(entry: &str, name: &str, depth: Depth) -> bool {
    let Some(below) = name.strip_prefix(entry) else { return false };
    match (below.strip_prefix('/'), depth) {
        (None, _) => below.is_empty(),
        (Some(_), Depth::Zero) => false,
        (Some(below), Depth::One) => !below.contains('/'),
        (Some(_), Depth::Infinity) => true,
    }
}

/// The figures of a mailbox.
pub(super) fn figures(row: &MailboxRow, deleted_size: u64) -> Status {
    let count = |figure: u64| u32::try_from(figure).unwrap_or(u32::MAX);
    Status {
        messages: count(row.messages),
        unseen: count(row.unseen),
        deleted: count(row.deleted),
        uidnext: row.uidnext,
        uidvalidity: row.uidvalidity,
        highestmodseq: modseq(row.modseq).max(1),
        size: row.octets,
        deleted_size,
        append_limit: None,
        id: convert::mailbox_id(row.id),
    }
}

/// Mailboxes, the levels between them, and names that are only subscribed to.
fn tree(rows: &[MailboxRow], others: Vec<MailboxName>, subscriptions: &[String]) -> Vec<Listed> {
    let mut all = BTreeMap::new();
    for name in rows.iter().filter_map(|row| MailboxName::new(&row.name)).chain(others.iter().cloned()) {
        let mut above = name.parent();
        while let Some(level) = above {
            above = level.parent();
            all.entry(level.as_str().to_owned()).or_insert_with(|| listed(level, None, true));
        }
    }
    for (row, name) in rows.iter().filter_map(|row| Some((row, MailboxName::new(&row.name)?))) {
        all.insert(row.name.clone(), listed(name, Some(row), true));
    }
    for name in others {
        all.insert(name.as_str().to_owned(), Listed { selectable: true, ..listed(name, None, true) });
    }
    for name in subscriptions.iter().filter_map(|name| MailboxName::new(name)) {
        all.entry(name.as_str().to_owned()).or_insert_with(|| listed(name, None, false)).subscribed = true;
    }
    all.into_values().collect()
}

fn listed(name: MailboxName, row: Option<&MailboxRow>, exists: bool) -> Listed {
    Listed {
        name,
        selectable: row.is_some(),
        exists,
        subscribed: row.is_some_and(|row| row.subscribed),
        uses: row.map(|row| uses(&row.special_use)).unwrap_or_default(),
        marked: None,
        no_inferiors: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_below_are_reached_by_depth() {
        let cases = [
            ("/private/a", "/private/a", Depth::Zero, true),
            ("/private/a", "/private/a/b", Depth::Zero, false),
            ("/private/a", "/private/a/b", Depth::One, true),
            ("/private/a", "/private/a/b/c", Depth::One, false),
            ("/private/a", "/private/a/b/c", Depth::Infinity, true),
            ("/private/a", "/private/ab", Depth::Infinity, false),
        ];
        for (entry, name, depth, reached) in cases {
            assert_eq!(reaches(entry, name, depth), reached, "{entry} {name} {depth:?}");
        }
    }
}
