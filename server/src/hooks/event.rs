//! What hooks are told of, as JSON and as environment variables.
//!
//! One object for all services, with an object in it for what the event is about: `file` and `transfer` here; mail will have
//! its own. docs/hooks.md is its description.
//!
//! ```text
//! {"id": …, "event": "upload", "at": …, "host": …, "service": "ftp", "session": …, "account": …, "client": …, "tls": …,
//!  "file": {"path": …, "on_disk": …, "size": …}, "transfer": {"id": …, "octets": …, "secs": …, "offset": …, "tls": …}}
//! ```
//!
//! Invariants: an event's JSON is written once and never changes, so a signature of it can be made again; a name that is not
//! UTF-8 is there exactly as well, in hexadecimal digits.
//! Not here: who is told (hooks).

use crate::house::{SessionId, chance};
use serde_json::{Map, Value, json};
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A file was stored, whole and durable.
    Upload,
    /// A file was fetched to its end.
    Download,
    /// A file was deleted.
    Delete,
    /// A file or a directory was renamed.
    Rename,
    /// An upload broke off; what came is kept for a while, or is gone.
    UploadInterrupted,
    /// Somebody tries a hook.
    Test,
}

impl EventKind {
    /// Those that a hook can ask for.
    pub const ALL: [EventKind; 5] =
        [EventKind::Upload, EventKind::Download, EventKind::Delete, EventKind::Rename, EventKind::UploadInterrupted];

    /// Its name in configuration and JSON.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Upload => "upload",
            EventKind::Download => "download",
            EventKind::Delete => "delete",
            EventKind::Rename => "rename",
            EventKind::UploadInterrupted => "upload-interrupted",
            EventKind::Test => "test",
        }
    }

    /// The event of this name, if a hook can ask for it.
    pub fn named(name: &str) -> Option<Self> {
        EventKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Something that happened, with everything that is told of it.
#[derive(Debug, Clone)]
pub struct Happening {
    /// What.
    pub kind: EventKind,
    /// When, in Unix seconds.
    pub at: i64,
    /// The port's name: `ftp`, `ftps`.
    pub service: &'static str,
    /// In which session.
    pub session: SessionId,
    /// Whose.
    pub account: String,
    /// Where the client is.
    pub peer: Option<SocketAddr>,
    /// What the client says of itself.
    pub agent: Option<String>,
    /// Whether the control connection is under TLS.
    pub tls: bool,
    /// Which file.
    pub file: FileFacts,
    /// Which transfer, if it was one.
    pub transfer: Option<TransferFacts>,
}

/// A file.
#[derive(Debug, Clone, Default)]
pub struct FileFacts {
    /// Its path as its account sees it.
    pub path: Vec<u8>,
    /// The path before, if it was renamed.
    pub from: Option<Vec<u8>>,
    /// Where it lies on this machine.
    pub on_disk: Option<PathBuf>,
    /// Its length in octets.
    pub size: Option<u64>,
}

impl FileFacts {
    /// Its paths, the new one first.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.path.as_slice()).chain(self.from.as_deref())
    }
}

/// A transfer.
#[derive(Debug, Clone)]
pub struct TransferFacts {
    /// Its id in the log.
    pub id: SessionId,
    /// Octets that moved.
    pub octets: u64,
    /// How long it took.
    pub secs: f64,
    /// Where in the file it began.
    pub offset: u64,
    /// Whether the data connection was under TLS.
    pub tls: bool,
    /// Why it did not come to its end.
    pub reason: Option<String>,
}

/// An event with its name, ready to be kept and told.
#[derive(Debug, Clone)]
pub struct Event {
    /// Unlike that of any other event; sorts by time.
    pub id: String,
    /// When it happened, in Unix seconds.
    pub at: i64,
    /// The JSON.
    pub body: String,
}

impl Happening {
    /// Gives it its id and writes it down.
    pub fn event(&self, host: &str) -> Event {
        let id = format!("{:010x}-{:016x}", self.at, u64::from_le_bytes(chance()));
        let mut body = json!({
            "version": 1,
            "id": id,
            "event": self.kind.name(),
            "at": rfc3339(self.at),
            "host": host,
            "service": self.service,
            "session": self.session.to_string(),
            "account": self.account,
            "client": {
                "address": self.peer.map(|peer| peer.ip().to_canonical()),
                "port": self.peer.map(|peer| peer.port()),
                "agent": self.agent,
            },
            "tls": self.tls,
            "file": self.file.json(),
        });
        if let (Some(transfer), Some(body)) = (&self.transfer, body.as_object_mut()) {
            body.insert("transfer".into(), transfer.json());
        }
        Event { id, at: self.at, body: body.to_string() }
    }
}

impl FileFacts {
    fn json(&self) -> Value {
        let mut facts = Map::new();
        put_name(&mut facts, "path", &self.path);
        if let Some(from) = &self.from {
            put_name(&mut facts, "from", from);
        }
        if let Some(on_disk) = &self.on_disk {
            put_name(&mut facts, "on_disk", on_disk.as_os_str().as_bytes());
        }
        if let Some(size) = self.size {
            facts.insert("size".into(), size.into());
        }
        Value::Object(facts)
    }
}

impl TransferFacts {
    fn json(&self) -> Value {
        let mut facts = json!({
            "id": self.id.to_string(),
            "octets": self.octets,
            "secs": (self.secs * 1000.0).round() / 1000.0,
            "offset": self.offset,
            "tls": self.tls,
        });
        if let (Some(reason), Some(facts)) = (&self.reason, facts.as_object_mut()) {
            facts.insert("reason".into(), reason.as_str().into());
        }
        facts
    }
}

fn rfc3339(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap_or_default().to_string()
}

/// A name as text, and in hexadecimal digits where the text is not exact.
fn put_name(facts: &mut Map<String, Value>, called: &str, name: &[u8]) {
    facts.insert(called.into(), String::from_utf8_lossy(name).into());
    if std::str::from_utf8(name).is_err() {
        facts.insert(
            format!("{called}{HEX}"),
            name.iter().map(|octet| format!("{octet:02x}")).collect::<String>().into(),
        );
    }
}

/// What ends the name of a fact in hexadecimal digits.
const HEX: &str = "_hex";

/// The facts as environment variables: `file.path` is `PACKETBOAT_FILE_PATH`. Names are exact there.
pub fn environment(event: &Value) -> Vec<(String, OsString)> {
    let mut variables = Vec::new();
    put_variables(event, "PACKETBOAT", &mut variables);
    variables
}

fn put_variables(facts: &Value, prefix: &str, variables: &mut Vec<(String, OsString)>) {
    let Some(object) = facts.as_object() else { return };
    for (name, fact) in object.iter().filter(|(name, _)| !name.ends_with(HEX)) {
        let variable = format!("{prefix}_{}", name.to_ascii_uppercase());
        let exact = object.get(&format!("{name}{HEX}")).and_then(Value::as_str).and_then(from_hex);
        match (fact, exact) {
            (_, Some(octets)) => variables.push((variable, OsString::from_vec(octets))),
            (Value::Object(_), _) => put_variables(fact, &variable, variables),
            (Value::String(text), _) => variables.push((variable, OsStr::new(text).to_owned())),
            (Value::Null | Value::Array(_), _) => {}
            (number, _) => variables.push((variable, number.to_string().into())),
        }
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    (0..digits.len() / 2).map(|at| u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}
