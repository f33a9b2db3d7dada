//! Others' mailboxes: what they are called, who may do what with them, and who says so.
//!
//! RFC 4314 (rights); RFC 2342 §5 (names of others' mailboxes).
//!
//! `Other Users/joe@example.org/Work` is Work of Joe. He has all rights in what is his, always; what he grants is kept under the
//! number of an account, under `anyone`, or under a domain (`@example.org`: all who have their accounts there). What is
//! granted to several that one is, one has altogether; what stands under the same name with `-` before it is taken from that.
//!
//! Invariants: who has no right in a mailbox cannot tell it from one that is not there; a right that is taken back is gone with
//! the next command, also in a session that has the mailbox selected; flags are the same for all who see them.
//! Not here: which commands there are (imap), who is who (directory).

use super::{Desk, Verdict};
use directory::{Account, Directory};
use imap::flag::{SystemFlag, SystemFlags};
use imap::name::MailboxName;
use imap::server::Answer;
use imap::server::ask::{Permanent, Refusal, RightsChange};
use store::{AccountId, FlagMask, Flags, MailboxId, MailboxRef, MailboxRow, Op, ReadError, SharedMailbox, Store};
use tracing::info;

/// The level below which others' mailboxes are shown. Nothing of one's own is called so, or below it.
pub const OTHERS_LEVEL: &str = "Other Users";

/// Before the names of others' mailboxes: then comes whose, then what he calls it.
pub(super) const OTHERS: &str = "Other Users/";

/// Everybody who has an account.
const ANYONE: &str = "anyone";

/// All rights that there are, in the order of RFC 4314 §2.1. None is tied to another.
const LETTERS: &str = "lrswipkxtea";

/// Some of the rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rights(u16);

impl Rights {
    pub(super) const NONE: Rights = Rights(0);
    pub(super) const ALL: Rights = Rights((1 << LETTERS.len()) - 1);

    /// Those that these letters stand for.
    pub(super) fn of(letters: &str) -> Rights {
        Rights(letters.chars().filter_map(|letter| LETTERS.find(letter)).fold(0, |all, at| all | 1 << at))
    }

    pub(super) fn letters(self) -> String {
        LETTERS.char_indices().filter(|(at, _)| self.0 & 1 << at != 0).map(|(_, letter)| letter).collect()
    }

    /// Whether all of these are among them.
    pub(super) fn has(self, letters: &str) -> bool {
        Rights::of(letters).without(self) == Rights::NONE
    }

    /// Whether one of these is among them.
    pub(super) fn has_any(self, letters: &str) -> bool {
        self.0 & Rights::of(letters).0 != 0
    }

    pub(super) fn with(self, others: Rights) -> Rights {
        Rights(self.0 | others.0)
    }

    pub(super) fn without(self, others: Rights) -> Rights {
        Rights(self.0 & !others.0)
    }

    /// RFC 4314 §4: `s` is for \Seen, `t` for \Deleted, `w` for all others.
    pub(super) fn flags(self) -> FlagMask {
        let others = Flags::ALL & !Flags::SEEN & !Flags::DELETED;
        let granted = [("s", Flags::SEEN), ("t", Flags::DELETED), ("w", others)];
        let system = granted.into_iter().filter(|(right, _)| self.has(right)).fold(0, |all, (_, flags)| all | flags);
        FlagMask { system, keywords: self.has("w") }
    }

    /// What of it a client is told.
    pub(super) fn permanent(self) -> Permanent {
        let mask = self.flags();
        if mask == FlagMask::ALL {
            return Permanent::Everything;
        }
        let may = |flag: &SystemFlag| mask.system & super::convert::bit(*flag) != 0;
        let system = SystemFlag::ALL.into_iter().filter(may).fold(SystemFlags::NONE, SystemFlags::with);
        Permanent::Only { system, keywords: mask.keywords }
    }
}

/// Whose a mailbox is, and what the session may do in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) owner: AccountId,
    pub(super) rights: Rights,
}

/// A mailbox that is there, and that the session may know of.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) row: MailboxRow,
    pub(super) access: Access,
}

/// Whose mailbox a name means, and what he calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) owner: AccountId,
    pub(super) name: MailboxName,
    /// Who asks, where it is another's.
    pub(super) guest: Option<Guest>,
}

impl Located {
    /// The rights in a mailbox of this owner.
    fn rights(&self, store: &Store, mailbox: MailboxId) -> Result<Rights, ReadError> {
        match &self.guest {
            None => Ok(Rights::ALL),
            Some(guest) => Ok(guest.rights(&store.rights(mailbox)?)),
        }
    }
}

/// By what names rights may be granted to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guest {
    account: AccountId,
    names: [String; 3],
}

impl Guest {
    fn new(account: &Account) -> Guest {
        let names = [kept_account(account), ANYONE.to_owned(), format!("@{}", account.domain())];
        Guest { account: AccountId(account.id), names }
    }

    /// What he may do, by what is granted.
    fn rights(&self, granted: &[(String, String)]) -> Rights {
        let is_me = |who: &str| self.names.iter().any(|name| name == who);
        let (mut given, mut taken) = (Rights::NONE, Rights::NONE);
        for (who, letters) in granted {
            match who.strip_prefix('-') {
                Some(who) if is_me(who) => taken = taken.with(Rights::of(letters)),
                None if is_me(who) => given = given.with(Rights::of(letters)),
                _ => {}
            }
        }
        given.without(taken)
    }

    /// The mailboxes of others that LIST may show.
    fn shown(&self, store: &Store) -> Result<Vec<SharedMailbox>, ReadError> {
        let mut candidates = Vec::new();
        for name in &self.names {
            candidates.extend(store.shared_with(name)?);
        }
        candidates.retain(|mailbox| mailbox.account != self.account);
        candidates.sort_unstable_by_key(|mailbox| mailbox.mailbox);
        candidates.dedup_by_key(|mailbox| mailbox.mailbox);
        let mut shown = Vec::new();
        for mailbox in candidates {
            if self.rights(&store.rights(mailbox.mailbox)?).has("l") {
                shown.push(mailbox);
            }
        }
        Ok(shown)
    }
}

/// An account's number, as rights are kept: whoever gets a name that was somebody's before has none of that one's rights.
fn kept_account(account: &Account) -> String {
    format!("#{}", account.id)
}

/// Whom an identifier of a client means, as it is kept; `None` if nobody.
fn kept_identifier(directory: &Directory, identifier: &str) -> Option<String> {
    if let Some(who) = identifier.strip_prefix('-') {
        return Some(format!("-{}", kept_identifier(directory, who).filter(|who| !who.starts_with('-'))?));
    }
    if identifier == ANYONE {
        return Some(ANYONE.to_owned());
    }
    if let Some(domain) = identifier.strip_prefix('@') {
        let domain = domain.to_ascii_lowercase();
        return directory.domain(&domain).map(|_| format!("@{domain}"));
    }
    directory.account_for_login(&sasl::prepared(identifier)?).map(kept_account)
}

/// The identifier that a client is shown; `None` if the account is gone.
fn shown_identifier(directory: &Directory, kept: &str) -> Option<String> {
    if let Some(who) = kept.strip_prefix('-') {
        return Some(format!("-{}", shown_identifier(directory, who)?));
    }
    match kept.strip_prefix('#') {
        Some(number) => directory.account(number.parse().ok()?).map(|account| account.name.to_string()),
        None => Some(kept.to_owned()),
    }
}

impl Desk {
    fn me(&self) -> Verdict<Guest> {
        self.guest(self.account()?)
    }

    fn guest(&self, account: AccountId) -> Verdict<Guest> {
        self.house.directory().account(account.0).map(Guest::new).ok_or(Refusal::NoPermission)
    }

    /// Whose mailbox a name means. Whether there is one is not said.
    pub(super) fn located(&self, name: &MailboxName) -> Verdict<Located> {
        self.located_for(self.account()?, name)
    }

    /// Where a mailbox of this name would be, if it were made: what is one's own is not shown among others'.
    pub(super) fn located_for_new(&self, name: &MailboxName) -> Verdict<Located> {
        let located = self.located(name).map_err(|_| Refusal::NoPermission)?;
        if located.guest.is_none() && name.as_str() == OTHERS_LEVEL { Err(Refusal::NoPermission) } else { Ok(located) }
    }

    fn located_for(&self, account: AccountId, name: &MailboxName) -> Verdict<Located> {
        let Some(rest) = name.as_str().strip_prefix(OTHERS) else {
            return Ok(Located { owner: account, name: name.clone(), guest: None });
        };
        let (owner, name) = rest.split_once(imap::name::SEPARATOR).ok_or(Refusal::NoSuchMailbox)?;
        let name = MailboxName::new(name).ok_or(Refusal::NoSuchMailbox)?;
        let directory = self.house.directory();
        let owner = directory.account_named(owner).ok_or(Refusal::NoSuchMailbox)?;
        let guest = self.guest(account)?;
        match AccountId(owner.id) {
            // What is one's own has one name.
            owner if owner == guest.account => Err(Refusal::NoSuchMailbox),
            owner => Ok(Located { owner, name, guest: Some(guest) }),
        }
    }

    /// The mailbox of a name, if it is there and the session has some right in it.
    pub(super) async fn found(&self, name: &MailboxName) -> Verdict<Option<Place>> {
        self.found_for(self.account()?, name).await
    }

    async fn found_for(&self, account: AccountId, name: &MailboxName) -> Verdict<Option<Place>> {
        let located = self.located_for(account, name)?;
        let place = self
            .read(move |store| {
                let Some(row) = store.mailbox_named(located.owner, located.name.as_str())? else { return Ok(None) };
                let rights = located.rights(store, row.id)?;
                Ok(Some(Place { row, access: Access { owner: located.owner, rights } }))
            })
            .await?;
        Ok(place.filter(|place| place.access.rights.has_any("lrikxa")))
    }

    /// The mailbox of a name, for whoever has all of these rights in it.
    pub(super) async fn place(&self, name: &MailboxName, rights: &str) -> Verdict<Place> {
        self.place_for(self.account()?, name, rights).await
    }

    /// The same in the eyes of another account.
    pub(super) async fn place_for(&self, account: AccountId, name: &MailboxName, rights: &str) -> Verdict<Place> {
        let place = self.found_for(account, name).await?.ok_or(Refusal::NoSuchMailbox)?;
        // RFC 4314 §6: who may not see it in lists is told nothing of it.
        match place.access.rights {
            granted if granted.has(rights) => Ok(place),
            granted if granted.has("l") => Err(Refusal::NoPermission),
            _ => Err(Refusal::NoSuchMailbox),
        }
    }

    /// Mailboxes of others that may be listed, and their names here.
    pub(super) async fn others(&self) -> Verdict<Vec<(MailboxId, MailboxName)>> {
        let guest = self.me()?;
        let shown = self.read(move |store| guest.shown(store)).await?;
        let directory = self.house.directory();
        let named = |shared: &SharedMailbox| {
            let owner = directory.account(shared.account.0)?;
            // An account with a slash in its name could not be told from a level.
            let plain = !owner.name.contains(imap::name::SEPARATOR);
            let name = MailboxName::new(&format!("{OTHERS}{}/{}", owner.name, shared.name)).filter(|_| plain)?;
            Some((shared.mailbox, name))
        };
        Ok(shown.iter().filter_map(named).collect())
    }

    /// What is granted in the nearest mailbox above that is there: a new one begins with the same (RFC 4314 §4). Another's can
    /// only be made where that one permits it.
    pub(super) async fn inherited(&self, located: &Located) -> Verdict<Vec<Op>> {
        let (wanted, at) = (located.name.clone(), located.clone());
        let (missing, granted) = self
            .read(move |store| {
                let (mut missing, mut level) = (vec![wanted.clone()], wanted.parent());
                while let Some(name) = level {
                    if let Some(row) = store.mailbox_named(at.owner, name.as_str())? {
                        return Ok((missing, Some((store.rights(row.id)?, at.rights(store, row.id)?))));
                    }
                    level = name.parent();
                    missing.push(name);
                }
                Ok((missing, None))
            })
            .await?;
        let Some((granted, rights)) = granted else {
            return if located.guest.is_none() { Ok(Vec::new()) } else { Err(Refusal::NoPermission) };
        };
        if !rights.has("k") {
            return Err(Refusal::NoPermission);
        }
        let entries = missing.iter().flat_map(|name| granted.iter().map(move |(who, letters)| (name, who, letters)));
        let op = |(name, who, letters): (&MailboxName, &String, &String)| Op::SetRights {
            account: located.owner,
            mailbox: MailboxRef::Named(name.as_str().to_owned()),
            who: who.clone(),
            rights: letters.clone(),
        };
        Ok(entries.map(op).collect())
    }

    /// Looks again at what may be done in the selected mailbox, if it is another's.
    pub(super) async fn look_again(&mut self) -> Verdict<()> {
        let Some(selected) = self.selected.as_deref() else { return Ok(()) };
        let (mailbox, owner) = (selected.mailbox, selected.access.owner);
        if owner == self.account()? {
            return Ok(());
        }
        let guest = self.me()?;
        let rights = self.read(move |store| Ok(guest.rights(&store.rights(mailbox)?))).await?;
        self.selected()?.access.rights = rights;
        Ok(())
    }

    /// The mailbox, for who may grant and take rights in it.
    async fn administered(&self, mailbox: &MailboxName) -> Verdict<Place> {
        self.place(mailbox, "a").await
    }

    pub(super) async fn acl(&self, mailbox: &MailboxName) -> Verdict<Answer> {
        let place = self.administered(mailbox).await?;
        let granted = self.read(move |store| store.rights(place.row.id)).await?;
        let directory = self.house.directory();
        let owner =
            directory.account(place.access.owner.0).map(|owner| (owner.name.to_string(), Rights::ALL.letters()));
        let others =
            granted.into_iter().filter_map(|(who, letters)| Some((shown_identifier(&directory, &who)?, letters)));
        Ok(Answer::Acl(owner.into_iter().chain(others).collect()))
    }

    pub(super) async fn set_acl(
        &self,
        mailbox: &MailboxName,
        identifier: &str,
        change: RightsChange,
    ) -> Verdict<Answer> {
        let place = self.administered(mailbox).await?;
        let directory = self.house.directory();
        let Some(who) = kept_identifier(&directory, identifier) else {
            let words = "nobody is called so: an account, @domain of accounts, or anyone";
            return Err(Refusal::Policy(words.into()));
        };
        if who.trim_start_matches('-') == format!("#{}", place.access.owner.0) {
            return Err(Refusal::Policy("whose mailbox it is has all rights always".into()));
        }
        let granted = self.read(move |store| store.rights(place.row.id)).await?;
        let before =
            granted.iter().find(|(one, _)| *one == who).map_or(Rights::NONE, |(_, letters)| Rights::of(letters));
        let after = match change {
            RightsChange::Replace(letters) => Rights::of(&letters),
            RightsChange::Add(letters) => before.with(Rights::of(&letters)),
            RightsChange::Remove(letters) => before.without(Rights::of(&letters)),
            RightsChange::Delete => Rights::NONE,
        };
        let (rights, account) = (after.letters(), place.access.owner);
        info!(session = %self.caller.session, mailbox = mailbox.as_str(), who = identifier, rights, "rights set");
        self.order(Op::SetRights { account, mailbox: MailboxRef::Id(place.row.id), who, rights }).await?;
        Ok(Answer::Done)
    }

    pub(super) async fn grantable_rights(&self, mailbox: &MailboxName, identifier: &str) -> Verdict<Answer> {
        let place = self.administered(mailbox).await?;
        let who = kept_identifier(&self.house.directory(), identifier);
        if who == Some(format!("#{}", place.access.owner.0)) {
            return Ok(Answer::GrantableRights { always: Rights::ALL.letters(), others: Vec::new() });
        }
        // RFC 4314 §2.1.1: c and d of RFC 2086 stand by themselves where nothing is tied.
        let others = LETTERS.chars().chain("cd".chars()).map(String::from).collect();
        Ok(Answer::GrantableRights { always: String::new(), others })
    }

    pub(super) async fn my_rights(&self, mailbox: &MailboxName) -> Verdict<Answer> {
        let place = self.found(mailbox).await?.ok_or(Refusal::NoSuchMailbox)?;
        Ok(Answer::MyRights(place.access.rights.letters()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> Guest {
        Guest { account: AccountId(7), names: ["#7", "anyone", "@crepes.test"].map(String::from) }
    }

    fn rights(granted: &[(&str, &str)]) -> String {
        let granted: Vec<_> = granted.iter().map(|(who, letters)| ((*who).into(), (*letters).into())).collect();
        guest().rights(&granted).letters()
    }

    #[test]
    fn what_several_names_are_granted_adds_up_and_what_is_taken_is_gone() {
        assert_eq!(rights(&[]), "");
        assert_eq!(rights(&[("#77", "lr"), ("@other.test", "lr"), ("7", "lr")]), "");
        assert_eq!(rights(&[("#7", "lr"), ("anyone", "lsp"), ("@crepes.test", "i")]), "lrsip");
        assert_eq!(rights(&[("#7", "lrs"), ("-#7", "s")]), "lr");
        assert_eq!(rights(&[("anyone", "lr"), ("-@crepes.test", "lr"), ("-#8", "lr")]), "");
    }

    #[test]
    fn letters_come_in_the_order_of_the_rfc() {
        assert_eq!(Rights::ALL.letters(), LETTERS);
        assert_eq!(Rights::of("ael").letters(), "lea");
        assert!(Rights::of("lr").has("l") && !Rights::of("lr").has("ls") && Rights::of("lr").has_any("sl"));
        assert!(!Rights::NONE.has("l") && !Rights::NONE.has_any(LETTERS));
    }

    #[test]
    fn flags_follow_rights() {
        assert_eq!(Rights::ALL.flags(), FlagMask::ALL);
        assert_eq!(Rights::of("s").flags(), FlagMask { system: Flags::SEEN, keywords: false });
        let permanent = Permanent::Only {
            system: SystemFlags::NONE.with(SystemFlag::Answered).with(SystemFlag::Flagged).with(SystemFlag::Draft),
            keywords: true,
        };
        assert_eq!(Rights::of("lrw").permanent(), permanent);
    }
}
