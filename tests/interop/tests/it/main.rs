//! Foreign programs: each client sends a letter through our ports or reads it there; Postfix takes and brings one; our FTP client
//! goes to the servers of others.
//!
//! Every test starts a server of its own. A program that is not installed is skipped, loudly; `.ci/run` installs them all.
//!
//! Not here: raw sockets, two of our own servers (scenes).

mod archives;
mod curl;
mod fetchmail;
mod ftp;
mod ftp_client;
mod getmail;
mod imap;
mod mpop;
mod msmtp;
mod mutt;
mod postfix;
mod python;
mod swaks;
mod tree;

use harness::Server;

/// `127.0.0.1:PORT` of a service.
fn place(server: &Server, service: &str) -> String {
    server.address(service).to_string()
}

/// The port of a service, as text.
fn port(server: &Server, service: &str) -> String {
    server.address(service).port().to_string()
}

/// The path of the certificate, as text.
fn certificate(server: &Server) -> String {
    server.certificate().to_str().expect("a path in UTF-8").to_owned()
}
