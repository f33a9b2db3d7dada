//! Every fuzz target over its seeds and over some thousand mutations of them, the same in every run.
//!
//! Not here: what a target asserts.

use fuzz_twin::mutate::{Chance, mutated};
use fuzz_twin::{TARGETS, run, seeds};
use std::io::Write;
use std::panic::catch_unwind;

/// Mutations of each target's seeds together: all targets take a few seconds in a debug build. More by `PACKETBOAT_FUZZ`.
const MUTATIONS: usize = 5_000;
/// Longer seeds are cut: many short inputs find more than a few long ones.
const SEED_MAX: usize = 4_096;

fn twin(name: &str) {
    if seeds::corpus().is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: the corpora of others are absent (PACKETBOAT_CORPUS)");
    }
    let mut inputs: Vec<Vec<u8>> = seeds::of(name).into_iter().map(|seed| seed.octets).collect();
    inputs.push(Vec::new());
    for input in &mut inputs {
        attempt(name, input);
        input.truncate(SEED_MAX);
    }
    let mut chance = Chance::new(42);
    let more = std::env::var("PACKETBOAT_FUZZ").ok().map(|count| count.parse().expect("a number of mutations"));
    for _ in 0..more.unwrap_or(MUTATIONS) {
        let (input, other) = (chance.below(inputs.len()), chance.below(inputs.len()));
        attempt(name, &mutated(&inputs[input], &inputs[other], &mut chance));
    }
}

fn attempt(name: &str, input: &[u8]) {
    if catch_unwind(|| run(name, input)).is_err() {
        panic!("{name} breaks with this input; store it as fuzz/corpus-seeds/{name}/…:\nC\\ {}", input.escape_ascii());
    }
}

macro_rules! twins {
    ($($name:ident)*) => {
        $(#[test] fn $name() { twin(stringify!($name)); })*

        #[test]
        fn every_target_has_a_twin_and_a_fuzzer() {
            let twins = [$(stringify!($name)),*];
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), twins);
            for name in twins {
                let fuzzer = seeds::root().join("fuzz/fuzz_targets").join(format!("{name}.rs"));
                assert!(fuzzer.exists(), "no {}", fuzzer.display());
                assert!(!seeds::of(name).is_empty(), "no seeds for {name}");
            }
        }
    };
}

twins! {
    lines
    undotter
    sasl_server
    sasl_client
    message_header
    message_address
    message_date
    message_mime
    message_text
    message_report
    smtp_command
    smtp_reply
    smtp_server
    smtp_client
    pop3_command
    pop3_reply
    pop3_server
    pop3_client
    ftp_command
    ftp_reply
    ftp_words
    ftp_server
    ftp_busy_server
    ftp_telnet
    ftp_ascii
    ftp_deflate
    ftp_client
    ftp_busy_client
    ftp_dialect
    imap_command
    imap_words
    imap_server
    archive_mbox
    archive_names
}
