//! What an operator decides of the dialogue.
//!
//! Not here: the configuration these come from (app), limits per address and account (net, house).

use core::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The settings of a listener, shared by its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The first reply's text, without version; LF parts lines.
    pub greeting: String,
    /// Whether TLS is there, and who must use it.
    pub tls: Tls,
    /// Sessions under TLS must protect their data connections too: 521 otherwise.
    pub protect_data: bool,
    /// CCC is allowed.
    pub clear_control: bool,
    /// `anonymous` and `ftp` log in with any password (RFC 1635).
    pub anonymous: bool,
    /// PORT and EPRT are obeyed.
    pub active: bool,
    /// PORT and EPRT may name other addresses than the client's: server to server, and every kind of abuse.
    pub foreign_addresses: bool,
    /// MODE Z is there, and FEAT tells of it.
    pub deflate: bool,
    /// The house can set creation times: MFCT is there.
    pub creation_times: bool,
    /// After so many wrong passwords: 421. RFC 2577 §5 suggests 3 to 5.
    pub failures_max: u32,
    /// So many unknown commands are borne before login: who says more is no FTP client.
    pub unknown_max: u32,
    /// How long a client may say nothing. RFC 1123 §4.1.3.2: at least 5 minutes; a transfer does not count.
    pub idle: Duration,
    /// How long the login may take from the first greeting.
    pub login: Duration,
    /// How long a transfer may go on when the house closes. Less than the driver waits for a conversation, or the client
    /// would not hear what became of it.
    pub leaving: Duration,
}

/// TLS, and who must use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// There is none.
    Absent,
    /// Who wishes.
    Optional,
    /// All but guests: their passwords are no secrets.
    Named,
    /// All.
    Everybody,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            greeting: "FTP server ready.".into(),
            tls: Tls::Named,
            protect_data: true,
            clear_control: false,
            anonymous: false,
            active: true,
            foreign_addresses: false,
            deflate: false,
            creation_times: false,
            failures_max: 3,
            unknown_max: 10,
            idle: Duration::from_secs(300),
            login: Duration::from_secs(120),
            leaving: Duration::from_secs(25),
        }
    }
}

/// Both ends of the control connection, as the client sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    local: IpAddr,
    peer: IpAddr,
}

impl Ends {
    /// Addresses of version 4 in the clothes of version 6 are undressed.
    pub fn new(local: SocketAddr, peer: SocketAddr) -> Self {
        Ends { local: local.ip().to_canonical(), peer: peer.ip().to_canonical() }
    }

    /// Ours.
    pub fn local(&self) -> IpAddr {
        self.local
    }

    /// The client's.
    pub fn peer(&self) -> IpAddr {
        self.peer
    }
}
