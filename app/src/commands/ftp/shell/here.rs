//! What the prompt does itself.

use super::super::access::throttle;
use super::complete::matching_here;
use super::language::{is_pattern, plain};
use super::out::{Out, local};
use super::seat::Seat;
use super::words::{self, Alias, Bookmark, BookmarkWord, Here, Lls, Open, Set, Switch};
use super::{INTERRUPTED, Interrupt, Shell, bookmarks, out};
use crate::cli::ftp::Access;
use crate::failure::Failure;
use ftp_client::Url;
use ftp_client::error::printable;
use ftp_client::site::Tap;
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

/// Whether the prompt goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Stay,
    /// With this exit code.
    Leave(u8),
}

impl Shell {
    pub(super) async fn here(&mut self, word: Here, out: &Out) -> Result<Flow, Failure> {
        match word {
            Here::Open(open) => self.open_as(open).await?,
            Here::Close => self.close().await,
            Here::Cd(cd) => self.enter(cd.directory.as_deref()).await?,
            Here::Pwd => {
                let seat = self.seat.lock().await;
                let seat = seat.as_ref().ok_or_else(unconnected)?;
                out.line(&url_here(seat)?.to_string())?;
            }
            Here::Lcd(lcd) => go(lcd.directory.as_deref())?,
            Here::Lls(Lls { words }) => list_here(&words)?,
            Here::Lpwd => out.line(&printable(&std::env::current_dir()?.to_string_lossy()))?,
            Here::Bookmark(bookmark) => self.bookmark(bookmark, out).await?,
            Here::Alias(alias) => self.alias(alias, out)?,
            Here::Unalias(name) => {
                let gone = self.aliases.lock().unwrap_or_else(PoisonError::into_inner).remove(&name.name);
                gone.ok_or_else(|| Failure::Missing(format!("{}: no such alias", name.name)))?;
            }
            Here::Set(set) => self.set(set, out).await?,
            Here::Debug { switch } => {
                let on = switch.map_or(!self.dialogue.is_on(), |switch| switch == Switch::On);
                self.dialogue.switch(on);
            }
            Here::Jobs => self.jobs.lines().iter().try_for_each(|line| out.line(line))?,
            Here::Kill { job } => self.jobs.kill(&job)?,
            Here::Wait { job } => self.wait(job).await?,
            Here::Exit { code } => return Ok(Flow::Leave(code.unwrap_or(0))),
            Here::Help { command } => help(command.as_deref(), out)?,
        }
        Ok(Flow::Stay)
    }

    async fn open_as(&mut self, open: Open) -> Result<(), Failure> {
        let mut access = self.settings.access.clone();
        access.user = open.user.or(access.user);
        access.insecure_login |= open.insecure_login;
        access.no_tls |= open.no_tls;
        access.active |= open.active;
        if open.fingerprint.is_some() {
            (access.fingerprint, access.ca_file) = (open.fingerprint, None);
        }
        self.open(&open.place, &access).await
    }

    /// Connects to a bookmark, a URL or a host, and goes where it says.
    pub(super) async fn open(&mut self, place: &str, access: &Access) -> Result<(), Failure> {
        let text = match bookmarks::find(place)? {
            Some(url) => url,
            None if place.contains("://") => place.to_owned(),
            None => format!("ftp://{place}"),
        };
        let path = text.parse::<Url>()?.path;
        let mut interrupt = Interrupt::new()?;
        let seat = tokio::select! {
            seat = Seat::open(&text, access, Tap(self.dialogue.clone())) => seat?,
            () = interrupt.pressed() => return Err(Failure::Told(INTERRUPTED)),
        };
        if let Some(before) = self.seat.lock().await.replace(seat) {
            before.leave().await;
        }
        if path.is_empty() { Ok(()) } else { self.enter(Some(&String::from_utf8_lossy(&path))).await }
    }

    async fn close(&mut self) {
        if let Some(seat) = self.seat.lock().await.take() {
            seat.leave().await;
        }
    }

    async fn enter(&mut self, directory: Option<&str>) -> Result<(), Failure> {
        let mut seat = self.seat.lock().await;
        let seat = seat.as_mut().ok_or_else(unconnected)?;
        let mut interrupt = Interrupt::new()?;
        let path = match directory {
            Some(marked) if marked != "-" => {
                let mut meant = seat.meant(&[marked.to_owned()]).await?;
                if meant.len() > 1 {
                    return Err(Failure::Failed(format!("{}: more than one directory", plain(marked))));
                }
                Some(meant.swap_remove(0).path)
            }
            Some(_) => Some(b"-".to_vec()),
            None => None,
        };
        tokio::select! {
            entered = seat.enter(path.as_deref()) => entered,
            () = interrupt.pressed() => Err(Failure::Told(INTERRUPTED)),
        }
    }

    async fn bookmark(&mut self, bookmark: Bookmark, out: &Out) -> Result<(), Failure> {
        match bookmark.word {
            None | Some(BookmarkWord::List) => {
                for (name, url) in bookmarks::all()? {
                    out.line(&printable(&format!("{name:<16} {url}")))?;
                }
                Ok(())
            }
            Some(BookmarkWord::Remove(name)) => bookmarks::remove(&name.name),
            Some(BookmarkWord::Add { name, url: Some(url) }) => bookmarks::add(&name, &url.parse()?),
            Some(BookmarkWord::Add { name, url: None }) => {
                let seat = self.seat.lock().await;
                bookmarks::add(&name, &url_here(seat.as_ref().ok_or_else(unconnected)?)?)
            }
        }
    }

    fn alias(&mut self, alias: Alias, out: &Out) -> Result<(), Failure> {
        let mut aliases = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = alias.name else {
            for (name, meaning) in &*aliases {
                out.line(&printable(&format!("{name:<16} {meaning}")))?;
            }
            return Ok(());
        };
        // One word is a text of commands; several are words, each as it was meant.
        let meaning = match &alias.words[..] {
            [] => return Err(Failure::Failed(format!("{name}: what does it mean?"))),
            [text] => plain(text),
            words => words.iter().map(|word| again(word)).collect::<Vec<_>>().join(" "),
        };
        aliases.insert(name, meaning);
        Ok(())
    }

    async fn set(&mut self, set: Set, out: &Out) -> Result<(), Failure> {
        match (set.name, set.value) {
            (None, _) => self.settings.lines().iter().try_for_each(|line| out.line(line))?,
            (Some(name), None) => return Err(Failure::Failed(format!("{name}: to what?"))),
            (Some(name), Some(value)) => self.settings.set(&name, &value)?,
        }
        if let Some(seat) = self.seat.lock().await.as_mut() {
            let (site, access) = (seat.site(), &self.settings.access);
            site.active = access.active;
            site.wait_at_most(access.timeout.map(Duration::from_secs));
            site.throttle = throttle(access);
            seat.renew();
        }
        Ok(())
    }

    async fn wait(&mut self, job: Option<u32>) -> Result<(), Failure> {
        let mut interrupt = Interrupt::new()?;
        match self.jobs.wait(job, !self.settings.access.quiet, interrupt.pressed()).await {
            Err(Failure::Told(INTERRUPTED)) if self.prompted => Ok(()),
            other => other,
        }
    }
}

fn unconnected() -> Failure {
    Failure::Unconnected("there is no connection; open one".into())
}

/// Where we are, as somebody could write it down.
fn url_here(seat: &Seat) -> Result<Url, Failure> {
    Ok(Url { user: Some(seat.user().to_owned()), path: seat.directory().to_vec(), ..seat.url.clone() })
}

/// A word as it would have to be typed, patterns left as they are.
fn again(marked: &str) -> String {
    if super::language::is_pattern(marked) { plain(marked) } else { super::language::quoted(&plain(marked), None) }
}

fn go(directory: Option<&str>) -> Result<(), Failure> {
    let directory = directory.map_or_else(|| local("~"), local);
    std::env::set_current_dir(Path::new(&directory))
        .map_err(|error| Failure::Failed(format!("{}: {error}", printable(&directory))))
}

fn list_here(words: &[String]) -> Result<(), Failure> {
    let mut command = "ls".to_owned();
    for word in words {
        for name in matching_here(word)? {
            // What a pattern has found is no option.
            let dash = is_pattern(word) && name.as_os_str().as_encoded_bytes().starts_with(b"-");
            let (before, name) = (if dash { "./" } else { "" }, name.to_string_lossy().replace('\'', "'\\''"));
            command += &format!(" '{before}{name}'");
        }
    }
    out::run_locally(&command)
}

fn help(command: Option<&str>, out: &Out) -> Result<(), Failure> {
    let text = match (words::help(command), command) {
        (Some(text), _) => text,
        (None, Some(command)) => return Err(Failure::Missing(format!("{command}: no such command"))),
        (None, None) => String::new(),
    };
    Ok(out.line(text.trim_end())?)
}
