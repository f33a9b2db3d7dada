//! What is in a directory, and changing it.
//!
//! RFC 3659 §7 (MLSD, MLST) where the server has it, and otherwise LIST, with the zone of the server found out by MDTM;
//! RFC 959 §4.1.3 (MKD, RMD, DELE, RNFR, RNTO).
//!
//! Invariants: a listing has at most [`ENTRIES_MAX`] entries; a tree that is removed is left at its links.
//! Not here: which entries somebody wants (select).

use crate::charset::{Charset, read_piece};
use crate::connection::{Connection, wire_path};
use crate::error::{Error, Said};
use crate::lineage::Mark;
use crate::pump::{Counter, into_hands};
use ftp::client::{Start, Words};
use ftp::command::{Change, Site as SiteCommand};
use ftp::dialect::{Found, Kind, LINE_MAX_OCTETS, Precision, Reader, RemoteName, Stamp, zone_secs};
use ftp::{Command, Moment, Reply, WirePath};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// More entries than this in one directory are an attempt to fill our memory.
pub const ENTRIES_MAX: usize = 1_000_000;

/// What has more lines than this that say nothing is no listing.
const UNREAD_MAX: u64 = 10_000;

/// A million entries are no longer than this; what is, has no end.
const LISTING_MAX_OCTETS: usize = 1 << 30;

/// Directories within directories beyond this are a loop.
pub const DEPTH_MAX: usize = 100;

/// What a listing has brought.
#[derive(Debug, Default)]
pub struct Listing {
    /// The entries, `.` and `..` not among them.
    pub entries: Vec<Found>,
    /// How many names were passed over because they would lead elsewhere.
    pub flawed: u64,
}

/// What is known of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// What it is.
    pub kind: Kind,
    /// Octets.
    pub size: Option<u64>,
    /// When its content changed last.
    pub modified: Option<Stamp>,
    /// Permission bits of Unix.
    pub mode: Option<u32>,
}

/// What the time is, for listings that do not tell the year.
pub fn now() -> Moment {
    moment(SystemTime::now())
}

/// A time of this machine's.
pub fn moment(time: SystemTime) -> Moment {
    let secs = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    Moment::from_unix_secs(secs)
}

/// The path of something in a directory.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        b"" => name.to_vec(),
        _ if directory.ends_with(b"/") => [directory, name].concat(),
        _ => [directory, b"/", name].concat(),
    }
}

/// The directory that something stands in, with the slash behind it, and its name there. A directory that ends in a slash has no
/// name.
pub fn parted(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|octet| *octet == b'/') {
        Some(at) => path.split_at(at + 1),
        None => (b"", path),
    }
}

/// The directory that something stands in; nothing for where the login leads.
pub fn above(path: &[u8]) -> &[u8] {
    without_slash(parted(path).0)
}

/// What somebody calls a directory, without the slash at its end.
pub fn without_slash(path: &[u8]) -> &[u8] {
    if path.len() > 1 { path.strip_suffix(b"/").unwrap_or(path) } else { path }
}

impl Connection {
    /// Where we are, if the server tells it in a way that can be read.
    ///
    /// # Errors
    /// [`Error::Ended`]
    pub async fn whereabouts(&mut self) -> Result<Option<Vec<u8>>, Error> {
        Ok(quoted(&self.say(vec![Command::Pwd.into()]).await?[0]))
    }

    /// Goes to a directory. Says where we are then, if the server does.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn enter(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let change = if path == b".." { Command::Cdup } else { Command::Cwd(wire_path(path)?) };
        let mut replies = self.say(vec![change.into(), Command::Pwd.into()]).await?;
        if !replies[0].is_positive() {
            let step = format!("go to {}", shown(path));
            return Err(Error::Refused { step, reply: replies.swap_remove(0) });
        }
        Ok(quoted(&replies[1]))
    }

    /// What is in a directory; an empty path is where we are.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn list(&mut self, directory: &[u8]) -> Result<Listing, Error> {
        if self.features().facts.is_some() {
            let words = Command::Mlsd(named(directory)?).into();
            return self.read(words, Reader::machine(directory, now()), directory).await;
        }
        let listing = self.list_long(directory).await;
        let listing = self.there_at_all(directory, listing).await?;
        self.tell_time(directory, listing).await
    }

    /// What is in a directory of a tree. LIST of a file tells of that file, and of a link perhaps of that link: taken for all that
    /// there is, it would have everything else removed on the other side.
    pub(crate) async fn list_inside(&mut self, directory: &[u8]) -> Result<Listing, Error> {
        let listing = self.list(directory).await?;
        if !tells_of_itself(&listing, directory) {
            return Ok(listing);
        }
        if self.stat(directory).await?.kind != Kind::Directory {
            return Err(no_directory(directory));
        }
        // With the slash it is what a link leads to.
        self.list(&join(directory, b"")).await
    }

    /// Some servers answer LIST of what is not there as if it were empty: then a mirror of a name that somebody has mistyped would
    /// remove all that is on the other side.
    async fn there_at_all(&mut self, directory: &[u8], listed: Result<Listing, Error>) -> Result<Listing, Error> {
        let doubtful = match &listed {
            Ok(listing) => listing.entries.is_empty() && listing.flawed == 0,
            Err(Error::Refused { reply, .. }) => reply.is_positive(),
            Err(_) => false,
        };
        if doubtful && !directory.is_empty() && self.stat(directory).await?.kind != Kind::Directory {
            return Err(no_directory(directory));
        }
        listed
    }

    /// Marks what LIST shows as a link in what MLSD has told.
    pub(crate) async fn list_links(&mut self, directory: &[u8], listing: &mut Listing) -> Result<(), Error> {
        let mut links = self.links(directory).await?;
        links.retain(|found| matches!(found.kind, Kind::Link(Some(_))));
        let mut links: HashMap<Vec<u8>, Found> =
            links.into_iter().map(|found| (found.name.as_bytes().to_vec(), found)).collect();
        for found in &mut listing.entries {
            if let Some(link) = links.remove(found.name.as_bytes()) {
                *found = link;
            }
        }
        listing.entries.extend(links.into_values());
        Ok(())
    }

    /// What LIST shows as a link in a directory that MLSD has told of: servers tell there of what a link leads to, as if it were
    /// that. Nothing without MLSD: then that is known.
    pub(crate) async fn links(&mut self, directory: &[u8]) -> Result<Vec<Found>, Error> {
        if self.features().facts.is_none() {
            return Ok(Vec::new());
        }
        let mut long = match self.list_long(directory).await {
            // It is there: MLSD has told what is in it.
            Err(Error::Refused { step, reply }) => {
                return Err(Error::Untaken { step, why: format!("the server says {}", Said(&reply)) });
            }
            listed => listed?.entries,
        };
        long.retain(|found| matches!(found.kind, Kind::Link(_)));
        Ok(long)
    }

    /// LIST, with `-a` where the server takes that.
    async fn list_long(&mut self, directory: &[u8]) -> Result<Listing, Error> {
        let path = named(directory)?;
        let reader = || Reader::list(directory, now());
        if self.may_list_all().await? {
            match self.read(Words::list_all(path.as_ref()), reader(), directory).await {
                // It may have taken `-a` for a part of the name (pyftpdlib).
                Err(Error::Refused { reply, .. }) if path.is_some() && !reply.is_positive() => {}
                listed => return listed,
            }
        }
        let words = Command::List(ftp::command::ListWish { path, ..Default::default() }).into();
        let listing = self.read(words, reader(), directory).await?;
        self.lists_all = Some(false);
        Ok(listing)
    }

    async fn may_list_all(&mut self) -> Result<bool, Error> {
        if let Some(all) = self.lists_all {
            return Ok(all);
        }
        let system = self.say(vec![Command::Syst.into()]).await?.swap_remove(0);
        // Others take `-a` for a name.
        let unix = system.to_string().to_ascii_uppercase().contains("UNIX");
        Ok(*self.lists_all.insert(unix))
    }

    async fn read(&mut self, words: Words, reader: Reader, directory: &[u8]) -> Result<Listing, Error> {
        let step = format!("list {}", shown(directory));
        let kept = Arc::new(Mutex::new((reader, Vec::new())));
        let hands = {
            let (kept, mut sum) = (kept.clone(), 0);
            let mut charset = self.site().charset.map(Charset::reader);
            move |octets: &[u8]| {
                sum += octets.len();
                let read = charset.as_mut().map(|reader| read_piece(reader, octets, false));
                let octets = read.as_deref().unwrap_or(octets);
                let (reader, entries) = &mut *kept.lock().unwrap_or_else(PoisonError::into_inner);
                reader.take(octets, |found| entries.push(found));
                if entries.len() > ENTRIES_MAX || sum > LISTING_MAX_OCTETS {
                    return Err(io::Error::other(format!("more than {ENTRIES_MAX} entries")));
                }
                if reader.is_endless() {
                    return Err(io::Error::other(format!("a line of more than {LINE_MAX_OCTETS} octets")));
                }
                if reader.unread() > UNREAD_MAX {
                    return Err(io::Error::other("what comes is no listing"));
                }
                Ok(())
            }
        };
        match self.transfer(words, Start::Beginning, into_hands(hands, Counter::default()), &step).await {
            Err(Error::Refused { reply, .. }) if says_empty(&reply) => return Ok(Listing::default()),
            Ok(reply) if says_unopened(&reply) => return Err(Error::Refused { step, reply }),
            other => other?,
        };
        let (reader, entries) = &mut *kept.lock().unwrap_or_else(PoisonError::into_inner);
        reader.end(|found| entries.push(found));
        Ok(Listing { entries: std::mem::take(entries), flawed: reader.flawed() })
    }

    /// Times of LIST are those of the server's clock: one file whose time MDTM tells gives away how far it is ahead.
    async fn tell_time(&mut self, directory: &[u8], mut listing: Listing) -> Result<Listing, Error> {
        if self.zone_secs.is_none() && self.features().mdtm {
            let dated = |found: &&Found| {
                found.kind == Kind::File
                    && found.modified.is_some_and(|stamp| !stamp.utc && stamp.precision < Precision::Day)
            };
            if let Some(found) = listing.entries.iter().find(dated) {
                let path = wire_path(&join(directory, found.name.as_bytes()))?;
                let reply = self.say(vec![Command::Mdtm(path).into()]).await?.swap_remove(0);
                self.zone_secs = found.modified.zip(time_of(&reply)).and_then(|(listed, told)| zone_secs(listed, told));
            }
        }
        if let Some(zone) = self.zone_secs {
            for found in &mut listing.entries {
                found.modified = found.modified.map(|stamp| match stamp.precision {
                    // The day may be another one there; that much is uncertain anyway.
                    Precision::Day => stamp,
                    _ => stamp.corrected(zone),
                });
            }
        }
        Ok(listing)
    }

    /// What the server knows of one thing.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such thing; [`Error`]
    pub async fn stat(&mut self, path: &[u8]) -> Result<About, Error> {
        Ok(self.stat_with_unique(path, false).await?.0)
    }

    /// What tells a directory from all others, where MLST says that: then a tree may lead round in a circle without a link to be
    /// seen. Nothing where it says nothing of the kind.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn mark(&mut self, directory: &[u8]) -> Result<Option<Mark>, Error> {
        if !self.features().tells_unique() {
            return Ok(None);
        }
        let (about, unique) = self.stat_with_unique(directory, false).await?;
        Ok(Mark::new(unique, about.modified))
    }

    /// The same of anything, and what tells it from all others. Where facts do not, that is for a directory where PWD says that
    /// we are once we are in it, if that is worth asking: servers that know of links tell where they lead.
    pub(crate) async fn stat_with_unique(
        &mut self,
        path: &[u8],
        ask_place: bool,
    ) -> Result<(About, Option<Vec<u8>>), Error> {
        let step = format!("look at {}", shown(path));
        let wire = wire_path(if path.is_empty() { b"." } else { path })?;
        if self.features().facts.is_some() {
            let reply = self.command(&Command::Mlst(Some(wire)), &step).await?;
            return about(&reply).ok_or_else(|| Error::Broken { step, why: "no facts in the reply".into() });
        }
        let mut asked =
            vec![Command::Size(wire.clone()), Command::Mdtm(wire.clone()), Command::Pwd, Command::Cwd(wire)];
        asked.extend(ask_place.then_some(Command::Pwd));
        let mut replies = self.say(asked.iter().map(Words::from).collect()).await?;
        // What is read here is said again: it is ours by then.
        let charset = self.site().charset;
        let told =
            |reply: &Reply| quoted(reply).map(|path| charset.map_or(path.clone(), |charset| charset.read(&path)));
        let place = replies.get(4).and_then(told);
        let (entered, before) = (replies.swap_remove(3), replies.swap_remove(2));
        let (size, modified) = (size_of(&replies[0]), time_of(&replies[1]).map(Stamp::exact));
        let mut found = About { kind: Kind::File, size, modified, mode: None };
        if entered.is_positive() {
            found.kind = Kind::Directory;
            found.size = None;
            let home = told(&before).ok_or_else(|| Error::Refused { step: step.clone(), reply: before })?;
            self.command(&Command::Cwd(wire_path(&home)?), &step).await?;
            return Ok((found, place));
        }
        if found.size.is_none() && found.modified.is_none() {
            // Who does not know SIZE may say more to CWD.
            let size = replies.swap_remove(0);
            let reply = if matches!(size.code(), 500..=504) { entered } else { size };
            return Err(Error::Refused { step, reply });
        }
        Ok((found, None))
    }

    /// Size and time of a file, as far as the server tells them.
    ///
    /// # Errors
    /// [`Error`]; nothing is known of what is not there.
    pub async fn measure(&mut self, path: &WirePath) -> Result<(Option<u64>, Option<Moment>), Error> {
        Ok(measured(&self.say(measuring(path)).await?))
    }

    /// The same before it is fetched: the way to its data is asked for as well, or dialled.
    pub(crate) async fn measure_ahead(&mut self, path: &WirePath) -> Result<(Option<u64>, Option<Moment>), Error> {
        Ok(measured(&self.say_ahead(measuring(path)).await?))
    }

    /// When files were changed last, each as MDTM tells it.
    ///
    /// # Errors
    /// [`Error::Ended`]
    pub(crate) async fn times(&mut self, files: &[WirePath]) -> Result<Vec<Option<Moment>>, Error> {
        let mut times = Vec::with_capacity(files.len());
        let words = |_: &Self, file: &&WirePath| Ok(Command::Mdtm((*file).clone()).into());
        let answered = |_: &WirePath, reply: Reply| {
            times.push(time_of(&reply));
            Ok(())
        };
        self.say_of_each(files, words, answered).await?;
        Ok(times)
    }

    /// Makes a directory, and those that it stands in. What is there already is fine; `made` hears of the others.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn make_directories(&mut self, path: &[u8], mut made: impl FnMut(&[u8])) -> Result<(), Error> {
        let prefixes = directories(path);
        let words = prefixes.iter().map(|prefix| Ok(Command::Mkd(wire_path(prefix)?).into()));
        let replies = self.say(words.collect::<Result<_, Error>>()?).await?;
        for (prefix, _) in prefixes.iter().zip(&replies).filter(|(_, reply)| reply.is_positive()) {
            made(prefix);
        }
        match replies.last() {
            // Most say 550 for what is there already, as for what is not allowed: only a look tells.
            Some(reply) if !reply.is_positive() => {
                let reply = reply.clone();
                match self.stat(path).await {
                    Ok(found) if found.kind == Kind::Directory => Ok(()),
                    Err(error) if error.is_fatal() => Err(error),
                    _ => Err(Error::Refused { step: format!("make the directory {}", shown(path)), reply }),
                }
            }
            _ => Ok(()),
        }
    }

    /// Which of a directory and those that it stands in are not there: what
    /// [`make_directories`](Self::make_directories) would make.
    ///
    /// # Errors
    /// [`Error`]; also when something else has one of these names.
    pub async fn missing_directories(&mut self, path: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut missing = Vec::new();
        for directory in directories(path).into_iter().rev() {
            match self.stat(directory).await {
                Ok(found) if found.kind == Kind::Directory => break,
                Ok(_) => {
                    let step = format!("make the directory {}", shown(path));
                    return Err(Error::NotDirectory { step, directory: shown(directory) });
                }
                Err(error) if error.is_missing() => missing.push(directory.to_vec()),
                Err(error) => return Err(error),
            }
        }
        missing.reverse();
        Ok(missing)
    }

    /// What something is itself: a link to a directory is a link, also where the server tells of what it leads to.
    ///
    /// # Errors
    /// As [`stat`](Self::stat).
    pub async fn kind_itself(&mut self, path: &[u8]) -> Result<Kind, Error> {
        let told = match self.stat(path).await {
            Ok(About { kind: Kind::Directory, .. }) => Ok(Kind::Directory),
            // It may be a link that leads nowhere.
            Err(error) if error.is_missing() => Err(error),
            other => return Ok(other?.kind),
        };
        let (above, name) = parted(path);
        match self.list_itself(above).await {
            Ok(found) => match found.into_iter().find(|found| found.name.as_bytes() == name) {
                Some(found) => Ok(found.kind),
                None => told,
            },
            Err(error) if error.is_fatal() => Err(error),
            // Who does not let us look around has told what there is to know.
            Err(_) => told,
        }
    }

    /// What is in a directory, with links as such.
    async fn list_itself(&mut self, directory: &[u8]) -> Result<Vec<Found>, Error> {
        let mut listing = self.list(directory).await?;
        self.list_links(directory, &mut listing).await?;
        Ok(listing.entries)
    }

    /// Tells of all that [`remove_tree`](Self::remove_tree) would remove, and whether it is a directory; what is in a directory
    /// before the directory.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn look_over_tree(&mut self, path: &[u8], mut told: impl FnMut(&[u8], bool)) -> Result<(), Error> {
        if self.kind_itself(path).await? != Kind::Directory {
            told(path, false);
            return Ok(());
        }
        let mut left = vec![(path.to_vec(), false, 0)];
        while let Some((directory, emptied, depth)) = left.pop() {
            if emptied {
                told(&directory, true);
                continue;
            }
            if depth > DEPTH_MAX {
                return Err(too_deep(&directory));
            }
            let found = self.list_itself(&directory).await?;
            left.push((directory.clone(), true, depth));
            for found in found {
                let path = join(&directory, found.name.as_bytes());
                match found.kind {
                    Kind::Directory => left.push((path, false, depth + 1)),
                    _ => told(&path, false),
                }
            }
        }
        Ok(())
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        let words = [Command::Rnfr(wire_path(from)?), Command::Rnto(wire_path(to)?)];
        let mut replies = self.say(words.iter().map(Words::from).collect()).await?;
        if replies[1].is_positive() {
            return Ok(());
        }
        let reply = if replies[0].is_intermediate() { replies.swap_remove(1) } else { replies.swap_remove(0) };
        Err(Error::Refused { step: format!("rename {} to {}", shown(from), shown(to)), reply })
    }

    /// Removes a file.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn remove_file(&mut self, path: &[u8]) -> Result<(), Error> {
        self.command(&Command::Dele(wire_path(path)?), &format!("remove {}", shown(path))).await.map(drop)
    }

    /// Removes what is no directory: a file, or a link, wherever it leads. Says whether it is gone, or a directory.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn remove_unless_directory(&mut self, path: &[u8]) -> Result<bool, Error> {
        // MLSD and MLST may tell of what a link leads to. DELE removes the link, and no directory: only what it refuses is one.
        match self.remove_file(path).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => match self.stat(path).await {
                Ok(about) if about.kind == Kind::Directory => Ok(false),
                Err(lost) if lost.is_fatal() => Err(lost),
                _ => Err(error),
            },
        }
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn remove_directory(&mut self, path: &[u8]) -> Result<(), Error> {
        self.command(&Command::Rmd(wire_path(path)?), &format!("remove the directory {}", shown(path))).await.map(drop)
    }

    /// Removes a file, a link, or a directory and all that is in it; links go, what they lead to stays. `removed` hears of each.
    ///
    /// # Errors
    /// [`Error`]; what was removed before is gone.
    pub async fn remove_tree(&mut self, path: &[u8], mut removed: impl FnMut(&[u8])) -> Result<(), Error> {
        if self.remove_unless_directory(path).await? {
            removed(path);
            return Ok(());
        }
        // Each directory twice: first what is in it, then itself.
        let mut left = vec![(path.to_vec(), false, 0)];
        while let Some((directory, emptied, depth)) = left.pop() {
            if emptied {
                self.remove_emptied(&directory, &mut removed).await?;
                continue;
            }
            if depth > DEPTH_MAX {
                return Err(too_deep(&directory));
            }
            let entries = self.list(&directory).await?.entries;
            let inside: Vec<_> =
                entries.into_iter().map(|found| (join(&directory, found.name.as_bytes()), found.kind)).collect();
            left.push((directory, true, depth));
            let words = |_: &Self, (path, _): &(Vec<u8>, Kind)| Ok(Command::Dele(wire_path(path)?).into());
            let answered = |(path, kind): (Vec<u8>, Kind), reply: Reply| {
                match kind {
                    _ if reply.is_positive() => removed(&path),
                    Kind::Directory => left.push((path, false, depth + 1)),
                    _ => return Err(Error::Refused { step: format!("remove {}", shown(&path)), reply }),
                }
                Ok(())
            };
            self.say_of_each(inside, words, answered).await?;
        }
        Ok(())
    }

    /// Removes a directory from which all has gone that was listed. MLSD of some servers leaves out links that lead nowhere
    /// (ProFTPD, pyftpdlib), and those go as well.
    async fn remove_emptied(&mut self, directory: &[u8], removed: &mut impl FnMut(&[u8])) -> Result<(), Error> {
        match self.remove_directory(directory).await {
            Err(error) if !error.is_fatal() => {
                let left = self.links(directory).await.unwrap_or_default();
                let left: Vec<_> = left.iter().map(|link| join(directory, link.name.as_bytes())).collect();
                if left.is_empty() { Err(error) } else { self.remove_with_links(directory, &left, removed).await }
            }
            done => done.inspect(|()| removed(directory)),
        }
    }

    async fn remove_with_links(
        &mut self,
        directory: &[u8],
        links: &[Vec<u8>],
        removed: &mut impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        for link in links {
            self.remove_file(link).await?;
            removed(link);
        }
        self.remove_directory(directory).await.inspect(|()| removed(directory))
    }

    /// Removes a directory for which RMD was refused, once more: with the links in it, if there is nothing else, none of them leads
    /// anywhere, and all of them `may_go`. `removed` hears of each.
    ///
    /// # Errors
    /// [`Error::Refused`] with this reply, if there is no more to be done about it; [`Error`]
    pub(crate) async fn remove_with_dead_links(
        &mut self,
        directory: &[u8],
        reply: Reply,
        may_go: impl Fn(&[u8]) -> bool,
        removed: &mut impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        match self.dead_links(directory).await {
            Err(error) if error.is_fatal() => Err(error),
            Ok(Some(links)) if links.iter().all(|link| may_go(link)) => {
                self.remove_with_links(directory, &links, removed).await
            }
            _ => Err(Error::Refused { step: format!("remove the directory {}", shown(directory)), reply }),
        }
    }

    /// The links in a directory; nothing if it has anything else, or one of them leads somewhere. Of some servers MLSD tells of
    /// them, of others only LIST does.
    async fn dead_links(&mut self, directory: &[u8]) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let mut listing = self.list(directory).await?;
        if listing.flawed > 0 || listing.entries.iter().any(|found| !matches!(found.kind, Kind::Link(_))) {
            return Ok(None);
        }
        self.list_links(directory, &mut listing).await?;
        let links: Vec<_> = listing.entries.iter().map(|found| join(directory, found.name.as_bytes())).collect();
        for link in &links {
            if !self.leads_nowhere(link).await? {
                return Ok(None);
            }
        }
        Ok(Some(links))
    }

    async fn leads_nowhere(&mut self, link: &[u8]) -> Result<bool, Error> {
        match self.stat(link).await {
            Ok(About { kind: Kind::Link(_), .. }) => {}
            Err(error) if !error.is_missing() => return Err(error),
            looked => return Ok(looked.is_err()),
        }
        // MLST tells of the link itself (Pure-FTPd): SIZE and MDTM are for a file that it leads to, MLSD is for a directory.
        if self.measure(&wire_path(link)?).await? != (None, None) {
            return Ok(false);
        }
        match self.list(&join(link, b"")).await {
            Err(error) if error.is_fatal() => Err(error),
            listed => Ok(listed.is_err()),
        }
    }

    /// Whether there is a directory, as far as the server tells.
    pub async fn is_directory(&mut self, path: &[u8]) -> bool {
        matches!(self.stat(path).await, Ok(about) if about.kind == Kind::Directory)
    }

    /// Sets when a file was changed last, by whatever way the server has. Says whether it has one.
    ///
    /// # Errors
    /// [`Error::Ended`]
    pub async fn set_time(&mut self, path: &WirePath, time: Moment) -> Result<bool, Error> {
        match self.time_words(path, time) {
            Some(words) => Ok(self.say(vec![words]).await?[0].is_positive()),
            None => Ok(false),
        }
    }

    /// What sets a file's time here.
    pub(crate) fn time_words(&self, path: &WirePath, time: Moment) -> Option<Words> {
        if self.features().mfmt {
            return Some(Command::Mfmt(time, path.clone()).into());
        }
        // vsftpd and others take a time before the path (an old habit, never written down).
        let mut line = b"MDTM ".to_vec();
        time.write(&mut line);
        line.push(b' ');
        line.extend_from_slice(path.as_bytes());
        self.features().mdtm.then(|| Words::parse(&line)).flatten()
    }

    /// Sets the permission bits of a file.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn set_mode(&mut self, path: &[u8], mode: u32) -> Result<(), Error> {
        let step = format!("change the mode of {}", shown(path));
        self.command(&self.mode_command(path, mode)?, &step).await.map(drop)
    }

    /// What changes permissions.
    pub(crate) fn mode_command(&self, path: &[u8], mode: u32) -> Result<Command, Error> {
        let wire = wire_path(path)?;
        let by_facts = self.features().mff.as_deref().is_some_and(|facts| facts.contains("unix.mode"));
        Ok(match by_facts {
            true => Command::Mff(Change::mode(mode), wire),
            false => Command::Site(SiteCommand::Chmod(mode, wire)),
        })
    }
}

/// A name that a server, or a URL, tells, as one of a file here.
///
/// # Errors
/// [`Error::Name`] if it would lead elsewhere.
pub fn local_name(name: &[u8]) -> Result<PathBuf, Error> {
    match RemoteName::new(name) {
        Ok(name) => Ok(OsStr::from_bytes(name.as_bytes()).into()),
        Err(_) => Err(Error::Name(String::from_utf8_lossy(name).into_owned())),
    }
}

/// A directory, and before it those that it stands in.
fn directories(path: &[u8]) -> Vec<&[u8]> {
    let ends = path.iter().enumerate().filter(|(at, octet)| **octet == b'/' && *at > 0).map(|(at, _)| at);
    let prefixes = ends.chain([path.len()]).map(|end| &path[..end]);
    prefixes.filter(|prefix| !prefix.is_empty() && !prefix.ends_with(b"/")).collect()
}

/// The directory in a command; where we are goes without a name.
fn named(directory: &[u8]) -> Result<Option<WirePath>, Error> {
    if directory.is_empty() { Ok(None) } else { wire_path(directory).map(Some) }
}

/// Whether all that it has is what was asked for, and that is no directory.
fn tells_of_itself(listing: &Listing, path: &[u8]) -> bool {
    let [found] = &listing.entries[..] else { return false };
    found.kind != Kind::Directory && parted(path).1 == found.name.as_bytes()
}

fn too_deep(directory: &[u8]) -> Error {
    Error::TooMuch(format!("{}: directories more than {DEPTH_MAX} deep", shown(directory)))
}

fn no_directory(path: &[u8]) -> Error {
    Error::Untaken { step: format!("list {}", shown(path)), why: "that is no directory".into() }
}

/// For messages.
pub fn shown(path: &[u8]) -> String {
    if path.is_empty() {
        "the login's directory".into()
    } else {
        crate::error::printable(&String::from_utf8_lossy(path))
    }
}

/// RFC 3659 §7.2: the line with the facts begins with a space, which is gone by now; the name behind the facts is not read,
/// because we know whom we have asked for.
fn about(reply: &Reply) -> Option<(About, Option<Vec<u8>>)> {
    let line = reply.lines().find(|line| line.contains(&b'='))?;
    let line = line.strip_prefix(b" ").unwrap_or(line);
    // The directory itself is told as `cdir` by some.
    let facts = String::from_utf8_lossy(&line[..memchr_space(line)]).to_ascii_lowercase();
    let line = facts.replace("type=cdir", "type=dir").replace("type=pdir", "type=dir") + " -\n";
    let mut found = None;
    Reader::machine(b"", now()).take(line.as_bytes(), |entry| found = Some(entry));
    let Found { kind, size, modified, mode, unique, .. } = found?;
    Some((About { kind, size, modified, mode }, unique))
}

fn memchr_space(line: &[u8]) -> usize {
    line.iter().position(|octet| *octet == b' ').unwrap_or(line.len())
}

/// What is asked for size and time.
fn measuring(path: &WirePath) -> Vec<Words> {
    [Command::Size(path.clone()), Command::Mdtm(path.clone())].iter().map(Words::from).collect()
}

/// What was answered to that.
fn measured(replies: &[Reply]) -> (Option<u64>, Option<Moment>) {
    (size_of(&replies[0]), time_of(&replies[1]))
}

/// 213 and a number.
pub(crate) fn size_of(reply: &Reply) -> Option<u64> {
    let text = reply.lines().next()?;
    (reply.code() == 213).then(|| std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok())?
}

/// 213 and a time.
pub(crate) fn time_of(reply: &Reply) -> Option<Moment> {
    (reply.code() == 213).then(|| Moment::parse(reply.lines().next()?.trim_ascii()))?
}

/// RFC 959 §5.4: the path in 257 stands between quotation marks, those inside doubled.
pub fn quoted(reply: &Reply) -> Option<Vec<u8>> {
    let text = reply.lines().next().filter(|_| reply.code() == 257)?;
    let mut rest = &text[text.iter().position(|octet| *octet == b'"')? + 1..];
    let mut path = Vec::new();
    loop {
        let end = rest.iter().position(|octet| *octet == b'"')?;
        path.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        if rest.first() != Some(&b'"') {
            return Some(path);
        }
        path.push(b'"');
        rest = &rest[1..];
    }
}

/// vsftpd says yes to LIST of what it cannot open.
fn says_unopened(reply: &Reply) -> bool {
    reply.to_string().to_lowercase().contains("failed to open directory")
}

/// Some refuse to list what is empty.
fn says_empty(reply: &Reply) -> bool {
    let text = reply.to_string().to_lowercase();
    matches!(reply.code(), 450 | 550)
        && (text.contains("no files") || text.contains("is empty") || text.contains("no members"))
}
