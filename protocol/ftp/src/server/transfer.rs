//! Transfers and other long work: what is begun, what is said meanwhile, and how it ends.
//!
//! RFC 959 §5.4 (125 or 150, then 226 or what went wrong; ABOR: 426, 226); RFC 1123 §4.1.2.7 (NLST), §4.1.2.9 (STOU);
//! RFC 3659 §5.3 (REST with APPE is REST with STOR), §7.2 (MLSD); RFC 4217 §10.2 (521 comes with the transfer command);
//! draft-bryan-ftp-range-08 §4.3; draft-bryan-ftpext-hash-02 §3.
//!
//! 150 for RETR ends in the size, `(1830 bytes)`, which curl and lftp look for; no name stands before it that could hold the
//! same. STAT during a transfer answers as Serv-U did, which lftp reads.
//!
//! Invariants: each work that was begun is ended by one final reply, or two if it was ABOR that ended it; REST, RANG and
//! ALLO are used up by the next transfer command, refused or not.
//! Not here: sockets, files, compression (desk).

use super::ask::{Answer, Ask, Begun, Errand, ListForm, Listing, Place, Transfer};
use super::stage::{Busy, DigestForm, Member, Question, Span, Stage, Stopped, Work, stretch_of};
use super::{Server, farewell};
use crate::command::{ListWish, Mode, Protection, Representation, Stretch};
use crate::hash::{HashKind, hex};
use crate::listing::Pattern;
use crate::path::{VirtualPath, WirePath};
use crate::refusal::{Digest, Outcome, Refusal};
use crate::reply::Reply;
use crate::words;

impl Server {
    pub(super) fn retr(&mut self, mut member: Member, path: &WirePath) -> Stage {
        let (from, until) = member.spend().0.bounds();
        match self.resolve(&member, path) {
            Ok(path) => self.begin(member, Errand::Retrieve { path, from, until }),
            Err(reply) => self.stay(Stage::Member(member), &reply),
        }
    }

    pub(super) fn stor(&mut self, mut member: Member, path: &WirePath) -> Stage {
        let (span, announced) = member.spend();
        match self.resolve(&member, path) {
            Ok(path) => self.begin(member, Errand::Store { path, place: span.into(), announced }),
            Err(reply) => self.stay(Stage::Member(member), &reply),
        }
    }

    pub(super) fn appe(&mut self, mut member: Member, path: &WirePath) -> Stage {
        let (span, announced) = member.spend();
        match (self.resolve(&member, path), span) {
            (Err(reply), _) => self.stay(Stage::Member(member), &reply),
            (_, Span::Between(..)) => self.stay(Stage::Member(member), &words::NOT_WITH_RANGE),
            (Ok(path), Span::From(_)) => self.begin(member, Errand::Store { path, place: span.into(), announced }),
            (Ok(path), Span::Whole) => self.begin(member, Errand::Append { path, announced }),
        }
    }

    pub(super) fn stou(&mut self, mut member: Member, path: Option<&WirePath>) -> Stage {
        let (span, announced) = member.spend();
        let wish = path.map_or(Ok(member.here.clone()), |path| self.resolve(&member, path));
        match (wish, span) {
            (Err(reply), _) => self.stay(Stage::Member(member), &reply),
            (_, Span::Between(..) | Span::From(_)) => self.stay(Stage::Member(member), &words::NOT_WITH_RANGE),
            (Ok(wish), Span::Whole) => self.begin(member, Errand::StoreUnique { wish, announced }),
        }
    }

    pub(super) fn list(&mut self, member: Member, wish: ListWish) -> Stage {
        self.list_as(member, wish, ListForm::Long)
    }

    pub(super) fn nlst(&mut self, member: Member, wish: ListWish) -> Stage {
        let asked = wish.path.as_ref().map(WirePath::as_bytes).unwrap_or_default();
        let slash: &[u8] = if asked.is_empty() || asked.ends_with(b"/") { b"" } else { b"/" };
        let beside = wish.path.as_ref().map(WirePath::before_last_name).unwrap_or_default();
        let form = ListForm::Names { inside: [asked, slash].concat(), beside: beside.to_vec() };
        self.list_as(member, wish, form)
    }

    fn list_as(&mut self, mut member: Member, wish: ListWish, form: ListForm) -> Stage {
        member.spend();
        let asked = wish.path.as_ref();
        match asked.map_or(Ok(member.here.clone()), |path| self.resolve(&member, path)) {
            Ok(path) => {
                let pattern = asked.and(path.name()).and_then(Pattern::parse);
                let (recursive, itself) = (wish.recursive, wish.itself);
                self.begin(member, Errand::List(Listing { path, form, pattern, recursive, itself }))
            }
            Err(reply) => self.stay(Stage::Member(member), &reply),
        }
    }

    pub(super) fn mlsd(&mut self, mut member: Member, path: Option<&WirePath>) -> Stage {
        member.spend();
        match path.map_or(Ok(member.here.clone()), |path| self.resolve(&member, path)) {
            Ok(path) => {
                let form = ListForm::Machine(self.link.wishes.facts);
                let listing = Listing { path, form, pattern: None, recursive: false, itself: false };
                self.begin(member, Errand::List(listing))
            }
            Err(reply) => self.stay(Stage::Member(member), &reply),
        }
    }

    /// All transfers come through here.
    fn begin(&mut self, member: Member, errand: Errand) -> Stage {
        let ascii = member.representation == Representation::Ascii && !matches!(errand, Errand::List(_));
        let private = self.link.protection == Protection::Private;
        let refusal = match errand {
            _ if !member.data_line => Some(&words::NO_DATA_LINE),
            _ if self.must_protect_data() && !private => Some(&words::PROTECT_DATA),
            // TYPE was changed behind REST.
            _ if ascii && errand.has_offset() => Some(&words::NO_OFFSET_IN_ASCII),
            _ => None,
        };
        if let Some(reply) = refusal {
            return self.stay(Stage::Member(member), reply);
        }
        let work = Work::of(&errand);
        let deflate = (member.mode == Mode::Deflate).then_some(self.link.wishes.deflate);
        self.ask(Ask::Begin(Transfer { errand, ascii, deflate, private }));
        Stage::Awaiting { member, question: Question::Begin(work) }
    }

    fn must_protect_data(&self) -> bool {
        self.settings.protect_data && self.link.tls.is_some()
    }

    pub(super) fn hash(&mut self, mut member: Member, path: WirePath) -> Stage {
        let (span, _) = member.spend();
        let kind = self.link.wishes.hash;
        self.digest(member, kind, stretch_of(path, span), DigestForm::Full)
    }

    pub(super) fn digest(&mut self, member: Member, kind: HashKind, stretch: Stretch, form: DigestForm) -> Stage {
        let Stretch { path: asked, from, until } = stretch;
        if until.is_some_and(|until| until <= from) {
            return self.stay(Stage::Member(member), &words::BAD_RANGE);
        }
        match self.resolve(&member, &asked) {
            Ok(path) => {
                self.ask(Ask::Digest { path, kind, from, until });
                Stage::Awaiting { member, question: Question::Begin(Work::Digesting { kind, path: asked, form }) }
            }
            Err(reply) => self.stay(Stage::Member(member), &reply),
        }
    }

    pub(super) fn comb(&mut self, member: Member, whole: &WirePath, parts: &[WirePath]) -> Stage {
        let paths = |path| self.resolve(&member, path);
        match (paths(whole), parts.iter().map(paths).collect()) {
            (Ok(whole), Ok(parts)) => {
                self.ask(Ask::Combine { whole, parts });
                Stage::Awaiting { member, question: Question::Begin(Work::Combining) }
            }
            (Err(reply), _) | (_, Err(reply)) => self.stay(Stage::Member(member), &reply),
        }
    }

    /// The house has begun, or refused to.
    pub(super) fn begun(&mut self, mut member: Member, work: Work, answer: Answer) -> Stage {
        match (answer, &work) {
            (Answer::Refused(refusal), _) => return self.stay(Stage::Member(member), &work.refused(refusal)),
            (Answer::Begun(begun), Work::Sending { .. } | Work::Receiving { .. } | Work::Listing { .. }) => {
                member.data_line = false;
                let reply = work.preliminary(&begun, &member);
                self.say(&reply);
            }
            (Answer::Done, Work::Digesting { .. } | Work::Combining) => {}
            _ => return self.stay(Stage::Member(member), &words::CONFUSED),
        }
        Stage::Busy(Busy { member, work, stopped: Stopped::Not })
    }

    pub(super) fn progress(&mut self, busy: Busy, answer: Answer) -> Stage {
        let Answer::Progress(octets) = answer else { return self.stay(Stage::Busy(busy), &words::CONFUSED) };
        let mut text = Vec::new();
        match &busy.work {
            Work::Sending { path } => text.extend([b"Sending file ", path.as_bytes()].concat()),
            Work::Receiving { path, .. } => text.extend([b"Receiving file ", path.as_bytes()].concat()),
            Work::Listing { .. } => text.extend_from_slice(b"Sending a listing"),
            Work::Digesting { path, .. } => text.extend([b"Hashing file ", path.as_bytes()].concat()),
            Work::Combining => text.extend_from_slice(b"Combining files"),
        }
        text.extend(format!(" ({octets} bytes)").bytes());
        self.stay(Stage::Busy(busy), &Reply::new(213, text))
    }

    /// It is over.
    pub(super) fn ended(&mut self, busy: Busy, outcome: Outcome) -> Stage {
        let Busy { member, work, stopped } = busy;
        self.say(&work.ended(&outcome));
        if stopped == Stopped::ByClient {
            self.say(&words::ABORTED);
        }
        if let Some(why) = self.leaving {
            return self.end(farewell(why));
        }
        Stage::Member(member)
    }
}

impl Member {
    /// What REST, RANG and ALLO have said; it holds once.
    fn spend(&mut self) -> (Span, Option<u64>) {
        (std::mem::take(&mut self.span), self.announced.take())
    }
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        match span {
            Span::Whole => Place::Whole,
            Span::From(from) => Place::From(from),
            Span::Between(from, until) => Place::Between(from, until),
        }
    }
}

impl Errand {
    fn has_offset(&self) -> bool {
        match self {
            Errand::Retrieve { from, until, .. } => *from > 0 || until.is_some(),
            Errand::Store { place, .. } => *place != Place::Whole,
            Errand::Append { .. } | Errand::StoreUnique { .. } | Errand::List(_) => false,
        }
    }
}

impl Work {
    /// 125 or 150.
    fn preliminary(&self, begun: &Begun, member: &Member) -> Reply {
        let code = if begun.connected { 125 } else { 150 };
        match (self, &begun.name) {
            (Work::Listing { .. }, _) if begun.connected => words::LISTING_BEGINS.clone(),
            (Work::Listing { .. }, _) => words::LISTING_FOLLOWS.clone(),
            (Work::Sending { .. }, _) => {
                let opening =
                    if begun.connected { "Data connection already open;" } else { "Opening data connection;" };
                let ascii = member.representation == Representation::Ascii;
                let form = if ascii { "ASCII" } else { "BINARY" };
                // In TYPE A more octets will come than the file has.
                let size = begun.octets.filter(|_| !ascii).map_or(String::new(), |octets| format!(" ({octets} bytes)"));
                Reply::new(code, format!("{opening} {form} mode{size}"))
            }
            // RFC 1123 §4.1.2.9 gives these words.
            (Work::Receiving { unique: true, .. }, Some(path)) => {
                Reply::new(code, [b"FILE: ", shortest(path, &member.here)].concat())
            }
            _ if begun.connected => words::STORE_BEGINS.clone(),
            _ => words::STORE_FOLLOWS.clone(),
        }
    }

    /// What the house refuses to begin, or to finish.
    fn refused(&self, refusal: Refusal) -> Reply {
        match (self, refusal) {
            // RFC 3659 §7.2.1
            (Work::Listing { machine: true }, Refusal::NotADirectory) => words::MACHINE_LIST_OF_A_FILE.clone(),
            // draft-bryan-ftpext-hash-02 §3.5
            (Work::Digesting { .. }, Refusal::IsADirectory) => words::HASH_OF_A_DIRECTORY.clone(),
            (Work::Digesting { .. }, Refusal::NotPermitted) => words::HASH_NOT_PERMITTED.clone(),
            _ => refusal.reply(),
        }
    }

    fn ended(&self, outcome: &Outcome) -> Reply {
        match (self, outcome) {
            (Work::Digesting { kind, path, form }, Outcome::Digested(digest)) => digested(*kind, path, *form, digest),
            (Work::Digesting { .. } | Work::Combining, Outcome::Aborted) => words::DIGEST_ABORTED.clone(),
            (Work::Combining, Outcome::Combined) => words::COMBINED.clone(),
            (_, Outcome::Refused(refusal)) => self.refused(*refusal),
            _ => outcome.reply(),
        }
    }
}

fn digested(kind: HashKind, path: &WirePath, form: DigestForm, digest: &Digest) -> Reply {
    let hash = hex(&digest.octets);
    match form {
        DigestForm::Bare => Reply::new(250, hash.to_ascii_uppercase()),
        DigestForm::Full => {
            // The end is inclusive, and of nothing it is the start.
            let last = digest.until.saturating_sub(1).max(digest.from);
            let mut text = format!("{} {}-{last} {hash} ", kind.name(), digest.from).into_bytes();
            text.extend_from_slice(path.as_bytes());
            Reply::new(213, text)
        }
    }
}

/// The name alone, if it is in the working directory.
fn shortest<'a>(path: &'a VirtualPath, here: &VirtualPath) -> &'a [u8] {
    match path.name() {
        Some(name) if path.parent() == *here => name,
        _ => path.as_bytes(),
    }
}
