//! `packetboat ftp mirror` of trees that are very large: what it holds in memory does not grow with them.
//!
//! The trees are of links, which are made here without a transfer each; what is to be done is kept in the same way for files.
//!
//! Not here: what a mirror does (`ftp_client`).

use crate::ftp_misbehaving::{Odd, run_known, start};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Links in each directory.
const EACH: usize = 1000;

/// Directories of a tree that is large, and of one that is not.
const MANY: usize = 100;
const FEW: usize = 10;

/// A plan of all that the large tree has more would be twice as large, in KiB.
const MORE_MAX_KIB: u64 = 8 * 1024;

/// One directory is compared whole: some 550 octets an entry, and what the process itself needs.
const IN_ONE_MAX_KIB: u64 = 104 * 1024;

fn links(count: usize) -> String {
    (0..count).fold(String::new(), |mut listing, number| {
        let _ = write!(listing, "lrwxrwxrwx 1 bob bob 4 Jul 10 2020 a-name-as-long-as-usual-{number:06} -> menu\r\n");
        listing
    })
}

fn in_directories(path: &str) -> String {
    let count = match path {
        "/many" => MANY,
        "/few" => FEW,
        _ => return links(EACH),
    };
    (0..count).fold(String::new(), |mut listing, number| {
        let _ = write!(listing, "drwxr-xr-x 1 bob bob 4096 Jul 10 2020 directory-{number:03}\r\n");
        listing
    })
}

fn in_one(_path: &str) -> String {
    links(MANY * EACH)
}

fn without_end(_path: &str) -> String {
    "drwxr-xr-x 1 bob bob 4096 Jul 10 2020 left\r\ndrwxr-xr-x 1 bob bob 4096 Jul 10 2020 right\r\n".into()
}

/// A server that makes up these listings.
fn making_up(listing: fn(&str) -> String) -> Odd {
    let answers = vec![("FEAT", "211-Features\r\n SIZE\r\n211 End"), ("SYST", "215 UNIX"), ("MDTM", "502 no")];
    Odd { answers, listing: Some(listing), ..Odd::default() }
}

/// The most memory that it has used so far, in KiB.
fn most_used(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it is there");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Mirrors such a tree, of so many links; what it held at most, in KiB.
fn mirrored(listing: fn(&str) -> String, tree: &str, links: usize) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let (process, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
    let at_quit = {
        let (process, most) = (process.clone(), most.clone());
        move || {
            most.fetch_max(most_used(process.load(Ordering::SeqCst)), Ordering::SeqCst);
        }
    };
    let port = start(Odd { at_quit: Some(Arc::new(at_quit)), ..making_up(listing) }, false);
    let arguments = ["mirror", "--make-links", "--json", &format!("URL//{tree}"), "here"];
    let output = run_known(port, folder.path(), &arguments, |id| process.store(id, Ordering::SeqCst));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains(&format!("\"links\":{links}")), "{told} {}", String::from_utf8_lossy(&output.stderr));
    most.load(Ordering::SeqCst)
}

#[test]
fn a_tree_of_many_costs_no_more_than_one_of_few() {
    let few = mirrored(in_directories, "few", FEW * EACH);
    let many = mirrored(in_directories, "many", MANY * EACH);
    assert!(0 < few && many < few + MORE_MAX_KIB, "{many} KiB, not {few}");
}

#[test]
fn a_directory_of_many_costs_what_its_entries_cost() {
    let most = mirrored(in_one, "tree", MANY * EACH);
    assert!((1..=IN_ONE_MAX_KIB).contains(&most), "{most} KiB");
}

#[test]
fn a_tree_without_end_is_refused_where_somebody_has_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = start(making_up(without_end), false);
    let arguments = ["sync", "--max-entries", "500", "URL//tree", "here"];
    let output = run_known(port, folder.path(), &arguments, |_| ());
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the source has more than 500 files and directories"), "{told}");
    assert!(told.contains("--max-entries"), "{told}");
}
