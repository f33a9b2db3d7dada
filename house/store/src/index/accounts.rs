//! Accounts, their mailboxes, and the directory's entries.
//!
//! RFC 6154 §2 (special use).
//!
//! Not here: what a record or an entry means (directory), further mailboxes (mailboxes).

use rusqlite::{OptionalExtension, params};

use super::ledger::{AccountTotals, MailboxTotals};
use super::{Done, Index, Trouble};
use crate::error::CommitError;
use crate::feed::Change;
use crate::names::{AccountId, BodyId, MailboxId, MailboxName};
use crate::op::{MailboxRef, Outcome};

/// What INBOX is called, in the only case it is kept in.
pub(crate) const INBOX: &str = "INBOX";

/// The mailboxes of a new account, and what they are for.
const FIRST_MAILBOXES: &[(&str, Option<&str>)] = &[
    (INBOX, None),
    ("Drafts", Some("\\Drafts")),
    ("Sent", Some("\\Sent")),
    ("Junk", Some("\\Junk")),
    ("Trash", Some("\\Trash")),
    ("Archive", Some("\\Archive")),
];

impl Index {
    pub(super) fn create_account(&mut self, name: &str, record: &str, done: &mut Done) -> Result<Outcome, Trouble> {
        if self.account_named(name)?.is_some() {
            return Err(CommitError::NameTaken(name.into()).into());
        }
        let now = self.shared.now();
        let account = AccountId(self.ledger.account.take());
        self.conn
            .prepare_cached("INSERT INTO accounts (id, name, record, created_at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![account.0, name, record, now])?;
        self.conn
            .prepare_cached("INSERT INTO totals (account, modseq, messages, octets) VALUES (?1, 1, 0, 0)")?
            .execute(params![account.0])?;
        for (name, special_use) in FIRST_MAILBOXES {
            self.insert_mailbox(account, name, *special_use, 1)?;
            self.conn
                .prepare_cached("INSERT INTO subscriptions (account, name) VALUES (?1, ?2)")?
                .execute(params![account.0, name])?;
        }
        done.changes.push(Change::DirectoryChanged);
        Ok(Outcome::Account(account))
    }

    pub(super) fn update_account(
        &mut self,
        account: AccountId,
        name: &str,
        record: &str,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        self.account(account)?;
        if self.account_named(name)?.is_some_and(|other| other != account) {
            return Err(CommitError::NameTaken(name.into()).into());
        }
        self.conn
            .prepare_cached("UPDATE accounts SET name = ?2, record = ?3 WHERE id = ?1")?
            .execute(params![account.0, name, record])?;
        done.changes.push(Change::DirectoryChanged);
        Ok(Outcome::Done)
    }

    pub(super) fn remove_account(&mut self, account: AccountId, done: &mut Done) -> Result<Outcome, Trouble> {
        self.account(account)?;
        for mailbox in self.mailboxes_of(account)? {
            for (body, count) in self.bodies_in(mailbox)? {
                self.release_body(body, count, done)?;
            }
            self.delete_rows_of(mailbox)?;
            done.removed.push(mailbox);
        }
        for sql in [
            "DELETE FROM totals WHERE account = ?1",
            "DELETE FROM subscriptions WHERE account = ?1",
            "DELETE FROM annotations WHERE account = ?1",
            "DELETE FROM threads WHERE account = ?1",
            "DELETE FROM removed_mailboxes WHERE account = ?1",
            "DELETE FROM accounts WHERE id = ?1",
        ] {
            self.conn.prepare_cached(sql)?.execute(params![account.0])?;
        }
        self.ledger.accounts.remove(account);
        self.ledger.inboxes.remove(&account);
        done.changes.push(Change::DirectoryChanged);
        Ok(Outcome::Done)
    }

    pub(super) fn put_entry(
        &mut self,
        kind: &str,
        key: &str,
        value: &str,
        done: &mut Done,
    ) -> Result<Outcome, Trouble> {
        self.conn
            .prepare_cached(
                "INSERT INTO entries (kind, key, value) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
            )?
            .execute(params![kind, key, value])?;
        done.changes.push(Change::DirectoryChanged);
        Ok(Outcome::Done)
    }

    pub(super) fn remove_entry(&mut self, kind: &str, key: &str, done: &mut Done) -> Result<Outcome, Trouble> {
        let removed = self
            .conn
            .prepare_cached("DELETE FROM entries WHERE kind = ?1 AND key = ?2")?
            .execute(params![kind, key])?;
        if removed > 0 {
            done.changes.push(Change::DirectoryChanged);
        }
        Ok(Outcome::Changed(removed))
    }

    pub(super) fn account(&mut self, account: AccountId) -> Result<AccountTotals, Trouble> {
        let totals = self.ledger.accounts.get(&self.conn, account)?;
        totals.ok_or_else(|| CommitError::NoSuchAccount(account).into())
    }

    /// A mailbox of this account, and its figures.
    pub(super) fn mailbox(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
    ) -> Result<(MailboxId, MailboxTotals), Trouble> {
        let id = match mailbox {
            MailboxRef::Inbox => self.inbox(account)?,
            MailboxRef::Named(name) => match MailboxName::parse(name) {
                Ok(name) if name.is_inbox() => self.inbox(account)?,
                Ok(name) => self.mailbox_named(account, name.as_str())?,
                Err(_) => None,
            },
            MailboxRef::Id(id) => Some(*id),
        };
        let found = match id {
            Some(id) => self.ledger.mailboxes.get(&self.conn, id)?.map(|totals| (id, totals)),
            None => None,
        };
        found
            .filter(|(_, totals)| totals.account == account)
            .ok_or_else(|| CommitError::NoSuchMailbox(words_for(mailbox)).into())
    }

    pub(super) fn inbox(&mut self, account: AccountId) -> Result<Option<MailboxId>, Trouble> {
        if let Some(inbox) = self.ledger.inboxes.get(&account) {
            return Ok(Some(*inbox));
        }
        let inbox = self.mailbox_named(account, INBOX)?;
        if let Some(inbox) = inbox {
            self.ledger.inboxes.insert(account, inbox);
        }
        Ok(inbox)
    }

    pub(super) fn mailbox_named(&self, account: AccountId, name: &str) -> Result<Option<MailboxId>, Trouble> {
        let mut select = self.conn.prepare_cached("SELECT id FROM mailboxes WHERE account = ?1 AND name = ?2")?;
        Ok(select.query_row(params![account.0, name], |row| row.get(0).map(MailboxId)).optional()?)
    }

    fn account_named(&self, name: &str) -> Result<Option<AccountId>, Trouble> {
        let mut select = self.conn.prepare_cached("SELECT id FROM accounts WHERE name = ?1")?;
        Ok(select.query_row(params![name], |row| row.get(0).map(AccountId)).optional()?)
    }

    fn mailboxes_of(&self, account: AccountId) -> Result<Vec<MailboxId>, Trouble> {
        let mut select = self.conn.prepare_cached("SELECT id FROM mailboxes WHERE account = ?1")?;
        let rows = select.query_map(params![account.0], |row| row.get(0).map(MailboxId))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn bodies_in(&self, mailbox: MailboxId) -> Result<Vec<(BodyId, i64)>, Trouble> {
        let mut select =
            self.conn.prepare_cached("SELECT body, count(*) FROM messages WHERE mailbox = ?1 GROUP BY body")?;
        let rows = select.query_map(params![mailbox.0], |row| Ok((BodyId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

pub(super) fn words_for(mailbox: &MailboxRef) -> String {
    match mailbox {
        MailboxRef::Inbox => INBOX.into(),
        MailboxRef::Named(name) => name.clone(),
        MailboxRef::Id(id) => id.to_string(),
    }
}
