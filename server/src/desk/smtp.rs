//! The desk of SMTP: may this sender, where does this recipient lead, and the commit that makes a yes true.
//!
//! RFC 5321 §4.4 (trace fields), §6.3 (loops), §7.1 (no relaying for strangers), RFC 6409 §6.1 and §8 (submission).
//!
//! Invariants: a recipient is refused at RCPT, not later; 250 after the final dot is said when the placements and the
//! queue rows are on disk, and not before; a stranger never relays.
//! Not here: syntax, order and limits of the dialogue (smtp).

use super::door::{self, Caller};
use crate::house::House;
use crate::settings::Purpose;
use directory::{Delivery, Resolution};
use message::address::{Address, Domain};
use message::date::Date;
use message::header::scan::{Facts, HeaderScan};
use message::header::submission::{write_date, write_message_id};
use message::header::trace::{Client as Giver, Protocol, Received, Speech, write_delivered_to};
use policy::sender::Strictness;
use policy::{Client, Door, Verdict};
use smtp::params::MailParams;
use smtp::path::{ForwardPath, Mailbox, ReversePath};
use smtp::reply::{EnhancedCode, Reply};
use smtp::server::{Answer, Ask, Conversation, Envelope, Server};
use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use store::{AccountId, Commit, CommitError, Draft, Flags, MailboxRef, Op, QueuedMail, QueuedRecipient};
use tracing::{info, warn};

/// One session's desk.
pub struct Desk {
    house: Arc<House>,
    caller: Caller,
    purpose: Purpose,
    mail: Option<Mail>,
    /// How many mails this session has begun: part of a mail's name.
    begun: u32,
}

/// A mail between MAIL and its verdict.
struct Mail {
    name: String,
    by: Arc<Conversation>,
    sender: ReversePath,
    params: MailParams,
    /// Who gets it here, and the address by which they were reached.
    local: BTreeMap<AccountId, String>,
    remote: Vec<QueuedRecipient>,
    /// The only recipient there is, as long as there is only one.
    only: Option<Mailbox>,
    content: Option<Content>,
}

/// Content on its way in.
struct Content {
    envelope: Envelope,
    draft: Draft,
    scan: HeaderScan,
    /// The disk failed us; the rest is not kept, and the verdict is no.
    failure: Option<std::io::Error>,
}

impl Desk {
    /// A desk for one session.
    pub fn new(house: Arc<House>, caller: Caller, purpose: Purpose) -> Self {
        Desk { house, caller, purpose, mail: None, begun: 0 }
    }

    fn is_submission(&self) -> bool {
        matches!(self.purpose, Purpose::Submission | Purpose::Submissions)
    }

    fn sender(&mut self, by: Arc<Conversation>, path: ReversePath, params: MailParams) -> Result<(), Reply> {
        self.mail = None;
        let client = self.client(&by);
        allowed(self.house.judgement.relay().begin(&client))?;
        if let ReversePath::Mailbox(mailbox) = &path {
            let domain = mailbox.domain().to_string();
            let directory = self.house.directory();
            allowed(policy::sender::envelope(&directory, client.account, Some((mailbox.local(), &domain))))?;
        }
        if let Some(account) = client.account {
            allowed(self.house.judgement.count_message(account))?;
        }
        self.begun += 1;
        let name = format!("{}-{}", self.caller.session, self.begun);
        let (local, remote) = (BTreeMap::new(), Vec::new());
        self.mail = Some(Mail { name, by, sender: path, params, local, remote, only: None, content: None });
        Ok(())
    }

    /// Who stands here, as our judgement wants to know it.
    fn client(&self, by: &Conversation) -> Client {
        let directory = self.house.directory();
        let account =
            by.login.as_ref().and_then(|login| directory.account_named(&login.account)).map(|account| account.id);
        let door = if self.is_submission() { Door::Submission } else { Door::Exchange };
        Client { address: self.caller.peer.ip(), door, account }
    }

    fn recipient(&mut self, path: &ForwardPath) -> Result<(), Reply> {
        let house = Arc::clone(&self.house);
        let directory = house.directory();
        let (local_part, domain) = match path {
            ForwardPath::Postmaster => ("postmaster".to_string(), String::new()),
            ForwardPath::Mailbox(mailbox) => (mailbox.local().to_string(), mailbox.domain().to_string()),
        };
        let Some(by) = self.mail.as_ref().map(|mail| Arc::clone(&mail.by)) else { return Err(out_of_order()) };
        let client = self.client(&by);
        let resolution = directory.resolve(&local_part, &domain);
        allowed(house.judgement.relay().recipient(&client, &resolution))?;
        if let Some(account) = client.account {
            allowed(house.judgement.count_recipient(account))?;
        }
        match (resolution, path) {
            (Resolution::Deliver(delivery), _) => self.deliver(&delivery, path)?,
            (_, ForwardPath::Mailbox(mailbox)) => self.relay(mailbox),
            (_, ForwardPath::Postmaster) => return Err(out_of_order()),
        }
        self.remember_only(path);
        Ok(())
    }

    /// Somebody here, or somebody elsewhere whom an address of ours leads to.
    fn deliver(&mut self, delivery: &Delivery, path: &ForwardPath) -> Result<(), Reply> {
        let Some(mail) = &mut self.mail else { return Err(out_of_order()) };
        if delivery.local.iter().any(|recipient| self.house.is_full(recipient.account)) {
            return Err(reply(452, (4, 2, 2), "The mailbox is full; please try again later"));
        }
        let address = match path {
            ForwardPath::Mailbox(mailbox) => mailbox.to_string(),
            ForwardPath::Postmaster => format!("postmaster@{}", self.house.host()),
        };
        for recipient in &delivery.local {
            mail.local.entry(AccountId(recipient.account)).or_insert_with(|| address.clone());
        }
        mail.remote.extend(delivery.remote.iter().map(|target| queued(target.to_string())));
        Ok(())
    }

    /// Somebody elsewhere.
    fn relay(&mut self, mailbox: &Mailbox) {
        if let Some(mail) = &mut self.mail {
            mail.remote.push(queued(mailbox.to_string()));
        }
    }

    fn remember_only(&mut self, path: &ForwardPath) {
        let Some(mail) = &mut self.mail else { return };
        let first = mail.local.len() + mail.remote.len() == 1;
        mail.only = match path {
            ForwardPath::Mailbox(mailbox) if first => Some(mailbox.clone()),
            _ => None,
        };
    }

    fn begin(&mut self, envelope: Envelope) -> Result<(), Reply> {
        let draft = self.house.store.draft();
        let Some(mail) = &mut self.mail else { return Err(out_of_order()) };
        mail.content = Some(Content { envelope, draft, scan: HeaderScan::new(), failure: None });
        Ok(())
    }

    async fn commit(&mut self) -> Reply {
        let Some(mut mail) = self.mail.take() else { return out_of_order() };
        let Some(content) = mail.content.take() else { return out_of_order() };
        match self.accept(mail, content).await {
            Ok(reply) | Err(reply) => reply,
        }
    }

    async fn accept(&self, mail: Mail, content: Content) -> Result<Reply, Reply> {
        let Content { envelope, draft, scan, failure } = content;
        if let Some(error) = failure {
            warn!(session = %self.caller.session, mail = mail.name, %error, "a message could not be kept");
            return Err(disk_reply(&error));
        }
        let facts = scan.finish();
        self.judge(&mail, &facts)?;
        let head = self.head(&mail, &envelope, &facts);
        let size = draft.len() + head.len() as u64;
        let ops = self.ops(&mail, &facts);
        let committed = self.house.store.commit(Commit::with_body(ops, head, draft)).await;
        let committed = committed.map_err(|error| {
            warn!(session = %self.caller.session, mail = mail.name, %error, "a message was not kept");
            commit_reply(&error)
        })?;
        let queued_as = committed.mail();
        info!(
            session = %self.caller.session,
            mail = mail.name,
            sender = %mail.sender,
            local = mail.local.len(),
            queued = queued_as.map(|mail| mail.0),
            size,
            account = mail.by.login.as_ref().map(|login| login.account.as_str()),
            "accepted"
        );
        let mut text = format!("accepted as {}", mail.name);
        if let Some(queued_as) = queued_as {
            let _ = write!(text, ", queued as {queued_as}");
        }
        Ok(reply(250, (2, 0, 0), &text))
    }

    /// What only the content can tell.
    fn judge(&self, mail: &Mail, facts: &Facts) -> Result<(), Reply> {
        allowed(policy::loops::judge(facts.received as usize))?;
        if !self.is_submission() {
            return Ok(());
        }
        if facts.from.fields > 1 || facts.from.flawed {
            return Err(reply(550, (5, 6, 0), "The From field cannot be read, or stands twice"));
        }
        let directory = self.house.directory();
        let authors = facts.from.addresses.iter().map(|address| (address.local(), address.domain().as_str()));
        allowed(policy::sender::header(&directory, Strictness::EnvelopeAndFrom, self.client(&mail.by).account, authors))
    }

    /// What goes in front of the content, the same for everybody.
    fn head(&self, mail: &Mail, envelope: &Envelope, facts: &Facts) -> Vec<u8> {
        let mut head = Vec::with_capacity(512);
        let date = Date::utc(self.house.now());
        let hello = mail.by.hello.to_string();
        let only = mail.only.as_ref().filter(|_| mail.local.len() + mail.remote.len() == 1);
        let only = only.and_then(|mailbox| Address::parse(&mailbox.to_string()).ok());
        let ours = self.house.host();
        // RFC 6409 §8: where our own users are when they write is nobody's business.
        let address = (!self.is_submission()).then(|| self.caller.peer.ip());
        Received {
            from: Some(Giver { hello: &hello, address, name: None }),
            by: ours,
            with: protocol(envelope),
            id: &mail.name,
            tls_cipher: mail.by.tls.as_ref().map(|tls| tls.cipher.as_str()),
            recipient: only.as_ref(),
            date,
        }
        .write(&mut head);
        if self.is_submission() {
            self.repair(mail, facts, date, &mut head);
        }
        if !facts.begins_with_header {
            // The text has no header section: without this line its first words would be taken for one.
            head.extend_from_slice(b"\r\n");
        }
        head
    }

    /// RFC 6409 §8: what a message of our own users lacks.
    fn repair(&self, mail: &Mail, facts: &Facts, date: Date, head: &mut Vec<u8>) {
        let ours: &Domain = self.house.host();
        if facts.dates == 0 {
            write_date(date, head);
        }
        if facts.message_ids == 0 {
            write_message_id(date, self.house.chance_u128(), ours, head);
        }
        if let (0, ReversePath::Mailbox(mailbox)) = (facts.from.fields, &mail.sender) {
            head.extend_from_slice(format!("From: <{mailbox}>\r\n").as_bytes());
        }
    }

    fn ops(&self, mail: &Mail, facts: &Facts) -> Vec<Op> {
        let now = self.house.now();
        let place = |(account, reached_by): (&AccountId, &String)| Op::Place {
            account: *account,
            mailbox: MailboxRef::Inbox,
            body: 0,
            prefix: delivery_fields(&mail.sender, reached_by),
            received_at: now,
            flags: Flags::default(),
        };
        let mut ops: Vec<Op> = mail.local.iter().map(place).collect();
        if !mail.remote.is_empty() {
            ops.push(Op::Enqueue(self.queued_mail(mail, facts, now)));
        }
        ops
    }

    fn queued_mail(&self, mail: &Mail, facts: &Facts, now: i64) -> QueuedMail {
        let sender = match &mail.sender {
            ReversePath::Null => String::new(),
            ReversePath::Mailbox(mailbox) => mailbox.to_string(),
        };
        let kind = if sender.is_empty() { policy::Kind::Bounce } else { policy::Kind::Mail };
        QueuedMail {
            sender,
            recipients: once_each(&mail.remote),
            next_attempt: now,
            expires: self.house.expires(kind, now),
            smtputf8: mail.params.smtputf8,
            eight_bit: facts.eight_bit_header || facts.eight_bit_body,
            envid: None,
            ret: None,
            submitted_by: mail.by.login.as_ref().map(|login| login.account.clone()),
        }
    }
}

impl net::Desk<Server> for Desk {
    async fn answer(&mut self, ask: Ask) -> Answer {
        let verdict = match ask {
            Ask::Sender { by, path, params } => self.sender(by, path, params),
            // DSN is not offered, so its parameters do not come.
            Ask::Recipient { path, .. } => self.recipient(&path),
            Ask::Begin(envelope) => self.begin(envelope),
            // Boxed, as is the login: large, rare, and not what an idle connection should carry.
            Ask::Commit { .. } => return Answer::Reply(Box::pin(self.commit()).await),
            Ask::Abandon(_) => {
                self.mail = None;
                Ok(())
            }
            Ask::Login(ask) => return Answer::Login(Box::pin(door::answer(&self.house, &self.caller, ask)).await),
        };
        verdict.map_or_else(Answer::Reply, |()| Answer::Yes)
    }

    async fn keep(&mut self, content: &mut Vec<u8>) {
        let Some(Content { draft, scan, failure, .. }) = self.mail.as_mut().and_then(|mail| mail.content.as_mut())
        else {
            return;
        };
        if failure.is_none() {
            scan.feed(content);
            *failure = draft.append(content).err();
        }
    }

    async fn news(&mut self) -> Infallible {
        std::future::pending().await
    }
}

fn protocol(envelope: &Envelope) -> Protocol {
    let speech = match (envelope.by.extended, envelope.smtputf8) {
        (false, _) => Speech::Smtp,
        (true, false) => Speech::Esmtp,
        (true, true) => Speech::Utf8Smtp,
    };
    Protocol { speech, tls: envelope.by.tls.is_some(), authenticated: envelope.by.login.is_some() }
}

/// RFC 5321 §4.4: at final delivery the reverse-path goes on top; and by which address it came here.
fn delivery_fields(sender: &ReversePath, reached_by: &str) -> Vec<u8> {
    let mut fields = match sender {
        ReversePath::Null => b"Return-Path: <>\r\n".to_vec(),
        ReversePath::Mailbox(mailbox) => format!("Return-Path: <{mailbox}>\r\n").into_bytes(),
    };
    if let Ok(address) = Address::parse(reached_by) {
        write_delivered_to(&address, &mut fields);
    }
    fields
}

/// Who was named twice, or reached by two aliases, gets one.
fn once_each(recipients: &[QueuedRecipient]) -> Vec<QueuedRecipient> {
    let mut seen = HashSet::new();
    recipients.iter().filter(|recipient| seen.insert(&recipient.address)).cloned().collect()
}

fn queued(address: String) -> QueuedRecipient {
    QueuedRecipient { address, original: None, notify: None }
}

fn reply(code: u16, (class, subject, detail): (u8, u16, u16), text: &str) -> Reply {
    Reply::new(code, Some(EnhancedCode::new(class, subject, detail)), text)
}

/// A verdict as the answer to a question.
fn allowed(verdict: Verdict) -> Result<(), Reply> {
    match verdict.reason() {
        None => Ok(()),
        Some(reason) => {
            let policy::Reply { code, enhanced, text } = reason.reply();
            Err(Reply::new(code, EnhancedCode::parse(enhanced), &text))
        }
    }
}

/// The session asks in order; this is for the day it does not.
fn out_of_order() -> Reply {
    reply(451, (4, 3, 0), "the mail was lost on its way; please send it again")
}

fn disk_reply(error: &std::io::Error) -> Reply {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => commit_reply(&CommitError::Full),
        _ => commit_reply(&CommitError::Failed(String::new())),
    }
}

/// What the world may know of a commit that failed; the log knows the rest.
fn commit_reply(error: &CommitError) -> Reply {
    match error {
        CommitError::Busy => reply(451, (4, 3, 2), "too busy now; please try again later"),
        CommitError::Full => reply(452, (4, 3, 1), "no room left; please try again later"),
        _ => reply(451, (4, 3, 0), "the message could not be kept; please try again later"),
    }
}
