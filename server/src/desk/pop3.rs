//! The desk of POP3: a maildrop is a snapshot of the inbox, one session's at a time.
//!
//! RFC 1939 §4 (the lock), §6 (removal), §7 (UIDL).
//!
//! Invariants: a maildrop is given back when the session ends, however it ends; messages go only in `remove`.
//! Not here: numbers, marks and listings (pop3).

use super::door::{self, Caller};
use crate::house::{House, MaildropLock};
use pop3::server::{Answer, Ask, Entry, Server, Unopened, Unread, Unremoved};
use std::convert::Infallible;
use std::sync::Arc;
use store::{AccountId, Commit, Kept, MailboxRef, MessageReader, Op};
use tracing::{info, warn};

/// How much of a message is read at once: large enough to cost few turns, small enough for thousands of sessions.
const STRETCH_BYTES: usize = 64 << 10;

/// One session's desk.
pub struct Desk {
    house: Arc<House>,
    caller: Caller,
    maildrop: Option<Maildrop>,
}

/// An open maildrop.
struct Maildrop {
    account: AccountId,
    name: String,
    messages: Vec<Kept>,
    /// The message that was read last, open.
    reader: Option<(usize, MessageReader)>,
    _lock: MaildropLock,
}

impl Desk {
    /// A desk for one session.
    pub fn new(house: Arc<House>, caller: Caller) -> Self {
        Desk { house, caller, maildrop: None }
    }

    async fn open(&mut self, name: String) -> Result<Vec<Entry>, Unopened> {
        let account = self.house.directory().account_named(&name).map(|account| AccountId(account.id));
        let account = account.ok_or(Unopened::Permanent)?;
        let lock = self.house.lock_maildrop(account).await.ok_or(Unopened::InUse)?;
        let store = self.house.store.clone();
        let inbox = tokio::task::spawn_blocking(move || store.maildrop(account)).await;
        let inbox = match inbox {
            Ok(Ok(inbox)) => inbox,
            Ok(Err(error)) => {
                warn!(session = %self.caller.session, account = name, %error, "a maildrop could not be opened");
                return Err(Unopened::Temporary);
            }
            Err(_) => return Err(Unopened::Temporary),
        };
        let entry = |kept: &Kept| Entry { size: kept.size, uidl: format!("{}-{}", inbox.uidvalidity, kept.uid) };
        let entries = inbox.messages.iter().map(entry).collect();
        info!(session = %self.caller.session, account = name, messages = inbox.messages.len(), "maildrop opened");
        self.maildrop = Some(Maildrop { account, name, messages: inbox.messages, reader: None, _lock: lock });
        Ok(entries)
    }

    async fn read(&mut self, message: usize, offset: u64) -> Result<Vec<u8>, Unread> {
        let maildrop = self.maildrop.as_mut().ok_or(Unread::Temporary)?;
        let reader = match maildrop.reader.take() {
            Some((number, reader)) if number == message => reader,
            _ => self.house.store.reader(maildrop.messages.get(message).ok_or(Unread::Temporary)?).map_err(|error| {
                warn!(session = %self.caller.session, account = maildrop.name, %error, "a message could not be opened");
                Unread::Temporary
            })?,
        };
        let left = usize::try_from(reader.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut octets = vec![0; left.min(STRETCH_BYTES)];
        if let Some(read) = reader.read_cached(offset, &mut octets) {
            octets.truncate(read);
            maildrop.reader = Some((message, reader));
            return Ok(octets);
        }
        // Not in memory: the disk may take its time, on a thread that may wait.
        let read = tokio::task::spawn_blocking(move || {
            let read = reader.read(offset, &mut octets)?;
            octets.truncate(read);
            Ok::<_, std::io::Error>((reader, octets))
        });
        match read.await {
            Ok(Ok((reader, octets))) => {
                maildrop.reader = Some((message, reader));
                Ok(octets)
            }
            failed => {
                let error = failed.map(|read| read.err()).ok().flatten();
                warn!(session = %self.caller.session, account = maildrop.name, ?error, "a message could not be read");
                Err(Unread::Temporary)
            }
        }
    }

    async fn remove(&mut self, messages: &[usize]) -> Result<(), Unremoved> {
        // The lock goes with it, before the farewell is said.
        let Some(maildrop) = self.maildrop.take() else { return Err(Unremoved) };
        if messages.is_empty() {
            return Ok(());
        }
        let uids = messages.iter().filter_map(|number| maildrop.messages.get(*number)).map(|kept| kept.uid).collect();
        let op = Op::Expunge { account: maildrop.account, mailbox: MailboxRef::Inbox, uids };
        match self.house.store.commit(Commit::of(vec![op])).await {
            Ok(_) => {
                info!(session = %self.caller.session, account = maildrop.name, messages = messages.len(), "messages removed");
                Ok(())
            }
            Err(error) => {
                warn!(session = %self.caller.session, account = maildrop.name, %error, "messages were not removed");
                Err(Unremoved)
            }
        }
    }
}

impl net::Desk<Server> for Desk {
    async fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            // Boxed: large, rare, and not what an idle connection should carry.
            Ask::Auth(ask) => Answer::Auth(Box::pin(door::answer(&self.house, &self.caller, ask)).await),
            Ask::OpenMaildrop { account } => Answer::Maildrop(Box::pin(self.open(account)).await),
            Ask::Read { message, offset } => Answer::Octets(self.read(message, offset).await),
            Ask::Remove(messages) => Answer::Removed(Box::pin(self.remove(&messages)).await),
        }
    }

    async fn keep(&mut self, _content: &mut Vec<u8>) {}

    async fn news(&mut self) -> Infallible {
        std::future::pending().await
    }
}
