//! How questions, answers and news of the FTP server are written in transcripts.
//!
//! `given: ftp-server` takes, besides the settings by their names: `in=bob` (has logged in already, with `permissions=` and
//! `home=`), `private=yes` (under TLS from the first octet), `data=yes` (EPSV was answered), `type=I`, `local=` and `peer=`.

pub mod client;

use ftp::command::Change;
use ftp::listing::{Entry, EntryKind, Rights};
use ftp::server::{
    Answer, Ask, Begun, Denied, Ends, Errand, HostRefusal, ListForm, Listing, Login, News, Overview, Place, Server,
    Settings, Tls, Transfer, Welcome,
};
use ftp::{Digest, Moment, Outcome, Permissions, Refusal, VirtualPath, WirePath};
use line::{Secured, Session, Step};
use std::sync::Arc;
use std::time::{Duration, Instant};
use transcript::{Given, Side, Stage};

pub struct FtpServer;

impl Stage for FtpServer {
    type Session = Server;
    const SIDE: Side = Side::Server;

    fn open(given: &Given, now: Instant) -> Server {
        let address = |key: &str, default: &str| given.setting(key).unwrap_or(default).parse().expect("an address");
        let ends = Ends::new(address("local", "192.0.2.1:21"), address("peer", "192.0.2.99:40000"));
        let mut server = Server::new(Arc::new(settings(given)), ends, now);
        if given.is("private") {
            server.secured(Secured { version: "TLSv1.3".into(), ..Secured::default() }, now);
        }
        if let Some(user) = given.setting("in") {
            log_in(&mut server, user, given, now);
        }
        server
    }

    fn question(ask: &Box<Ask>) -> String {
        question(ask)
    }

    fn answer(text: &str) -> Result<Answer, String> {
        answer(text).ok_or_else(|| format!("not an answer: {text}"))
    }

    fn news(text: &str) -> Result<News, String> {
        let outcome = text.strip_prefix("ended ").and_then(outcome);
        outcome.map(News::Ended).ok_or_else(|| format!("not news: {text}"))
    }
}

fn settings(given: &Given) -> Settings {
    let default = Settings::default();
    let secs = |key: &str, default: Duration| given.number(key).map_or(default, Duration::from_secs);
    let count = |key: &str, default: u32| given.number(key).map_or(default, |count| count as u32);
    Settings {
        tls: match given.setting("tls") {
            Some("absent") => Tls::Absent,
            Some("named") => Tls::Named,
            Some("everybody") => Tls::Everybody,
            _ => Tls::Optional,
        },
        protect_data: given.is("protect_data"),
        clear_control: given.is("clear_control"),
        anonymous: given.is("anonymous"),
        active: given.setting("active") != Some("no"),
        foreign_addresses: given.is("foreign_addresses"),
        deflate: given.is("deflate"),
        creation_times: given.is("creation_times"),
        failures_max: count("failures_max", default.failures_max),
        unknown_max: count("unknown_max", default.unknown_max),
        idle: secs("idle", default.idle),
        login: secs("login", default.login),
        ..default
    }
}

/// Brings the session to where the transcript begins.
fn log_in(server: &mut Server, user: &str, given: &Given, now: Instant) {
    drain(server);
    say(server, &format!("USER {user}"), now);
    say(server, "PASS secret", now);
    let permissions =
        given.setting("permissions").unwrap_or("list,read,write,append,create,delete,rename,mkdir,rmdir,chmod");
    let permissions = if permissions == "none" { "" } else { permissions };
    server.answer(
        Answer::Login(Ok(Welcome {
            permissions: Permissions::parse(permissions).expect("permissions"),
            home: path(given.setting("home").unwrap_or("/")).expect("a path"),
            message: None,
        })),
        now,
    );
    drain(server);
    if given.is("private") {
        say(server, "PBSZ 0", now);
        say(server, "PROT P", now);
    }
    if let Some(letter) = given.setting("type") {
        say(server, &format!("TYPE {letter}"), now);
    }
    if given.is("data") {
        say(server, "EPSV", now);
        server.answer(Answer::Listening("192.0.2.1:2121".parse().expect("an address")), now);
        drain(server);
    }
}

fn say(server: &mut Server, line: &str, now: Instant) {
    server.receive(format!("{line}\r\n").as_bytes(), now);
    drain(server);
}

fn drain(server: &mut Server) {
    let mut out = Vec::new();
    while server.next(&mut out) == Step::Send {
        out.clear();
    }
}

pub fn path(text: &str) -> Option<VirtualPath> {
    VirtualPath::root().resolve(&WirePath::new(text)?).ok()
}

fn question(ask: &Ask) -> String {
    match ask {
        Ask::Host(name) => format!("host {name}"),
        Ask::Login(login) => asked_login(login),
        Ask::Client(name) => format!("client {name}"),
        Ask::Logout => "logout".into(),
        Ask::Listen(family) => format!("listen {family:?}"),
        Ask::Active(address) => format!("active {address}"),
        Ask::Begin(transfer) => asked_transfer(transfer),
        Ask::Digest { path, kind, from, until } => format!("digest {} {path}{}", kind.name(), bounds(*from, *until)),
        Ask::Combine { whole, parts } => {
            format!("combine {whole} of{}", parts.iter().map(|part| format!(" {part}")).collect::<String>())
        }
        Ask::Progress => "progress".into(),
        Ask::Abort => "abort".into(),
        Ask::Enter(path) => format!("enter {path}"),
        Ask::Stat(path) => format!("stat {path}"),
        Ask::Kept(path) => format!("kept {path}"),
        Ask::Overview { path, itself, .. } => format!("overview {path}{}", if *itself { " itself" } else { "" }),
        Ask::MakeDirectory(path) => format!("make-directory {path}"),
        Ask::RemoveDirectory(path) => format!("remove-directory {path}"),
        Ask::Delete(path) => format!("delete {path}"),
        Ask::Rename { from, to } => format!("rename {from} to {to}"),
        Ask::Change { path, change } => format!("change {path} {}", facts(change)),
        Ask::Link { target, link } => format!("link {link} to {target}"),
        Ask::Space(path) => format!("space {path}"),
        Ask::Fits { directory, octets } => format!("fits {directory} {octets}"),
    }
}

fn asked_login(login: &Login) -> String {
    let Login { user, password, anonymous, host, client, private } = login;
    let mut text = format!("login {user} {}", String::from_utf8_lossy(password.reveal()));
    text += if *anonymous { " guest" } else { "" };
    text += &host.as_ref().map_or(String::new(), |host| format!(" host={host}"));
    text += &client.as_ref().map_or(String::new(), |client| format!(" client={client}"));
    text + if *private { " private" } else { "" }
}

fn asked_transfer(transfer: &Transfer) -> String {
    let Transfer { errand, ascii, deflate, private } = transfer;
    let mut text = match errand {
        Errand::Retrieve { path, from, until } => format!("retrieve {path}{}", bounds(*from, *until)),
        Errand::Store { path, place, announced } => {
            let place = match place {
                Place::Whole => String::new(),
                Place::From(from) => bounds(*from, None),
                Place::Between(from, until) => format!(" between {from} {until}"),
            };
            format!("store {path}{place}{}", announce(*announced))
        }
        Errand::Append { path, announced } => format!("append {path}{}", announce(*announced)),
        Errand::StoreUnique { wish, announced } => format!("store-unique {wish}{}", announce(*announced)),
        Errand::List(listing) => asked_listing(listing),
    };
    text += if *ascii { " ascii" } else { "" };
    text += &deflate.map_or(String::new(), |level| format!(" deflate={level}"));
    text + if *private { " private" } else { "" }
}

fn asked_listing(listing: &Listing) -> String {
    let Listing { path, form, pattern, recursive, itself } = listing;
    let form = match form {
        ListForm::Long => "list".into(),
        ListForm::Names { inside, beside } => {
            format!("names `{}` `{}`", String::from_utf8_lossy(inside), String::from_utf8_lossy(beside))
        }
        ListForm::Machine(facts) => format!("facts {}", facts.selected()),
    };
    let pattern = pattern
        .as_ref()
        .map_or(String::new(), |pattern| format!(" or {}", String::from_utf8_lossy(pattern.as_bytes())));
    format!(
        "{form} {path}{pattern}{}{}",
        if *recursive { " recursive" } else { "" },
        if *itself { " itself" } else { "" }
    )
}

fn bounds(from: u64, until: Option<u64>) -> String {
    let from = if from > 0 || until.is_some() { format!(" from {from}") } else { String::new() };
    from + &until.map_or(String::new(), |until| format!(" until {until}"))
}

fn announce(octets: Option<u64>) -> String {
    octets.map_or(String::new(), |octets| format!(" announced {octets}"))
}

fn facts(change: &Change) -> String {
    let mut text = Vec::new();
    change.write(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn answer(text: &str) -> Option<Answer> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some(match word {
        "done" => Answer::Done,
        "refused" => Answer::Refused(refusal(rest)?),
        "host" => Answer::Host(match rest {
            "" => Ok(None),
            "unknown" => Err(HostRefusal::Unknown),
            "away" => Err(HostRefusal::Away),
            welcome => Ok(Some(welcome.into())),
        }),
        "granted" => {
            let mut words = rest.splitn(3, ' ');
            let home = path(words.next()?)?;
            let permissions = words.next().map_or(Some(Permissions::ALL), Permissions::parse)?;
            Answer::Login(Ok(Welcome {
                permissions,
                home,
                message: words.next().map(|text| text.replace(" | ", "\n")),
            }))
        }
        "denied" => Answer::Login(Err(match rest {
            "credentials" => Denied::Credentials,
            "throttled" => Denied::Throttled,
            "too-many" => Denied::TooMany,
            "temporary" => Denied::Temporary,
            reason => Denied::Policy(reason.into()),
        })),
        "listening" => Answer::Listening(rest.parse().ok()?),
        "begun" => Answer::Begun(Begun {
            connected: rest.split(' ').any(|word| word == "connected"),
            octets: rest.split(' ').find_map(|word| word.parse().ok()),
            name: rest.split(' ').find_map(|word| path(word.strip_prefix("name=")?)),
        }),
        "progress" => Answer::Progress(rest.parse().ok()?),
        "entry" => Answer::Entry(entry(rest)?),
        "directory" | "file" => {
            let (lines, more) = rest.strip_suffix(" | ...").map_or((rest, false), |lines| (lines, true));
            let lines = lines.split(" | ").filter(|line| !line.is_empty()).map(Into::into).collect();
            Answer::Overview(Overview { directory: word == "directory", lines, more })
        }
        "kept" => Answer::Kept(rest.parse().ok()?),
        "changed" => Answer::Changed(change(rest)?),
        "space" => Answer::Space(rest.parse().ok()?),
        _ => return None,
    })
}

/// `file size=1830 modified=20260916055648`
fn entry(text: &str) -> Option<Entry<'static>> {
    let fact = |key: &str| text.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    Some(Entry {
        name: b""[..].into(),
        kind: if text.starts_with("directory") { EntryKind::Directory } else { EntryKind::File },
        size: fact("size").map_or(Some(0), |size| size.parse().ok())?,
        modified: Moment::parse(fact("modified").unwrap_or("20260916055648").as_bytes())?,
        created: None,
        mode: 0o644,
        links: 1,
        owner: "bob".into(),
        group: "bob".into(),
        unique: Some((1, 2)),
        rights: Rights::parse(fact("rights").unwrap_or("adfrw").as_bytes()),
    })
}

/// As MFF writes it.
fn change(text: &str) -> Option<Change> {
    match ftp::Command::parse(format!("MFF {text} x").as_bytes()) {
        Ok(ftp::Command::Mff(change, _)) => Some(change),
        _ => None,
    }
}

fn refusal(name: &str) -> Option<Refusal> {
    if let Some(kept) = name.strip_prefix("interrupted ") {
        return Some(Refusal::Interrupted { kept: kept.parse().ok()? });
    }
    Some(match name {
        "not-found" => Refusal::NotFound,
        "not-permitted" => Refusal::NotPermitted,
        "is-a-directory" => Refusal::IsADirectory,
        "not-a-directory" => Refusal::NotADirectory,
        "not-a-file" => Refusal::NotAFile,
        "exists" => Refusal::Exists,
        "not-empty" => Refusal::NotEmpty,
        "name-not-allowed" => Refusal::NameNotAllowed,
        "quota" => Refusal::Quota,
        "too-large" => Refusal::TooLarge,
        "full" => Refusal::Full,
        "bad-offset" => Refusal::BadOffset,
        "busy" => Refusal::Busy,
        "too-many" => Refusal::TooMany,
        "unsupported" => Refusal::Unsupported,
        "dismissed" => Refusal::Dismissed,
        "into-itself" => Refusal::IntoItself,
        "other-space" => Refusal::OtherSpace,
        "too-costly" => Refusal::TooCostly,
        "local-error" => Refusal::LocalError,
        _ => return None,
    })
}

fn outcome(text: &str) -> Option<Outcome> {
    let words: Vec<&str> = text.split(' ').collect();
    Some(match words[..] {
        ["completed", octets] => Outcome::Completed { octets: octets.parse().ok()? },
        ["digested", from, until, hex] => {
            let octets = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
            Outcome::Digested(Digest {
                octets: octets.collect::<Option<_>>()?,
                from: from.parse().ok()?,
                until: until.parse().ok()?,
            })
        }
        ["combined"] => Outcome::Combined,
        ["aborted"] => Outcome::Aborted,
        ["not-connected"] => Outcome::NotConnected,
        ["wrong-peer"] => Outcome::WrongPeer,
        ["broken"] => Outcome::Broken,
        ["truncated"] => Outcome::Truncated,
        ["garbled"] => Outcome::Garbled,
        ["stalled"] => Outcome::Stalled(Duration::from_secs(60)),
        ["tls-failed"] => Outcome::TlsFailed,
        ["tls-not-resumed"] => Outcome::TlsNotResumed,
        ["refused", name] => Outcome::Refused(refusal(name)?),
        _ => return None,
    })
}
