//! The settings of `dev`: everything on loopback, people to try it with, and nothing that leaves the machine.

use crate::settings::{
    DirectorySettings, FileSettings, FtpSettings, GuestSettings, InClear, ListenAt, Person, Purpose, QueueSettings,
    Settings, SpaceRule, SpaceSettings, Whom,
};
use files::{JailedPath, Permissions, Quota};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// Who gets what nobody else gets.
pub const CATCH_ALL: &str = "catch-all@dev.test";

/// The people of the textbook, and the one who catches the rest.
pub const PEOPLE: &[Person] = &[
    Person { address: "alice@crepes.test", password: "pickles", sentence: "Alice, who writes", files: &[] },
    Person { address: "bob@hamburger.test", password: "hungry", sentence: "Bob, who reads", files: BOBS_FILES },
    Person { address: CATCH_ALL, password: "anything", sentence: "mail to any other address", files: &[] },
];

/// What Bob has to fetch.
const BOBS_FILES: &[(&str, &str)] = &[
    ("/readme.txt", "These are Bob's files.\nTake them, add to them, remove them.\n"),
    ("/recipes/crepes.txt", "Two eggs, a cup of milk, half a cup of flour.\nRest an hour, fry thin.\n"),
    ("/recipes/pickles.txt", "Cucumbers, vinegar, dill, salt.\nWait.\n"),
];

/// What guests find.
const PUBLIC_FILES: &[(&str, &str)] = &[
    ("/readme.txt", "These files are for everybody.\nYou may leave some of yours in incoming.\n"),
    ("/pub/menu.txt", "Crepes, hamburgers, pickles.\n"),
];

/// How many guests may be in at once.
const GUESTS_MAX: u32 = 1_000;

/// How many octets one message may have: enough for any test, and a test of the limit is still quick.
const MESSAGE_SIZE_MAX_BYTES: u64 = 50 << 20;

/// The settings. Without an offset the system gives free ports.
pub fn settings(data: &Path, listen: IpAddr, port_offset: Option<u16>) -> Settings {
    let port = |purpose: Purpose| port_offset.map_or(0, |offset| purpose.standard_port() + offset);
    let listen_at = |purpose| ListenAt { purpose, address: SocketAddr::new(listen, port(purpose)) };
    Settings {
        host_name: "dev.packetboat.test".into(),
        data_dir: std::path::absolute(data).unwrap_or_else(|_| data.to_path_buf()),
        listeners: Purpose::ALL.into_iter().map(listen_at).collect(),
        certificate: None,
        client_ca: None,
        proxy_networks: Vec::new(),
        trusted_networks: Vec::new(),
        connections_max: 20_000,
        connections_per_address_max: 20_000,
        sending: policy::SendingSettings::UNLIMITED,
        login_in_clear: InClear::Loopback,
        message_size_max_bytes: MESSAGE_SIZE_MAX_BYTES,
        recipients_max: 1_000,
        smtp_idle_limit: Duration::from_secs(300),
        pop3_idle_limit: Duration::from_secs(600),
        imap_idle_limit: Duration::from_secs(1800),
        imap_submitters: Vec::new(),
        ftp: FtpSettings { guests: guests(listen), ..FtpSettings::default() },
        files: FileSettings { spaces: spaces(), ..FileSettings::default() },
        directory: DirectorySettings { catch_all: Some(CATCH_ALL.into()), ..DirectorySettings::default() },
        people: PEOPLE,
        queue: QueueSettings::default(),
        routes: Vec::new(),
        hooks: Vec::new(),
        dns_servers: Vec::new(),
        show_dialogue: false,
    }
}

/// Guests are let in where nobody else can come.
fn guests(listen: IpAddr) -> Option<GuestSettings> {
    listen.is_loopback().then_some(GuestSettings { sessions_max: GUESTS_MAX, welcome: None })
}

/// One directory for all accounts, and one for guests with a place to leave something in.
fn spaces() -> Vec<SpaceSettings> {
    let (usual, terms) = (FileSettings::default(), files::Terms::default());
    let below = |name: &[u8]| JailedPath::root().join(name).unwrap_or_else(|_| JailedPath::root());
    let space = |name: &str, at, members, permissions| SpaceSettings {
        name: name.into(),
        path: None,
        at,
        members,
        permissions,
        rules: Vec::new(),
        quota: Quota::NONE,
        keep_interrupted: usual.keep_interrupted,
        file_mode: terms.file_mode,
        directory_mode: terms.directory_mode,
        first_files: &[],
    };
    let incoming = SpaceRule { at: below(b"incoming"), whom: Vec::new(), permissions: Permissions::DROP_BOX };
    vec![
        space("shared", below(b"shared"), vec![Whom::Accounts], Permissions::ALL),
        SpaceSettings {
            rules: vec![incoming],
            first_files: PUBLIC_FILES,
            ..space("public", JailedPath::root(), vec![Whom::Guests], Permissions::READ_ONLY)
        },
    ]
}
