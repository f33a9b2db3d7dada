//! A server that misbehaves in every way that we could think of: the client ends in time, with an error that says why, with no
//! half file under its name and nothing outside of its directory.

use crate::connection::Connection;
use crate::error::Error;
use crate::fetch::Fetch;
use crate::mirror::{Compare, Only, Surplus};
use crate::send::Send;
use crate::site::{Safety, Site};
use crate::{Crew, Direction, Event, Experience, Learnt, Links, Mirror, Plan, Report, Selection, Url};
use net::ClientTls;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use wire::Life;

/// How it misbehaves.
#[derive(Clone, Default)]
struct Habits {
    /// Hangs up when so many octets have moved of what it says, sends and takes.
    cut_after: Option<usize>,
    /// What SIZE tells, whatever is true.
    size: Option<u64>,
    /// What MLSD sends, whatever is there.
    listing: Option<Vec<u8>>,
    /// What MLSD sends of each directory.
    listings: &'static [(&'static str, &'static str)],
    /// What MDTM tells of each file; of others it is always the same.
    times: &'static [(&'static str, &'static str)],
    /// What MLST tells of each thing.
    facts: &'static [(&'static str, &'static str)],
    /// Where PWD says that we are, behind CWD of each directory.
    places: &'static [(&'static str, &'static str)],
    /// What LIST sends of each directory, where that is something else.
    long_listings: &'static [(&'static str, &'static str)],
    /// Says that it is Unix, and takes `-a` before a name for a part of it, as pyftpdlib does.
    no_options: bool,
    /// Sends this again and again instead of a listing's end.
    endless_listing: Option<Vec<u8>>,
    /// Knows no EPSV, and tells an address of somebody else with PASV.
    foreign_address: bool,
    /// Sends a file's first octets and then nothing.
    stalls: bool,
    /// Replies to this verb without end.
    endless_reply: Option<&'static str>,
    /// Breaks a download off behind so many octets, saying that it is whole.
    short: Option<usize>,
    /// Features beside the usual.
    features: &'static str,
    /// Knows no REST, whatever FEAT says.
    no_rest: bool,
    /// Refuses COMB, whatever FEAT says.
    no_comb: bool,
    /// Says 421 to whoever comes when so many are there.
    room: Option<usize>,
    /// What it is called.
    name: &'static str,
    /// Knows no MLSD, and lists what is not there as if it were empty, as vsftpd does.
    vague: bool,
    /// Loses what is said while a file comes.
    deaf: bool,
    /// Renames nothing.
    no_renaming: bool,
    /// Takes REST, and refuses STOR behind it.
    no_restart: bool,
    /// Removes no directory that has files in it.
    full: bool,
    /// Changes no modes.
    no_modes: bool,
    /// Does not leave before a data connection has ended that it has listened for.
    clings: bool,
    /// Hangs up when this is said, once, having done it.
    hangs_up_at: Option<&'static str>,
}

type Files = Arc<Mutex<HashMap<String, Vec<u8>>>>;

struct Server {
    port: u16,
    files: Files,
    /// How many octets have moved in the longest dialogue, its data counted.
    said: Arc<Mutex<usize>>,
    stalled: Arc<Notify>,
    heard: Heard,
    _life: watch::Sender<()>,
}

/// What it was told, line by line.
type Heard = Arc<Mutex<Vec<String>>>;

impl Server {
    async fn start(habits: Habits, files: &[(&str, &[u8])]) -> Server {
        let (listener, port) = wire::listen().await;
        let files: Files =
            Arc::new(Mutex::new(files.iter().map(|(name, octets)| ((*name).into(), octets.to_vec())).collect()));
        let (said, stalled) = (Arc::new(Mutex::new(0)), Arc::new(Notify::new()));
        let (heard, (life, kept)) = (Heard::default(), Life::begin());
        let server = Server {
            port,
            files: files.clone(),
            said: said.clone(),
            stalled: stalled.clone(),
            heard: heard.clone(),
            _life: kept,
        };
        let (present, hung_up) = (Arc::new(()), Arc::new(AtomicBool::new(false)));
        life.clone().spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // Else what it says second waits until the client has acknowledged the first.
                stream.set_nodelay(true).expect("a socket option");
                if habits.room.is_some_and(|room| Arc::strong_count(&present) > room) {
                    let _ = stream.write_all(b"421 full\r\n").await;
                    continue;
                }
                let talk = Talk {
                    _present: present.clone(),
                    hung_up: hung_up.clone(),
                    habits: habits.clone(),
                    files: files.clone(),
                    moved: 0,
                    said: said.clone(),
                    stalled: stalled.clone(),
                    heard: heard.clone(),
                    data: None,
                    rest: 0,
                    until: usize::MAX,
                    renaming: String::new(),
                    place: "/",
                };
                life.spawn(talk.hold(stream));
            }
        });
        server
    }

    fn site(&self) -> Site {
        let url: Url = format!("ftp://bob@127.0.0.1:{}/", self.port).parse().expect("a URL");
        let nobody = ClientTls::pinned(&"0".repeat(64)).expect("a fingerprint");
        Site { safety: Safety::Clear, ..Site::with_tls(&url, "hungry", nobody) }
    }

    /// The names that it has, sorted.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.files.lock().expect("not poisoned").keys().cloned().collect();
        names.sort();
        names
    }

    /// All that it has.
    fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        self.files.lock().expect("not poisoned").clone().into_iter().collect()
    }

    /// How many octets have moved in the longest dialogue, its data counted.
    fn moved(&self) -> usize {
        *self.said.lock().expect("not poisoned")
    }

    fn heard(&self, verb: &str) -> Vec<String> {
        let heard = self.heard.lock().expect("not poisoned");
        heard.iter().filter(|line| line.starts_with(verb)).cloned().collect()
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.files.lock().expect("not poisoned").get(name).cloned()
    }
}

/// What is said of this name.
fn of(all: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    all.iter().find(|(of, _)| *of == name).map(|(_, said)| *said)
}

struct Talk {
    /// Counted.
    _present: Arc<()>,
    hung_up: Arc<AtomicBool>,
    habits: Habits,
    files: Files,
    moved: usize,
    said: Arc<Mutex<usize>>,
    stalled: Arc<Notify>,
    heard: Heard,
    data: Option<TcpListener>,
    rest: usize,
    until: usize,
    renaming: String,
    place: &'static str,
}

impl Talk {
    async fn hold(mut self, stream: TcpStream) {
        let (reading, mut writing) = stream.into_split();
        let mut reader = BufReader::new(reading);
        if self.say(&mut writing, &format!("220 {} ready\r\n", self.habits.name)).await.is_none() {
            return;
        }
        let mut line = Vec::new();
        while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
            if line.starts_with(b"STOR ") && self.habits.deaf {
                // All that is said with it is there with it.
                let lost = reader.buffer().len();
                reader.consume(lost);
            }
            // Letters of Latin-1, whatever they mean.
            let line: String =
                std::mem::take(&mut line).trim_ascii_end().iter().map(|octet| char::from(*octet)).collect();
            self.heard.lock().expect("not poisoned").push(line.clone());
            if line == "QUIT" && self.habits.clings {
                self.wait_for_data().await;
            }
            if self.answer(&mut writing, &line).await.is_none() || line == "QUIT" {
                return;
            }
        }
    }

    /// The client has dialled for data, and said nothing of them: until it goes.
    async fn wait_for_data(&mut self) {
        let Some(listener) = self.data.take() else { return };
        let (mut data, _) = listener.accept().await.expect("dialled ahead");
        data.read_to_end(&mut Vec::new()).await.expect("nothing");
        self.heard.lock().expect("not poisoned").push("data ended".into());
    }

    /// `None` when it hangs up.
    async fn say(&mut self, writing: &mut OwnedWriteHalf, text: &str) -> Option<()> {
        let count = self.afford(text.len());
        writing.write_all(&text.as_bytes()[..count]).await.ok()?;
        (count == text.len()).then_some(())
    }

    fn afford(&mut self, octets: usize) -> usize {
        let count = self.habits.cut_after.map_or(octets, |limit| limit.saturating_sub(self.moved).min(octets));
        self.moved += count;
        let mut said = self.said.lock().expect("not poisoned");
        *said = self.moved.max(*said);
        count
    }

    async fn answer(&mut self, writing: &mut OwnedWriteHalf, line: &str) -> Option<()> {
        let (verb, name) = line.split_once(' ').unwrap_or((line, ""));
        if self.habits.endless_reply == Some(verb) {
            self.say(writing, "211-and\r\n").await?;
            loop {
                writing.write_all(&b" more\r\n".repeat(10_000)).await.ok()?;
            }
        }
        let file = self.files.lock().expect("not poisoned").get(name).cloned();
        let size = self.habits.size.or_else(|| file.as_ref().map(|file| file.len() as u64));
        let reply = match verb {
            "USER" => "331 password?".into(),
            "PASS" => "230 in".into(),
            "FEAT" => format!(
                "211-Features\r\n{} SIZE\r\n REST STREAM\r\n{}211 End",
                if self.habits.vague { "" } else { " MLST type*;size*;\r\n" },
                self.habits.features
            ),
            "EPSV" if self.habits.foreign_address => "500 what?".into(),
            "EPRT" | "PORT" => "500 what?".into(),
            "EPSV" => format!("229 (|||{}|)", self.listen().await),
            "PASV" => {
                let [high, low] = self.listen().await.to_be_bytes();
                format!("227 (192,0,2,1,{high},{low})")
            }
            "MLST" if !self.habits.facts.is_empty() => match of(self.habits.facts, name) {
                Some(facts) => format!("250-Here\r\n {facts} {name}\r\n250 End"),
                None => "550 none".into(),
            },
            "MLST" if self.listing(name).is_some() => format!("250-It is\r\n type=dir; {name}\r\n250 that"),
            "MLST" => size
                .map_or("550 none".into(), |size| format!("250-It is\r\n type=file;size={size}; {name}\r\n250 that")),
            "SIZE" => size.map_or("550 none".into(), |size| format!("213 {size}")),
            "MDTM" if self.habits.vague && file.is_none() => "550 none".into(),
            "MDTM" => format!("213 {}", of(self.habits.times, name).unwrap_or("20260710101833")),
            "REST" if self.habits.no_rest => "502 no".into(),
            "RANG" => {
                let (first, last) = name.split_once(' ').expect("two numbers");
                self.rest = first.parse().expect("a number");
                self.until = last.parse::<usize>().expect("a number") + 1;
                "350 those".into()
            }
            "REST" => {
                self.rest = name.parse().expect("a number");
                "350 from there".into()
            }
            "CWD"
                if self.habits.places.is_empty()
                    && self.habits.vague
                    && (self.listing(name).is_none() || file.is_some())
                    && name != "/" =>
            {
                "550 none".into()
            }
            "SYST" if self.habits.no_options => "215 UNIX Type: L8".into(),
            "RETR" | "MLSD" | "LIST" | "STOR" => return self.transfer(writing, verb, name, file).await,
            "RNFR" => {
                self.renaming = name.into();
                "350 and now?".into()
            }
            "RNTO" if self.habits.no_renaming => "550 no".into(),
            "RNTO" if self.listing(name).is_some() => "550 is a directory".into(),
            "RNTO" => {
                let mut files = self.files.lock().expect("not poisoned");
                let moved = files.remove(&self.renaming).expect("what is renamed");
                files.insert(name.into(), moved);
                "250 renamed".into()
            }
            "DELE" => match self.files.lock().expect("not poisoned").remove(name) {
                Some(_) => "250 removed".into(),
                None => "550 none".into(),
            },
            "RMD" if self.habits.full && self.has_files(name) => "550 not empty".into(),
            "SITE" if self.habits.no_modes => "502 no".into(),
            // Whoever offers it here tells the sum of something else.
            "HASH" => format!("213 SHA-256 0-1 {} {name}", "0".repeat(64)),
            "COMB" if self.habits.no_comb => "502 no".into(),
            "COMB" => self.join(line).into(),
            "CWD" if !self.habits.places.is_empty() => match of(self.habits.places, name) {
                Some(place) => {
                    self.place = place;
                    "250 there".into()
                }
                None => "550 none".into(),
            },
            "PWD" => format!("257 \"{}\"", self.place),
            _ => "200 ok".into(),
        };
        if self.habits.hangs_up_at == Some(verb) && !self.hung_up.swap(true, Ordering::SeqCst) {
            return None;
        }
        self.say(writing, &(reply + "\r\n")).await
    }

    /// Puts parts behind what is there.
    fn join(&self, line: &str) -> &'static str {
        let Ok(ftp::Command::Comb(whole, parts)) = ftp::Command::parse(line.as_bytes()) else { return "501 what?" };
        let name = |path: &ftp::WirePath| String::from_utf8(path.as_bytes().to_vec()).expect("UTF-8");
        let mut files = self.files.lock().expect("not poisoned");
        let mut joined = files.get(&name(&whole)).cloned().unwrap_or_default();
        for part in &parts {
            let Some(octets) = files.remove(&name(part)) else { return "550 none" };
            joined.extend_from_slice(&octets);
        }
        files.insert(name(&whole), joined);
        "250 joined"
    }

    fn has_files(&self, directory: &str) -> bool {
        let inside = format!("{directory}/");
        self.files.lock().expect("not poisoned").keys().any(|name| name.starts_with(&inside))
    }

    fn listing(&self, name: &str) -> Option<&'static str> {
        of(self.habits.listings, name)
    }

    async fn listen(&mut self) -> u16 {
        let (listener, port) = wire::listen().await;
        self.data = Some(listener);
        port
    }

    async fn transfer(
        &mut self,
        writing: &mut OwnedWriteHalf,
        verb: &str,
        name: &str,
        file: Option<Vec<u8>>,
    ) -> Option<()> {
        let (mut data, _) = self.data.take().expect("EPSV before").accept().await.ok()?;
        let (from, end) = (std::mem::take(&mut self.rest), std::mem::replace(&mut self.until, usize::MAX));
        if verb == "STOR" && from > 0 && self.habits.no_restart {
            drop(data);
            return self.say(writing, "451 not permitted, try again\r\n").await;
        }
        if verb == "STOR" {
            self.say(writing, "150 send\r\n").await?;
            let mut stored = file.unwrap_or_default();
            stored.truncate(from);
            let begun = stored.len();
            data.read_to_end(&mut stored).await.ok()?;
            let sent = stored.len() - begun;
            let count = self.afford(sent);
            stored.truncate(begun + count);
            self.files.lock().expect("not poisoned").insert(name.into(), stored);
            (count == sent).then_some(())?;
            return self.say(writing, "226 stored\r\n").await;
        }
        if verb == "LIST" && self.habits.no_options && name.starts_with("-a ") {
            drop(data);
            return self.say(writing, "550 none\r\n").await;
        }
        let long = self.habits.long_listings.iter().find(|(directory, _)| verb == "LIST" && *directory == name);
        let of_it = long.map(|(_, listing)| *listing).or_else(|| self.listing(name));
        let of_it = of_it.map(|listing| listing.as_bytes().to_vec());
        let listing = of_it.or_else(|| self.habits.listing.clone()).or_else(|| self.habits.endless_listing.clone());
        let Some(octets) = (if matches!(verb, "MLSD" | "LIST") { Some(listing.unwrap_or_default()) } else { file })
        else {
            return self.say(writing, "550 none\r\n").await;
        };
        self.say(writing, "150 here it comes\r\n").await?;
        let until = self.habits.short.unwrap_or(octets.len()).min(octets.len()).min(end);
        let wanted = &octets[from.min(until)..until];
        let count = self.afford(wanted.len());
        if data.write_all(&wanted[..count]).await.is_err() {
            return self.say(writing, "426 broken\r\n").await;
        }
        (count == wanted.len()).then_some(())?;
        if self.habits.stalls {
            self.stalled.notify_one();
            std::future::pending::<()>().await;
        }
        while self.habits.endless_listing.is_some() {
            data.write_all(&octets).await.ok()?;
        }
        drop(data);
        self.say(writing, "226 done\r\n").await
    }
}

mod batches;
mod grudging;
mod links;
mod loops;
mod mirrors;
mod modes;
mod pieces;
mod proxies;
mod scripted;
mod sealed;
mod shipments;
mod streams;
mod times;
mod wire;

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 31) >> 3) as u8).collect()
}

async fn fetch(server: &Server, target: &Path, wishes: &Fetch) -> Result<crate::Fetched, Error> {
    let mut connection = Connection::open(&server.site()).await?;
    let fetched = connection.fetch(b"menu", target, wishes).await?;
    connection.quit().await;
    Ok(fetched)
}

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_dialogue_that_is_cut_anywhere_leaves_no_half_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (target, content) = (folder.path().join("menu"), content(100));
    let whole = Server::start(Habits::default(), &[("menu", &content)]).await;
    fetch(&whole, &target, &Fetch::default()).await.expect("fetched");
    let length = whole.moved();
    assert!(length > 150, "a dialogue of {length} octets");
    for cut in 0..length {
        std::fs::remove_file(&target).ok();
        let habits = Habits { cut_after: Some(cut), ..Habits::default() };
        let server = Server::start(habits, &[("menu", &content)]).await;
        match fetch(&server, &target, &Fetch::default()).await {
            Ok(_) => assert!(std::fs::read(&target).expect("a file") == content, "cut at {cut}"),
            Err(error) => {
                assert!(!target.exists(), "cut at {cut}: {error}");
                assert!(matches!(error, Error::Ended(_) | Error::Broken { .. }), "cut at {cut}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_anywhere_leaves_nothing_under_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, content) = (folder.path().join("menu"), content(1000));
    std::fs::write(&source, &content).expect("written");
    let send = async |server: &Server| {
        let mut connection = Connection::open(&server.site()).await?;
        connection.send(&source, b"menu", &Send::default()).await?;
        connection.quit().await;
        Ok::<_, Error>(())
    };
    let whole = Server::start(Habits::default(), &[]).await;
    send(&whole).await.expect("sent");
    assert_eq!(whole.file("menu"), Some(content.clone()));
    let length = whole.moved();
    for cut in (0..length).step_by(3) {
        let server = Server::start(Habits { cut_after: Some(cut), ..Habits::default() }, &[]).await;
        let sent = send(&server).await;
        let there = server.file("menu");
        assert!(there.is_none() || there.as_ref() == Some(&content), "cut at {cut}");
        assert!(sent.is_err() || there.is_some(), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_size_that_is_not_that_of_what_came_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for (habits, length) in [
        (Habits { size: Some(999), ..Habits::default() }, 1000),
        (Habits { size: Some(1001), ..Habits::default() }, 1000),
        (Habits { short: Some(500), ..Habits::default() }, 1000),
    ] {
        let server = Server::start(habits, &[("menu", &content(length))]).await;
        let error = fetch(&server, &folder.path().join("menu"), &Fetch::default()).await.expect_err("not whole");
        assert!(matches!(error, Error::Differs { .. }), "{error}");
        assert!(!folder.path().join("menu").exists());
    }
}

#[tokio::test]
async fn a_directory_that_is_not_here_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(Habits::default(), &[("menu", b"good")]).await;
    let missing = folder.path().join("menus");
    let error = fetch(&server, &missing.join("menu"), &Fetch::default()).await.expect_err("not there");
    assert!(error.to_string().starts_with(&format!("{}: ", missing.display())), "{error}");
}

#[tokio::test]
async fn what_is_here_and_no_file_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(Habits::default(), &[("menu", b"good")]).await;
    let target = folder.path().join("menu");
    let socket = std::os::unix::net::UnixListener::bind(&target).expect("a socket, as /dev/null is a device");
    let error = fetch(&server, &target, &Fetch::default()).await.expect_err("none takes its place");
    assert!(error.to_string().contains("no file"), "{error}");
    assert_eq!(names(folder.path()), ["menu"]);
    assert!(!target.is_file(), "{socket:?} is still there");
}

#[tokio::test]
async fn what_was_begun_is_gone_on_with_if_it_is_the_same_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (target, content) = (folder.path().join("menu"), content(300_000));
    let short = Habits { short: Some(200_000), ..Habits::default() };
    let wishes = Fetch { resume: true, ..Fetch::default() };
    let server = Server::start(short.clone(), &[("menu", &content)]).await;
    fetch(&server, &target, &wishes).await.expect_err("half of it");
    let server = Server::start(Habits::default(), &[("menu", &content)]).await;
    let fetched = fetch(&server, &target, &wishes).await.expect("the rest");
    assert_eq!((fetched.octets, fetched.resumed_at), (300_000, 200_000));
    assert!(std::fs::read(&target).expect("a file") == content);
    assert_eq!(names(folder.path()), ["menu"]);
}

#[tokio::test]
async fn two_files_are_never_welded_even_if_they_have_size_and_time_in_common() {
    let folder = tempfile::tempdir().expect("a folder");
    let (target, one) = (folder.path().join("menu"), content(300_000));
    let other: Vec<u8> = one.iter().map(|octet| octet ^ 0x55).collect();
    let wishes = Fetch { resume: true, ..Fetch::default() };
    let server = Server::start(Habits { short: Some(200_000), ..Habits::default() }, &[("menu", &one)]).await;
    fetch(&server, &target, &wishes).await.expect_err("half of it");
    let server = Server::start(Habits::default(), &[("menu", &other)]).await;
    let fetched = fetch(&server, &target, &wishes).await.expect("the other one");
    assert_eq!(fetched.resumed_at, 0);
    assert!(std::fs::read(&target).expect("a file") == other);
}

/// Several small files there, over one connection. Says what happened again, and what was told to the watcher.
async fn send_several(server: &Server, site: Site) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["a", "b", "c"].map(|name| {
        let local = folder.path().join(name);
        std::fs::write(&local, format!("soup {name}")).expect("written");
        (local, name.as_bytes().to_vec())
    });
    let crew = Crew::new(site, 1, Arc::new(|_| ()));
    let report = crew.send_all(files.to_vec(), &Send::default()).await.expect("sent");
    for name in ["a", "b", "c"] {
        assert_eq!(server.file(name), Some(format!("soup {name}").into_bytes()));
    }
    assert_eq!(server.names(), ["a", "b", "c"], "no part is left");
    report
}

#[tokio::test]
async fn small_files_are_looked_over_and_renamed_in_two_round_trips_where_the_server_answers_in_turn() {
    let server = Server::start(Habits { name: "(vsFTPd 3.0.5)", ..Habits::default() }, &[]).await;
    assert_eq!(send_several(&server, server.site()).await.moved, 3);
    let verbs: Vec<String> = server.heard("").iter().map(|line| line[..4].to_owned()).collect();
    let begun = verbs.iter().position(|verb| verb == "EPSV").expect("a data connection");
    let first = ["EPSV", "STOR", "EPSV", "SIZE", "RNFR", "RNTO"];
    let others = ["STOR", "EPSV", "SIZE", "RNFR", "RNTO", "STOR", "SIZE", "RNFR", "RNTO", "QUIT"];
    assert_eq!(verbs[begun..], [&first[..], &others[..]].concat());
}

#[tokio::test]
async fn who_loses_what_is_said_while_a_file_comes_is_told_one_command_at_a_time_from_then_on() {
    let server = Server::start(Habits { name: "(vsFTPd 3.0.5)", deaf: true, ..Habits::default() }, &[]).await;
    let learnt = Arc::new(Mutex::new(Vec::new()));
    let heard = learnt.clone();
    let experience =
        Experience::of(Learnt::default(), move |learnt| heard.lock().expect("not poisoned").push(learnt.one_by_one));
    // Short, because the server's waits are not those of a test's clock.
    let site = Site { experience, reply_limit: Duration::from_secs(5), ..server.site() };
    assert_eq!(send_several(&server, site.clone()).await.failed, 0);
    assert_eq!(server.heard("USER").len(), 2, "the second connection is better");
    assert_eq!(learnt.lock().expect("not poisoned").last(), Some(&true));
    send_several(&server, site).await;
    assert_eq!(server.heard("USER").len(), 3, "it is remembered");
}

#[tokio::test]
async fn an_upload_that_was_begun_is_gone_on_with_if_it_is_the_same_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, content) = (folder.path().join("menu"), content(300_000));
    std::fs::write(&source, &content).expect("written");
    let time = source.metadata().and_then(|about| about.modified()).map(crate::directory::moment).expect("a time");
    let part = crate::part::part_name(b"menu", Some(300_000), Some(time.unix_secs()));
    let part = String::from_utf8(part).expect("UTF-8");
    for (begun, resumed_at) in [(content[..200_000].to_vec(), 200_000), (vec![7; 200_000], 0)] {
        let server = Server::start(Habits::default(), &[(&part, &begun)]).await;
        let mut connection = Connection::open(&server.site()).await.expect("open");
        let wishes = Send { resume: true, ..Send::default() };
        let sent = connection.send(&source, b"menu", &wishes).await.expect("sent");
        assert_eq!(sent.resumed_at, resumed_at);
        assert!(server.file("menu").as_ref() == Some(&content));
        assert_eq!(server.file(&part), None);
    }
}

#[tokio::test]
async fn which_directories_are_missing_is_told_and_none_is_made() {
    let habits = Habits { listings: &[("a", ""), ("a/b", "")], ..Habits::default() };
    let server = Server::start(habits, &[("a/menu", b"soup")]).await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    assert_eq!(connection.missing_directories(b"a/b").await.expect("told"), Vec::<Vec<u8>>::new());
    let missing = connection.missing_directories(b"a/b/c/d").await.expect("told");
    assert_eq!(missing, [b"a/b/c".to_vec(), b"a/b/c/d".to_vec()]);
    let in_the_way = connection.missing_directories(b"a/menu/c").await.expect_err("a file");
    assert!(in_the_way.to_string().contains("a/menu is no directory"), "{in_the_way}");
    assert!(server.heard("MKD").is_empty());
}

#[tokio::test]
async fn names_that_lead_elsewhere_lead_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("inside");
    let listing = "type=file;size=4; ../outside\r\ntype=file;size=4; /tmp/outside\r\ntype=dir; ..\r\n\
                   type=file;size=4; a\0b\r\ntype=file;size=4; menu\r\ntype=file;size=4; \x1b[2J\r\n";
    let habits = Habits { listing: Some(listing.into()), ..Habits::default() };
    let server = Server::start(habits, &[("menu", b"good"), ("\x1b[2J", b"odd!"), ("../outside", b"evil")]).await;
    std::fs::create_dir_all(&root).expect("made");
    std::fs::write(root.join("kept"), "kept").expect("written");
    let mirror = mirror(&root, true);
    let crew = Crew::new(server.site(), 2, Arc::new(|_| ()));
    let plan = mirror.plan(&crew).await.expect("a plan");
    assert_eq!(plan.passed_over, 3);
    let report = mirror.apply(&plan, &crew).await.expect("applied");
    assert_eq!((report.moved, report.removed, report.failed), (2, 0, 0));
    assert_eq!(names(&root), ["\x1b[2J", "kept", "menu"]);
    assert_eq!(names(folder.path()), ["inside"]);
}

fn mirror(local: &Path, delete: bool) -> Mirror {
    Mirror {
        direction: Direction::Here,
        remote: Vec::new(),
        local: local.into(),
        selection: Selection::default(),
        surplus: if delete { Surplus::Removed } else { Surplus::Kept },
        compare: Compare::Time,
        only: Only::All,
        links: Links::default(),
        keep_modes: false,
        resume: false,
        verify: false,
        in_pieces: false,
        entries_max: 1000,
    }
}

#[tokio::test]
async fn names_in_another_charset_are_ours_here_and_theirs_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let habits = Habits { listing: Some(b"type=file;size=4; K\xe4se\r\n".to_vec()), ..Habits::default() };
    let server = Server::start(habits, &[("K\u{e4}se", b"good")]).await;
    let mirror = mirror(&folder.path().join("inside"), false);
    let site = Site { charset: Some("latin1".parse().expect("a charset")), ..server.site() };
    let crew = Crew::new(site.clone(), 1, Arc::new(|_| ()));
    let plan = mirror.plan(&crew).await.expect("a plan");
    assert_eq!(mirror.apply(&plan, &crew).await.expect("applied").moved, 1);
    assert_eq!(names(&folder.path().join("inside")), ["K\u{e4}se"]);
    let mut connection = Connection::open(&site).await.expect("open");
    let error = connection.remove_file("\u{65e5}".as_bytes()).await.expect_err("no such letter");
    assert!(matches!(error, Error::Name(_)), "{error}");
}

#[tokio::test]
async fn times_of_a_server_with_list_alone_are_told_in_utc_wherever_it_is() {
    // MDTM says 10:18:33 of what this lists.
    for (listed, zone_hours) in [("07-10-26  12:18PM", 2), ("07-10-26  04:48AM", -5), ("07-10-26  10:18AM", 0)] {
        let listing = format!("{listed}  4 menu\r\n07-09-26  11:59PM  4 old\r\n");
        let habits = Habits { listing: Some(listing.into()), vague: true, features: " MDTM\r\n", ..Habits::default() };
        let server = Server::start(habits, &[("menu", b"good")]).await;
        let mut connection = Connection::open(&server.site()).await.expect("open");
        for _ in 0..2 {
            let listing = connection.list(b"").await.expect("a listing");
            let times: Vec<_> = listing.entries.iter().filter_map(|found| found.modified).collect();
            assert!(times.iter().all(|stamp| stamp.utc), "{times:?}");
            let secs: Vec<_> = times.iter().map(|stamp| stamp.moment.unix_secs()).collect();
            // Half an hour of the zone stays where there is one.
            let half = if zone_hours < 0 { -30 * 60 } else { 0 };
            assert_eq!(secs, [1_783_678_680, 1_783_641_540 - zone_hours * 3600 - half], "{listed}");
        }
        assert_eq!(server.heard("MDTM").len(), 1, "it is asked once");
    }
}

#[tokio::test]
async fn what_a_firewall_lets_through_is_found_out_once() {
    let server = Server::start(Habits { foreign_address: true, ..Habits::default() }, &[("menu", b"good")]).await;
    let (folder, site) = (tempfile::tempdir().expect("a folder"), server.site());
    for _ in 0..2 {
        let mut connection = Connection::open(&site).await.expect("open");
        let target = folder.path().join("menu");
        connection.fetch(b"menu", &target, &Fetch::default()).await.expect("fetched");
    }
    let heard = server.heard.lock().expect("not poisoned");
    assert_eq!(heard.iter().filter(|line| *line == "EPSV").count(), 1);
}

#[tokio::test]
async fn an_address_of_somebody_else_is_not_dialled() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(Habits { foreign_address: true, ..Habits::default() }, &[("menu", b"good")]).await;
    fetch(&server, &folder.path().join("menu"), &Fetch::default()).await.expect("fetched from the server itself");
}

#[tokio::test]
async fn replies_and_listings_without_end_come_to_one() {
    for verb in ["FEAT", "SIZE"] {
        let server = Server::start(Habits { endless_reply: Some(verb), ..Habits::default() }, &[]).await;
        let folder = tempfile::tempdir().expect("a folder");
        let error = fetch(&server, &folder.path().join("menu"), &Fetch::default()).await.expect_err("no end");
        assert!(matches!(error, Error::Ended(_)), "{error}");
    }
    let habits = Habits { endless_listing: Some(b"nonsense\r\n".repeat(1000)), ..Habits::default() };
    let server = Server::start(habits, &[]).await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    let error = connection.list(b"").await.expect_err("no listing");
    assert!(error.to_string().contains("no listing"), "{error}");
}

#[tokio::test]
async fn a_tree_without_end_comes_to_one_and_nothing_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("kept"), "kept").expect("written");
    let habits = Habits { listing: Some(b"type=dir; deeper\r\n".to_vec()), ..Habits::default() };
    let server = Server::start(habits, &[]).await;
    let crew = Crew::new(server.site(), 2, Arc::new(|_| ()));
    let (plan, report) = mirror(folder.path(), true).make(&crew).await.expect("made");
    assert_eq!((plan.passed_over, report.removed), (1, 0));
    let habits = Habits { listing: Some(b"type=dir; left\r\ntype=dir; right\r\n".to_vec()), ..Habits::default() };
    let server = Server::start(habits, &[]).await;
    let crew = Crew::new(server.site(), 2, Arc::new(|_| ()));
    for error in [
        mirror(folder.path(), true).plan(&crew).await.expect_err("no end"),
        mirror(folder.path(), true).make(&crew).await.expect_err("no end"),
    ] {
        assert_eq!(error.to_string(), "the source has more than 1000 files and directories");
    }
    assert!(folder.path().join("kept").exists());
}

/// What a mirror did, step by step.
async fn made(server: &Server, root: &Path, delete: bool) -> (Plan, Report, Vec<u64>) {
    let found = Arc::new(Mutex::new(Vec::new()));
    let heard = found.clone();
    let watcher = Arc::new(move |event: &Event<'_>| {
        if let Event::Found { files, .. } = event {
            heard.lock().expect("not poisoned").push(*files);
        }
    });
    let crew = Crew::new(server.site(), 2, watcher);
    let (plan, report) = mirror(root, delete).make(&crew).await.expect("made");
    let found = found.lock().expect("not poisoned").clone();
    (plan, report, found)
}

#[tokio::test]
async fn without_a_plan_files_move_while_others_are_still_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("inside");
    const LISTINGS: &[(&str, &str)] = &[
        ("", "type=dir; a\r\ntype=dir; b\r\ntype=dir; c\r\ntype=file;size=4; menu\r\n"),
        ("a", "type=file;size=4; 1\r\ntype=file;size=4; 2\r\n"),
        ("b", "type=file;size=4; 1\r\ntype=file;size=4; 2\r\n"),
        ("c", "type=file;size=4; 1\r\ntype=file;size=4; 2\r\n"),
    ];
    let files: Vec<_> =
        ["menu", "a/1", "a/2", "b/1", "b/2", "c/1", "c/2"].into_iter().map(|name| (name, &b"soup"[..])).collect();
    let server = Server::start(Habits { listings: LISTINGS, ..Habits::default() }, &files).await;
    std::fs::create_dir_all(root.join("old")).expect("made");
    std::fs::write(root.join("old/menu"), "cold").expect("written");
    std::fs::write(root.join("a"), "in the way").expect("written");
    let (plan, report, found) = made(&server, &root, true).await;
    assert_eq!((report.moved, report.removed, report.failed), (7, 3, 0));
    assert_eq!((plan.actions.len(), plan.passed_over), (0, 0));
    assert!(found.len() >= 2 && found[0] == 1, "stretches: {found:?}");
    for (name, _) in &files {
        assert_eq!(std::fs::read(root.join(name)).expect("a file"), b"soup", "{name}");
    }
    assert!(!root.join("old").exists());
    let retrieved = server.heard.lock().expect("not poisoned").iter().position(|line| line.starts_with("RETR"));
    let listed = server.heard.lock().expect("not poisoned").iter().rposition(|line| line.starts_with("MLSD"));
    assert!(retrieved < listed, "the first file came before the last directory was looked into");
    assert!(server.heard("USER").len() <= 2, "each connection is used again");
    let (_, report, _) = made(&server, &root, true).await;
    assert_eq!((report.moved, report.removed), (0, 0));
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_not_one_that_is_empty_whatever_list_says() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("kept"), "kept").expect("written");
    const LISTINGS: &[(&str, &str)] = &[("empty", "")];
    let server = Server::start(Habits { listings: LISTINGS, vague: true, ..Habits::default() }, &[]).await;
    let crew = Crew::new(server.site(), 2, Arc::new(|_| ()));
    let of = |name: &str| Mirror { remote: name.into(), ..mirror(folder.path(), true) };
    for error in [
        of("typo").plan(&crew).await.expect_err("it is not there"),
        of("typo").make(&crew).await.expect_err("it is not there"),
    ] {
        assert!(error.is_missing(), "{error}");
    }
    assert_eq!(names(folder.path()), ["kept"]);
    let there = Mirror { direction: Direction::There, ..of("new") };
    assert_eq!(there.plan(&crew).await.expect("a target may be missing").actions.len(), 1);
    let (_, report) = of("empty").make(&crew).await.expect("made");
    assert_eq!(report.removed, 1);
}

#[tokio::test]
async fn what_is_in_the_way_stays_where_a_part_of_the_source_is_not_known() {
    let folder = tempfile::tempdir().expect("a folder");
    const LISTINGS: &[(&str, &str)] = &[
        ("", "type=dir; a\r\ntype=dir; b\r\ntype=file;size=4; ../x\r\n"),
        ("a", "type=file;size=4; 1\r\n"),
        ("b", "type=file;size=4; 1\r\n"),
    ];
    let server =
        Server::start(Habits { listings: LISTINGS, ..Habits::default() }, &[("a/1", b"soup"), ("b/1", b"soup")]).await;
    std::fs::write(folder.path().join("a"), "in the way").expect("written");
    std::fs::write(folder.path().join("old"), "old").expect("written");
    let (plan, report, _) = made(&server, folder.path(), true).await;
    assert_eq!((plan.passed_over, report.moved, report.removed, report.failed), (1, 1, 0, 1));
    assert_eq!(names(folder.path()), ["a", "b", "old"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("a")).expect("a file"), "in the way");
}

#[tokio::test]
async fn who_stalls_is_left_and_what_came_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server =
        Server::start(Habits { stalls: true, short: Some(100), ..Habits::default() }, &[("menu", &content(1000))])
            .await;
    let target = folder.path().join("menu");
    let wait = async {
        server.stalled.notified().await;
        tokio::time::pause();
        std::future::pending::<()>().await
    };
    let wishes = Fetch::default();
    let error = tokio::select! {
        fetched = fetch(&server, &target, &wishes) => fetched.expect_err("stalled"),
        () = wait => panic!("it waits for ever"),
    };
    assert!(matches!(error, Error::Ended(_) | Error::Broken { .. }), "{error}");
    assert!(!target.exists());
    assert_eq!(names(folder.path()).len(), 1, "the part");
}

#[tokio::test]
async fn who_stops_waiting_stops_the_transfer_and_can_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let server =
        Server::start(Habits { short: Some(100), stalls: true, ..Habits::default() }, &[("menu", &content(1000))])
            .await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    let target = folder.path().join("menu");
    let wishes = Fetch::default();
    tokio::select! {
        fetched = connection.fetch(b"menu", &target, &wishes) => panic!("it stalls: {fetched:?}"),
        () = server.stalled.notified() => {}
    }
    assert!(!target.exists());
    // The server hangs in its transfer, so the connection cannot be used any more; but that is known in bounded time.
    tokio::time::pause();
    assert!(connection.list(b"").await.is_err());
}
