//! Making, removing and renaming mailboxes; subscriptions, annotations and rights.
//!
//! RFC 9051 §2.3.1.1 (UIDVALIDITY), §5.1 (names), §6.3.4–6.3.8 (CREATE, DELETE, RENAME, SUBSCRIBE); RFC 6154 §2–3 (special use);
//! RFC 5464 (METADATA); RFC 4314 (rights).
//!
//! Invariants: a row is a mailbox that can be selected; a name of which only mailboxes below exist has none. INBOX is always
//! there. No two mailboxes of an account have the same use. Every change counts the account's modseq.
//! Not here: who may do what (desks).

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::accounts::words_for;
use super::{Done, Index, Trouble};
use crate::error::CommitError;
use crate::feed::{Change, MailboxChange};
use crate::names::{AccountId, MailboxId, MailboxName};
use crate::op::{MAILBOXES_MAX, METADATA_ENTRIES_MAX, MailboxRef, Outcome, RIGHTS_MAX, SUBSCRIPTIONS_MAX};
use crate::states::MAILBOX_NUMBER_MAX;

impl Index {
    pub(super) fn create_mailbox(
        &mut self,
        account: AccountId,
        name: &str,
        special_use: &[String],
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        self.account(account)?;
        let name = named(name)?;
        if self.mailbox_named(account, name.as_str())?.is_some() {
            return Err(CommitError::MailboxExists(name.to_string()).into());
        }
        self.require_free(account, special_use, None)?;
        self.require_room(account, &name)?;
        let mut what = Vec::new();
        self.make_above(account, &name, &mut what)?;
        let modseq = self.count_change(account)?;
        let mailbox = self.insert_mailbox(account, name.as_str(), uses_to_sql(special_use).as_deref(), modseq)?;
        what.push(MailboxChange::Created { mailbox, name: name.to_string() });
        tell(account, what, done);
        Ok(Outcome::Mailbox(mailbox))
    }

    /// A new mailbox's row.
    pub(super) fn insert_mailbox(
        &mut self,
        account: AccountId,
        name: &str,
        special_use: Option<&str>,
        modseq: i64,
    ) -> Result<MailboxId, Trouble> {
        let now = self.shared.now();
        let mailbox = MailboxId(self.ledger.mailbox.take());
        if mailbox.0 > MAILBOX_NUMBER_MAX {
            return Err(CommitError::TooMany("mailboxes that ever were").into());
        }
        // RFC 9051 §2.3.1.1: larger for every later mailbox of the same name; a clock that went back must not hurt.
        let uidvalidity = self.ledger.uidvalidity.take_from(now.clamp(1, i64::from(u32::MAX / 2)));
        self.conn
            .prepare_cached(
                "INSERT INTO mailboxes (id, account, name, special_use, uidvalidity, created_at, uidnext, modseq, \
                 messages, unseen, octets, deleted, made, changed) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, 0, 0, 0, 0, ?7, ?7)",
            )?
            .execute(params![mailbox.0, account.0, name, special_use, uidvalidity, now, modseq])?;
        Ok(mailbox)
    }

    pub(super) fn delete_mailbox(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let (mailbox, box_totals) = self.mailbox(account, mailbox)?;
        if self.inbox(account)? == Some(mailbox) {
            return Err(CommitError::Forbidden("INBOX cannot be removed").into());
        }
        let name = self.name_of(mailbox)?;
        for (body, count) in self.bodies_in(mailbox)? {
            self.release_body(body, count, done)?;
        }
        self.delete_rows_of(mailbox)?;
        let mut totals = self.account(account)?;
        totals.modseq += 1;
        totals.messages -= box_totals.messages;
        totals.octets -= box_totals.octets;
        self.ledger.accounts.set(account, totals);
        self.conn
            .prepare_cached("INSERT INTO removed_mailboxes (account, mailbox, modseq) VALUES (?1, ?2, ?3)")?
            .execute(params![account.0, mailbox.0, totals.modseq])?;
        done.removed.push(mailbox);
        tell(account, vec![MailboxChange::Deleted { mailbox, name }], done);
        Ok(Outcome::Done)
    }

    /// Removes a mailbox and everything that hangs on it but bodies.
    pub(super) fn delete_rows_of(&mut self, mailbox: MailboxId) -> Result<(), Trouble> {
        self.remove_all_states(mailbox)?;
        for sql in [
            "DELETE FROM messages WHERE mailbox = ?1",
            "DELETE FROM expunged WHERE mailbox = ?1",
            "DELETE FROM annotations WHERE account = (SELECT account FROM mailboxes WHERE id = ?1) AND mailbox = ?1",
            "DELETE FROM rights WHERE mailbox = ?1",
            "DELETE FROM mailboxes WHERE id = ?1",
        ] {
            self.conn.prepare_cached(sql)?.execute(params![mailbox.0])?;
        }
        self.ledger.mailboxes.remove(mailbox);
        Ok(())
    }

    pub(super) fn rename_mailbox(
        &mut self,
        account: AccountId,
        source: &str,
        target: &str,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        self.account(account)?;
        let (source, target) = (named(source)?, named(target)?);
        if target.is_inbox() || self.mailbox_named(account, target.as_str())?.is_some() {
            return Err(CommitError::MailboxExists(target.to_string()).into());
        }
        if source.is_inbox() {
            return self.empty_inbox_into(account, &target, done);
        }
        if target.above().any(|above| above == source.as_str()) {
            return Err(CommitError::Forbidden("a mailbox cannot be put below itself").into());
        }
        let tree = self.tree(account, source.as_str())?;
        if tree.is_empty() {
            return Err(CommitError::NoSuchMailbox(source.to_string()).into());
        }
        let renamed = |name: &str| MailboxName::parse(&format!("{target}{}", &name[source.as_str().len()..]));
        let mut what = Vec::new();
        let mut targets = Vec::with_capacity(tree.len());
        for (mailbox, name) in tree {
            let target = renamed(&name).map_err(CommitError::Malformed)?;
            if self.mailbox_named(account, target.as_str())?.is_some() {
                return Err(CommitError::MailboxExists(target.to_string()).into());
            }
            targets.push((mailbox, name, target.to_string()));
        }
        self.require_room(account, &target)?;
        self.make_above(account, &target, &mut what)?;
        let modseq = self.count_change(account)?;
        let head = targets.iter().find(|(_, name, _)| *name == source.as_str()).unwrap_or(&targets[0]).0;
        for (mailbox, source, target) in targets {
            self.conn
                .prepare_cached("UPDATE mailboxes SET name = ?2, changed = ?3 WHERE id = ?1")?
                .execute(params![mailbox.0, target, modseq])?;
            what.push(MailboxChange::Renamed { mailbox, source, target });
        }
        tell(account, what, done);
        Ok(Outcome::Mailbox(head))
    }

    /// RFC 9051 §6.3.6: renaming INBOX moves its messages to a new mailbox; mailboxes below it stay.
    fn empty_inbox_into(
        &mut self,
        account: AccountId,
        target: &MailboxName,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let (inbox, _) = self.mailbox(account, &MailboxRef::Inbox)?;
        let Outcome::Mailbox(mailbox) = self.create_mailbox(account, target.as_str(), &[], done)? else {
            return Ok(Outcome::Done);
        };
        let rows = self.take_all(inbox)?;
        self.put_all(account, mailbox, &rows, Some(inbox), done)?;
        Ok(Outcome::Mailbox(mailbox))
    }

    pub(super) fn set_special_use(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
        special_use: &[String],
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let (mailbox, _) = self.mailbox(account, mailbox)?;
        self.require_free(account, special_use, Some(mailbox))?;
        let modseq = self.count_change(account)?;
        self.conn
            .prepare_cached("UPDATE mailboxes SET special_use = ?2, changed = ?3 WHERE id = ?1")?
            .execute(params![mailbox.0, uses_to_sql(special_use), modseq])?;
        let name = self.name_of(mailbox)?;
        tell(account, vec![MailboxChange::Used { mailbox, name }], done);
        Ok(Outcome::Done)
    }

    pub(super) fn subscribe(&mut self, account: AccountId, name: &str, done: &mut Done) -> Result<Outcome, Trouble> {
        self.account(account)?;
        let name = named(name)?;
        self.require_fewer(
            "SELECT count(*) FROM subscriptions WHERE account = ?1",
            account.0,
            SUBSCRIPTIONS_MAX,
            "subscriptions",
        )?;
        let is_new = self
            .conn
            .prepare_cached("INSERT OR IGNORE INTO subscriptions (account, name) VALUES (?1, ?2)")?
            .execute(params![account.0, name.as_str()])?;
        if is_new > 0 {
            self.note_subscription(account, name.as_str())?;
            tell(account, vec![MailboxChange::Subscribed(name.to_string())], done);
        }
        Ok(Outcome::Done)
    }

    pub(super) fn unsubscribe(&mut self, account: AccountId, name: &str, done: &mut Done) -> Result<Outcome, Trouble> {
        self.account(account)?;
        // What may not be called so any more may still be forgotten.
        let name = MailboxName::parse(name).map_or_else(|_| name.to_owned(), |name| name.to_string());
        let was_there = self
            .conn
            .prepare_cached("DELETE FROM subscriptions WHERE account = ?1 AND name = ?2")?
            .execute(params![account.0, name])?;
        if was_there > 0 {
            self.note_subscription(account, &name)?;
            tell(account, vec![MailboxChange::Unsubscribed(name)], done);
        }
        Ok(Outcome::Done)
    }

    /// Whether a mailbox is subscribed is a property of it to who asks for changes.
    fn note_subscription(&mut self, account: AccountId, name: &str) -> Result<(), Trouble> {
        let modseq = self.count_change(account)?;
        self.conn
            .prepare_cached("UPDATE mailboxes SET changed = ?3 WHERE account = ?1 AND name = ?2")?
            .execute(params![account.0, name, modseq])?;
        Ok(())
    }

    pub(super) fn set_metadata(
        &mut self,
        account: AccountId,
        mailbox: Option<&MailboxRef>,
        entries: &[(String, Option<Vec<u8>>)],
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        self.account(account)?;
        let mailbox = match mailbox {
            Some(mailbox) => Some(self.mailbox(account, mailbox)?.0),
            None => None,
        };
        let key = mailbox.map_or(0, |mailbox| mailbox.0);
        let there: i64 = self
            .conn
            .prepare_cached("SELECT count(*) FROM annotations WHERE account = ?1 AND mailbox = ?2")?
            .query_row(params![account.0, key], |row| row.get(0))?;
        let added = entries.iter().filter(|(_, value)| value.is_some()).count();
        if there.unsigned_abs() as usize + added > METADATA_ENTRIES_MAX {
            return Err(CommitError::TooMany("annotations").into());
        }
        for (entry, value) in entries {
            match value {
                Some(value) => self
                    .conn
                    .prepare_cached(
                        "INSERT INTO annotations (account, mailbox, entry, value) VALUES (?1, ?2, ?3, ?4) \
                         ON CONFLICT (account, mailbox, entry) DO UPDATE SET value = excluded.value",
                    )?
                    .execute(params![account.0, key, entry, value])?,
                None => self
                    .conn
                    .prepare_cached("DELETE FROM annotations WHERE account = ?1 AND mailbox = ?2 AND entry = ?3")?
                    .execute(params![account.0, key, entry])?,
            };
        }
        let modseq = self.count_change(account)?;
        if let Some(mailbox) = mailbox {
            self.conn
                .prepare_cached("UPDATE mailboxes SET changed = ?2 WHERE id = ?1")?
                .execute(params![mailbox.0, modseq])?;
        }
        let entries = entries.iter().map(|(name, _)| name.clone()).collect();
        tell(account, vec![MailboxChange::Annotated { mailbox, entries }], done);
        Ok(Outcome::Done)
    }

    pub(super) fn set_rights(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
        who: &str,
        rights: &str,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        let (mailbox, _) = self.mailbox(account, mailbox)?;
        let max = if rights.is_empty() { usize::MAX } else { RIGHTS_MAX };
        self.require_fewer(
            "SELECT count(*) FROM rights WHERE mailbox = ?1",
            mailbox.0,
            max,
            "people who share the mailbox",
        )?;
        match rights.is_empty() {
            true => self
                .conn
                .prepare_cached("DELETE FROM rights WHERE mailbox = ?1 AND who = ?2")?
                .execute(params![mailbox.0, who])?,
            false => self
                .conn
                .prepare_cached(
                    "INSERT INTO rights (mailbox, who, rights) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (mailbox, who) DO UPDATE SET rights = excluded.rights",
                )?
                .execute(params![mailbox.0, who, rights])?,
        };
        let modseq = self.count_change(account)?;
        self.conn
            .prepare_cached("UPDATE mailboxes SET changed = ?2 WHERE id = ?1")?
            .execute(params![mailbox.0, modseq])?;
        tell(account, vec![MailboxChange::Shared { mailbox, who: who.into() }], done);
        Ok(Outcome::Done)
    }

    /// Makes the mailboxes above a name that are missing.
    fn make_above(
        &mut self,
        account: AccountId,
        name: &MailboxName,
        what: &mut Vec<MailboxChange>,
    ) -> Result<(), Trouble> {
        for above in name.above() {
            if self.mailbox_named(account, above)?.is_none() {
                let modseq = self.count_change(account)?;
                let mailbox = self.insert_mailbox(account, above, None, modseq)?;
                what.push(MailboxChange::Created { mailbox, name: above.into() });
            }
        }
        Ok(())
    }

    /// A mailbox and those below it, by name.
    fn tree(&self, account: AccountId, name: &str) -> Result<Vec<(MailboxId, String)>, Trouble> {
        // What begins with `name/` lies between that and `name0`, the character behind the slash.
        let mut select = self.conn.prepare_cached(
            "SELECT id, name FROM mailboxes WHERE account = ?1 AND (name = ?2 OR (name > ?2 || '/' AND name < ?2 || '0')) \
             ORDER BY name",
        )?;
        let rows = select.query_map(params![account.0, name], |row| Ok((MailboxId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn name_of(&self, mailbox: MailboxId) -> Result<String, Trouble> {
        let mut select = self.conn.prepare_cached("SELECT name FROM mailboxes WHERE id = ?1")?;
        let name = select.query_row(params![mailbox.0], |row| row.get(0)).optional()?;
        name.ok_or_else(|| CommitError::NoSuchMailbox(words_for(&MailboxRef::Id(mailbox))).into())
    }

    /// Refuses uses that another mailbox has.
    fn require_free(&self, account: AccountId, uses: &[String], but: Option<MailboxId>) -> Result<(), Trouble> {
        if uses.is_empty() {
            return Ok(());
        }
        let mut select = self.conn.prepare_cached(
            "SELECT id, name, special_use FROM mailboxes WHERE account = ?1 AND special_use IS NOT NULL",
        )?;
        let mut rows = select.query(params![account.0])?;
        while let Some(row) = rows.next()? {
            let (id, taken): (_, String) = (MailboxId(row.get(0)?), row.get(2)?);
            let is_taken = taken.split(' ').any(|taken| uses.iter().any(|wanted| wanted.eq_ignore_ascii_case(taken)));
            if is_taken && Some(id) != but {
                return Err(CommitError::UseTaken(row.get(1)?).into());
            }
        }
        Ok(())
    }

    /// Refuses a mailbox that would be one too many, with those above it.
    fn require_room(&self, account: AccountId, name: &MailboxName) -> Result<(), Trouble> {
        let max = MAILBOXES_MAX.saturating_sub(name.above().count());
        self.require_fewer("SELECT count(*) FROM mailboxes WHERE account = ?1", account.0, max, "mailboxes")
    }

    fn require_fewer(&self, sql: &str, key: i64, max: usize, of_what: &'static str) -> Result<(), Trouble> {
        let there: i64 = self.conn.prepare_cached(sql)?.query_row(params![key], |row| row.get(0))?;
        if there.unsigned_abs() as usize >= max {
            return Err(CommitError::TooMany(of_what).into());
        }
        Ok(())
    }

    /// The next modseq of an account, for a change that is none of messages.
    fn count_change(&mut self, account: AccountId) -> Result<i64, Trouble> {
        let mut totals = self.account(account)?;
        totals.modseq += 1;
        self.ledger.accounts.set(account, totals);
        Ok(totals.modseq)
    }
}

fn named(name: &str) -> Result<MailboxName, Trouble> {
    MailboxName::parse(name).map_err(|_| CommitError::NoSuchMailbox(name.into()).into())
}

fn uses_to_sql(uses: &[String]) -> Option<String> {
    (!uses.is_empty()).then(|| uses.join(" "))
}

/// One change for what a commit's order did to mailboxes.
fn tell(account: AccountId, what: Vec<MailboxChange>, done: &mut Done) {
    done.changes.push(Change::Mailboxes { account, what: Arc::from(what) });
}
