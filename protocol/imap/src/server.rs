//! The server's side: what we say and when.
//!
//! RFC 9051 §3 (states), §5.4 (autologout), §5.5 (one command after the other), §6 (commands), §7.5.1 (what may be
//! announced); RFC 3501 for those who have not enabled more; RFC 7888 §4 (literals that are refused).
//!
//! ```text
//! Stranger ─LOGIN │ AUTHENTICATE→ AwaitingCredentials ─answer→ Member ─UNAUTHENTICATE→ Stranger
//!     │ ↑                              │ ↑
//!  STARTTLS secured              Exchanging (a challenge is out)
//!     ↓ │
//!  Securing
//!
//! Member ─command→ Awaiting ─answer→ … ─answer→ Awaiting (Sync) ─answer→ Member
//!                  Awaiting ─answer→ Flowing (more than one piece to say) → …
//! Member ─APPEND … {n}→ Awaiting ─answer→ Appending ─octets→ BetweenMessages ─line→ … → Member
//! Member ─IDLE→ Idling ─news→ Awaiting (Sync) → Idling ─DONE→ …
//! ```
//!
//! Commands are obeyed one after the other, so that those sent ahead are never ambiguous. Behind each, the house is asked
//! what has changed in the selected mailbox, and it is announced as far as it may be.
//!
//! Invariants: one tagged reply for each command, in order; a question is open or a command is read, never both; a
//! connection survives what it does not understand; a password that must not come in clear is not looked at; what is
//! said in one piece is bounded.
//! Not here: what is in a mailbox and who may see it (house), sockets and TLS (net).

pub mod ask;

mod about;
mod append;
mod changes;
mod context;
mod fetch;
mod list;
mod login;
mod mailbox;
mod notify;
mod refusal;
mod search;
mod settings;
mod stage;
mod store;
mod stretch;
mod urls;

pub use ask::{Answer, Ask, News};
pub use settings::{IDLE_LIMIT_MIN, Settings};

use crate::capability::Capability;
use crate::command::{Command, Opening};
use crate::gather::{Came, Gather};
use crate::name::MailboxName;
use crate::reply::{Pen, Reply};
use crate::table::{Expunges, Row, Verb, When};
use crate::words::{Announced, Misread};
use line::{Exposure, Leave, Secured, Session, Step};
use sasl::Nonces;
use stage::{Attention, Enabled, Flow, Member, Pending, Stage, Then, Turn};
use std::sync::Arc;
use std::time::Instant;

/// A line of someone who has not logged in: room for a SASL response (RFC 4954 §4 counts 12,288 octets).
const STRANGER_LINE_MAX: usize = sasl::LINE_MAX + 256;

/// RFC 7162 §4: clients keep to 8192 octets, and servers should take 65,536.
const LINE_MAX: usize = 64 * 1024;

/// A command with its literals, but for messages: a search for long texts, annotations.
const COMMAND_MAX: usize = 256 * 1024;

/// RFC 7888 §5: where LITERAL- is all that is offered, a client waits with what is longer.
const LITERAL_MINUS_MAX: u64 = 4_096;

/// A literal that is refused is thrown away up to so many octets; for more, a new connection is cheaper.
const WASTE_MAX: u64 = 256 << 20;

/// So many lines in a row that are no commands, and we hang up: whoever is there does not speak IMAP.
const BAD_COMMANDS_MAX: u32 = 20;

/// What is said in one piece: large enough for few writes, small enough to be forgotten.
const PIECE: usize = 64 * 1024;

/// What a buffer keeps between commands; what is above was for a message and is given back.
const IDLE_BUFFER_MAX: usize = 256;

/// The first octet of a TLS record with a handshake (RFC 8446 §5.1); no command begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// A session.
#[derive(Debug)]
pub struct Server {
    settings: Arc<Settings>,
    nonces: Nonces,
    gather: Gather,
    tls: Option<Secured>,
    /// COMPRESS was obeyed.
    compressed: bool,
    /// Something has happened in other mailboxes while it could not be asked what.
    elsewhere_due: bool,
    stage: Stage,
    /// What is to be sent before anything else.
    said: Vec<u8>,
    /// Content that goes out behind it as it is; nothing is said until it has gone.
    apart: Vec<u8>,
    /// There is a message in it.
    says_content: bool,
    /// Content for the house.
    kept: Vec<u8>,
    /// What is to be asked after that.
    question: Option<Ask>,
    /// A command that is refused while its literals still come.
    refused: Option<Refused>,
    exposure: Exposure,
    now: Instant,
    /// When a login must be done.
    login_until: Instant,
    /// When something must be said.
    idle_until: Instant,
    bad_commands: u32,
    failed_logins: u32,
    /// The house closes as soon as no message is on its way.
    leaving: bool,
}

#[derive(Debug)]
struct Refused {
    tag: Option<Vec<u8>>,
    reply: Reply,
    /// How many octets were thrown away.
    wasted: u64,
}

impl Server {
    /// A session that begins now. `seed` is from the system's random source, fresh for each session.
    pub fn new(settings: Arc<Settings>, seed: &[u8; 32], now: Instant) -> Self {
        let (login_until, idle_until) = (now + settings.login_limit, now + settings.idle_limit.max(IDLE_LIMIT_MIN));
        Server {
            nonces: Nonces::new(seed),
            gather: Gather::new(STRANGER_LINE_MAX),
            tls: None,
            compressed: false,
            elsewhere_due: false,
            stage: Stage::Greeting,
            said: Vec::new(),
            apart: Vec::new(),
            says_content: false,
            kept: Vec::new(),
            question: None,
            refused: None,
            exposure: Exposure::Open,
            now,
            login_until,
            idle_until,
            bad_commands: 0,
            failed_logins: 0,
            leaving: false,
            settings,
        }
    }

    /// Who is logged in, as the house calls the account.
    pub fn account(&self) -> Option<&str> {
        self.member().map(|member| member.account.as_str())
    }

    /// Which mailbox is selected, for the log.
    pub fn selected(&self) -> Option<&MailboxName> {
        self.member()?.mailbox.as_ref().map(|mailbox| &mailbox.name)
    }

    /// What the log calls the state.
    pub fn state_name(&self) -> &'static str {
        match &self.stage {
            Stage::Closing => "logout",
            Stage::Idling { .. } => "idle",
            _ => match self.member().map(|member| member.mailbox.is_some()) {
                None => "not authenticated",
                Some(false) => "authenticated",
                Some(true) => "selected",
            },
        }
    }

    fn member(&self) -> Option<&Member> {
        match &self.stage {
            Stage::Member(member)
            | Stage::Deflating(member)
            | Stage::Awaiting { member, .. }
            | Stage::Flowing { member, .. }
            | Stage::Appending { member, .. }
            | Stage::BetweenMessages { member, .. }
            | Stage::Idling { member, .. } => Some(member),
            _ => None,
        }
    }

    fn offers(&self, capability: Capability) -> bool {
        self.settings.capabilities.has(capability)
    }

    fn pen(&mut self) -> Pen<'_> {
        Pen(&mut self.said)
    }

    fn ask(&mut self, ask: Ask) {
        self.question = Some(ask);
    }

    /// A question of a command.
    fn await_answer(&mut self, member: Box<Member>, turn: Turn, ask: Ask, pending: Pending) -> Stage {
        self.ask(ask);
        Stage::Awaiting { member, turn, pending: Box::new(pending) }
    }

    /// A reply without more ado.
    fn reply(&mut self, stage: Stage, tag: &[u8], reply: &Reply) -> Stage {
        reply.write(Some(tag), &mut self.said);
        stage
    }

    /// The end of a command: what has changed is announced, and then this is said.
    fn finish(&mut self, member: Box<Member>, turn: Turn, reply: Reply) -> Stage {
        if member.mailbox.is_some() {
            return self.await_answer(member, turn, Ask::Sync, Pending::End(reply));
        }
        self.reply(Stage::Member(member), &turn.tag, &reply)
    }

    fn bye(&mut self, reply: &Reply) -> Stage {
        reply.write(None, &mut self.said);
        Stage::Closing
    }

    /// Something that is no command. Patience ends.
    fn misbehaved(&mut self, stage: Stage, tag: Option<&[u8]>, why: &'static str) -> Stage {
        Reply::bad(why).write(tag, &mut self.said);
        self.bad_commands += 1;
        if self.bad_commands < BAD_COMMANDS_MAX {
            return stage;
        }
        self.bye(&Reply::bye("too many bad commands, goodbye"))
    }

    /// A line has ended; perhaps a literal follows.
    fn line(&mut self, announced: Option<Announced>) {
        let stage = std::mem::replace(&mut self.stage, Stage::Closing);
        self.stage = match (stage, announced) {
            (Stage::Exchanging { tag, exchange }, _) => {
                let text = self.gather.take_text();
                self.response(tag, exchange, &text)
            }
            (Stage::Idling { member, turn }, _) => {
                let done = self.gather.take_text().eq_ignore_ascii_case(b"DONE");
                let reply = if done { Reply::ok("idle no more") } else { Reply::bad("IDLE ends with DONE") };
                self.finish(member, turn, reply)
            }
            (Stage::BetweenMessages { member, turn, append }, _) => self.append_goes_on(member, turn, append),
            (stage, announced) if self.refused.is_some() => self.still_refused(stage, announced),
            (stage, Some(announced)) => self.literal(stage, announced),
            (stage, None) => {
                let text = self.gather.take_text();
                self.command(stage, &text)
            }
        };
    }

    /// A command announces a literal: is it welcome?
    fn literal(&mut self, stage: Stage, announced: Announced) -> Stage {
        let text = self.gather.take_text();
        let opening = match Opening::read(&text) {
            Ok(opening) => opening,
            Err(wrong) => {
                let tag = wrong.tag.map(<[u8]>::to_vec);
                return self.refuse_literal(stage, tag, Reply::bad(wrong.why.0), announced);
            }
        };
        let tag = Some(opening.tag.to_vec());
        if let Some(reply) = self.forbidden(&stage, &opening) {
            return self.refuse_literal(stage, tag, reply, announced);
        }
        let hasty = !announced.waits && announced.octets > LITERAL_MINUS_MAX;
        if hasty && self.offers(Capability::LiteralMinus) {
            let reply = Reply::bad("literals over 4096 octets wait for our word").coded("TOOBIG");
            return self.refuse_literal(stage, tag, reply, announced);
        }
        match (opening.row.verb, stage) {
            (Verb::Append | Verb::Replace, Stage::Member(member)) => {
                self.append_literal(member, &opening, &text, announced)
            }
            (_, stage) if text.len() as u64 + announced.octets > self.command_max(&stage) => {
                let reply = Reply::bad("the command is too long").coded("TOOBIG");
                self.refuse_literal(stage, tag, reply, announced)
            }
            (_, stage) => self.accept_literal(stage, text, announced),
        }
    }

    fn command_max(&self, stage: &Stage) -> u64 {
        if matches!(stage, Stage::Member(_)) { COMMAND_MAX as u64 } else { STRANGER_LINE_MAX as u64 }
    }

    fn accept_literal(&mut self, stage: Stage, text: Vec<u8>, announced: Announced) -> Stage {
        self.gather.restore(text);
        // What the limit lets through fits.
        self.gather.accept(usize::try_from(announced.octets).unwrap_or(usize::MAX));
        self.go_ahead(announced);
        stage
    }

    fn go_ahead(&mut self, announced: Announced) {
        if announced.waits {
            self.pen().word("+ go ahead").end();
        }
    }

    /// RFC 7888 §4: a client that does not wait sends its literal whatever we say; it must be taken away.
    fn refuse_literal(&mut self, stage: Stage, tag: Option<Vec<u8>>, reply: Reply, announced: Announced) -> Stage {
        self.gather.clear();
        let wasted = self.refused.as_ref().map_or(0, |refused| refused.wasted).saturating_add(announced.octets);
        if announced.waits {
            self.refused = None;
            reply.write(tag.as_deref(), &mut self.said);
            return stage;
        }
        if wasted > WASTE_MAX {
            return self.bye(&Reply::bye("the literal is too large").coded("TOOBIG"));
        }
        self.gather.skip(announced.octets);
        self.refused = Some(Refused { tag, reply, wasted });
        stage
    }

    fn still_refused(&mut self, stage: Stage, announced: Option<Announced>) -> Stage {
        let Some(Refused { tag, reply, wasted }) = self.refused.take() else { return stage };
        self.gather.clear();
        match announced {
            Some(announced) => {
                self.refused = Some(Refused { tag: None, reply: reply.clone(), wasted });
                self.refuse_literal(stage, tag, reply, announced)
            }
            None => {
                reply.write(tag.as_deref(), &mut self.said);
                stage
            }
        }
    }

    /// A whole command.
    fn command(&mut self, stage: Stage, text: &[u8]) -> Stage {
        // Some clients send an empty line behind a literal.
        if text.is_empty() {
            return stage;
        }
        let opening = match Opening::read(text) {
            Ok(opening) => opening,
            Err(wrong) => return self.misbehaved(stage, wrong.tag, wrong.why.0),
        };
        if let Some(reply) = self.forbidden(&stage, &opening) {
            return self.reply(stage, opening.tag, &reply);
        }
        let stage = match stage {
            Stage::Member(member) if matches!(opening.row.verb, Verb::Append | Verb::Replace) => {
                return self.append_line(member, &opening);
            }
            stage => stage,
        };
        let utf8 = matches!(&stage, Stage::Member(member) if member.enabled.names_in_utf8());
        match opening.command(utf8) {
            Ok(command) => {
                self.bad_commands = 0;
                self.obey(stage, &opening, command)
            }
            Err(Misread(why)) => self.misbehaved(stage, Some(opening.tag), why),
        }
    }

    /// What the table says against a command.
    fn forbidden(&self, stage: &Stage, opening: &Opening<'_>) -> Option<Reply> {
        let row = opening.row;
        if !self.offers_command(row) {
            return Some(Reply::bad("unknown command"));
        }
        let member = if let Stage::Member(member) = stage { Some(member) } else { None };
        let mailbox = member.and_then(|member| member.mailbox.as_ref());
        match (row.when, member, mailbox) {
            (When::Stranger, Some(_), _) => return Some(Reply::bad("you are logged in already")),
            (When::Member | When::Selected, None, _) => return Some(Reply::bad("log in first")),
            (When::Selected, _, None) => return Some(Reply::bad("select a mailbox first")),
            _ => {}
        }
        if row.verb == Verb::Login && !self.may_show_password() {
            return Some(self.no_clear_passwords());
        }
        let numbers =
            row.expunges == Expunges::HeldForNumbers || matches!(row.verb, Verb::Copy | Verb::Move | Verb::Replace);
        if member.is_some_and(|member| member.enabled.uid_only) && numbers && !opening.uid {
            return Some(Reply::bad("UIDONLY is enabled, use the form with UID").coded("UIDREQUIRED"));
        }
        let read_only = row.changes && mailbox.is_some_and(|mailbox| mailbox.read_only);
        read_only.then(|| Reply::no("the mailbox is open for reading only"))
    }

    fn offers_command(&self, row: &Row) -> bool {
        use Capability as C;
        let any = |capabilities: &[Capability]| capabilities.iter().any(|capability| self.offers(*capability));
        match row.verb {
            Verb::Thread => any(&[C::ThreadOrderedSubject, C::ThreadReferences, C::ThreadRefs]),
            Verb::Cancelupdate => any(&[C::ContextSearch, C::ContextSort]),
            Verb::Getmetadata | Verb::Setmetadata => any(&[C::Metadata, C::MetadataServer]),
            _ => row.capability.is_none_or(|capability| self.offers(capability)),
        }
    }

    /// A command that the table allows.
    fn obey(&mut self, stage: Stage, opening: &Opening<'_>, command: Command) -> Stage {
        let tag = opening.tag.to_vec();
        match (stage, command) {
            (stage, Command::Capability) => self.capability(stage, tag),
            (Stage::Member(member), command) => {
                // What the client removes itself it is told in any case.
                let removes = matches!(opening.row.verb, Verb::Expunge | Verb::Move);
                let allowed = opening.row.expunges == Expunges::Told || opening.uid;
                let expunges = allowed && (member.attention.expunged || removes);
                self.obey_member(member, Turn { tag, uid: opening.uid, expunges }, command)
            }
            (stage, Command::Noop) => self.reply(stage, &tag, &Reply::ok("nothing done")),
            (_, Command::Logout) => self.logout(&tag),
            (stage, Command::Id(fields)) => self.id_of_stranger(stage, tag, fields),
            (stage, Command::Compress(_)) => self.reply(stage, &tag, &Reply::no("log in first").coded("CANNOT")),
            (_, Command::Starttls) => self.starttls(&tag),
            (_, Command::Login { user, password }) => self.login(tag, &user, &password),
            (_, Command::Authenticate { mechanism, initial }) => self.authenticate(tag, &mechanism, initial.as_ref()),
            // The table has let none of the others come here.
            (stage, _) => self.reply(stage, &tag, &Reply::bad("log in first")),
        }
    }

    /// A command of someone who is in.
    fn obey_member(&mut self, member: Box<Member>, turn: Turn, command: Command) -> Stage {
        match command {
            Command::Noop | Command::Check => self.finish(member, turn, Reply::ok("done")),
            Command::Logout => self.logout(&turn.tag),
            Command::Id(fields) => self.id(member, turn, fields),
            Command::Compress(algorithm) => self.compress(member, &turn, &algorithm),
            Command::Enable(words) => self.enable(member, turn, &words),
            // RFC 8437 §3: NO is not permitted; where not all can be taken back, the connection ends.
            Command::Unauthenticate if self.compressed => self.bye(&Reply::bye("compression cannot be ended")),
            Command::Unauthenticate => self.await_answer(member, turn, Ask::Forget, Pending::Forget),
            Command::Namespace => self.await_answer(member, turn, Ask::Namespaces, Pending::Namespaces),
            Command::Select(select) => self.select(member, turn, select),
            Command::Create { mailbox, uses } => self.create(member, turn, mailbox, uses),
            Command::Delete(mailbox) => {
                let pending = Pending::Deleted(mailbox.clone());
                self.await_answer(member, turn, Ask::Delete(mailbox), pending)
            }
            Command::Rename(from, to) => {
                let pending = Pending::Done(Reply::ok("renamed"));
                self.await_answer(member, turn, Ask::Rename { from, to }, pending)
            }
            Command::Subscribe { mailbox, subscribed } => {
                let words = if subscribed { "subscribed" } else { "not subscribed any more" };
                let ask = Ask::Subscribe { mailbox, subscribed };
                self.await_answer(member, turn, ask, Pending::Done(Reply::ok(words)))
            }
            Command::List(list) => self.list(member, turn, list),
            Command::Lsub(pattern) => self.lsub(member, turn, pattern),
            Command::Status(mailbox, items) => self.status(member, turn, mailbox, items),
            Command::Notify(notify) => self.notify(member, turn, notify),
            Command::Idle => self.idle(member, turn),
            Command::Close => self.close(member, turn),
            Command::Unselect => self.unselect(member, turn),
            Command::Expunge(messages) => self.expunge(member, turn, messages.as_ref()),
            Command::Search(search) => self.search(member, turn, search),
            Command::GenUrlAuth(urls) => self.gen_url_auth(member, turn, urls),
            Command::ResetKey(mailbox, mechanisms) => self.reset_key(member, turn, mailbox, &mechanisms),
            Command::UrlFetch(urls) => self.url_fetch(member, turn, urls),
            Command::CancelUpdate(tags) => self.cancel_update(member, turn, &tags),
            Command::Esearch(sources, search) => self.esearch(member, turn, sources, search),
            Command::Sort(keys, search) => self.sort(member, turn, keys, search),
            Command::Thread(algorithm, program) => self.thread(member, turn, algorithm, program),
            Command::BadCharset { saves } => self.bad_charset(member, turn, saves),
            Command::Fetch(fetch) => self.fetch(member, turn, fetch),
            Command::Store(store) => self.store(member, turn, store),
            Command::Copy { messages, to, remove } => self.copy(member, turn, &messages, to, remove),
            Command::Uidbatches { size, batches } => self.uidbatches(member, turn, size, batches),
            command => self.obey_about(member, turn, command),
        }
    }

    fn logout(&mut self, tag: &[u8]) -> Stage {
        let text = format!("{} IMAP server signing off", self.settings.host);
        Reply::bye(text).write(None, &mut self.said);
        self.reply(Stage::Closing, tag, &Reply::ok("goodbye"))
    }

    fn farewell(&mut self) -> Stage {
        self.bye(&Reply::bye("the server is closing, come back later").coded("UNAVAILABLE"))
    }

    fn greet(&mut self) -> Stage {
        let ready = format!("{} IMAP server ready", self.settings.host);
        let text = self.settings.greeting.clone().unwrap_or(ready);
        self.pen().word("* OK [CAPABILITY");
        self.write_capabilities(false);
        self.pen().word("] ").text(&text).end();
        Stage::Stranger
    }

    fn flow(&mut self, member: Box<Member>, turn: Turn, flow: Flow) -> Stage {
        match flow {
            Flow::Changes { flags, more, then } => self.announce(member, turn, flags, more, then),
            Flow::Fetch(work) => self.fetch_on(member, turn, *work),
            Flow::Store(work) => self.store_tell(member, turn, *work),
            Flow::List(work) => self.list_on(member, turn, work),
            Flow::Urls(work) => self.url_fetch_on(member, turn, work),
        }
    }

    fn restart_clock(&mut self) {
        self.idle_until = self.now + self.settings.idle_limit.max(IDLE_LIMIT_MIN);
    }

    fn until(&self) -> Instant {
        if self.member().is_some() { self.idle_until } else { self.login_until }
    }

    /// In the middle of a command: before login it is LOGIN, behind it perhaps one with URLs that grant access.
    fn gather_holds_secret(&self) -> bool {
        let fetches = || Opening::read(self.gather.text()).is_ok_and(|opening| opening.row.verb == Verb::Urlfetch);
        !self.gather.is_at_start() && (self.member().is_none() || fetches())
    }
}

impl Session for Server {
    type Ask = Ask;
    type Answer = Answer;
    type News = News;

    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.now = now;
        if matches!(self.stage, Stage::Appending { .. }) {
            return self.take_content(bytes);
        }
        if bytes.first() == Some(&TLS_HANDSHAKE) && self.tls.is_none() && self.gather.is_at_start() {
            self.exposure = Exposure::SecretAfter(0);
            self.stage = self.bye(&Reply::bye("this port speaks IMAP in clear, and TLS after STARTTLS"));
            return bytes.len();
        }
        let in_secret = matches!(self.stage, Stage::Exchanging { .. }) || self.gather_holds_secret();
        match self.gather.take(bytes) {
            Came::Nothing => 0,
            Came::Piece { taken } => {
                self.exposure = if self.member().is_some() { Exposure::Content } else { Exposure::SecretAfter(0) };
                taken
            }
            Came::Line { taken, announced } => {
                self.exposure = exposure_of(&bytes[..taken], in_secret);
                self.restart_clock();
                self.line(announced);
                taken
            }
            Came::Flawed { taken } => {
                self.exposure = exposure_of(&bytes[..taken], in_secret);
                self.unreadable("a line ends in CRLF, and has no NUL and no other CR or LF in it");
                taken
            }
            Came::TooLong { taken } => {
                self.exposure = Exposure::SecretAfter(0);
                self.unreadable("the line is too long");
                taken
            }
        }
    }

    fn closed(&mut self, _now: Instant) {
        self.stage = Stage::Closing;
    }

    fn secured(&mut self, tls: Secured, now: Instant) {
        self.now = now;
        self.tls = Some(tls);
        self.restart_clock();
        if let Stage::Securing = self.stage {
            self.gather.clear();
            self.stage = Stage::Stranger;
        }
    }

    fn answer(&mut self, answer: Answer, now: Instant) {
        self.now = now;
        self.restart_clock();
        self.stage = match std::mem::replace(&mut self.stage, Stage::Closing) {
            Stage::AwaitingCredentials { tag, exchange } => self.credentials_answered(tag, exchange, answer),
            Stage::AwaitingNote { tag } => self.noted(&tag),
            Stage::Awaiting { member, turn, pending } => self.answered(member, turn, *pending, answer),
            stage => stage,
        };
    }

    fn news(&mut self, news: News, now: Instant) {
        self.now = now;
        self.stage = match (std::mem::replace(&mut self.stage, Stage::Closing), news) {
            (Stage::Idling { member, turn }, News::Changed) if member.mailbox.is_some() => {
                self.await_answer(member, turn, Ask::Sync, Pending::Idle)
            }
            (Stage::Idling { member, turn }, News::Elsewhere) => self.elsewhere(member, turn, Then::Idle),
            // RFC 9051 §5.3 wants clients between commands left alone with it, unless they have asked by NOTIFY.
            (Stage::Member(member), News::Changed) if member.mailbox.is_some() && member.attention.at_once => {
                self.selected_has_changed(member)
            }
            (Stage::Member(member), News::Elsewhere) => {
                let turn = Turn { tag: Vec::new(), uid: false, expunges: false };
                self.elsewhere(member, turn, Then::Nothing)
            }
            (stage, news) => {
                self.elsewhere_due |= news == News::Elsewhere;
                stage
            }
        };
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        if now >= self.until() {
            self.stage = self.bye(&Reply::bye("you said nothing for too long"));
        }
    }

    fn leave(&mut self, why: Leave, now: Instant) {
        self.now = now;
        let appends = matches!(self.stage, Stage::Appending { .. } | Stage::BetweenMessages { .. });
        match why {
            Leave::HouseCloses if appends => self.leaving = true,
            Leave::HouseCloses => self.stage = self.farewell(),
            Leave::SentAway => self.stage = self.bye(&Reply::bye("the administrator has ended this session")),
        }
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Step<Ask> {
        loop {
            if !self.kept.is_empty() {
                std::mem::swap(&mut self.kept, out);
                self.exposure = Exposure::Content;
                return Step::Keep;
            }
            if !self.said.is_empty() {
                std::mem::swap(&mut self.said, out);
                self.said.clear();
                let content = std::mem::take(&mut self.says_content);
                self.exposure = if content { Exposure::Content } else { Exposure::Open };
                return Step::Send;
            }
            if !self.apart.is_empty() {
                std::mem::swap(&mut self.apart, out);
                self.exposure = Exposure::Content;
                return Step::Send;
            }
            if let Some(question) = self.question.take() {
                return Step::Ask(question);
            }
            match std::mem::replace(&mut self.stage, Stage::Closing) {
                Stage::Greeting => self.stage = self.greet(),
                Stage::Flowing { member, turn, flow } => self.stage = self.flow(member, turn, *flow),
                Stage::Appending { member, turn, append } if append.is_whole() => {
                    self.stage = Stage::BetweenMessages { member, turn, append };
                }
                Stage::Member(_) if self.leaving => self.stage = self.farewell(),
                Stage::Member(member) if std::mem::take(&mut self.elsewhere_due) => {
                    let turn = Turn { tag: Vec::new(), uid: false, expunges: false };
                    self.stage = self.elsewhere(member, turn, Then::Nothing);
                }
                Stage::Closing => return Step::Close,
                Stage::Deflating(member) => {
                    self.stage = Stage::Member(member);
                    return Step::Deflate;
                }
                Stage::Securing => {
                    self.stage = Stage::Securing;
                    return Step::Secure;
                }
                stage => {
                    self.stage = stage;
                    if self.said.capacity() > IDLE_BUFFER_MAX {
                        self.said = Vec::new();
                    }
                    return Step::Wait { until: self.until() };
                }
            }
        }
    }

    fn exposure(&self) -> Exposure {
        self.exposure
    }
}

impl Server {
    fn unreadable(&mut self, why: &'static str) {
        self.restart_clock();
        let text = self.gather.take_text();
        let tag = Opening::read(&text).ok().map(|opening| opening.tag.to_vec());
        self.refused = None;
        self.stage = match std::mem::replace(&mut self.stage, Stage::Closing) {
            Stage::Exchanging { tag, .. } => {
                self.exchange_over();
                self.misbehaved(Stage::Stranger, Some(&tag), why)
            }
            Stage::BetweenMessages { member, turn, .. } => self.abandon(member, turn, Reply::bad(why)),
            Stage::Idling { member, turn } => self.finish(member, turn, Reply::bad(why)),
            stage => self.misbehaved(stage, tag.as_deref(), why),
        };
    }

    /// An answer to a question of a command.
    fn answered(&mut self, mut member: Box<Member>, turn: Turn, pending: Pending, answer: Answer) -> Stage {
        match (pending, answer) {
            (pending, Answer::Working { done, goal }) => self.working(member, turn, pending, done, goal),
            (Pending::Done(reply), Answer::Done) => self.finish(member, turn, reply),
            (Pending::End(reply), Answer::Changes(changes)) => self.changed(member, turn, changes, Then::Reply(reply)),
            (Pending::Idle, Answer::Changes(changes)) => self.changed(member, turn, changes, Then::Idle),
            (Pending::Unasked, Answer::Changes(changes)) => self.changed(member, turn, changes, Then::Nothing),
            (Pending::Unasked, _) => Stage::Member(member),
            (Pending::AuthorizeUrls(rumps), answer) => self.urls_authorized(member, turn, &rumps, answer),
            (Pending::FetchUrl(work), answer) => self.url_fetched(member, turn, work, answer),
            (Pending::ReadUrl(work), answer) => self.url_read(member, turn, work, answer),
            (Pending::Recheck(recheck), answer) => self.rechecked(member, turn, recheck, answer),
            (Pending::Watch(work), Answer::Watching(mailboxes)) => self.watching(member, turn, work, mailboxes),
            (Pending::WatchStatus(work), answer) => self.watch_status(member, turn, work, answer),
            (Pending::Elsewhere(then), Answer::Elsewhere { happened, more }) => {
                self.happened(member, turn, happened, more, then)
            }
            (Pending::Elsewhere(then), _) => self.go_on(member, turn, then),
            (Pending::Forget, Answer::Done) => self.forgotten(&turn),
            (Pending::Namespaces, Answer::Namespaces(namespaces)) => self.namespaces(member, turn, &namespaces),
            (Pending::Mailboxes(work), Answer::Mailboxes(mailboxes)) => self.listed(member, turn, work, mailboxes),
            (Pending::ListStatus(work), answer) => self.list_status(member, turn, work, answer),
            (Pending::ListMetadata(work), answer) => self.list_metadata(member, turn, work, answer),
            (Pending::ListRights(work), answer) => self.list_rights(member, turn, work, answer),
            (Pending::Status { mailbox, items }, Answer::Status(status)) => {
                self.write_status(&member, &mailbox, &items, &status);
                self.finish(member, turn, Reply::ok("that is the status"))
            }
            (Pending::Created, Answer::Created { id }) => self.created(member, turn, &id),
            (Pending::Deleted(mailbox), Answer::Done) => self.deleted(member, turn, &mailbox),
            (Pending::Select(select), Answer::Selected(selected)) => self.selected_now(member, turn, select, &selected),
            (Pending::Select(_), answer) => {
                member.mailbox = None;
                let reply = self.refusal_of(answer);
                self.reply(Stage::Member(member), &turn.tag, &reply)
            }
            (Pending::ResyncVanished(work, among), Answer::Vanished(uids)) => {
                self.resynced(member, turn, work, &uids.intersection(&among))
            }
            (Pending::CloseExpunge, answer) => self.close_expunged(member, turn, &answer),
            (Pending::Deselect(reply), _) => {
                member.mailbox = None;
                self.reply(Stage::Member(member), &turn.tag, &reply)
            }
            (Pending::Expunge, Answer::Expunged { uids, modseq }) => self.expunged(member, turn, &uids, modseq),
            (Pending::AppendMessage(append), answer) => self.append_begun(member, turn, append, answer),
            (Pending::AppendText(append), answer) => self.append_text(member, turn, append, answer),
            (Pending::AppendPart(append, url), answer) => self.append_part(member, turn, append, &url, answer),
            (Pending::AppendCommit { replacing }, Answer::Appended { uidvalidity, uids }) => {
                self.appended(member, turn, replacing, uidvalidity, uids)
            }
            (Pending::AppendAbandon(reply), _) => self.finish(member, turn, reply),
            (Pending::AppendAbandoned, _) => Stage::Member(member),
            (Pending::FetchVanished(work), Answer::Vanished(uids)) => self.fetch_vanished(member, turn, work, &uids),
            (Pending::Fetch(work), Answer::Fetched(fetched)) => self.fetched(member, turn, work, fetched),
            (Pending::Fetch(work), answer) => self.not_fetched(member, turn, work, answer),
            (Pending::Read(work), answer) => self.read(member, turn, work, answer),
            (Pending::Store(work), Answer::Stored(stored)) => self.stored(member, turn, work, stored),
            (Pending::Copy { removed }, Answer::Copied(copied)) => self.copied(member, turn, removed, copied),
            (Pending::Search(work), Answer::Found(found)) => self.found(member, turn, work, found),
            (Pending::SearchIn(work), Answer::FoundIn { found, more }) => {
                self.found_in(member, turn, work, found, more)
            }
            (Pending::Search(work) | Pending::SearchIn(work), answer) => self.not_found(member, turn, &work, answer),
            (pending, answer) => self.answered_about(member, turn, pending, answer),
        }
    }
}

/// What was agreed when somebody logs in.
fn newcomer(account: String) -> Stage {
    let (enabled, attention) = (Enabled::default(), Attention::default());
    Stage::Member(Box::new(Member { account, enabled, attention, mailbox: None }))
}

/// What a log may show of a line that came: not the words behind LOGIN, not what an exchange says, no URL that grants access.
fn exposure_of(bytes: &[u8], in_secret: bool) -> Exposure {
    if in_secret {
        return Exposure::SecretAfter(0);
    }
    let line = bytes.trim_ascii_end();
    let Ok(opening) = Opening::read(line) else { return Exposure::Open };
    let shown = line.len() - opening.rest.len();
    let mechanism = opening.rest.iter().skip(1).take_while(|&&octet| octet != b' ').count() + 1;
    match opening.row.verb {
        Verb::Login | Verb::Urlfetch => Exposure::SecretAfter(shown),
        Verb::Authenticate if mechanism < opening.rest.len() => Exposure::SecretAfter(shown + mechanism + 1),
        _ => Exposure::Open,
    }
}
