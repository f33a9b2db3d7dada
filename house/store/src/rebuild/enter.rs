//! Entering what was found into a new index, in the order in which it came: by the same code that enters deliveries.
//!
//! ```text
//! account ─known→ mailbox ─by number, by name→ placed          mail for elsewhere ─not expired→ queued, held
//!    │               └neither: Recovered/<number>
//!    ├not known, and all are: it was removed, left out
//!    └not known: made, named by its mail
//! ```
//!
//! Not here: what is found (scan, finds), who is known (salvage).

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use super::finds::{Extent, Finds, Found};
use super::salvage::Known;
use super::{Rebuilding, Rebuilt, RebuiltAccount, Step};
use crate::error::{CommitError, OpenError};
use crate::index::{Failure, INBOX, Index};
use crate::journal::Told;
use crate::names::{AccountId, MailId, MailboxId};
use crate::op::{Committed, MailboxRef, Op};
use crate::queue::QueueScope;
use crate::record::orders_of;
use crate::writer::{SegmentNote, Work, Written};
use crate::{PROBLEMS_MAX, Shared};

/// Below this, by their numbers, are mailboxes whose names nobody knows.
const RECOVERED: &str = "Recovered";

/// How many messages are entered in one transaction.
const AT_ONCE: usize = 500;

/// The entering.
pub(super) struct Entering<'a> {
    index: Index,
    finds: &'a Finds,
    known: &'a Known,
    order: &'a Rebuilding,
    now: i64,
    /// How long the file of a large message is.
    alone: HashMap<i64, u64>,
    /// Who has been asked for; `false` has been removed.
    accounts: HashMap<AccountId, bool>,
    unknown: Vec<AccountId>,
    /// Segments of messages that could not be entered.
    refused: Vec<i64>,
    mailboxes: HashMap<(AccountId, Place), MailboxId>,
}

/// What is told of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    number: Option<MailboxId>,
    name: Option<String>,
}

impl<'a> Entering<'a> {
    pub(super) fn begin(
        conn: Connection,
        shared: Arc<Shared>,
        finds: &'a Finds,
        known: &'a Known,
        order: &'a Rebuilding,
    ) -> Result<Entering<'a>, OpenError> {
        let (now, mut index) = (shared.now(), Index::new(conn, shared)?);
        index.begin().map_err(failed)?;
        let mut alone = HashMap::new();
        for Extent { segment, octets, reach, is_alone } in finds.extents()? {
            match is_alone {
                // Known by its message.
                true => drop(alone.insert(segment, octets)),
                false => index.note(SegmentNote { segment, committed_len: reach, sealed: true }).map_err(failed)?,
            }
        }
        let (accounts, mailboxes) = (HashMap::new(), HashMap::new());
        Ok(Entering {
            index,
            finds,
            known,
            order,
            now,
            alone,
            accounts,
            unknown: Vec::new(),
            refused: Vec::new(),
            mailboxes,
        })
    }

    /// Enters everything, and says what that was; gives the segments in which something is that could not be entered.
    pub(super) fn finish(mut self, rebuilt: &mut Rebuilt, tell: &mut impl FnMut(Step)) -> Result<Vec<i64>, OpenError> {
        let total = self.finds.count()?;
        let (mut after, mut done) = (i64::MIN, 0);
        loop {
            let found = self.finds.next(after, AT_ONCE)?;
            let Some(last) = found.last() else { break };
            after = last.span.body.0;
            done += found.len() as u64;
            self.index.begin().map_err(failed)?;
            for message in found {
                self.enter(message, rebuilt)?;
            }
            self.index.commit(false).map_err(failed)?;
            self.index.tidy_log(false).map_err(failed)?;
            tell(Step { messages: rebuilt.messages, done, total, is_reading: false });
        }
        self.give_everybody_an_inbox()?;
        self.index.begin().map_err(failed)?;
        self.index.commit(true).map_err(failed)?;
        rebuilt.accounts = self
            .index
            .holdings()
            .map_err(failed)?
            .into_iter()
            .map(|(account, name, messages, octets)| RebuiltAccount {
                name,
                messages,
                octets,
                is_unknown: self.unknown.contains(&account),
            })
            .collect();
        self.index.close().map_err(failed)?;
        Ok(self.refused)
    }

    fn enter(&mut self, found: Found, rebuilt: &mut Rebuilt) -> Result<(), OpenError> {
        let Found { span, record_len, trailer, told, essence } = found;
        let (mut ops, mut messages, mut octets, mut held) = (Vec::new(), 0, 0, 0);
        for (op, place) in self.orders(&trailer, told) {
            match op {
                Op::Place { account, .. } if !self.has(account)? => rebuilt.left_out += 1,
                Op::Place { account, body, prefix, received_at, flags, .. } => {
                    let mailbox = MailboxRef::Id(self.mailbox(account, place)?);
                    messages += 1;
                    octets += span.length + prefix.len() as u64;
                    ops.push(Op::Place { account, mailbox, body, prefix, received_at, flags });
                }
                Op::Enqueue(mail) if mail.expires > self.now => {
                    held += mail.recipients.len() as u64;
                    ops.push(Op::Enqueue(mail));
                }
                Op::Enqueue(_) => rebuilt.expired += 1,
                _ => {}
            }
        }
        if ops.is_empty() {
            return Ok(());
        }
        let segment_len = self.alone.get(&span.segment).copied();
        let written =
            Written { span, record_len, is_alone: segment_len.is_some(), segment_len: segment_len.unwrap_or(0) };
        match self.carry_out(Work::Ops { ops, essences: vec![essence] }, &[written])? {
            Ok(committed) => {
                rebuilt.messages += messages;
                rebuilt.octets += octets;
                rebuilt.held += held;
                self.hold(committed.mail())
            }
            Err(error) => {
                self.refused.push(span.segment);
                if rebuilt.damage.len() < PROBLEMS_MAX {
                    rebuilt.damage.push(format!("message {} in segment {}: {error}", span.body, span.segment));
                }
                Ok(())
            }
        }
    }

    /// Nobody knows whether it has been delivered.
    fn hold(&mut self, mail: Option<MailId>) -> Result<(), OpenError> {
        if let Some(mail) = mail {
            let hold = Op::QueueHold { scope: QueueScope::Mail(mail) };
            // It has just been queued, so it can be held.
            let _ = self.carry_out(Work::Ops { ops: vec![hold], essences: Vec::new() }, &[])?;
        }
        Ok(())
    }

    /// The orders about a message, the journal's before the trailer's, and what is told of the mailboxes.
    fn orders(&self, trailer: &[u8], told: Option<Told>) -> Vec<(Op, Place)> {
        let ordered = orders_of(trailer);
        let name_of = |op: &Op| match op {
            Op::Place { mailbox: MailboxRef::Named(name), .. } => Some(Some(name.clone())),
            Op::Place { .. } => Some(None),
            _ => None,
        };
        // Placements are in the order in which they were given, there as here.
        let mut names = ordered.iter().filter_map(name_of).collect::<Vec<_>>().into_iter();
        let with_place = |op: Op| {
            let place = match &op {
                Op::Place { mailbox: MailboxRef::Id(number), .. } => {
                    Place { number: Some(*number), name: names.next().flatten() }
                }
                Op::Place { .. } => Place { number: None, name: names.next().flatten() },
                _ => Place { number: None, name: None },
            };
            (op, place)
        };
        told.map_or_else(|| orders_of(trailer), Told::into_ops).into_iter().map(with_place).collect()
    }

    /// Whether somebody has an account, or gets one now.
    fn has(&mut self, account: AccountId) -> Result<bool, OpenError> {
        if let Some(known) = self.accounts.get(&account) {
            return Ok(*known);
        }
        let is_there = match self.index.has_account(account).map_err(failed)? {
            true => true,
            false if account.0 < self.known.accounts_below => false,
            false => {
                self.make(account)?;
                true
            }
        };
        self.accounts.insert(account, is_there);
        Ok(is_there)
    }

    fn make(&mut self, account: AccountId) -> Result<(), OpenError> {
        let mut names = self.finds.addresses(account)?;
        names.push(format!("account-{account}@recovered.invalid"));
        for name in names {
            match self.index.readmit(account, &name, &self.order.unknown_record).map_err(failed)? {
                Ok(()) => {
                    self.unknown.push(account);
                    return Ok(());
                }
                Err(CommitError::NameTaken(_)) => {}
                Err(error) => return Err(OpenError::Index(error.to_string())),
            }
        }
        Err(OpenError::Index(format!("account {account} finds no name")))
    }

    /// The mailbox that is meant, or one to take its place.
    fn mailbox(&mut self, account: AccountId, place: Place) -> Result<MailboxId, OpenError> {
        let key = (account, place);
        if let Some(mailbox) = self.mailboxes.get(&key) {
            return Ok(*mailbox);
        }
        let (_, Place { number, name }) = &key;
        let by_number = match number {
            Some(number) => self.index.find_mailbox(account, &MailboxRef::Id(*number)).map_err(failed)?,
            None => None,
        };
        let name = name.clone().unwrap_or_else(|| match number {
            Some(number) => format!("{RECOVERED}/{number}"),
            None => RECOVERED.into(),
        });
        let mailbox = match by_number {
            Some(mailbox) => mailbox,
            None => self.mailbox_named(account, name)?,
        };
        self.mailboxes.insert(key, mailbox);
        Ok(mailbox)
    }

    /// A mailbox of this name, made where there is none; INBOX where there cannot be one.
    fn mailbox_named(&mut self, account: AccountId, name: String) -> Result<MailboxId, OpenError> {
        for name in [name, RECOVERED.into(), INBOX.into()] {
            let there = self.index.find_mailbox(account, &MailboxRef::Named(name.clone())).map_err(failed)?;
            if let Some(mailbox) = there {
                return Ok(mailbox);
            }
            let create = Op::CreateMailbox { account, name, special_use: Vec::new() };
            let made = self.carry_out(Work::Ops { ops: vec![create], essences: Vec::new() }, &[])?;
            if let Some(mailbox) = made.ok().and_then(|made| made.mailbox()) {
                return Ok(mailbox);
            }
        }
        Err(OpenError::Index(format!("account {account} can have no mailbox")))
    }

    fn give_everybody_an_inbox(&mut self) -> Result<(), OpenError> {
        self.index.begin().map_err(failed)?;
        for (account, ..) in self.index.holdings().map_err(failed)? {
            self.mailbox_named(account, INBOX.into())?;
        }
        self.index.commit(false).map_err(failed)
    }

    fn carry_out(&mut self, work: Work, written: &[Written]) -> Result<Result<Committed, CommitError>, OpenError> {
        Ok(self.index.carry_out(&work, written).map_err(failed)?.map(|done| done.committed))
    }
}

fn failed(failure: Failure) -> OpenError {
    OpenError::Index(match failure {
        Failure::Full => "the disk is full".into(),
        Failure::Spoiled(why) | Failure::Broken(why) => why,
    })
}
