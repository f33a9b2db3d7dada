//! How transcripts write the questions and answers of the server's side.
//!
//! Questions: `?: login joe password=sesame`, `?: select INBOX`, `?: sync`, `?: fetch 1:3 FLAGS BODY[]`, `?: store 1:3 +FLAGS (\Seen)`,
//! `?: search Flag(Deleted)`, and so on. Answers: `!: done`, `!: refused NoSuchMailbox`, `!: selected uids=1:172 uidnext=4392`,
//! `!: changes expunged=3 added=7 flags=4:(\Seen):1002`, `!: fetched 1 flags=(\Seen) size=44 | 2 flags=()`, and so on: words
//! that are `key=value`, where a value may stand in `«»` to hold blanks, and `\r`, `\n`, `\0` are what they are elsewhere.
//!
//! Given: `login=joe` skips the login, `mailbox=INBOX uids=1:3` selects a mailbox, too, `enabled=qresync` has something enabled;
//! `without=MOVE,SORT` offers less, `with=LITERAL-` that.
//!
//! Not here: the transcripts.

use imap::capability::{Capabilities, Capability};
use imap::flag::{Flag, Flags, Keyword};
use imap::moment::Moment;
use imap::name::MailboxName;
use imap::server::ask::*;
use imap::server::{Server, Settings};
use imap::set::{NumberSet, SequenceSet};
use imap::url::{AuthorizedUrl, MessageUrl};
use line::{Secret, Secured, Session, Step};
use sasl::server::{Denied, Proof};
use sasl::{Mechanism, ScramKeys};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;
use transcript::{Given, Side, Stage};

/// The seed of all nonces here, so that transcripts of SCRAM can be written down.
const SEED: [u8; 32] = [7; 32];

pub struct ServerStage;

impl Stage for ServerStage {
    type Session = Server;
    const SIDE: Side = Side::Server;

    fn open(given: &Given, now: Instant) -> Server {
        assert_eq!(given.stage, "imap-server");
        let mut settings = Settings::new("imap.example.org");
        settings.clear_login = given.is("clear_login") || given.setting("login").is_some();
        settings.tls_available = given.setting("tls") != Some("no");
        settings.greeting = given.setting("greeting").map(str::to_owned);
        settings.message_max = given.number("message_max").unwrap_or(settings.message_max);
        if given.is("anonymous") {
            settings.identity = Vec::new();
        }
        if let Some(names) = given.setting("mechanisms") {
            let names = names.split(',').filter(|name| !name.is_empty());
            settings.mechanisms = names.map(|name| Mechanism::parse(name.as_bytes()).expect("a mechanism")).collect();
        }
        if given.setting("with") == Some("LITERAL-") {
            settings.capabilities = settings.capabilities.with(Capability::LiteralMinus);
        }
        if let Some(names) = given.setting("without") {
            settings.capabilities = without(settings.capabilities, names);
        }
        let server = Server::new(Arc::new(settings), &SEED, now);
        if given.setting("login").is_some() { already(server, given, now) } else { server }
    }

    fn question(ask: &Ask) -> String {
        question(ask)
    }

    fn answer(text: &str) -> Result<Answer, String> {
        answer(text)
    }

    fn news(text: &str) -> Result<News, String> {
        match text {
            "changed" => Ok(News::Changed),
            "elsewhere" => Ok(News::Elsewhere),
            _ => Err(format!("no such news: {text}")),
        }
    }
}

fn without(capabilities: Capabilities, names: &str) -> Capabilities {
    let gone = |name: &str| capabilities.iter().find(|capability| capability.name() == name).expect("a capability");
    names.split(',').fold(capabilities, |left, name| left.without(gone(name)))
}

/// A session that has come as far as the `given:` line says.
fn already(mut server: Server, given: &Given, now: Instant) -> Server {
    let login = given.setting("login").unwrap_or("joe").to_owned();
    let mut lines = vec![format!("x1 LOGIN {login} x\r\n")];
    if let Some(words) = given.setting("enabled") {
        lines.push(format!("x2 ENABLE {}\r\n", words.replace(',', " ")));
    }
    if let Some(mailbox) = given.setting("mailbox") {
        let verb = if given.is("read_only") { "EXAMINE" } else { "SELECT" };
        lines.push(format!("x3 {verb} {mailbox}\r\n"));
    }
    let mut lines = lines.into_iter();
    let mut out = Vec::new();
    loop {
        out.clear();
        match server.next(&mut out) {
            Step::Send | Step::Keep => {}
            Step::Ask(ask) => server.answer(ready(&ask, given), now),
            Step::Wait { .. } => match lines.next() {
                Some(line) => assert_eq!(server.receive(line.as_bytes(), now), line.len()),
                None => return server,
            },
            Step::Secure => server.secured(Secured::default(), now),
            Step::Clear | Step::Deflate | Step::Close => panic!("closed while getting ready"),
        }
    }
}

fn ready(ask: &Ask, given: &Given) -> Answer {
    match ask {
        Ask::Auth(_) => Answer::Auth(sasl::server::Answer::Login(Ok("1".into()))),
        Ask::Select { .. } => {
            let words = ["uids", "uidnext", "uidvalidity", "modseq", "keywords"];
            let words = words.iter().filter_map(|key| Some(format!("{key}={}", given.setting(key)?)));
            answer(&format!("selected {}", words.collect::<Vec<_>>().join(" "))).expect("an answer")
        }
        Ask::Sync => Answer::Changes(Changes::default()),
        _ => Answer::Done,
    }
}

fn question(ask: &Ask) -> String {
    match ask {
        Ask::Auth(ask) => login_question(ask),
        Ask::Forget => "forget".into(),
        Ask::Id(fields) => {
            let field =
                |(name, value): &(String, Option<String>)| format!(" {name}={}", value.as_deref().unwrap_or("NIL"));
            format!("id{}", fields.iter().map(field).collect::<String>())
        }
        Ask::GoOn => "go on".into(),
        Ask::Mailboxes => "mailboxes".into(),
        Ask::Status { mailbox, size } => format!("status {mailbox}{}", if *size { " with size" } else { "" }),
        Ask::Select { mailbox, read_only } => {
            format!("{} {mailbox}", if *read_only { "examine" } else { "select" })
        }
        Ask::Deselect => "deselect".into(),
        Ask::Create { mailbox, uses } => {
            format!("create {mailbox}{}", uses.iter().map(|it| format!(" {}", it.name())).collect::<String>())
        }
        Ask::Delete(mailbox) => format!("delete {mailbox}"),
        Ask::Rename { from, to } => format!("rename {from} to {to}"),
        Ask::Subscribe { mailbox, subscribed } => {
            format!("{} {mailbox}", if *subscribed { "subscribe" } else { "unsubscribe" })
        }
        Ask::AppendMessage(draft) => {
            let date = draft.date.map(|date| format!(" date={date}")).unwrap_or_default();
            let binary = if draft.binary { " binary" } else { "" };
            let before = if draft.before > 0 { format!(" before={}", draft.before) } else { String::new() };
            format!("append {} {}{date} size={}{binary}{before}", draft.mailbox, flag_text(&draft.flags), draft.size)
        }
        Ask::AppendText { size } => format!("text size={size}"),
        Ask::AppendPart(url) => {
            let validity = url.uidvalidity.map(|number| format!(" uidvalidity={number}")).unwrap_or_default();
            format!(
                "part {}{validity} uid={} {}",
                url.mailbox,
                url.uid,
                imap::fetch::Item::Section(url.section.clone())
            )
        }
        Ask::AppendCommit { replacing } => {
            format!("commit{}", replacing.map(|uid| format!(" replacing {uid}")).unwrap_or_default())
        }
        Ask::AppendAbandon => "abandon".into(),
        Ask::Sync => "sync".into(),
        Ask::Fetch(fetch) => {
            let items: String = fetch.items.iter().map(|item| format!(" {item}")).collect();
            let since = fetch.changed_since.map(|modseq| format!(" since={modseq}")).unwrap_or_default();
            let seen = if fetch.mark_seen { " seen" } else { "" };
            format!("fetch {}{items}{since}{seen}", fetch.uids)
        }
        Ask::Read { reader, from, to } => format!("read {reader} {from} {to}"),
        Ask::Vanished { since, uids } => format!("vanished {uids} since={since}"),
        Ask::Store(store) => {
            let sign = match store.how {
                Change::Replace => "",
                Change::Add => "+",
                Change::Remove => "-",
            };
            let since = store.unchanged_since.map(|modseq| format!(" since={modseq}")).unwrap_or_default();
            format!("store {} {sign}{}{since}", store.uids, flag_text(&store.flags))
        }
        Ask::Copy { uids, to, remove } => format!("{} {uids} to {to}", if *remove { "move" } else { "copy" }),
        Ask::Expunge { uids } => format!("expunge{}", uids.as_ref().map(|uids| format!(" {uids}")).unwrap_or_default()),
        Ask::Search(search) => {
            let order = match &search.order {
                Order::Uid => "search".into(),
                Order::Sorted(keys) => {
                    let key = |key: &SortKey| format!("{}{:?}", if key.reverse { "-" } else { "" }, key.by);
                    format!("sort {}", keys.iter().map(key).collect::<Vec<_>>().join(","))
                }
                Order::Threaded(algorithm) => format!("thread {algorithm:?}"),
            };
            let modseq = if search.modseq { " modseq" } else { "" };
            format!("{order} {}{modseq}", program(&search.program))
        }
        Ask::SearchIn(wish) => {
            let source = |source: &Source| match source {
                Source::Selected => "selected".into(),
                Source::Among(of) => among(of),
                Source::Children(names) => {
                    format!("children {}", names.iter().map(MailboxName::to_string).collect::<Vec<_>>().join(","))
                }
            };
            let sources = wish.sources.iter().map(source).collect::<Vec<_>>().join(" and ");
            let but = if wish.but_selected { " but selected" } else { "" };
            let modseq = if wish.modseq { " modseq" } else { "" };
            format!("search in {sources}{but}: {:?}{modseq}", wish.program)
        }
        Ask::AuthorizeUrls(urls) => format!("authorize{}", urls.iter().map(url_text).collect::<String>()),
        Ask::ResetUrlKeys(mailbox) => {
            format!("reset {}", mailbox.as_ref().map_or("all".into(), MailboxName::to_string))
        }
        Ask::FetchUrl(url) => format!("url{}", url_text(url)),
        Ask::Watch(watches) => {
            let one = |watch: &Watch| format!(" {} {}", among(&watch.among), events(&watch.events));
            format!("watch{}", watches.iter().map(one).collect::<String>())
        }
        Ask::Elsewhere => "elsewhere".into(),
        Ask::Namespaces => "namespaces".into(),
        Ask::Quota { root } => format!("quota {root}").trim_end().into(),
        Ask::QuotaRoots { mailbox } => format!("quota roots {mailbox}"),
        Ask::SetQuota { root, limits } => {
            let limit = |(resource, limit): &(Resource, u64)| format!(" {resource:?}={limit}");
            format!("set quota «{root}»{}", limits.iter().map(limit).collect::<String>())
        }
        Ask::Metadata { mailbox, entries, depth } => {
            let mailbox = mailbox.as_ref().map_or("server".into(), MailboxName::to_string);
            let depth = if *depth == Depth::Zero { String::new() } else { format!(" {depth:?}") };
            format!("metadata {mailbox} {}{depth}", entries.join(" "))
        }
        Ask::SetMetadata { mailbox, entries } => {
            let mailbox = mailbox.as_ref().map_or("server".into(), MailboxName::to_string);
            let value =
                |value: &Option<Vec<u8>>| value.as_ref().map_or("NIL".into(), |value| value.escape_ascii().to_string());
            let entry = |(name, it): &(String, Option<Vec<u8>>)| format!(" {name}={}", value(it));
            format!("set metadata {mailbox}{}", entries.iter().map(entry).collect::<String>())
        }
        Ask::Acl(mailbox) => format!("acl {mailbox}"),
        Ask::SetAcl { mailbox, identifier, change } => {
            let change = match change {
                RightsChange::Replace(rights) => rights.clone(),
                RightsChange::Add(rights) => format!("+{rights}"),
                RightsChange::Remove(rights) => format!("-{rights}"),
                RightsChange::Delete => "away".into(),
            };
            format!("set acl {mailbox} {identifier} {change}")
        }
        Ask::GrantableRights { mailbox, identifier } => format!("grantable {mailbox} {identifier}"),
        Ask::MyRights(mailbox) => format!("my rights {mailbox}"),
    }
}

/// ` joe INBOX uid=20 BODY[1.2] for Submitter("fred")`
fn url_text(url: &AuthorizedUrl) -> String {
    let MessageUrl { mailbox, uid, section, .. } = &url.message;
    let item = imap::fetch::Item::Section(section.clone());
    let expires = url.expires.map(|time| format!(" until {time}")).unwrap_or_default();
    let token = url.token.as_ref().map(|token| format!(" token={}", token.reveal().escape_ascii())).unwrap_or_default();
    format!(" {} {mailbox} uid={uid} {item}{expires} for {:?}{token}", url.owner, url.access)
}

fn among(among: &Among) -> String {
    let names = |names: &[MailboxName]| names.iter().map(MailboxName::to_string).collect::<Vec<_>>().join(",");
    match among {
        Among::Inboxes => "inboxes".into(),
        Among::Personal => "personal".into(),
        Among::Subscribed => "subscribed".into(),
        Among::Subtree(list) => format!("below {}", names(list)),
        Among::Mailboxes(list) => names(list),
    }
}

fn events(events: &Events) -> String {
    let all = [
        (events.messages, "messages"),
        (events.flags, "flags"),
        (events.names, "names"),
        (events.subscriptions, "subscriptions"),
        (events.metadata, "metadata"),
        (events.server_metadata, "server"),
    ];
    let told: Vec<&str> = all.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    format!("({})", told.join(" "))
}

/// A program in a form that is short enough to be read.
fn program(key: &imap::search::Key<NumberSet>) -> String {
    use imap::search::Key;
    match key {
        Key::And(keys) => format!("({})", keys.iter().map(program).collect::<Vec<_>>().join(" ")),
        Key::Or(keys) => format!("(or {} {})", program(&keys.0), program(&keys.1)),
        Key::Not(key) => format!("not {}", program(key)),
        Key::Fuzzy(key) => format!("fuzzy {}", program(key)),
        Key::Among(set) if set.is_empty() => "nothing".into(),
        Key::Among(set) => format!("{set}"),
        Key::Flag(flag) => flag.name().into(),
        Key::Keyword(keyword) => keyword.as_str().into(),
        Key::Date(clock, when, day) => format!("{clock:?} {when:?} {day}"),
        other => format!("{other:?}"),
    }
}

fn login_question(ask: &sasl::server::Ask) -> String {
    match ask {
        sasl::server::Ask::Keys { login } => format!("keys {login}"),
        sasl::server::Ask::Login { login, acting_for, proof } => {
            let acting_for = acting_for.as_ref().map(|name| format!(" acting_for={name}")).unwrap_or_default();
            let proof = match proof {
                Proof::Password(password) => format!("password={}", String::from_utf8_lossy(password.reveal())),
                Proof::Scram { proved: Some(_) } => "proved=yes".into(),
                Proof::Scram { proved: None } => "proved=no".into(),
                Proof::Certificate => "certified".into(),
            };
            format!("login {login}{acting_for} {proof}")
        }
    }
}

fn flag_text(flags: &Flags) -> String {
    let system = flags.system.iter().map(|flag| flag.name().to_owned());
    let keywords = flags.keywords().iter().map(|keyword| keyword.as_str().to_owned());
    format!("({})", system.chain(keywords).collect::<Vec<_>>().join(" "))
}

/// Words, of which some are `key=value`; a value in `«»` or in parentheses may hold blanks.
struct Words {
    plain: Vec<String>,
    keyed: HashMap<String, String>,
    in_order: Vec<(String, String)>,
}

impl Words {
    fn read(text: &str) -> Words {
        let mut words = Words { plain: Vec::new(), keyed: HashMap::new(), in_order: Vec::new() };
        for word in split(text, ' ') {
            match word.split_once('=') {
                Some((key, value)) if !word.starts_with(['«', '(']) => {
                    let value = value.strip_prefix('«').and_then(|value| value.strip_suffix('»')).unwrap_or(value);
                    words.keyed.insert(key.into(), value.into());
                    words.in_order.push((key.into(), value.into()));
                }
                _ => words.plain.push(word.trim_matches(['«', '»']).into()),
            }
        }
        words
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.keyed.get(key).map(String::as_str)
    }

    fn number(&self, key: &str, default: u64) -> u64 {
        self.get(key).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{key}={text} is not a number")))
    }

    fn small(&self, key: &str, default: u32) -> u32 {
        u32::try_from(self.number(key, default.into())).expect("32 bits")
    }

    fn set(&self, key: &str) -> NumberSet {
        self.get(key).map_or(NumberSet::new(), set)
    }

    fn keywords(&self) -> Option<Vec<Keyword>> {
        let keyword = |word: &str| Keyword::parse(word.as_bytes()).expect("a keyword");
        self.get("keywords").map(|words| words.split([' ', ',']).filter(|word| !word.is_empty()).map(keyword).collect())
    }

    fn octets(&self, key: &str) -> Option<Vec<u8>> {
        self.get(key).map(unescaped)
    }
}

/// Splits at a mark that stands outside of `«»` and `()`.
fn split(text: &str, mark: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '«' | '(' => depth += 1,
            '»' | ')' => depth -= 1,
            c if c == mark && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn set(text: &str) -> NumberSet {
    if text.is_empty() || text == "none" {
        return NumberSet::new();
    }
    SequenceSet::parse(text.as_bytes()).and_then(|set| set.plain()).unwrap_or_else(|| panic!("{text} is no set"))
}

fn flags(text: &str) -> Flags {
    let words = text.trim_matches(['(', ')']).split_whitespace();
    words.map(|word| Flag::parse(word.as_bytes()).unwrap_or_else(|| panic!("{word} is no flag"))).collect()
}

fn answer(text: &str) -> Result<Answer, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let words = Words::read(rest);
    let first = || words.plain.first().map(String::as_str).unwrap_or_default();
    Ok(match word {
        "keys" => Answer::Auth(sasl::server::Answer::Keys(Ok(keys(rest)))),
        "granted" => Answer::Auth(sasl::server::Answer::Login(Ok(rest.into()))),
        "denied" => Answer::Auth(sasl::server::Answer::Login(Err(denied(rest)?))),
        "done" => Answer::Done,
        "refused" => Answer::Refused(refusal(rest)?),
        "working" => Answer::Working {
            done: words.get("done").map(|_| words.small("done", 0)),
            goal: words.get("goal").map(|_| words.small("goal", 0)),
        },
        "mailboxes" => Answer::Mailboxes(split(rest, '|').into_iter().map(listed).collect()),
        "status" => Answer::Status(status(&words)),
        "selected" => Answer::Selected(Box::new(selected(&words))),
        "created" => Answer::Created { id: ObjectId::new(rest).expect("an id") },
        "part" => Answer::AppendedPart { octets: words.number("octets", 0) },
        "appended" => Answer::Appended { uidvalidity: words.small("uidvalidity", 1), uids: words.set("uids") },
        "changes" => Answer::Changes(Changes {
            expunged: words.set("expunged"),
            added: words.set("added"),
            touched: words.set("touched"),
            flags: words.get("flags").map(flagged).unwrap_or_default(),
            highestmodseq: words.number("modseq", 0),
            uidnext: words.small("uidnext", 0),
            keywords: words.keywords(),
            more: words.get("more") == Some("yes"),
            url_key_reset: words.get("url_key") == Some("reset"),
            lost: words.get("lost") == Some("yes"),
        }),
        "fetched" => {
            let parts = split(rest, '|');
            let (ends, messages): (Vec<&str>, Vec<&str>) =
                parts.into_iter().partition(|part| part.starts_with("until="));
            let looked_until = ends.first().and_then(|end| end.strip_prefix("until=")?.parse().ok());
            let mut held = Held::default();
            let messages = messages.into_iter().map(|text| message(text, &mut held)).collect();
            let Held { octets, apart } = held;
            Answer::Fetched(Fetched { messages, octets, apart, looked_until })
        }
        "octets" => Answer::Octets(unescaped(rest)),
        "sent" => Answer::Sent(rest.parse().expect("a number")),
        "vanished" => Answer::Vanished(set(first())),
        "stored" => Answer::Stored(Stored {
            flagged: words.get("flags").map(flagged).unwrap_or_default(),
            modified: words.set("modified"),
            gone: words.set("gone"),
            keywords: words.keywords(),
        }),
        "copied" => Answer::Copied(Copied {
            uidvalidity: words.small("uidvalidity", 1),
            from: words.set("from"),
            to: words.set("to"),
            modseq: words.number("modseq", 1),
        }),
        "expunged" => Answer::Expunged { uids: set(first()), modseq: words.number("modseq", 1) },
        "found" => Answer::Found(Found {
            hits: Hits::Set(set(first())),
            modseq: words.get("modseq").map(|_| words.number("modseq", 0)),
        }),
        "in" => {
            let mailbox = words.plain.first().and_then(|name| MailboxName::new(name)).filter(|_| first() != "nothing");
            let modseq = words.get("modseq").map(|_| words.number("modseq", 0));
            let uidvalidity = words.small("uidvalidity", 1);
            let found = mailbox.map(|mailbox| FoundIn { mailbox, uidvalidity, uids: words.set("uids"), modseq });
            Answer::FoundIn { found, more: words.get("more").is_some() }
        }
        "sorted" => Answer::Found(Found {
            hits: Hits::Sorted(words.plain.iter().map(|uid| uid.parse().expect("a UID")).collect()),
            modseq: words.get("modseq").map(|_| words.number("modseq", 0)),
        }),
        "threads" => {
            Answer::Found(Found { hits: Hits::Threads(words.plain.iter().map(|it| node(it)).collect()), modseq: None })
        }
        "watching" => {
            Answer::Watching(words.plain.iter().map(|name| MailboxName::new(name).expect("a name")).collect())
        }
        "elsewhere" => Answer::Elsewhere {
            happened: split(rest, '|').into_iter().filter(|part| *part != "more").map(happening).collect(),
            more: rest.ends_with("| more"),
        },
        "tokens" => Answer::UrlTokens(words.plain.iter().map(|token| Secret::new(unescaped(token))).collect()),
        "url" => {
            let mut held = Held::default();
            let content = words.in_order.first().and_then(|(key, it)| content(key, it, &mut held));
            Answer::FetchedUrl { content: content.unwrap_or(Content::Nil), octets: held.octets }
        }
        "namespaces" => {
            let prefixes = |key: &str| {
                words.in_order.iter().filter(|(it, _)| it == key).map(|(_, prefix)| prefix.clone()).collect()
            };
            Answer::Namespaces(Namespaces {
                personal: prefixes("personal"),
                others: prefixes("others"),
                shared: prefixes("shared"),
            })
        }
        "quotas" => Answer::Quotas(split(rest, '|').into_iter().map(quota_root).collect()),
        "metadata" => Answer::Metadata(
            words
                .in_order
                .iter()
                .map(|(name, value)| (name.clone(), (value != "NIL").then(|| unescaped(value))))
                .collect(),
        ),
        "acl" => Answer::Acl(words.in_order.clone()),
        "grantable" => Answer::GrantableRights {
            always: words.get("always").unwrap_or_default().into(),
            others: words.plain.clone(),
        },
        "rights" => Answer::MyRights(rest.into()),
        _ => return Err(format!("no such answer: {text}")),
    })
}

fn keys(password: &str) -> ScramKeys {
    ScramKeys::derive(password.as_bytes(), b"a grain of salt", NonZeroU32::new(4096).expect("not zero"))
}

fn denied(text: &str) -> Result<Denied, String> {
    Ok(match text.split_once(' ').unwrap_or((text, "")) {
        ("credentials", _) => Denied::Credentials,
        ("throttled", _) => Denied::Throttled,
        ("temporary", _) => Denied::Temporary,
        ("policy", why) => Denied::Policy(why.into()),
        _ => return Err(format!("no such denial: {text}")),
    })
}

fn refusal(text: &str) -> Result<Refusal, String> {
    let simple = [
        Refusal::NoSuchMailbox,
        Refusal::TryCreate,
        Refusal::AlreadyExists,
        Refusal::NoSelect,
        Refusal::HasChildren,
        Refusal::Cannot,
        Refusal::NoPermission,
        Refusal::OverQuota,
        Refusal::TooLarge,
        Refusal::Limit,
        Refusal::UseAttr,
        Refusal::ExpungeIssued,
        Refusal::UnknownEncoding,
        Refusal::Unavailable,
        Refusal::Corrupted,
        Refusal::NoSuchRoot,
        Refusal::MetadataTooMany,
        Refusal::MetadataNoPrivate,
    ];
    if let Some(found) = simple.into_iter().find(|refusal| format!("{refusal:?}") == text) {
        return Ok(found);
    }
    match text.split_once(' ') {
        Some(("MetadataTooLarge", octets)) => Ok(Refusal::MetadataTooLarge(octets.parse().map_err(|_| "octets")?)),
        Some(("Policy", why)) => Ok(Refusal::Policy(why.into())),
        _ => Err(format!("no such refusal: {text}")),
    }
}

/// `INBOX`, `a/b subscribed`, `x level`, `y only-subscribed`, `Sent use=\Sent`.
fn listed(text: &str) -> Listed {
    let words = Words::read(text);
    let has = |word: &str| words.plain.iter().skip(1).any(|it| it == word);
    let only = has("only-subscribed");
    let uses = words.in_order.iter().filter(|(key, _)| key == "use");
    Listed {
        name: MailboxName::new(&words.plain[0]).unwrap_or_else(|| panic!("{text} begins with a name")),
        selectable: !only && !has("level"),
        exists: !only,
        subscribed: only || has("subscribed"),
        uses: uses.map(|(_, name)| SpecialUse::parse(name.as_bytes()).expect("a use")).collect(),
        marked: if has("marked") {
            Some(true)
        } else if has("unmarked") {
            Some(false)
        } else {
            None
        },
        no_inferiors: has("no-inferiors"),
    }
}

fn status(words: &Words) -> Status {
    Status {
        messages: words.small("messages", 0),
        unseen: words.small("unseen", 0),
        deleted: words.small("deleted", 0),
        uidnext: words.small("uidnext", 1),
        uidvalidity: words.small("uidvalidity", 1),
        highestmodseq: words.number("modseq", 1),
        size: words.number("size", 0),
        deleted_size: words.number("deleted_size", 0),
        append_limit: words.get("limit").map(|_| words.number("limit", 0)),
        id: ObjectId::new(words.get("id").unwrap_or("F1")).expect("an id"),
    }
}

/// `messages misc uidnext=999`, `flags misc unseen=3`, `name a subscribed`, `name b old=a children`, `metadata INBOX /shared/x`, `overflow`.
fn happening(text: &str) -> Happening {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let words = Words::read(rest);
    let mailbox = || MailboxName::new(&words.plain[0]);
    match word {
        "messages" | "flags" => {
            let mailbox = mailbox().expect("a name");
            Happening::Messages { mailbox, status: status(&words), flags_only: word == "flags" }
        }
        "name" => Happening::Name {
            listed: listed(rest),
            has_children: words.plain.iter().any(|word| word == "children"),
            old: words.get("old").and_then(MailboxName::new),
        },
        "metadata" => Happening::Metadata { mailbox: mailbox(), entries: words.plain[1..].to_vec() },
        "overflow" => Happening::Overflow,
        _ => panic!("{text} does not happen"),
    }
}

fn selected(words: &Words) -> Selected {
    let uids = words.set("uids");
    let uidnext = words.small("uidnext", uids.last().map_or(1, |uid| uid + 1));
    let permanent = words.get("permanent").map(|words| {
        let (system, rest): (Vec<_>, Vec<_>) =
            words.trim_matches(['(', ')']).split_whitespace().partition(|word| *word != "\\*");
        Permanent::Only { system: flags(&system.join(" ")).system, keywords: !rest.is_empty() }
    });
    Selected {
        id: ObjectId::new(words.get("id").unwrap_or("F1")).expect("an id"),
        uidvalidity: words.small("uidvalidity", 1),
        uidnext,
        highestmodseq: words.number("modseq", 1),
        first_unseen: words.get("unseen").map(|_| words.small("unseen", 0)),
        uids,
        keywords: words.keywords().unwrap_or_default(),
        permanent: permanent.unwrap_or(Permanent::Everything),
        read_only: words.get("read_only") == Some("yes"),
    }
}

/// `4:(\Seen):1002,5:():1003`
fn flagged(text: &str) -> Vec<Flagged> {
    let one = |part: &str| {
        let mut pieces = part.split(':');
        let uid = pieces.next().and_then(|uid| uid.parse().ok()).expect("a UID");
        let flags = flags(pieces.next().expect("flags"));
        let modseq = pieces.next().map_or(1, |modseq| modseq.parse().expect("a change number"));
        Flagged { uid, flags, modseq }
    };
    split(text, ',').into_iter().map(one).collect()
}

/// `12 flags=(\Seen) modseq=5 size=44 body[]=«…» nil=x stretch=1:0:10`: sections in the order they stand.
/// Octets that come with an answer.
#[derive(Default)]
struct Held {
    octets: Vec<u8>,
    apart: Vec<Vec<u8>>,
}

fn message(text: &str, held: &mut Held) -> Message {
    let words = Words::read(text);
    let moment = |key: &str| words.get(key).map(|text| Moment::parse(text.as_bytes()).expect("a date"));
    let id = |key: &str| words.get(key).map(|id| ObjectId::new(id).expect("an id"));
    let mut formed = |key: &str| words.octets(key).map(|formed| excerpt(&formed, &mut held.octets));
    let (envelope, body, body_structure) = (formed("envelope"), formed("body"), formed("structure"));
    Message {
        uid: words.plain[0].parse().expect("a UID"),
        modseq: words.number("modseq", 1),
        flags: words.get("flags").map(flags).unwrap_or_default(),
        seen_now: words.get("seen_now") == Some("yes"),
        internal_date: moment("date"),
        size: words.number("size", 0),
        envelope,
        body,
        body_structure,
        email_id: id("email_id"),
        thread_id: id("thread_id"),
        save_date: moment("saved"),
        preview: words.get("preview").map(str::to_owned),
        sections: words.in_order.iter().filter_map(|(key, value)| content(key, value, held)).collect(),
    }
}

/// Puts something behind octets.
fn excerpt(some: &[u8], octets: &mut Vec<u8>) -> Excerpt {
    let start = octets.len();
    octets.extend_from_slice(some);
    Excerpt::since(start, octets)
}

fn content(key: &str, value: &str, held: &mut Held) -> Option<Content> {
    Some(match key {
        "text" => Content::Octets(excerpt(&unescaped(value), &mut held.octets)),
        "apart" => {
            held.apart.push(unescaped(value));
            Content::Apart(held.apart.len() as u32 - 1)
        }
        "nil" => Content::Nil,
        "unknown" => Content::UnknownEncoding,
        "octets" => Content::Size(value.parse().expect("a number")),
        "stretch" => {
            let mut numbers = value.split(':').map(|number| number.parse().expect("a number"));
            let mut next = || numbers.next().expect("reader:from:to");
            Content::Stretch { reader: next(), from: next(), to: next() }
        }
        _ => return None,
    })
}

/// `0:3` is UID 3 at depth 0, `1:-` one that is missing at depth 1.
fn node(text: &str) -> ThreadNode {
    let (depth, uid) = text.split_once(':').expect("depth:uid");
    ThreadNode { depth: depth.parse().expect("a depth"), uid: uid.parse().ok() }
}

/// `«name» Storage=10/512 Message=1/2`
fn quota_root(text: &str) -> QuotaRoot {
    let words = Words::read(text);
    let resource = |name: &str| match name {
        "Storage" => Resource::Storage,
        "Message" => Resource::Message,
        "Mailbox" => Resource::Mailbox,
        "AnnotationStorage" => Resource::AnnotationStorage,
        _ => panic!("{name} is no resource"),
    };
    let of = |(name, value): &(String, String)| {
        let (usage, limit) = value.split_once('/').expect("usage/limit");
        (resource(name), usage.parse().expect("usage"), limit.parse().expect("a limit"))
    };
    let name = words.plain.first().cloned().unwrap_or_default();
    QuotaRoot { name, resources: words.in_order.iter().map(of).collect() }
}

/// `\r`, `\n`, `\0`, `\\`, `\xHH`, and `\{text*1000}` for repetition.
fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        octets.extend_from_slice(before.as_bytes());
        let (octet, used) = match behind.as_bytes() {
            [b'r', ..] => (b"\r".to_vec(), 1),
            [b'n', ..] => (b"\n".to_vec(), 1),
            [b'0', ..] => (b"\0".to_vec(), 1),
            [b'\\', ..] => (b"\\".to_vec(), 1),
            [b'x', ..] => (vec![u8::from_str_radix(&behind[1..3], 16).expect("two digits")], 3),
            [b'{', ..] => {
                let end = behind.find('}').expect("a closing brace");
                let (what, count) = behind[1..end].rsplit_once('*').expect("text*count");
                (what.repeat(count.parse().expect("a count")).into_bytes(), end + 1)
            }
            _ => panic!("unknown escape: {behind}"),
        };
        octets.extend(octet);
        rest = &behind[used..];
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}
