//! The courier's desk: answers the client's side of SMTP from a lane, and settles what became of each mail.
//!
//! RFC 5321 §4.5.4.1 (what is not surely refused or taken waits), §3.8 (a server may close at any time).
//!
//! Invariants: every package that was taken is settled or put back; a mail about which nothing was said when the line
//! was cut is tried once more, and only once.
//! Not here: the dialogue (smtp), connections ([`super::remote`]), what follows from a fate ([`super::ledger`]).

use super::carrier::{Fate, Fates, Lane, Package, Reason, Settle};
use crate::house::House;
use message::report::{Status, Step};
use net::Why;
use smtp::client::{Answer, Ask, Cause, Client, Mail, Outcome, Recipient, Stage, Trouble};
use smtp::params::{RcptParams, Ret};
use smtp::path::{ForwardPath, Mailbox, ReversePath};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use store::{MailRow, MessageReader, ReadError, RecipientId, RecipientRow, Store};

/// How much of a message is read at once.
const STRETCH_BYTES: usize = 64 << 10;
/// Mails over one connection before another begins: some servers grow slow or weary.
const MAILS_PER_CONNECTION_MAX: usize = 100;

/// Answers one client.
pub struct Desk<'a, S> {
    house: &'a Arc<House>,
    lane: &'a Lane,
    settle: &'a S,
    host: &'a str,
    address: IpAddr,
    at_hand: Option<AtHand>,
    /// Mails handed to the client.
    given: usize,
    /// Mails of which the client has told what became.
    settled: usize,
    /// The server was ready for mail.
    is_ready: bool,
    /// Why it was not, or why it is no more.
    broken: Option<Trouble>,
    /// The mail at hand went back into the lane, because of this.
    spared: Option<Trouble>,
}

/// The mail under way.
struct AtHand {
    package: Package,
    reader: Option<Arc<MessageReader>>,
}

/// A conversation in which nothing was settled.
#[derive(Debug)]
pub struct Missed {
    /// What that means for all that waits, if there is no other way.
    pub fate: Fate,
    /// In which way it was missed.
    pub how: How,
}

/// In which way a next hop was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was not there, or did not want us.
    Shut,
    /// TLS failed; without it might have gone well.
    Tls,
    /// It was ready for mail and cut the line before a word was said about it.
    Cut,
}

impl Missed {
    /// Missed for a reason that may pass.
    pub fn because(reason: Reason) -> Self {
        Missed { fate: Fate::Deferred(reason), how: How::Shut }
    }
}

impl<'a, S: Settle> Desk<'a, S> {
    /// A desk for one conversation with `host` at `address`.
    pub fn new(house: &'a Arc<House>, lane: &'a Lane, settle: &'a S, host: &'a str, address: IpAddr) -> Self {
        Desk {
            house,
            lane,
            settle,
            host,
            address,
            at_hand: None,
            given: 0,
            settled: 0,
            is_ready: false,
            broken: None,
            spared: None,
        }
    }

    /// The mail under way.
    #[cfg(test)]
    pub fn package(&self) -> Option<&Package> {
        self.at_hand.as_ref().map(|at_hand| &at_hand.package)
    }

    /// What the conversation came to, once it is over.
    ///
    /// # Errors
    /// When nothing was settled although something waits.
    pub async fn conclude(mut self, why: &Why) -> Result<(), Missed> {
        if let Some(AtHand { package, .. }) = self.at_hand.take() {
            self.interrupted(package, why).await;
        }
        if self.is_ready {
            return match self.spared.take().filter(|_| self.settled == 0) {
                Some(trouble) => Err(Missed { fate: self.fate(&trouble), how: How::Cut }),
                None => Ok(()),
            };
        }
        match (why, self.broken.take()) {
            // Why a handshake failed is known here alone; the client only saw the line break.
            (Why::Tls(_), _) => Err(self.missed(why, (4, 7, 5), Step::Securing, How::Tls)),
            (_, Some(trouble)) => {
                let how = if trouble.stage == Stage::StartTls { How::Tls } else { How::Shut };
                Err(Missed { fate: self.fate(&trouble), how })
            }
            (_, None) => Err(self.missed(why, (4, 4, 2), Step::Greeting, How::Shut)),
        }
    }

    /// The conversation was cut from our side, in the middle of a mail.
    async fn interrupted(&mut self, package: Package, why: &Why) {
        match why {
            // The house closes: the mail waits as it did.
            Why::Dropped => self.lane.put_back(package),
            _ => {
                let fates = package.share(&self.missed(why, (4, 4, 2), Step::Content, How::Shut).fate);
                self.settle.settle(package, fates).await;
                self.settled += 1;
            }
        }
    }

    fn missed(&self, why: &Why, status: (u8, u16, u16), step: Step, how: How) -> Missed {
        let text = format!("{} [{}]: {why}", self.host, self.address);
        let found = Reason::found(status, step, text);
        let reason = Reason { host: Some(self.host.into()), address: Some(self.address), ..found };
        Missed { fate: Fate::Deferred(reason), how }
    }

    fn fate(&self, trouble: &Trouble) -> Fate {
        let reason = reason(trouble, self.host, self.address);
        if trouble.is_permanent() { Fate::Failed(reason) } else { Fate::Deferred(reason) }
    }

    async fn next(&mut self) -> Answer {
        self.is_ready = true;
        // A mail that was spared is for the next connection.
        while self.given < MAILS_PER_CONNECTION_MAX && self.spared.is_none() {
            let Some(package) = self.lane.take() else { break };
            let (package, reader) = self.open(package).await;
            let (package, unwritable) = writable(package);
            if !unwritable.recipients.is_empty() {
                let fates = unwritable.recipients.iter().map(|to| (to.recipient, not_an_address(&to.address)));
                let fates = fates.collect();
                self.settle.settle(unwritable, fates).await;
            }
            match mail(&package) {
                Some(mail) if !mail.recipients.is_empty() => {
                    self.given += 1;
                    self.at_hand = Some(AtHand { package, reader });
                    return Answer::Mail(Box::new(mail));
                }
                Some(_) => {}
                None => {
                    let fates = package.share(&not_an_address(&package.mail.sender));
                    self.settle.settle(package, fates).await;
                }
            }
        }
        Answer::Done
    }

    /// Opens the mail. Whoever was held or dropped while it waited is given back.
    async fn open(&mut self, package: Package) -> (Package, Option<Arc<MessageReader>>) {
        let (store, mail) = (self.house.store.clone(), Arc::clone(&package.mail));
        let waited = self.house.now() > package.claimed_at;
        let look = move || (if waited { still_wanted(&store, &mail) } else { None }, store.queue_reader(mail.mail));
        let Ok((wanted, reader)) = tokio::task::spawn_blocking(look).await else { return (package, None) };
        let is_gone = matches!(reader, Err(ReadError::NotFound));
        let is_wanted = |to: &RecipientRow| !is_gone && wanted.as_ref().is_none_or(|all| all.contains(&to.recipient));
        let (package, unwanted) = package.split(is_wanted);
        if !unwanted.recipients.is_empty() {
            self.settle.settle(unwanted, Fates::new()).await;
        }
        (package, reader.ok().map(Arc::new))
    }

    async fn content(&self, offset: u64) -> Answer {
        let Some(reader) = self.at_hand.as_ref().and_then(|at_hand| at_hand.reader.clone()) else {
            return Answer::Unreadable;
        };
        let left = usize::try_from(reader.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut octets = vec![0; left.min(STRETCH_BYTES)];
        let last = left <= STRETCH_BYTES;
        let read = match reader.read_cached(offset, &mut octets) {
            Some(read) => Ok((read, octets)),
            None => {
                let blocking = tokio::task::spawn_blocking(move || {
                    Ok::<_, std::io::Error>((reader.read(offset, &mut octets)?, octets))
                });
                blocking.await.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))
            }
        };
        match read {
            Ok((read, mut octets)) if read > 0 || last => {
                let last = last && read == octets.len();
                octets.truncate(read);
                Answer::Content { octets, last }
            }
            _ => Answer::Unreadable,
        }
    }

    async fn report(&mut self, outcomes: Vec<Outcome>) {
        let Some(AtHand { mut package, .. }) = self.at_hand.take() else { return };
        if let Some(trouble) = cut_before_a_word(&outcomes).filter(|_| !package.spared) {
            self.spared = Some(trouble.clone());
            package.spared = true;
            self.lane.put_back(package);
            return;
        }
        let fate = |outcome: Outcome| match outcome {
            Outcome::Delivered(reply) => Fate::Delivered { host: self.host.to_string(), reply: reply.to_string() },
            Outcome::Deferred(trouble) => Fate::Deferred(reason(&trouble, self.host, self.address)),
            Outcome::Failed(trouble) => Fate::Failed(reason(&trouble, self.host, self.address)),
        };
        let fates = package.recipients.iter().map(|to| to.recipient).zip(outcomes.into_iter().map(fate)).collect();
        self.settle.settle(package, fates).await;
        self.settled += 1;
    }
}

impl<S: Settle> net::Desk<Client> for Desk<'_, S> {
    async fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Next => return self.next().await,
            Ask::Content { offset } => return self.content(offset).await,
            Ask::Report(outcomes) => self.report(outcomes).await,
            Ask::Broken(trouble) => self.broken = Some(trouble),
        }
        Answer::Noted
    }

    async fn keep(&mut self, _content: &mut Vec<u8>) {}
}

/// Who of a mail is still to get it; `None` if that cannot be told.
fn still_wanted(store: &Store, mail: &MailRow) -> Option<HashSet<RecipientId>> {
    let recipients = store.queue_show(mail.mail).ok()?.map_or_else(Vec::new, |now| now.recipients);
    Some(recipients.into_iter().filter(|to| !to.held).map(|to| to.recipient).collect())
}

/// Why the line was cut, if that was before the server heard anything of the mail. It may have been idle for too long,
/// or restarting; the next connection will be better.
fn cut_before_a_word(outcomes: &[Outcome]) -> Option<&Trouble> {
    let cut = |outcome: &Outcome| match outcome {
        Outcome::Deferred(Trouble { stage: Stage::Mail, cause }) => match cause {
            Cause::Dropped => true,
            Cause::Reply(reply) => reply.code() == 421,
            _ => false,
        },
        _ => false,
    };
    match outcomes {
        [Outcome::Deferred(first), ..] if outcomes.iter().all(cut) => Some(first),
        _ => None,
    }
}

/// The package without those whose address SMTP cannot say, and those.
fn writable(package: Package) -> (Package, Package) {
    package.split(|to| Mailbox::parse(&to.address).is_ok())
}

fn not_an_address(text: &str) -> Fate {
    Fate::Failed(Reason::found((5, 1, 3), Step::Recipient, format!("{text} is not an address of mail")))
}

/// The mail as SMTP wants it, if its sender can be said.
fn mail(package: &Package) -> Option<Mail> {
    let sender = match package.mail.sender.as_str() {
        "" => ReversePath::Null,
        sender => ReversePath::Mailbox(Mailbox::parse(sender).ok()?),
    };
    let recipient = |to: &RecipientRow| {
        let path = ForwardPath::Mailbox(Mailbox::parse(&to.address).ok()?);
        Some(Recipient { path, params: RcptParams::default() })
    };
    Some(Mail {
        sender,
        recipients: package.recipients.iter().map(recipient).collect::<Option<_>>()?,
        size: package.mail.size,
        eight_bit: package.mail.eight_bit,
        smtputf8: package.mail.smtputf8,
        ret: package.mail.ret.map(|ret| match ret {
            store::Ret::Full => Ret::Full,
            store::Ret::Headers => Ret::Headers,
        }),
        envid: package.mail.envid.clone(),
    })
}

fn reason(trouble: &Trouble, host: &str, address: IpAddr) -> Reason {
    let class = if trouble.is_permanent() { 5 } else { 4 };
    Reason {
        // A code that cannot be one is as good as none.
        status: Status::parse(&trouble.status().to_string()).unwrap_or(Status::new(class, 0, 0)),
        step: Some(step(trouble.stage)),
        host: Some(host.to_string()),
        address: Some(address),
        reply: trouble.reply().map(ToString::to_string),
        text: format!("{host} [{address}]: {trouble}"),
    }
}

fn step(stage: Stage) -> Step {
    match stage {
        Stage::Greeting | Stage::Hello | Stage::Login => Step::Greeting,
        Stage::StartTls => Step::Securing,
        Stage::Mail => Step::Sender,
        Stage::Rcpt => Step::Recipient,
        Stage::Data | Stage::Content | Stage::Verdict => Step::Content,
    }
}
