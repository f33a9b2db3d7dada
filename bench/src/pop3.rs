//! POP3 load: reading, logging in, and emptying maildrops.
//!
//! RFC 1939 §4–7, 2449 §6.6 (PIPELINING), 2595 (STLS).
//!
//! Invariants: every message that is read has the size that LIST said and is a letter of ours, octet by octet; no letter
//! is there twice.
//! Not here: what a letter is (`letter`).

use crate::args::{Login, Pop3Empty, Pop3Retr};
use crate::figures::{Report, Sample};
use crate::letter::{Checker, Id, undot};
use crate::plan::{Share, gather, measure, storm};
use crate::wire::{Door, Wire};
use anyhow::{Context, Result, ensure};
use std::collections::{HashSet, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// DELE commands in one write: what any server takes without its answers being read.
const DELETES_AT_ONCE: usize = 100;

/// A session that is logged in.
pub struct Maildrop {
    wire: Wire,
    checker: Checker,
    text: Vec<u8>,
}

impl Maildrop {
    /// Connects and logs in.
    pub async fn open(door: &Door, nth: usize, user: &str, pass: &str) -> Result<Maildrop> {
        let mut wire = door.open(nth).await?;
        wire.ok("the connection").await?;
        if door.starttls() {
            wire.send(b"STLS\r\n").await?;
            wire.ok("STLS").await?;
            wire.secure().await?;
        }
        wire.send(format!("USER {user}\r\n").as_bytes()).await?;
        wire.ok("USER").await?;
        wire.send(format!("PASS {pass}\r\n").as_bytes()).await?;
        wire.ok("PASS").await.with_context(|| format!("user {user}"))?;
        Ok(Maildrop { wire, checker: Checker::default(), text: Vec::new() })
    }

    /// How many messages there are.
    pub async fn count(&mut self) -> Result<usize> {
        self.wire.send(b"STAT\r\n").await?;
        let answer = std::str::from_utf8(self.wire.ok("STAT").await?)?;
        let count = answer.split(' ').next().and_then(|count| count.parse().ok());
        count.with_context(|| format!("STAT was answered {answer:?}"))
    }

    /// The size of each message, as LIST says it.
    pub async fn sizes(&mut self) -> Result<Vec<usize>> {
        self.wire.send(b"LIST\r\n").await?;
        let listing = std::str::from_utf8(self.wire.content("LIST").await?)?;
        let mut sizes = Vec::new();
        for line in listing.lines() {
            let (number, size) = line.split_once(' ').with_context(|| format!("LIST says {line:?}"))?;
            ensure!(number.parse() == Ok(sizes.len() + 1), "LIST says {line:?} after {} messages", sizes.len());
            sizes.push(size.split(' ').next().unwrap_or(size).parse()?);
        }
        Ok(sizes)
    }

    /// Reads the messages from `first` (counted from 0) on, `in_flight` at a time, and gives `seen` each one's id.
    pub async fn read(
        &mut self,
        sizes: &[usize],
        first: usize,
        in_flight: usize,
        seen: &mut HashSet<Id>,
    ) -> Result<Share> {
        let mut share = Share::default();
        let mut asked: VecDeque<Instant> = VecDeque::new();
        let mut next = first;
        for (at, size) in sizes.iter().enumerate().skip(first) {
            // Half the window is filled at once: a client that has fifty under way does not write for each of them.
            if asked.len() <= in_flight / 2 {
                let end = sizes.len().min(at + in_flight);
                self.ask(next..end).await?;
                asked.extend((next..end).map(|_| Instant::now()));
                next = end;
            }
            let id =
                self.retrieved(at, *size).await.with_context(|| format!("message {} of {}", at + 1, sizes.len()))?;
            ensure!(seen.insert(id), "message {} is here twice: {id:?}", at + 1);
            share.latencies.extend(asked.pop_front().map(|asked| asked.elapsed()));
            share.octets += *size as u64;
        }
        Ok(share)
    }

    async fn ask(&mut self, numbers: std::ops::Range<usize>) -> Result<()> {
        let mut commands = String::with_capacity(numbers.len() * 12);
        for number in numbers {
            write!(commands, "RETR {}\r\n", number + 1)?;
        }
        self.wire.send(commands.as_bytes()).await
    }

    async fn retrieved(&mut self, at: usize, size: usize) -> Result<Id> {
        let content = self.wire.content("RETR").await?;
        undot(content, &mut self.text);
        ensure!(self.text.len() == size, "LIST said {size} octets, RETR gave {}", self.text.len());
        self.checker.check(&self.text).with_context(|| format!("RETR {}", at + 1))
    }

    /// Marks all messages as deleted.
    pub async fn delete_all(&mut self) -> Result<usize> {
        let count = self.count().await?;
        let numbers: Vec<usize> = (1..=count).collect();
        for some in numbers.chunks(DELETES_AT_ONCE) {
            let commands: String = some.iter().map(|number| format!("DELE {number}\r\n")).collect();
            self.wire.send(commands.as_bytes()).await?;
            for _ in some {
                self.wire.ok("DELE").await?;
            }
        }
        Ok(count)
    }

    /// The farewell, and nothing after it.
    pub async fn quit(mut self) -> Result<()> {
        self.wire.send(b"QUIT\r\n").await?;
        self.wire.ok("QUIT").await?;
        self.wire.end().await
    }
}

/// `bench pop3 retr`
pub async fn retr(args: &Pop3Retr) -> Result<Report> {
    let door = Door::new(&args.target).await?;
    let samples = measure(&args.effort, async || read_all(args, &door).await).await?;
    let load = format!(
        "POP3 RETR from {}: {} runs, {} users, {} in flight",
        args.target.to,
        args.effort.runs,
        args.user.names().len(),
        args.in_flight
    );
    Ok(Report::of_samples(load, "messages", &samples))
}

/// Every user's maildrop, all at the same time; logging in and listing is before the clock starts.
async fn read_all(args: &Pop3Retr, door: &Door) -> Result<Sample> {
    let mut opened = Vec::new();
    for (nth, user) in args.user.names().iter().enumerate() {
        let mut maildrop = Maildrop::open(door, nth, user, &args.pass).await?;
        let sizes = maildrop.sizes().await?;
        ensure!(!sizes.is_empty(), "{user} has no messages; send some first");
        opened.push((maildrop, sizes));
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (mut maildrop, sizes) in opened {
        let in_flight = args.in_flight as usize;
        tasks.spawn(async move {
            let share = maildrop.read(&sizes, 0, in_flight, &mut HashSet::new()).await?;
            maildrop.quit().await?;
            Ok(share)
        });
    }
    gather(tasks, begun).await
}

/// `bench pop3 login`
pub async fn login(args: &Login) -> Result<Report> {
    let door = Arc::new(Door::new(&args.target).await?);
    let (user, pass) = (args.user.clone(), args.pass.clone());
    storm("POP3", args, move |nth, number| {
        let (door, user, pass) = (door.clone(), user.clone(), pass.clone());
        async move { Maildrop::open(&door, nth, user.nth(number), &pass).await?.quit().await }
    })
    .await
}

/// `bench pop3 empty`
pub async fn empty(args: &Pop3Empty) -> Result<Report> {
    let door = Door::new(&args.target).await?;
    let begun = Instant::now();
    let mut sample = Sample::default();
    for (nth, user) in args.user.names().iter().enumerate() {
        let mut maildrop = Maildrop::open(&door, nth, user, &args.pass).await?;
        let deleted = maildrop.delete_all().await?;
        maildrop.quit().await?;
        sample.latencies.extend((0..deleted).map(|_| begun.elapsed()));
    }
    sample.elapsed = begun.elapsed();
    let load = format!("POP3 at {}: {} messages deleted", args.target.to, sample.latencies.len());
    Ok(Report::new(load, vec![crate::figures::Figure::new("messages", vec![sample.latencies.len() as f64])]))
}
