//! What is fuzzed: one target for each parser and each session, a function of octets that panics when a rule is broken.
//!
//! The same functions run under libFuzzer (`fuzz/`, nightly) and, over stored and mutated inputs, as ordinary tests
//! (`tests/twin.rs`, stable). A crash comes back as a transcript or a seed in `fuzz/corpus-seeds/TARGET/`.
//!
//! Invariants: a target is a pure function of its input; what it asserts holds for every input whatever.
//! Not here: expectations for one input (transcripts, properties beside the code).

mod archive;
mod dialogue;
mod ftp;
mod ftp_client;
mod imap;
mod line;
mod message;
mod pop3;
mod sasl;
mod smtp;

pub mod mutate;
pub mod seeds;

/// Longer inputs find nothing that shorter ones do not, and take longer. Sessions' limits are below it.
pub const INPUT_MAX: usize = 64 * 1024;

/// One thing to be fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its fuzzer, its folder of seeds and its test.
    pub name: &'static str,
    /// Panics when a rule is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "lines", run: line::lines },
    Target { name: "undotter", run: line::undotter },
    Target { name: "sasl_server", run: sasl::server },
    Target { name: "sasl_client", run: sasl::client },
    Target { name: "message_header", run: message::header },
    Target { name: "message_address", run: message::address },
    Target { name: "message_date", run: message::date },
    Target { name: "message_mime", run: message::mime },
    Target { name: "message_text", run: message::text },
    Target { name: "message_report", run: message::report },
    Target { name: "smtp_command", run: smtp::command },
    Target { name: "smtp_reply", run: smtp::reply },
    Target { name: "smtp_server", run: smtp::server },
    Target { name: "smtp_client", run: smtp::client },
    Target { name: "pop3_command", run: pop3::command },
    Target { name: "pop3_reply", run: pop3::reply },
    Target { name: "pop3_server", run: pop3::server },
    Target { name: "pop3_client", run: pop3::client },
    Target { name: "ftp_command", run: ftp::command },
    Target { name: "ftp_reply", run: ftp::reply },
    Target { name: "ftp_words", run: ftp::words },
    Target { name: "ftp_server", run: ftp::server },
    Target { name: "ftp_busy_server", run: ftp::busy_server },
    Target { name: "ftp_telnet", run: ftp::telnet },
    Target { name: "ftp_ascii", run: ftp::ascii },
    Target { name: "ftp_deflate", run: ftp::deflate },
    Target { name: "ftp_client", run: ftp_client::client },
    Target { name: "ftp_busy_client", run: ftp_client::busy_client },
    Target { name: "ftp_dialect", run: ftp_client::dialect },
    Target { name: "imap_command", run: imap::command },
    Target { name: "imap_words", run: imap::words },
    Target { name: "imap_server", run: imap::server },
    Target { name: "archive_mbox", run: archive::mbox },
    Target { name: "archive_names", run: archive::names },
];

/// Runs the target of that name.
///
/// # Panics
/// When a rule is broken, or there is no such target.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let Some(target) = target else { panic!("there is no target {name}") };
    if input.len() <= INPUT_MAX {
        (target.run)(input);
    }
}
