//! Who else on the machine can look into what is kept: nobody, whatever the umask; but file spaces have the modes people give them.

use super::ftp::{self, on_disk, put};
use super::imap::{bob, select};
use super::{BINARY, deliver};
use harness::{Server, unmasked};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories in the data directory whose own entries are file spaces.
const OF_SPACES: [&str; 3] = ["files", "spaces", "kept-files"];

fn mode(path: &Path) -> Option<u32> {
    Some(fs::symlink_metadata(path).ok()?.permissions().mode() & 0o7777)
}

/// Everything below a directory, and itself, except file spaces.
fn all(top: &Path) -> Vec<PathBuf> {
    let mut found = vec![top.to_path_buf()];
    for entry in fs::read_dir(top).into_iter().flatten().flatten() {
        let path = entry.path();
        let holds_spaces = entry.file_name().to_str().is_some_and(|name| OF_SPACES.contains(&name));
        match path.is_dir() {
            true if !holds_spaces => found.extend(all(&path)),
            _ => found.push(path),
        }
    }
    found
}

/// What others may do anything with. A certificate is public.
fn exposed(data: &Path) -> Vec<(PathBuf, u32)> {
    let private = all(data).into_iter().filter(|path| !path.ends_with("self-signed.pem"));
    // What goes away meanwhile is nobody's.
    let modes = private.filter_map(|path| mode(&path).map(|mode| (path, mode)));
    modes.filter(|(_, mode)| mode & 0o077 != 0).collect()
}

/// Mail, a search, a file.
fn use_it(server: &Server) {
    assert!(
        deliver(server, "a@far.example", "bob@hamburger.test", b"Subject: hi\r\n\r\nketchup\r\n").starts_with("250 ")
    );
    let mut imap = bob(server);
    select(&mut imap, 1);
    imap.play("C: s SEARCH TEXT ketchup\nS: * SEARCH 1\nS: s OK ~");
    assert!(put(&mut ftp::bob(server), "STOR handed-in", b"soup").starts_with("226"));
}

fn run(arguments: &[&str], data: &Path) {
    let done = unmasked(BINARY).args(arguments).arg("--data").arg(data).output().expect("it runs");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn all_that_dev_keeps_is_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("new/data");
    let mut server = Server::dev_unmasked(BINARY, &data);
    use_it(&server);
    assert_eq!(exposed(&data), [], "while it runs");
    let there = |name: &str| data.join(name).exists();
    assert!(
        there("store.db-wal") && there("seg") && there("files") && there("control.sock"),
        "there is something to see"
    );
    server.stop();
    assert!(there("register.db"));
    assert_eq!(exposed(&data), [], "when it has stopped");
    // The umask has taken nothing, and so it is the space that decides.
    assert_eq!(on_disk(&server, "handed-in").and_then(|file| mode(&file)), Some(0o640));

    run(&["store", "rebuild", "--force"], &data);
    assert_eq!(exposed(&data), [], "made anew");
    let letters = folder.path().join("letters");
    let place = letters.to_str().expect("a path in UTF-8");
    run(&["export", place, "bob@hamburger.test"], &data);
    assert!(all(&letters).len() > 4);
    assert_eq!(exposed(&letters), [], "exported");
    run(&["account", "remove", "bob@hamburger.test", "--keep-files", "--yes"], &data);
    assert!(there("kept-files"));
    assert_eq!(exposed(&data), [], "what was kept of a removed account");
}

#[test]
fn what_others_could_see_is_closed_to_them_at_the_start_of_serve() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    Server::dev_unmasked(BINARY, &data).stop();
    for path in all(&data) {
        fs::set_permissions(&path, Permissions::from_mode(mode(&path).expect("it is there") | 0o055))
            .expect("it is ours");
    }
    let wide = exposed(&data);
    assert!(wide.len() > 5, "{wide:?}");

    let any = ["smtp", "submission", "submissions", "pop3", "pop3s", "imap", "imaps", "ftp", "ftps"];
    let listen: String = any.iter().map(|service| format!("{service} = ['127.0.0.1:0']\n")).collect();
    let configuration =
        format!("host_name = 'mail.hamburger.test'\ndata_dir = '{}'\n[listen]\n{listen}", data.display());
    let mut server = Server::serve_unmasked(BINARY, folder.path(), &configuration, &log);
    use_it(&server);
    assert_eq!(exposed(&data), []);

    fs::set_permissions(data.join("store.db"), Permissions::from_mode(0o644)).expect("it is ours");
    let check = server.command(&["store", "check"]);
    assert_eq!(check.status.code(), Some(1));
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(said.contains("others may look into") && said.contains("store.db (mode 0644)"), "{said}");
    let checked =
        unmasked(BINARY).args(["config", "check", "--config"]).arg(folder.path().join("packetboat.toml")).output();
    let said = String::from_utf8_lossy(&checked.expect("it runs").stdout).into_owned();
    assert!(said.contains("store.db (mode 0644)"), "{said}");
    server.stop();
    let logged = fs::read_to_string(&log).expect("a log");
    for name in ["store.db", "register.db", "files"] {
        let line = format!("others may look into {} (mode", data.join(name).display());
        assert!(logged.contains(&line), "{line}: {logged}");
    }
}

/// Debian's `nobody`; any number that is not root's would do.
const SOMEBODY: u32 = 65534;

#[test]
fn what_root_makes_at_first_belongs_to_the_owner_of_the_data_directory() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can make something for others");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("open to others");
    let (data, file) = (folder.path().join("data"), folder.path().join("packetboat.toml"));
    fs::create_dir(&data).expect("a directory");
    chown(&data, Some(SOMEBODY), Some(SOMEBODY)).expect("it is his");
    let file = file.to_str().expect("a name");
    run(&["init", "mail.example.org", "--config", file], &data);
    assert!(all(&data).len() > 3);
    for path in all(&data) {
        assert_eq!(fs::symlink_metadata(&path).expect("it is there").uid(), SOMEBODY, "{}", path.display());
    }
    // What is root's in spite of that is named to who cannot start for it.
    chown(data.join("store.lock"), Some(0), Some(0)).expect("it is root's");
    let configuration = format!("host_name = 'a.test'\ndata_dir = '{}'\nuser = 'nobody'\n", data.display());
    let nowhere = "[listen]\nsmtp = []\nsubmission = []\nsubmissions = []\npop3 = []\npop3s = []\nimap = []\nimaps = []\nftp = ['127.0.0.1:0']\nftps = []\n";
    fs::write(file, configuration + nowhere).expect("a configuration file");
    let ended = Command::new(BINARY).args(["serve", "--config", file]).output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("store.lock belongs to another user"), "{said}");
}
