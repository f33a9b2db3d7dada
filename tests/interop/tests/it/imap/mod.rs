//! IMAP by the clients of others: reading, filing, taking away, and trees of mailboxes that are kept alike.
//!
//! Each test starts `dev`, lets one client do what it is used for, and looks at the mailboxes by a raw socket.
//!
//! Not here: what is answered to what (transcripts), several sessions at once (scenes).

mod beside;
mod curl;
mod dovecot;
mod fetchmail;
mod getmail;
mod imapfilter;
mod imapflow;
mod imaplib;
mod interimap;
mod mail_imapclient;
mod mbsync;
mod mutt;
mod offlineimap;

use harness::{Server, Speaker};
use interop::{Foreign, Letter, Person, bob, dev};
use std::fs;
use std::path::Path;

/// A server where Bob has so many letters.
fn with_letters(count: usize) -> (Server, Vec<Letter>) {
    let server = dev();
    let letters: Vec<Letter> = (0..count).map(|_| Letter::new()).collect();
    letters.iter().for_each(|letter| letter.deliver(&server));
    (server, letters)
}

/// A session of somebody's, by which a test looks at what a client did.
struct Witness(Speaker);

impl Witness {
    fn of(server: &Server, person: &Person) -> Witness {
        let mut imap = server.speak("imap");
        imap.play(&format!("S: * OK ~\nC: l LOGIN {} {}\nS: l OK ~", person.address, person.password));
        Witness(imap)
    }

    /// Says a command, which must go well, and gives what was said without a tag.
    #[track_caller]
    fn say(&mut self, command: &str) -> Vec<String> {
        self.0.say(&format!("w {command}"));
        let mut lines = Vec::new();
        loop {
            let line = self.0.hear().expect("an answer");
            if let Some(end) = line.strip_prefix("w ") {
                assert!(end.starts_with("OK "), "{command}: {end}");
                return lines;
            }
            lines.push(line);
        }
    }

    /// Puts a message into a mailbox.
    fn append(&mut self, mailbox: &str, flags: &str, text: &str) {
        self.0.say(&format!("w APPEND \"{mailbox}\" ({flags}) {{{}+}}\r\n{text}", text.len()));
        self.0.expect("w OK ~");
    }

    /// The names of the mailboxes, as they are listed.
    fn mailboxes(&mut self) -> Vec<String> {
        let lines = self.say("LIST \"\" *");
        let mut names: Vec<String> =
            lines.iter().filter_map(|line| line.split_once(" \"/\" ")).map(|(_, name)| name.to_owned()).collect();
        names.sort();
        names
    }

    /// What lies in a mailbox: flags and subject of each message, in their order.
    fn contents(&mut self, mailbox: &str) -> Vec<String> {
        self.say(&format!("EXAMINE {mailbox}"));
        let lines = self.say("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
        let mut contents = Vec::new();
        let mut flags = String::new();
        for line in lines {
            if let Some((_, rest)) = line.split_once("FLAGS (") {
                let mut words: Vec<&str> = rest.split(')').next().unwrap_or_default().split(' ').collect();
                words.retain(|word| *word != "\\Recent" && !word.is_empty());
                words.sort_unstable();
                flags = words.join(" ");
            } else if let Some(subject) = line.strip_prefix("Subject: ") {
                contents.push(format!("{subject}: {flags}"));
            }
        }
        contents
    }

    /// How many messages lie in a mailbox.
    fn count(&mut self, mailbox: &str) -> usize {
        self.number(mailbox, "MESSAGES")
    }

    fn number(&mut self, mailbox: &str, item: &str) -> usize {
        let status = self.say(&format!("STATUS {mailbox} ({item})")).concat();
        let number = status.rsplit(' ').next().and_then(|number| number.trim_end_matches(')').parse().ok());
        number.unwrap_or_else(|| panic!("no number: {status}"))
    }

    /// All that there is: names, contents, and change numbers, so that a change in anything shows.
    fn everything(&mut self) -> String {
        let mut all = String::new();
        for mailbox in self.mailboxes() {
            let modseq = self.number(&mailbox, "HIGHESTMODSEQ");
            all.push_str(&format!("{mailbox} {modseq} {:?}\n", self.contents(&mailbox)));
        }
        all
    }
}

/// Every file of a tree with its content, so that a change in anything shows; what a client keeps for itself is left out.
fn tree(top: &Path, is_own: &dyn Fn(&str) -> bool) -> String {
    let mut entries: Vec<_> = fs::read_dir(top).expect("a folder").map(|entry| entry.expect("an entry")).collect();
    entries.sort_by_key(fs::DirEntry::path);
    let mut all = String::new();
    for path in entries.iter().map(fs::DirEntry::path) {
        if is_own(&path.file_name().unwrap_or_default().to_string_lossy()) {
            continue;
        }
        match path.is_dir() {
            true => all.push_str(&format!("{}/\n{}", path.display(), tree(&path, is_own))),
            false => {
                let text = fs::read(&path).unwrap_or_default();
                all.push_str(&format!("{} {}\n", path.display(), String::from_utf8_lossy(&text)));
            }
        }
    }
    all
}

/// The message files of a maildir.
fn maildir(program: &Foreign, name: &str) -> Vec<std::path::PathBuf> {
    let folders = ["new", "cur"].map(|folder| program.home().join(name).join(folder));
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    files.map(|entry| entry.expect("an entry").path()).collect()
}

/// Bob's session.
fn witness(server: &Server) -> Witness {
    Witness::of(server, &bob())
}
