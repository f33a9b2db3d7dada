//! Messages that a client puts into a mailbox.
//!
//! RFC 9051 §6.3.12 (APPEND), RFC 3502 (several at once), RFC 8508 (REPLACE), RFC 4469 (CATENATE).
//!
//! Invariants: all messages of a command come into the mailbox in one commit, or none; what is not committed leaves nothing.
//! Not here: how large a message may be (imap's settings).

use super::convert::{kept_flags, set};
use super::part::Source;
use super::sharing::{Access, Place};
use super::{Desk, Verdict};
use imap::name::MailboxName;
use imap::server::Answer;
use imap::server::ask::Refusal;
use imap::url::MessageUrl;
use std::io;
use store::{AccountId, BODIES_MAX, Body, Commit, Draft, Flags, MailboxId, MailboxRef, Op, Uid};
use tracing::{info, warn};

/// Messages on their way into a mailbox.
pub(super) struct Append {
    mailbox: MailboxId,
    access: Access,
    name: MailboxName,
    messages: Vec<Message>,
    failure: Option<io::Error>,
}

/// Where the last message was put.
#[derive(Clone)]
pub(super) struct Aim {
    name: MailboxName,
    mailbox: MailboxId,
    access: Access,
    /// What the store counted before the name was looked up.
    changes: u64,
}

struct Message {
    draft: Draft,
    flags: Flags,
    received_at: i64,
}

impl Append {
    /// Takes the next octets.
    pub(super) fn keep(&mut self, content: &[u8]) {
        let Some(message) = self.messages.last_mut().filter(|_| self.failure.is_none()) else { return };
        self.failure = message.draft.append(content).err();
    }
}

impl Desk {
    pub(super) async fn append_message(&mut self, draft: imap::server::ask::Draft) -> Verdict<Answer> {
        if draft.before == 0 {
            self.append = None;
            let Aim { mailbox, access, .. } = self.aim(&draft.mailbox).await?;
            self.append = Some(Append { mailbox, access, name: draft.mailbox, messages: Vec::new(), failure: None });
        }
        let begun = self.begin_message(draft.flags, draft.date.map(|date| date.unix_secs), draft.size).await;
        if begun.is_err() {
            self.append = None;
        }
        begun
    }

    /// The mailbox that a message is to come into. Clients append many messages to one mailbox: as long as nothing has changed about
    /// mailboxes, its name is looked up once.
    async fn aim(&mut self, name: &MailboxName) -> Verdict<Aim> {
        let changes = self.house.store.mailbox_changes();
        if let Some(aim) = self.aim.as_deref().filter(|aim| aim.changes == changes && aim.name == *name) {
            return Ok(aim.clone());
        }
        let Place { row, access } = self.target(name).await?;
        let aim = Aim { name: name.clone(), mailbox: row.id, access, changes };
        self.aim = Some(Box::new(aim.clone()));
        Ok(aim)
    }

    async fn begin_message(
        &mut self,
        flags: imap::flag::Flags,
        received_at: Option<i64>,
        size: u64,
    ) -> Verdict<Answer> {
        let Access { owner, rights } = self.append.as_ref().ok_or(Refusal::Unavailable)?.access;
        self.has_room_for(owner, size, 1).await?;
        let message = Message {
            draft: self.house.store.draft(),
            flags: kept_flags(&flags).among(rights.flags()),
            received_at: received_at.unwrap_or_else(|| self.house.now()),
        };
        let append = self.append.as_mut().ok_or(Refusal::Unavailable)?;
        if append.messages.len() >= BODIES_MAX {
            return Err(Refusal::Limit);
        }
        append.messages.push(message);
        Ok(Answer::Done)
    }

    /// Whether what has come and so much more is within the account's quota.
    async fn has_room_for(&self, account: AccountId, octets: u64, messages: u64) -> Verdict<()> {
        let directory = self.house.directory();
        let quota = directory.account(account.0).map(|account| account.record.quota).unwrap_or_default();
        if quota == directory::Quota::default() {
            return Ok(());
        }
        let holding = self.read(move |store| store.holding(account)).await?;
        let arriving = self.append.iter().flat_map(|append| &append.messages);
        let (octets_there, messages_there) = arriving
            .fold((holding.octets, holding.messages), |(octets, messages), message| {
                (octets + message.draft.len(), messages + 1)
            });
        let fits = quota.bytes.is_none_or(|most| octets_there.saturating_add(octets) <= most)
            && quota.messages.is_none_or(|most| messages_there + messages <= most);
        if fits { Ok(()) } else { Err(Refusal::OverQuota) }
    }

    pub(super) async fn append_text(&mut self, octets: u64) -> Verdict<Answer> {
        let owner = self.append.as_ref().ok_or(Refusal::Unavailable)?.access.owner;
        self.has_room_for(owner, octets, 0).await.map(|()| Answer::Done)
    }

    /// Copies a part of a message behind the one that comes in.
    pub(super) async fn append_part(&mut self, url: MessageUrl) -> Verdict<Answer> {
        let MessageUrl { mailbox, uidvalidity, uid, section } = url;
        let Place { row, .. } = self.place(&mailbox, "r").await?;
        if uidvalidity.is_some_and(|wanted| wanted != row.uidvalidity) {
            return Err(Refusal::NoSuchMailbox);
        }
        let source = self.read(move |store| Source::find(store, row.id, Uid(uid), &section)).await?;
        let octets = source.len();
        self.append_text(octets).await?;
        let mut append = self.append.take().ok_or(Refusal::Unavailable)?;
        let copied = tokio::task::spawn_blocking(move || {
            if let Some(message) = append.messages.last_mut().filter(|_| append.failure.is_none()) {
                append.failure = source.append_to(&mut message.draft).err();
            }
            append
        });
        self.append = Some(copied.await.map_err(|_| Refusal::Unavailable)?);
        Ok(Answer::AppendedPart { octets })
    }

    pub(super) async fn append_commit(&mut self, replacing: Option<u32>) -> Verdict<Answer> {
        let Append { mailbox, access, name, messages, failure } = self.append.take().ok_or(Refusal::Unavailable)?;
        if let Some(error) = failure {
            warn!(session = %self.caller.session, %error, "a message could not be taken in");
            return Err(Refusal::Unavailable);
        }
        let (mut ops, mut bodies) = (Vec::new(), Vec::new());
        for (body, Message { draft, flags, received_at }) in messages.into_iter().enumerate() {
            let (account, mailbox) = (access.owner, MailboxRef::Id(mailbox));
            ops.push(Op::Place { account, mailbox, body, prefix: Vec::new(), received_at, flags });
            bodies.push(Body { head: Vec::new(), draft });
        }
        if let Some(uid) = replacing {
            let selected = self.selected()?;
            if !selected.access.rights.has("te") {
                return Err(Refusal::NoPermission);
            }
            let (account, mailbox) = (selected.access.owner, MailboxRef::Id(selected.mailbox));
            ops.push(Op::Expunge { account, mailbox, uids: vec![Uid(uid)] });
        }
        let committed = self.commit(Commit { ops, bodies }).await.map_err(|refusal| match refusal {
            Refusal::NoSuchMailbox => Refusal::TryCreate,
            other => other,
        })?;
        let uidvalidity = committed.placed().next().map_or(0, |placed| placed.uidvalidity);
        let uids = set(committed.placed().map(|placed| placed.uid));
        info!(session = %self.caller.session, mailbox = name.as_str(), messages = uids.count(), "messages appended");
        Ok(Answer::Appended { uidvalidity, uids })
    }
}
