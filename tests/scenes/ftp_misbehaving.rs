//! `packetboat ftp` against a server that misbehaves: it ends in time, with the exit code that its help promises, with nothing of
//! what is not whole under its name and nothing outside of its directory.
//!
//! Not here: each octet at which a dialogue can be cut (the client library's own tests).

use crate::BINARY;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Far longer than any of these takes; without it, what hangs would hang the tests.
const BOUNDED: Duration = Duration::from_secs(600);

/// It says nothing to this.
const SILENCE: &str = "";

/// It hangs up instead of answering.
const HANGS_UP: &str = "!";

/// It says `220-…` for ever.
const ENDLESS: &str = "~";

/// It says `220 and on` and on, and never ends that line.
const ENDLESS_LINE: &str = "-";

/// It says where it listens.
const LISTENS: &str = "229";

/// What it answers where it does not misbehave.
const USUAL: [(&str, &str); 20] = [
    ("greeting", "220 ready"),
    ("USER", "331 password?"),
    ("PASS", "230 in"),
    ("FEAT", "211-Features\r\n SIZE\r\n MLST type*;size*;\r\n211 End"),
    ("TYPE", "200 octets"),
    ("SIZE", "213 4"),
    ("MDTM", "213 20260710101833"),
    ("EPSV", LISTENS),
    ("RETR", "150 here"),
    ("MLSD", "150 here"),
    ("LIST", "150 here"),
    ("STOR", "150 send"),
    ("verdict", "226 done"),
    ("RNFR", "350 and now?"),
    ("RNTO", "250 renamed"),
    ("DELE", "250 removed"),
    ("MKD", "257 \"made\""),
    ("CWD", "250 there"),
    ("NOOP", "200 yes"),
    ("QUIT", "221 bye"),
];

/// What is odd about it.
#[derive(Clone, Default)]
pub struct Odd {
    /// Answers in place of the usual ones; `greeting` and `verdict` are what it says without being asked.
    pub answers: Vec<(&'static str, &'static str)>,
    /// What it sends for RETR and MLSD.
    pub data: Vec<u8>,
    /// What it sends for LIST of such a path.
    pub listing: Option<fn(&str) -> String>,
    /// Hears of QUIT before it is answered.
    pub at_quit: Option<Arc<dyn Fn() + Send + Sync>>,
    /// It sends this and then neither more nor an end.
    pub stalls: bool,
    /// It sends this again and again.
    pub again: bool,
}

impl Odd {
    fn saying(verb: &'static str, answer: &'static str) -> Odd {
        Odd { answers: vec![(verb, answer)], data: b"soup".to_vec(), ..Odd::default() }
    }

    fn sending(data: &[u8]) -> Odd {
        Odd { data: data.to_vec(), ..Odd::default() }
    }

    fn answer(&self, verb: &str) -> &'static str {
        let found = self.answers.iter().chain(&USUAL).find(|(name, _)| *name == verb);
        found.map_or("502 what?", |(_, answer)| *answer)
    }
}

/// Starts it; its port. All but its first connection are refused, if that is wished: then what may pass is tried once more only.
pub fn start(odd: Odd, once: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let (odd, seen) = (Arc::new(odd), AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let odd = match seen.fetch_add(1, Ordering::SeqCst) {
                1.. if once => Arc::new(Odd::saying("greeting", "530 no more")),
                _ => odd.clone(),
            };
            // Who has gone away does not hear it.
            std::thread::spawn(move || talk(&odd, stream));
        }
    });
    port
}

fn talk(odd: &Odd, stream: TcpStream) -> std::io::Result<()> {
    // Else what it says second waits until the client has acknowledged the first.
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut stream = stream;
    let mut data = None;
    if !say(&mut stream, odd.answer("greeting"))? {
        return Ok(());
    }
    while let Some(line) = lines.next().transpose()? {
        let verb = line.split(' ').next().unwrap_or("").to_owned();
        if odd.answer(&verb) == LISTENS {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            say(&mut stream, &format!("229 (|||{}|)", listener.local_addr()?.port()))?;
            data = Some(listener);
            continue;
        }
        if let Some(hears) = odd.at_quit.as_ref().filter(|_| verb == "QUIT") {
            hears();
        }
        if !say(&mut stream, odd.answer(&verb))? {
            return Ok(());
        }
        if matches!(&verb[..], "RETR" | "MLSD" | "STOR" | "LIST")
            && odd.answer(&verb).starts_with('1')
            && let Some(listener) = data.take()
        {
            let mut data = listener.accept()?.0;
            match odd.listing.filter(|_| verb == "LIST") {
                Some(listing) => data.write_all(listing(line.rsplit(' ').next().unwrap_or("")).as_bytes())?,
                None => transfer(odd, data, verb == "STOR")?,
            }
            if !say(&mut stream, odd.answer("verdict"))? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Says it. Whether there is more to say.
fn say(stream: &mut TcpStream, answer: &str) -> std::io::Result<bool> {
    match answer {
        SILENCE => Ok(true),
        HANGS_UP => Ok(false),
        ENDLESS => loop {
            stream.write_all(&b"220-and another thing\r\n".repeat(400))?;
        },
        ENDLESS_LINE => loop {
            stream.write_all(&b"220 and on ".repeat(400))?;
        },
        answer => stream.write_all(format!("{answer}\r\n").as_bytes()).map(|()| true),
    }
}

fn transfer(odd: &Odd, mut data: TcpStream, takes: bool) -> std::io::Result<()> {
    if takes {
        return data.read_to_end(&mut Vec::new()).map(drop);
    }
    data.write_all(&odd.data)?;
    if odd.again {
        loop {
            data.write_all(&odd.data)?;
        }
    }
    if odd.stalls {
        // Until the client has enough of it.
        data.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

/// Runs it in this directory, `URL` standing for the server's.
fn run(port: u16, folder: &Path, arguments: &[&str]) -> Output {
    run_known(port, folder, arguments, |_| ())
}

/// The same; somebody hears which process it is.
pub fn run_known(port: u16, folder: &Path, arguments: &[&str], known: impl FnOnce(u32)) -> Output {
    let url = format!("ftp://bob@127.0.0.1:{port}/");
    let child = Command::new(BINARY)
        .arg("ftp")
        .args(arguments.iter().map(|word| word.replace("URL/", &url)))
        .args(["--no-tls", "--proxy", "none"])
        .current_dir(folder)
        .env("PACKETBOAT_FTP_PASSWORD", "hungry")
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let id = child.id();
    known(id);
    let (tell, ended) = mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(BOUNDED) else {
        let _ = Command::new("kill").arg(id.to_string()).status();
        panic!("{arguments:?} goes on for ever");
    };
    output.expect("it ran")
}

/// It must end with this code and say this, and leave nothing here.
#[track_caller]
fn ends(odd: Odd, arguments: &[&str], code: i32, said: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).expect("made");
    let output = run(start(odd, true), &inside, arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    assert!(told.contains(said), "{arguments:?}: {told}");
    let left = std::fs::read_dir(&inside).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = left.filter(|name| !name.to_string_lossy().ends_with(".part")).collect();
    assert!(left.is_empty(), "{arguments:?} leaves {left:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is outside");
}

#[test]
fn no_connection_and_no_login_are_5() {
    for (verb, answer, said) in [
        ("greeting", "421 full", "full"),
        ("greeting", "530 not you", "not you"),
        ("greeting", "SSH-2.0-OpenSSH_9.2", "does not speak FTP"),
        ("greeting", HANGS_UP, "hung up"),
        ("greeting", ENDLESS, "does not speak FTP"),
        ("greeting", ENDLESS_LINE, "does not speak FTP"),
        ("PASS", "530 wrong", "wrong"),
        ("PASS", "332 account?", "account"),
        ("PASS", HANGS_UP, "hung up"),
    ] {
        ends(Odd::saying(verb, answer), &["ls", "URL/"], 5, said);
        ends(Odd::saying(verb, answer), &["get", "URL/menu"], 5, said);
    }
}

#[test]
fn who_says_nothing_is_left_in_the_time_that_was_said() {
    // So long that what comes before it is said in time on a busy machine, too; and all at once, because it is waited for.
    const SAID: &str = "5";
    std::thread::scope(|scope| {
        for verb in ["greeting", "USER", "PASS", "FEAT", "TYPE", "EPSV", "verdict"] {
            let silent = Odd::saying(verb, SILENCE);
            scope.spawn(|| ends(silent, &["ls", "--timeout", SAID, "URL/"], 5, "does not answer"));
        }
        let stalls = Odd { stalls: true, ..Odd::sending(b"so") };
        let more = stalls.clone();
        scope.spawn(|| ends(stalls, &["cat", "--timeout", SAID, "URL/menu"], 1, "fetch menu"));
        scope.spawn(|| ends(more, &["get", "--timeout", SAID, "URL/menu"], 1, "menu"));
    });
}

#[test]
fn the_verdict_on_an_upload_is_not_waited_for_longer_than_was_said() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("menu"), "soup").expect("written");
    let output =
        run(start(Odd::saying("verdict", SILENCE), true), folder.path(), &["put", "--timeout", "5", "menu", "URL/"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("does not answer"), "{told}");
}

#[test]
fn what_is_not_there_is_4_and_what_is_not_whole_is_1() {
    ends(Odd::saying("RETR", "550 no such file"), &["get", "URL/menu"], 4, "no such file");
    ends(Odd::saying("RETR", "550 no such file"), &["cat", "URL/menu"], 4, "no such file");
    ends(Odd::saying("MLSD", "550 no such directory"), &["ls", "URL/menus"], 4, "no such directory");
    ends(Odd::sending(b"so"), &["get", "URL/menu"], 1, "2 octets came of 4");
    ends(Odd::sending(b"soup and cake"), &["get", "URL/menu"], 1, "13 octets came of 4");
    ends(Odd::saying("verdict", "451 the disk is broken"), &["get", "URL/menu"], 1, "the disk is broken");
    ends(Odd { again: true, ..Odd::sending(b"no listing\r\n") }, &["ls", "URL/"], 1, "no listing");
}

#[test]
fn a_listing_of_one_line_without_end_is_1_at_its_first_64_kib() {
    for line in ["type=file;size=4; menu", "no listing", " "] {
        let odd = Odd { again: true, ..Odd::sending(line.repeat(1000).as_bytes()) };
        ends(odd, &["ls", "URL/"], 1, "a line of more than 65536 octets");
    }
}

#[test]
fn names_that_lead_elsewhere_are_passed_over() {
    let listing =
        b"type=file;size=4; ../outside\r\ntype=file;size=4; /tmp/outside\r\ntype=dir; ..\r\ntype=file;size=4; a/b\r\n";
    let folder = tempfile::tempdir().expect("a folder");
    let inside = folder.path().join("inside");
    let port = start(Odd::sending(listing), false);
    std::fs::create_dir(&inside).expect("made");
    let output = run(port, &inside, &["mirror", "URL/", "here"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("3 names or directories were passed over"), "{told}");
    assert_eq!(output.status.code(), Some(1), "that is no success");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    assert_eq!(std::fs::read_dir(&inside).expect("a folder").count(), 1);
    assert_eq!(std::fs::read_dir(inside.join("here")).expect("a folder").count(), 0);
    let directory = "250-It is\r\n type=dir; .\r\n250 that";
    let odd = Odd { answers: vec![("MLST", directory)], ..Odd::sending(listing) };
    let output = run(start(odd, false), &inside, &["-e", "diff . here", "URL/"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("3 names or directories were passed over"), "{told}");
    assert_eq!(output.status.code(), Some(1), "whether they are the same is not known");
    assert!(!told.contains("no differences"), "{told}");
    // What a terminal would obey is shown.
    let output = run(start(Odd::saying("PASS", "530 \x1b[2Jgone"), false), &inside, &["ls", "URL/"]);
    assert!(!output.stderr.contains(&0x1b), "{output:?}");
}
