//! Our seat at one server: who we are there, in which directory, and a connection that is made anew when it is gone.
//!
//! Invariants: a connection that has been silent is asked whether it is still there before anything is done over it; a new one
//! is where the old one was.
//! Not here: what is done there (there).

use super::super::access::{Place, place, tls};
use super::super::known;
use super::language::{is_pattern, pattern, plain};
use crate::cli::ftp::Access;
use crate::failure::Failure;
use ftp_client::directory::{join, shown};
use ftp_client::site::Tap;
use ftp_client::{Connection, Crew, Error, Found, Kind, Site, Url, Watcher};
use std::collections::HashMap;
use std::io::{IsTerminal, stdin};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection that was used a moment ago is there; one that was silent for longer is asked.
const SILENT_LIMIT: Duration = Duration::from_secs(3);

/// What was listed so long ago is listed anew before names are completed.
const LISTED_LIMIT: Duration = Duration::from_secs(20);

/// So many directories are remembered for completion.
const LISTED_MAX: usize = 64;

/// More names than this are more than anybody means by one pattern.
const MEANT_MAX: usize = 100_000;

/// A server, and us there.
pub struct Seat {
    /// Without the path.
    pub url: Url,
    site: Site,
    /// Where the login leads.
    home: Vec<u8>,
    /// Where we were before.
    before: Option<Vec<u8>>,
    connection: Option<Connection>,
    used: Instant,
    silent_limit: Duration,
    listed: HashMap<Vec<u8>, (Instant, Listed)>,
}

/// The names in a directory, and which of them are directories.
pub type Listed = Arc<Vec<(Vec<u8>, bool)>>;

/// Something that somebody has named.
pub struct Meant {
    pub path: Vec<u8>,
    /// What a listing tells of it, if a pattern has found it there.
    pub found: Option<Found>,
}

impl Seat {
    /// Logs in; asks somebody about a certificate that nobody vouches for.
    pub async fn open(text: &str, access: &Access, tap: Tap) -> Result<Self, Failure> {
        let Place { mut url, mut site } = place(text, access)?;
        site.tap = Some(tap);
        let connection = loop {
            match Connection::open(&site).await {
                Ok(connection) => break connection,
                Err(error) => may_try_again(&url, access, error)?,
            }
            site.tls = tls(&url, access)?;
        };
        url.path.clear();
        url.password = None;
        let silent_limit = SILENT_LIMIT;
        let mut seat = Seat {
            url,
            site,
            home: Vec::new(),
            before: None,
            connection: Some(connection),
            used: Instant::now(),
            silent_limit,
            listed: HashMap::new(),
        };
        seat.home = seat.connection().await?.whereabouts().await?.unwrap_or_default();
        Ok(seat)
    }

    /// The same seat for a job, with a connection of its own.
    pub fn apart(&self) -> Self {
        Seat {
            url: self.url.clone(),
            site: self.site.clone(),
            home: self.home.clone(),
            before: None,
            connection: None,
            used: self.used,
            silent_limit: self.silent_limit,
            listed: HashMap::new(),
        }
    }

    /// Where we are.
    pub fn directory(&self) -> &[u8] {
        if self.site.directory.is_empty() { &self.home } else { &self.site.directory }
    }

    /// Who we are.
    pub fn user(&self) -> &str {
        &self.site.user
    }

    /// What holds from the next connection on.
    pub fn site(&mut self) -> &mut Site {
        &mut self.site
    }

    /// What was changed in the site holds at once: the next command makes a connection anew.
    pub fn renew(&mut self) {
        self.connection = None;
    }

    /// Refuses what would take the directory away that we are in: what is said behind it would be done somewhere else.
    pub fn stays(&self, path: &[u8]) -> Result<(), Failure> {
        let whole = if path.starts_with(b"/") { path.to_vec() } else { join(self.directory(), path) };
        match steps(self.directory()).starts_with(&steps(&whole)) {
            true => Err(Failure::Failed(format!("{}: we are in it; cd elsewhere first", shown(path)))),
            false => Ok(()),
        }
    }

    /// A connection that is there, in our directory.
    pub async fn connection(&mut self) -> Result<&mut Connection, Failure> {
        let kept = match self.connection.take() {
            Some(connection) if connection.is_open() && !connection.is_worn() => self.still_there(connection).await,
            _ => None,
        };
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect_again().await?,
        };
        self.used = Instant::now();
        Ok(self.connection.insert(connection))
    }

    async fn still_there(&self, mut connection: Connection) -> Option<Connection> {
        if self.used.elapsed() < self.silent_limit {
            return Some(connection);
        }
        connection.answers().await.then_some(connection)
    }

    async fn connect_again(&mut self) -> Result<Connection, Failure> {
        match Connection::open(&self.site).await {
            Err(error @ Error::Refused { .. }) if !self.site.directory.is_empty() => {
                // Somebody has removed the directory that we were in.
                self.site.directory.clear();
                Err(error.into())
            }
            other => Ok(other?),
        }
    }

    /// Several connections, of which ours is the first. [`take_back`](Self::take_back) has to follow.
    pub async fn crew(&mut self, hands: usize, watcher: Watcher) -> Result<Crew, Failure> {
        self.connection().await?;
        let crew = Crew::new(self.site.clone(), hands, watcher);
        if let Some(connection) = self.connection.take() {
            crew.lend(connection);
        }
        Ok(crew)
    }

    /// Takes back what the crew has borrowed.
    pub fn take_back(&mut self, crew: &Crew) {
        self.connection = crew.give_back();
        self.used = Instant::now();
    }

    /// Goes to a directory: nothing for where the login leads, `-` for where we were before.
    pub async fn enter(&mut self, path: Option<&[u8]>) -> Result<(), Failure> {
        let path = match path {
            None => self.home.clone(),
            Some(b"-") => self.before.clone().ok_or_else(|| Failure::Failed("we have been nowhere else".into()))?,
            Some(path) => path.to_vec(),
        };
        let now = self.connection().await?.enter(&path).await?;
        let now = now.unwrap_or_else(|| join(self.directory(), &path));
        self.before = Some(self.directory().to_vec());
        self.site.directory = now;
        Ok(())
    }

    /// What names and patterns stand for.
    pub async fn meant(&mut self, names: &[String]) -> Result<Vec<Meant>, Failure> {
        let mut meant = Vec::new();
        for marked in names {
            if is_pattern(marked) {
                meant.extend(self.matching(marked).await?);
            } else {
                meant.push(Meant { path: plain(marked).into_bytes(), found: None });
            }
        }
        Ok(meant)
    }

    async fn matching(&mut self, marked: &str) -> Result<Vec<Meant>, Failure> {
        let root = if marked.starts_with('/') { b"/".to_vec() } else { Vec::new() };
        let mut fitting = vec![Meant { path: root, found: None }];
        let (mut looking, nothing) = (false, || Failure::Missing(format!("{}: nothing of such a name", plain(marked))));
        for part in marked.split('/').filter(|part| !part.is_empty()) {
            looking |= is_pattern(part);
            if !looking {
                fitting.iter_mut().for_each(|meant| meant.path = join(&meant.path, plain(part).as_bytes()));
                continue;
            }
            let (wanted, mut next) = (Wanted::new(part), Vec::new());
            let inside = |meant: &Meant| meant.found.as_ref().is_none_or(|found| found.kind != Kind::File);
            for above in fitting.iter().filter(|meant| inside(meant)) {
                let mut entries = self.connection().await?.list(&above.path).await?.entries;
                entries.retain(|found| wanted.fits(found.name.as_bytes()));
                entries.sort_by(|one, two| one.name.cmp(&two.name));
                let path = |found: &Found| join(&above.path, found.name.as_bytes());
                next.extend(entries.into_iter().map(|found| Meant { path: path(&found), found: Some(found) }));
                if next.len() > MEANT_MAX {
                    return Err(Failure::Failed(format!("{}: more than {MEANT_MAX} names", plain(marked))));
                }
            }
            fitting = next;
        }
        if fitting.is_empty() { Err(nothing()) } else { Ok(fitting) }
    }

    /// The names in a directory, as far as they are known already or can be asked for.
    pub async fn listed(&mut self, directory: &[u8]) -> Result<Listed, Failure> {
        let key = if directory.starts_with(b"/") { directory.to_vec() } else { join(self.directory(), directory) };
        if let Some((_, listed)) = self.listed.get(&key).filter(|(when, _)| when.elapsed() < LISTED_LIMIT) {
            return Ok(listed.clone());
        }
        let entries = self.connection().await?.list(directory).await?.entries;
        let names = entries.into_iter().map(|found| (found.name.as_bytes().to_vec(), found.kind == Kind::Directory));
        let listed: Listed = Arc::new(names.collect());
        if self.listed.len() >= LISTED_MAX {
            self.listed.clear();
        }
        self.listed.insert(key, (Instant::now(), listed.clone()));
        Ok(listed)
    }

    /// Something may have changed there.
    pub fn forget_listed(&mut self) {
        self.listed.clear();
    }

    /// Leaves in order.
    pub async fn leave(mut self) {
        if let Some(connection) = self.connection.take() {
            connection.quit().await;
        }
    }
}

/// One part of a pattern. Names that begin with a dot are only meant by what begins with one.
pub struct Wanted {
    pattern: Option<ftp_client::Pattern>,
    text: Vec<u8>,
    dots: bool,
}

impl Wanted {
    pub fn new(marked: &str) -> Self {
        let text = pattern(marked);
        Wanted { pattern: ftp_client::select::pattern(&text), dots: text.starts_with(b"."), text }
    }

    /// The same for who wants all names.
    pub fn with_dots(plain: &str) -> Self {
        Wanted { pattern: ftp_client::select::pattern(plain.as_bytes()), text: plain.into(), dots: true }
    }

    pub fn fits(&self, name: &[u8]) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.matches(name) && (self.dots || !name.starts_with(b".")),
            None => name == self.text,
        }
    }
}

/// Whether somebody believes the certificate now.
fn may_try_again(url: &Url, access: &Access, error: Error) -> Result<(), Failure> {
    let Error::Tls { why, shown: Some(shown) } = &error else { return Err(error.into()) };
    let chosen = access.ca_file.is_some() || access.fingerprint.is_some();
    if chosen || !stdin().is_terminal() {
        return Err(error.into());
    }
    if known::ask(url, shown, &why.to_string())? { known::remember(url, shown) } else { Err(error.into()) }
}

/// The names on a path from the root, as the server will follow them where nothing is a link.
fn steps(path: &[u8]) -> Vec<&[u8]> {
    let mut steps = Vec::new();
    for name in path.split(|octet| *octet == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(steps.pop()),
            name => steps.push(name),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ftp::Ftp;
    use crate::commands::ftp::shell::dialogue::Dialogue;
    use crate::commands::ftp::show::Screen;
    use clap::{Args, FromArgMatches};
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};

    /// Serves one connection until NOOP, and then hangs up. What was said to it.
    fn serve(stream: TcpStream) -> Vec<String> {
        let (mut said, mut place) = (Vec::new(), "/".to_owned());
        let mut answer = stream.try_clone().expect("a second hand");
        let mut say = |text: &str| answer.write_all(format!("{text}\r\n").as_bytes()).expect("written");
        say("220 Here.");
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb {
                "USER" => say("331 And?"),
                "PASS" => say("230 In."),
                "PWD" => say(&format!("257 \"{place}\"")),
                "CWD" => {
                    place = rest.to_owned();
                    say("250 There.");
                }
                "NOOP" => {
                    say("421 You were silent for too long.");
                    said.push(line);
                    return said;
                }
                "QUIT" => say("221 Bye."),
                _ => say("502 What?"),
            }
            said.push(line);
        }
        said
    }

    #[test]
    fn a_server_that_has_hung_up_is_met_again_where_we_were() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = std::thread::spawn(move || [(); 2].map(|()| serve(listener.accept().expect("a client").0)));
        let command = Ftp::augment_args(clap::Command::new("ftp"));
        let said = command.get_matches_from(["ftp", "--no-tls", "--netrc", "/dev/null"]);
        let access = Ftp::from_arg_matches(&said).expect("arguments").shell.access;
        let screen = Screen::new(&access, Arc::new(|_| {}));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let place = runtime.block_on(async {
            let tap = Tap(Dialogue::new(false, screen, false));
            let mut seat = Seat::open(&format!("ftp://bob:hungry@127.0.0.1:{port}/"), &access, tap).await.expect("in");
            seat.enter(Some(b"/menus")).await.expect("there");
            seat.silent_limit = Duration::ZERO;
            let connection = seat.connection().await.expect("in again");
            let place = connection.whereabouts().await.expect("an answer");
            seat.leave().await;
            place
        });
        assert_eq!(place.as_deref(), Some(&b"/menus"[..]));
        let [first, second] = server.join().expect("served");
        assert!(first.contains(&"CWD /menus".into()) && first.last().is_some_and(|last| last == "NOOP"), "{first:?}");
        assert!(second.contains(&"CWD /menus".into()), "{second:?}");
    }
}
