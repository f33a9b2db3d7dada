//! IMAP load: filling, appending, listing, changing, searching, sorting, selecting, idling.
//!
//! RFC 9051 §6.3–6.4, 2177 (IDLE), 3502 (MULTIAPPEND), 5256 (SORT), 7888 (LITERAL+).
//!
//! Invariants: a list names every message once, in order, with what the mail of that number has; a search finds the one mail
//! that was meant; a change is told of every message unless it was made in silence.
//! Not here: what a mail is (`mail`), how responses are read (`imap_wire`).

use crate::args::{
    Imap, ImapAppend, ImapField, ImapList, ImapMailbox, ImapNotice, ImapSearch, ImapSort, ImapStore, ImapThread,
    ImapWhat, Login,
};
use crate::figures::{Figure, Report, Sample, percentile_ms};
use crate::imap_wire::Reader;
use crate::letter::{Id, Letter, new_run};
use crate::mail;
use crate::pattern::Pattern;
use crate::plan::{Counter, Share, gather, measure, storm};
use crate::smtp::{self, Sending};
use crate::wire::Door;
use anyhow::{Context, Result, ensure};
use memchr::{memchr, memmem};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Messages in one APPEND that fills.
const APPENDED_AT_ONCE: u32 = 100;

/// Any of the commands.
pub async fn run(command: &Imap) -> Result<Report> {
    match command {
        Imap::Fill(args) => fill(args).await,
        Imap::Append(args) => append(args).await,
        Imap::List(args) => list(args).await,
        Imap::Store(args) => store(args).await,
        Imap::Search(args) => search(args).await,
        Imap::Sort(args) => sort(args).await,
        Imap::Thread(args) => thread(args).await,
        Imap::Select(args) => select(args).await,
        Imap::Notice(args) => notice(args).await,
        Imap::Login(args) => login(args).await,
    }
}

/// One answer a run: how long it took is all there is to say.
fn times(what: &str, mailbox: &ImapMailbox, samples: &[Sample]) -> Report {
    let ms = |sample: &Sample| sample.elapsed.as_secs_f64() * 1000.0;
    let mut figures = vec![Figure::new("ms", samples.iter().map(ms).collect())];
    if samples.iter().any(|sample| sample.octets > 0) {
        let rate = |sample: &Sample| sample.octets as f64 / sample.elapsed.as_secs_f64() / 1e6;
        figures.push(Figure::new("MB/s", samples.iter().map(rate).collect()));
    }
    let cpu: Vec<f64> = samples.iter().filter_map(|sample| sample.server_cpu_ms).collect();
    if !cpu.is_empty() {
        figures.push(Figure::new("server CPU ms", cpu));
    }
    let ImapMailbox { target, messages, size, .. } = mailbox;
    Report::new(format!("IMAP {what} of {messages} messages of {size} octets at {}", target.to), figures)
}

impl ImapMailbox {
    /// A session in which it is not selected yet.
    async fn reader(&self) -> Result<Reader> {
        let door = Door::new(&self.target).await?;
        Reader::open(&door, 0, &self.user, &self.pass).await
    }

    /// One in which it is.
    async fn selected(&self) -> Result<Reader> {
        let mut reader = self.reader().await?;
        let exists = reader.select(&self.mailbox).await?;
        ensure!(exists == self.messages, "{} has {exists} messages, not {}", self.mailbox, self.messages);
        Ok(reader)
    }

    /// The mail in the middle: what a search is to find.
    fn sought(&self) -> u32 {
        self.messages / 2
    }
}

/// Times one command in a session of its own.
async fn timed<L>(mailbox: &ImapMailbox, what: &str, command: &str, mut look: L) -> Result<Report>
where
    L: FnMut(&mut u64, &[u8]) -> Result<()>,
{
    let mut reader = mailbox.selected().await?;
    let samples = measure(&mailbox.effort, async || {
        let (begun, mut octets) = (Instant::now(), 0);
        reader.asked(command, |untagged| look(&mut octets, untagged)).await?;
        Ok(Sample { elapsed: begun.elapsed(), octets, ..Sample::default() })
    })
    .await?;
    reader.logout().await?;
    Ok(times(what, mailbox, &samples))
}

/// `bench imap fill`
async fn fill(args: &ImapMailbox) -> Result<Report> {
    ensure!(args.size >= mail::SIZE_MIN, "a mail has at least {} octets", mail::SIZE_MIN);
    let mut reader = args.reader().await?;
    let begun = Instant::now();
    if reader.select(&args.mailbox).await.is_err() {
        reader.command(&format!("CREATE \"{}\"", args.mailbox)).await?;
    }
    let mut number = reader.select(&args.mailbox).await?;
    // Not selected while it grows, so that nothing is told.
    reader.command("CLOSE").await?;
    let before = number;
    let (mut command, mut text) = (Vec::new(), Vec::new());
    while number < args.messages {
        let end = args.messages.min(number + APPENDED_AT_ONCE);
        command.clear();
        command.extend_from_slice(format!("APPEND \"{}\"", args.mailbox).as_bytes());
        for number in number..end {
            mail::write(number, args.size, &mut text);
            command.extend_from_slice(format!(" {{{}+}}\r\n", text.len()).as_bytes());
            command.extend_from_slice(&text);
        }
        command.extend_from_slice(b"\r\n");
        reader.say(&command).await?;
        reader.end_of("APPEND", |_| Ok(())).await?;
        number = end;
    }
    reader.logout().await?;
    let rate = f64::from(number - before) / begun.elapsed().as_secs_f64();
    Ok(Report::new(format!("IMAP: {number} messages in {}", args.mailbox), vec![Figure::new("messages/s", vec![rate])]))
}

/// `bench imap append`
async fn append(args: &ImapAppend) -> Result<Report> {
    let door = Door::new(&args.target).await?;
    let samples = measure(&args.effort, async || {
        let (counter, mut tasks) = (Arc::new(Counter::new(args.messages)), JoinSet::new());
        let mut readers = Vec::new();
        for nth in 0..args.connections {
            readers.push(Reader::open(&door, nth, args.user.nth(nth), &args.pass).await?);
        }
        let begun = Instant::now();
        for reader in readers {
            tasks.spawn(append_all(reader, args.size, counter.clone()));
        }
        gather(tasks, begun).await
    })
    .await?;
    let ImapAppend { target, effort, connections, messages, size, .. } = args;
    let load = format!(
        "IMAP APPEND to {}: {} runs of {messages} messages of {size} octets, {connections} connections",
        target.to, effort.runs
    );
    Ok(Report::of_samples(load, "messages", &samples))
}

async fn append_all(mut reader: Reader, size: usize, counter: Arc<Counter>) -> Result<Share> {
    let (mut share, mut text) = (Share::default(), Vec::new());
    while let Some(number) = counter.take() {
        mail::write(number, size, &mut text);
        let begun = Instant::now();
        reader.append("INBOX", &text).await?;
        share.latencies.push(begun.elapsed());
        share.octets += size as u64;
    }
    reader.logout().await?;
    Ok(share)
}

impl ImapWhat {
    fn items(self) -> &'static str {
        match self {
            ImapWhat::Envelopes => "(ENVELOPE)",
            ImapWhat::Flags => "(FLAGS)",
            ImapWhat::Headers => "(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])",
            ImapWhat::Bodies => "(BODY.PEEK[])",
        }
    }
}

/// `bench imap list`
async fn list(args: &ImapList) -> Result<Report> {
    let ImapMailbox { messages, size, .. } = args.mailbox;
    let (mut next, mut subject) = (0, String::new());
    let what = args.what;
    // Made before anything is timed: making a mail again takes longer than serving it.
    let sums = if what == ImapWhat::Bodies { sums(messages, size) } else { Vec::new() };
    let command = format!("FETCH 1:* {}", what.items());
    let report = timed(&args.mailbox, what.items(), &command, |octets, untagged| {
        let Some(fetched) = fetched(untagged, next)? else { return Ok(()) };
        match what {
            ImapWhat::Flags => ensure!(fetched.starts_with(b"FLAGS ("), "no FLAGS"),
            ImapWhat::Envelopes | ImapWhat::Headers => {
                mail::write_subject(next, &mut subject);
                ensure!(is_in(fetched, subject.as_bytes()), "another subject than {subject:?}");
            }
            ImapWhat::Bodies => {
                let literal = memchr(b'\n', fetched).and_then(|lf| fetched.get(lf + 1..lf + 1 + size));
                let sum = literal.map(crc32fast::hash);
                ensure!(sum == sums.get(next as usize).copied(), "another text of message {}", next + 1);
                *octets += size as u64;
            }
        }
        // From the first again, in the next run.
        next = (next + 1) % messages;
        Ok(())
    })
    .await?;
    ensure!(next == 0, "a list ends at message {next}");
    Ok(report)
}

/// The CRC-32 of each mail of a mailbox.
fn sums(messages: u32, size: usize) -> Vec<u32> {
    let mut text = Vec::new();
    let sum = |number| {
        mail::write(number, size, &mut text);
        crc32fast::hash(&text)
    };
    (0..messages).map(sum).collect()
}

/// Whether a short text stands in a response. Preparing a search by its rules would cost more than this one does.
fn is_in(response: &[u8], text: &[u8]) -> bool {
    let Some(first) = text.first() else { return true };
    memchr::memchr_iter(*first, response).any(|at| response[at..].starts_with(text))
}

/// What stands in the parentheses of the FETCH response that must be of message `next`, counted from 0, and the rest behind;
/// nothing of another response.
fn fetched(untagged: &[u8], next: u32) -> Result<Option<&[u8]>> {
    let space = memchr(b' ', untagged).unwrap_or(0);
    let Some(fetched) = untagged[space..].strip_prefix(b" FETCH (") else { return Ok(None) };
    let number: u32 = std::str::from_utf8(&untagged[..space])?.parse()?;
    ensure!(number == next + 1, "message {number} follows upon message {next}");
    Ok(Some(fetched))
}

/// `bench imap store`
async fn store(args: &ImapStore) -> Result<Report> {
    let mut reader = args.mailbox.selected().await?;
    let silent = if args.silent { ".SILENT" } else { "" };
    let expected = if args.silent { 0 } else { args.mailbox.messages };
    let samples = measure(&args.mailbox.effort, async || {
        let begun = Instant::now();
        let told = change(&mut reader, &format!("STORE 1:* +FLAGS{silent} (\\Flagged)")).await?;
        let elapsed = begun.elapsed();
        ensure!(told == expected, "{told} changes were told");
        change(&mut reader, "STORE 1:* -FLAGS.SILENT (\\Flagged)").await?;
        Ok(Sample { elapsed, ..Sample::default() })
    })
    .await?;
    reader.logout().await?;
    Ok(times(&format!("STORE{silent}"), &args.mailbox, &samples))
}

/// How many messages were told to be flagged now.
async fn change(reader: &mut Reader, command: &str) -> Result<u32> {
    let mut told = 0;
    let note = |untagged: &[u8]| {
        told += u32::from(memmem::find(untagged, b"FETCH").is_some() && memmem::find(untagged, b"\\Flagged").is_some());
        Ok(())
    };
    reader.asked(command, note).await?;
    Ok(told)
}

/// `bench imap search`
async fn search(args: &ImapSearch) -> Result<Report> {
    tokio::time::sleep(Duration::from_secs(args.wait)).await;
    let sought = args.mailbox.sought();
    let key = match args.field {
        ImapField::Body => format!("BODY \"{}\"", mail::token(sought)),
        ImapField::Text => format!("TEXT \"{}\"", mail::token(sought)),
        ImapField::Subject => format!("SUBJECT \"{}\"", mail::subject(sought)),
    };
    let answer = format!("SEARCH {}", sought + 1);
    timed(&args.mailbox, &key, &format!("SEARCH {key}"), |_, untagged| {
        if untagged.starts_with(b"SEARCH") {
            ensure!(
                untagged == answer.as_bytes(),
                "{answer} was expected, not {:?}",
                String::from_utf8_lossy(untagged)
            );
        }
        Ok(())
    })
    .await
}

/// `bench imap sort`
async fn sort(args: &ImapSort) -> Result<Report> {
    let (order, messages) = (&args.order, args.mailbox.messages as usize);
    timed(&args.mailbox, &format!("SORT ({order})"), &format!("SORT ({order}) UTF-8 ALL"), |_, untagged| {
        if untagged.starts_with(b"SORT") {
            let sorted = untagged.iter().filter(|octet| **octet == b' ').count();
            ensure!(sorted == messages, "{sorted} messages were sorted of {messages}");
        }
        Ok(())
    })
    .await
}

/// `bench imap thread`
async fn thread(args: &ImapThread) -> Result<Report> {
    let (algorithm, messages) = (&args.algorithm, args.mailbox.messages as usize);
    timed(&args.mailbox, &format!("THREAD {algorithm}"), &format!("THREAD {algorithm} UTF-8 ALL"), |_, untagged| {
        if untagged.starts_with(b"THREAD") {
            let numbers = untagged.chunk_by(|one, two| one.is_ascii_digit() == two.is_ascii_digit());
            let threaded = numbers.filter(|chunk| chunk[0].is_ascii_digit()).count();
            ensure!(threaded == messages, "{threaded} messages are in threads of {messages}");
        }
        Ok(())
    })
    .await
}

/// `bench imap select`
async fn select(args: &ImapMailbox) -> Result<Report> {
    let mut reader = args.reader().await?;
    let samples = measure(&args.effort, async || {
        let begun = Instant::now();
        let exists = reader.select(&args.mailbox).await?;
        let elapsed = begun.elapsed();
        ensure!(exists == args.messages, "{} has {exists} messages, not {}", args.mailbox, args.messages);
        reader.command("CLOSE").await?;
        Ok(Sample { elapsed, ..Sample::default() })
    })
    .await?;
    reader.logout().await?;
    Ok(times("SELECT", args, &samples))
}

/// `bench imap notice`
async fn notice(args: &ImapNotice) -> Result<Report> {
    let sending = Sending {
        door: Door::plain(&args.smtp).await?,
        lmtp: args.lmtp,
        auth: None,
        sender: "bench@example.test".to_owned(),
        rcpt: Pattern::from_str(&args.rcpt)?,
        size: args.size,
        pipelined: false,
        one_per_connection: false,
    };
    let mut idler = Reader::open(&Door::new(&args.target).await?, 0, &args.user, &args.pass).await?;
    let mut exists = idler.select("INBOX").await?;
    let mut wire = sending.connect(0).await?;
    let (mut letter, run) = (Letter::wire(args.size)?, new_run());
    let (mut whole, mut after) = (Vec::new(), Vec::new());
    for _ in 0..args.effort.warm_up + args.effort.runs {
        let (mut noticed_in, mut noticed_after) = (Vec::new(), Vec::new());
        for number in 0..args.messages {
            idler.idle().await?;
            let begun = Instant::now();
            let id = Id { run, number, size: args.size as u32 };
            let sent = async {
                sending.transact(&mut wire, letter.with(id), &args.rcpt).await?;
                Ok::<_, anyhow::Error>(Instant::now())
            };
            let noticed = async {
                let exists = idler.noticed().await?;
                Ok((exists, Instant::now()))
            };
            let (accepted, (now, noticed)) = tokio::try_join!(sent, noticed)?;
            ensure!(now == exists + 1, "{now} messages exist after {exists} and one more");
            exists = now;
            noticed_in.push(noticed - begun);
            noticed_after.push(noticed.saturating_duration_since(accepted));
            idler.done().await?;
        }
        whole.push(percentile_ms(&noticed_in, 0.5));
        after.push(percentile_ms(&noticed_after, 0.5));
    }
    idler.logout().await?;
    smtp::quit(&mut wire).await?;
    let counted = |values: Vec<f64>| values[args.effort.warm_up as usize..].to_vec();
    let load = format!("{} messages to a session in IDLE at {}, one after the other", args.messages, args.target.to);
    Ok(Report::new(
        load,
        vec![
            Figure::new("sent to noticed p50 ms", counted(whole)),
            Figure::new("250 to noticed p50 ms", counted(after)),
        ],
    ))
}

/// `bench imap login`
async fn login(args: &Login) -> Result<Report> {
    let door = Arc::new(Door::new(&args.target).await?);
    let (user, pass) = (args.user.clone(), args.pass.clone());
    storm("IMAP", args, move |nth, number| {
        let (door, user, pass) = (door.clone(), user.clone(), pass.clone());
        async move { Reader::open(&door, nth, user.nth(number), &pass).await?.logout().await }
    })
    .await
    .context("logging in")
}
