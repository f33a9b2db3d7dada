//! How a client behaves.

use super::order::Way;
use crate::command::HostName;
use line::Secret;
use std::time::Duration;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who logs in.
    pub user: String,
    /// With what, if the server asks for it.
    pub password: Secret,
    /// Whether TLS is wanted, where it is not there from the start.
    pub tls: Tls,
    /// Whether data go under TLS where the control connection does (RFC 4217 §9).
    pub private: bool,
    /// Whether the password may go out without TLS.
    pub clear_login: bool,
    /// The host we mean, for a server that has several of them and did not learn it from TLS (RFC 7151).
    pub host: Option<HostName>,
    /// Who we are, for servers that want to know before they speak UTF-8.
    pub name: String,
    /// Whether commands may be said before the last one is answered.
    pub pipelining: bool,
    /// Whether data are to move right after the login: the way to them is asked for with the last of its commands.
    pub data_next: bool,
    /// Whether the server is told that we speak UTF-8, where it does.
    pub utf8: bool,
    /// Ways to data connections, the best first.
    pub ways: Vec<Way>,
    /// How long the server may take to answer (usually [`REPLY_LIMIT`](super::REPLY_LIMIT)).
    pub reply_limit: Duration,
    /// How long it may take behind the last octet of a transfer, and over what reads whole files: COMB, sums (usually
    /// [`VERDICT_LIMIT`](super::VERDICT_LIMIT)).
    pub verdict_limit: Duration,
}

/// What we think of AUTH TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// We do without.
    Never,
    /// We use it if the server takes it; someone in between can prevent that.
    IfOffered,
    /// Without TLS we leave.
    Required,
}
