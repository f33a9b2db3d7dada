//! A disk that is full: a small file system under Bob's space, where we may mount one.

use super::Client;
use crate::BINARY;
use harness::Server;
use std::path::{Path, PathBuf};
use std::process::Command;

const DISK_OCTETS: usize = 4 << 20;

/// A file system in memory, gone with its owner.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: &Path) -> Option<SmallDisk> {
        let options = format!("size={DISK_OCTETS}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| SmallDisk(place.into()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_452_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a directory");
    drop(Server::dev_in(BINARY, folder.path(), &[]));
    let spaces = std::fs::read_dir(folder.path().join("files")).expect("file spaces");
    let space = spaces.map(|space| space.expect("a space").path()).find(|space| space.join("readme.txt").exists());
    let Some(_disk) = SmallDisk::mount(&space.expect("Bob's space")) else {
        eprintln!("SKIPPED: a small disk cannot be mounted here, which takes root");
        return;
    };
    let server = Server::dev_in(BINARY, folder.path(), &[]);
    let mut bob = Client::log_in(server.address("ftp"), "bob@hamburger.test", "hungry").expect("a session");
    let put = |bob: &mut Client, name: &str, octets: usize, code: &str| {
        let reply = bob.put(&format!("STOR {name}"), &vec![octets as u8; octets]).expect("a reply");
        assert!(reply.starts_with(code), "{name}: {reply}");
    };
    put(&mut bob, "kept", DISK_OCTETS / 2, "226");
    for attempt in 0..5 {
        put(&mut bob, &format!("too-large-{attempt}"), DISK_OCTETS, "452");
        put(&mut bob, "kept", DISK_OCTETS, "452");
        // What had no room has left it.
        put(&mut bob, &format!("small-{attempt}"), DISK_OCTETS / 16, "226");
    }
    let reply = bob.put("APPE kept", &[0; DISK_OCTETS / 4]).expect("a reply");
    assert!(reply.starts_with("452"), "appending makes a new file of both: {reply}");
    bob.ask(&format!("ALLO {DISK_OCTETS}"), "452").expect("a reply");
    let mut names = bob.names().expect("a list");
    names.sort();
    assert_eq!(names, ["kept", "small-0", "small-1", "small-2", "small-3", "small-4"]);
    assert_eq!(bob.get("RETR kept").expect("a file"), vec![0; DISK_OCTETS / 2]);
    bob.ask("DELE kept", "250").expect("a reply");
    put(&mut bob, "large", DISK_OCTETS * 5 / 8, "226");
    bob.ask("QUIT", "221").expect("a reply");
}
