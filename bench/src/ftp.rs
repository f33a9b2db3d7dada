//! FTP load: fetching, storing, listing and logging in, passively (EPSV).
//!
//! RFC 959 (commands, replies), 2428 (EPSV), 3659 §7 (MLSD), 4217 (AUTH TLS, PROT P).
//!
//! Invariants: every octet that comes is compared; what was stored is fetched and compared after the clock has stopped;
//! every entry of a listing is known and there once.
//! Not here: what files hold (`content`), data connections (`ftp_data`).

use crate::args::{FtpFiles, FtpForm, FtpList, Login};
use crate::content::{Content, PIECE};
use crate::figures::{Report, Sample};
use crate::ftp_data::DataLine;
use crate::plan::{Counter, Share, gather, measure, storm};
use crate::wire::{Door, Wire};
use anyhow::{Context, Result, bail, ensure};
use rustls::ClientConfig;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// So many files at most are removed after a run. ext4 gives nobody the inodes of files that were removed a while ago (minutes,
/// in newer kernels), and takes long to pass over thousands of them: a tenfold for each file that is made there, whoever makes
/// it. So each run has a directory of its own, and what is many but small stays in it.
const DELETES_MAX: u32 = 100;

/// Sessions that put files in their place beforehand, and look at them afterwards.
const HELPERS: usize = 4;

/// A session that is logged in.
pub struct Session {
    control: Wire,
    server: IpAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Session {
    /// Connects and logs in.
    pub async fn open(door: &Door, nth: usize, user: &str, pass: &str) -> Result<Session> {
        let mut control = door.open(nth).await?;
        control.reply("220", "the connection").await?;
        let mut tls = None;
        if door.starttls() {
            control.send(b"AUTH TLS\r\n").await?;
            control.reply("234", "AUTH").await?;
            let config = door.resuming()?;
            control.secure_by(config.clone()).await?;
            tls = Some(config);
        }
        let mut session = Session { server: control.peer()?.ip(), control, tls };
        session.say(&format!("USER {user}"), &["331"]).await?;
        session.say(&format!("PASS {pass}"), &["230"]).await?;
        Ok(session)
    }

    /// Makes it ready for transfers in a directory, which is made if it is not there.
    async fn prepare(&mut self, directory: &str) -> Result<()> {
        if self.tls.is_some() {
            self.say("PBSZ 0", &["200"]).await?;
            self.say("PROT P", &["200"]).await?;
        }
        self.say("TYPE I", &["200"]).await?;
        // Taken already, as everybody says in their own way.
        self.say(&format!("MKD {directory}"), &["257", "521", "550"]).await?;
        self.say(&format!("CWD {directory}"), &["250"]).await?;
        Ok(())
    }

    async fn say(&mut self, command: &str, expected: &[&str]) -> Result<String> {
        self.control.send(format!("{command}\r\n").as_bytes()).await?;
        self.heard(command, expected).await
    }

    /// A reply of any length; its last line.
    async fn heard(&mut self, command: &str, expected: &[&str]) -> Result<String> {
        let mut code = None;
        loop {
            let line = self.control.line().await.with_context(|| format!("awaiting the reply to {command}"))?;
            let line = String::from_utf8_lossy(line).into_owned();
            let begins = code.get_or_insert_with(|| line.get(..3).unwrap_or_default().to_owned());
            let ends = line.starts_with(begins.as_str()) && line.as_bytes().get(3) != Some(&b'-');
            ensure!(expected.contains(&begins.as_str()), "{command} was answered {line:?}, expected {expected:?}");
            if ends {
                return Ok(line);
            }
        }
    }

    /// Opens a data connection for a command that is answered by a preliminary reply.
    async fn begin(&mut self, command: &str, size: u64) -> Result<DataLine> {
        let reply = self.say("EPSV", &["229"]).await?;
        let port = reply.rsplit('|').nth(1).and_then(|port| port.parse().ok());
        let port: u16 = port.with_context(|| format!("EPSV was answered {reply:?}"))?;
        let address = SocketAddr::new(self.server, port);
        let mut data = DataLine::open(address, size)?;
        self.say(command, &["150", "125"]).await?;
        if let Some(config) = &self.tls {
            data.secure(config.clone()).await.with_context(|| format!("TLS on the data connection of {command}"))?;
        }
        Ok(data)
    }

    async fn retrieve(&mut self, name: &str, content: Content, size: u64) -> Result<()> {
        let command = format!("RETR {name}");
        let mut data = self.begin(&command, size).await?;
        let mut at = 0;
        let received = data.receive(|octets| {
            content.check(at, octets)?;
            at += octets.len() as u64;
            Ok(())
        });
        received.await.with_context(|| name.to_owned())?;
        data.finish().await.ok();
        self.heard(&command, &["226"]).await?;
        ensure!(at == size, "{name} has {at} octets, expected {size}");
        Ok(())
    }

    async fn store(&mut self, name: &str, content: Content, size: u64) -> Result<()> {
        let command = format!("STOR {name}");
        let mut data = self.begin(&command, size).await?;
        let mut at = 0;
        while at < size {
            let octets = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
            data.send(content.piece(at, octets)).await?;
            at += octets as u64;
        }
        data.finish().await?;
        self.heard(&command, &["226"]).await?;
        Ok(())
    }

    async fn list(&mut self, form: FtpForm) -> Result<Vec<u8>> {
        let command = form.verb();
        let mut data = self.begin(command, u64::MAX).await?;
        let mut listing = Vec::new();
        data.receive(|octets| {
            listing.extend_from_slice(octets);
            Ok(())
        })
        .await?;
        data.finish().await.ok();
        self.heard(command, &["226"]).await?;
        Ok(listing)
    }

    async fn delete(&mut self, names: impl Iterator<Item = String>) -> Result<()> {
        for name in names {
            self.say(&format!("DELE {name}"), &["250"]).await?;
        }
        Ok(())
    }

    async fn size(&mut self, name: &str) -> Result<Option<u64>> {
        let reply = self.say(&format!("SIZE {name}"), &["213", "550"]).await?;
        Ok(reply.strip_prefix("213 ").and_then(|size| size.trim().parse().ok()))
    }

    /// The control connection alone, for who will transfer nothing.
    pub fn into_control(self) -> Wire {
        self.control
    }

    /// The farewell. Some servers close without waiting, so nothing is expected after it.
    pub async fn quit(mut self) -> Result<()> {
        self.say("QUIT", &["221"]).await.map(drop)
    }
}

/// The files of a run.
#[derive(Clone)]
struct Files {
    directory: String,
    count: u32,
    distinct: u32,
    size: u64,
}

impl Files {
    fn of(args: &FtpFiles, directory: &str) -> Files {
        let directory = format!("{directory}-{}", args.size);
        Files { directory, count: args.files, distinct: args.distinct.unwrap_or(args.files), size: args.size }
    }

    fn name(number: u32) -> String {
        format!("file{number:06}.bin")
    }
}

#[derive(Clone, Copy)]
enum Errand {
    Retrieve,
    Store,
}

/// `bench ftp retr`
pub async fn retr(args: &FtpFiles) -> Result<Report> {
    let door = Arc::new(Door::new(&args.target).await?);
    let files = Files::of(args, "retr");
    fill(args, &door, &files).await?;
    let samples =
        measure(&args.effort, async || transfer(args, &door, &files, Errand::Retrieve, args.connections).await);
    Ok(report("RETR from", args, &samples.await?))
}

/// `bench ftp stor`
pub async fn stor(args: &FtpFiles) -> Result<Report> {
    let door = Arc::new(Door::new(&args.target).await?);
    let mut files = Files::of(args, "stor");
    files.distinct = files.count;
    let mut samples = Vec::new();
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let directory = format!("{}-{began}", files.directory);
    for run in 0..args.effort.warm_up + args.effort.runs {
        files.directory = format!("{directory}-{run}");
        let one = crate::args::Effort { runs: 1, warm_up: 0, ..args.effort.clone() };
        let stored = async || transfer(args, &door, &files, Errand::Store, args.connections).await;
        let sample = measure(&one, stored).await?;
        // What was said to be stored is there, octet for octet.
        transfer(args, &door, &files, Errand::Retrieve, HELPERS.min(args.connections.max(2))).await?;
        if files.count <= DELETES_MAX {
            let mut session = Session::open(&door, 0, &args.user, &args.pass).await?;
            session.prepare(&files.directory).await?;
            session.delete((0..files.count).map(Files::name)).await?;
            session.quit().await?;
        }
        if run >= args.effort.warm_up {
            samples.extend(sample);
        }
    }
    Ok(report("STOR to", args, &samples))
}

fn report(what: &str, args: &FtpFiles, samples: &[Sample]) -> Report {
    let FtpFiles { target, effort, connections, files, size, .. } = args;
    let load = format!(
        "FTP {what} {}: {} runs, {files} files of {size} octets, {connections} sessions",
        target.to, effort.runs
    );
    Report::of_samples(load, "files", samples)
}

/// Sees that the files are there.
async fn fill(args: &FtpFiles, door: &Arc<Door>, files: &Files) -> Result<()> {
    let mut session = Session::open(door, 0, &args.user, &args.pass).await?;
    session.prepare(&files.directory).await?;
    let last = Files::name(files.distinct.saturating_sub(1));
    let present = session.size(&last).await?;
    session.quit().await?;
    if present != Some(files.size) {
        let missing = Files { count: files.distinct, ..files.clone() };
        transfer(args, door, &missing, Errand::Store, HELPERS).await?;
    }
    Ok(())
}

/// Each file once, shared among the sessions; logging in is before the clock starts.
async fn transfer(args: &FtpFiles, door: &Arc<Door>, files: &Files, errand: Errand, sessions: usize) -> Result<Sample> {
    let mut opened = Vec::new();
    for nth in 0..sessions {
        let mut session = Session::open(door, nth, &args.user, &args.pass).await?;
        session.prepare(&files.directory).await?;
        opened.push(session);
    }
    let counter = Arc::new(Counter::new(files.count));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for mut session in opened {
        let (counter, files) = (counter.clone(), files.clone());
        tasks.spawn(async move {
            let mut share = Share::default();
            while let Some(number) = counter.take() {
                let number = number % files.distinct;
                let (name, content, begun) = (Files::name(number), Content::of(number), Instant::now());
                match errand {
                    Errand::Retrieve => session.retrieve(&name, content, files.size).await?,
                    Errand::Store => session.store(&name, content, files.size).await?,
                }
                share.latencies.push(begun.elapsed());
                share.octets += files.size;
            }
            session.quit().await?;
            Ok(share)
        });
    }
    gather(tasks, begun).await
}

/// `bench ftp list`
pub async fn list(args: &FtpList) -> Result<Report> {
    let door = Arc::new(Door::new(&args.files.target).await?);
    let files = Files::of(&args.files, "retr");
    fill(&args.files, &door, &files).await?;
    let mut session = Session::open(&door, 0, &args.files.user, &args.files.pass).await?;
    session.prepare(&files.directory).await?;
    let samples = measure(&args.files.effort, async || {
        let mut sample = Sample::default();
        let begun = Instant::now();
        for _ in 0..args.times {
            let asked = Instant::now();
            let listing = session.list(args.form).await?;
            sample.latencies.push(asked.elapsed());
            sample.octets += listing.len() as u64;
            check_listing(&listing, args.form, &files)?;
        }
        sample.elapsed = begun.elapsed();
        Ok(sample)
    })
    .await?;
    session.quit().await?;
    let load = format!("FTP {} of {} entries from {}", args.form.verb(), files.distinct, args.files.target.to);
    Ok(Report::of_samples(load, "listings", &samples))
}

fn check_listing(listing: &[u8], form: FtpForm, files: &Files) -> Result<()> {
    let listing = std::str::from_utf8(listing)?;
    let mut names = HashSet::new();
    let size = files.size.to_string();
    for line in listing.split_terminator("\r\n") {
        let (facts, name) = line.rsplit_once(' ').unwrap_or(("", line));
        let sized = match form {
            FtpForm::Nlst => true,
            FtpForm::List => facts.split_ascii_whitespace().nth(4) == Some(&size),
            FtpForm::Mlsd => {
                facts.to_ascii_lowercase().split(';').any(|fact| fact.strip_prefix("size=") == Some(&size))
            }
        };
        match (form, name) {
            (FtpForm::Mlsd | FtpForm::Nlst, "." | "..") => continue,
            (FtpForm::Mlsd, _) if facts.to_ascii_lowercase().contains("type=cdir") => continue,
            (FtpForm::Mlsd, _) if facts.to_ascii_lowercase().contains("type=pdir") => continue,
            _ => {}
        }
        ensure!(sized, "not of {size} octets: {line:?}");
        ensure!(names.insert(name), "listed twice: {line:?}");
    }
    for number in 0..files.distinct {
        ensure!(names.remove(Files::name(number).as_str()), "{} is not listed", Files::name(number));
    }
    if let Some(stranger) = names.iter().next() {
        bail!("{stranger:?} is listed and was never stored");
    }
    Ok(())
}

/// `bench ftp login`
pub async fn login(args: &Login) -> Result<Report> {
    let door = Arc::new(Door::new(&args.target).await?);
    let (user, pass) = (args.user.clone(), args.pass.clone());
    storm("FTP", args, move |nth, number| {
        let (door, user, pass) = (door.clone(), user.clone(), pass.clone());
        async move { Session::open(&door, nth, user.nth(number), &pass).await?.quit().await }
    })
    .await
}
