//! From SMTP to the reader: how long until a new POP3 login sees what was accepted.
//!
//! ```text
//! many:  all messages sent ─→ each maildrop polled until its share is there ─→ every letter read and compared
//! alone: one message sent ─→ 250 ─→ login, STAT, QUIT again and again until it is there
//! ```
//!
//! Invariants: the clock of the many runs from the first MAIL to the last maildrop that is complete; what came out is exactly
//! what was sent, each letter once, for its own recipient.
//! Not here: how mail is sent (`smtp`) and read (`pop3`).

use crate::args::Visible;
use crate::figures::{Figure, Report, percentile_ms};
use crate::letter::{Id, Letter, new_run};
use crate::plan::measure;
use crate::pop3::Maildrop;
use crate::smtp::{self, Sending};
use crate::wire::Door;
use anyhow::{Context, Result, ensure};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks into a maildrop, so that looking is not the load.
const PAUSE_MANY: Duration = Duration::from_millis(5);

/// What the runs found.
#[derive(Default)]
struct Found {
    accepted_per_s: Vec<f64>,
    visible_per_s: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    after_250_p50_ms: Vec<f64>,
    cpu_ms: Vec<f64>,
}

/// `bench visible`
pub async fn visible(args: &Visible) -> Result<Report> {
    ensure!(args.rcpt.names().len() == args.user.names().len(), "there are as many users as recipients");
    let sending = Arc::new(Sending {
        door: Door::plain(&args.smtp).await?,
        lmtp: args.lmtp,
        auth: None,
        sender: args.sender.clone(),
        rcpt: args.rcpt.clone(),
        size: args.size,
        pipelined: false,
        one_per_connection: false,
    });
    let reader = Reader { door: Door::plain(&args.pop3).await?, args };
    let mut found = Found::default();
    let samples = measure(&args.effort, async || many(args, &sending, &reader, &mut found).await).await?;
    found.keep_last(args.effort.runs as usize);
    found.cpu_ms = samples.iter().filter_map(|sample| Some(sample.server_cpu_ms? / f64::from(args.messages))).collect();
    for _ in 0..args.effort.runs {
        alone(args, &sending, &reader, &mut found).await?;
    }
    Ok(report(args, found))
}

impl Found {
    /// The warm-up is not counted.
    fn keep_last(&mut self, runs: usize) {
        for values in [&mut self.accepted_per_s, &mut self.visible_per_s] {
            values.drain(..values.len() - runs);
        }
    }
}

fn report(args: &Visible, found: Found) -> Report {
    let load = format!(
        "SMTP {} to POP3 {}: {} runs of {} messages of {} octets, {} connections, {} maildrops; then {} alone",
        args.smtp,
        args.pop3,
        args.effort.runs,
        args.messages,
        args.size,
        args.connections,
        args.user.names().len(),
        args.singles
    );
    let mut figures = vec![
        Figure::new("accepted messages/s", found.accepted_per_s),
        Figure::new("visible messages/s", found.visible_per_s),
        Figure::new("alone, visible p50 ms", found.p50_ms),
        Figure::new("alone, visible p99 ms", found.p99_ms),
        Figure::new("alone, after 250 p50 ms", found.after_250_p50_ms),
    ];
    if !found.cpu_ms.is_empty() {
        figures.push(Figure::new("server CPU ms each", found.cpu_ms));
    }
    Report::new(load, figures)
}

async fn many(
    args: &Visible,
    sending: &Arc<Sending>,
    reader: &Reader<'_>,
    found: &mut Found,
) -> Result<crate::figures::Sample> {
    let before = reader.counts().await?;
    let run = new_run();
    let begun = Instant::now();
    let mut sample = smtp::run(sending, args.connections, args.messages, run).await?;
    let accepted = begun.elapsed();
    reader.await_shares(&before).await?;
    sample.elapsed = begun.elapsed();
    found.accepted_per_s.push(f64::from(args.messages) / accepted.as_secs_f64());
    found.visible_per_s.push(f64::from(args.messages) / sample.elapsed.as_secs_f64());
    reader.check(&before, run).await?;
    Ok(sample)
}

async fn alone(args: &Visible, sending: &Arc<Sending>, reader: &Reader<'_>, found: &mut Found) -> Result<()> {
    let (mut whole, mut after) = (Vec::new(), Vec::new());
    let run = new_run();
    let mut letter = Letter::wire(args.size)?;
    let mut wire = sending.connect(0).await?;
    for number in 0..args.singles {
        let user = args.user.nth(number as usize);
        let before = reader.count(user).await?;
        let begun = Instant::now();
        let id = Id { run, number, size: args.size as u32 };
        sending.transact(&mut wire, letter.with(id), args.rcpt.nth(number as usize)).await?;
        let accepted = Instant::now();
        reader.await_count(user, before + 1, Duration::ZERO).await?;
        whole.push(begun.elapsed());
        after.push(accepted.elapsed());
    }
    smtp::quit(&mut wire).await?;
    found.p50_ms.push(percentile_ms(&whole, 0.5));
    found.p99_ms.push(percentile_ms(&whole, 0.99));
    found.after_250_p50_ms.push(percentile_ms(&after, 0.5));
    Ok(())
}

/// Looks into maildrops, each time with a new login.
struct Reader<'a> {
    door: Door,
    args: &'a Visible,
}

impl Reader<'_> {
    async fn open(&self, user: &str) -> Result<Maildrop> {
        Maildrop::open(&self.door, 0, user, &self.args.pass).await
    }

    async fn count(&self, user: &str) -> Result<usize> {
        let mut maildrop = self.open(user).await?;
        let count = maildrop.count().await?;
        maildrop.quit().await?;
        Ok(count)
    }

    async fn counts(&self) -> Result<Vec<usize>> {
        let mut counts = Vec::new();
        for user in self.args.user.names() {
            counts.push(self.count(user).await?);
        }
        Ok(counts)
    }

    /// Waits until `user` has at least `count` messages.
    async fn await_count(&self, user: &str, count: usize, pause: Duration) -> Result<()> {
        let begun = Instant::now();
        while self.count(user).await? < count {
            ensure!(begun.elapsed().as_secs() < self.args.patience, "{user} waits for mail in vain");
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    async fn await_shares(&self, before: &[usize]) -> Result<()> {
        for (at, user) in self.args.user.names().iter().enumerate() {
            let share = (0..self.args.messages as usize).skip(at).step_by(before.len()).count();
            self.await_count(user, before[at] + share, PAUSE_MANY).await?;
        }
        Ok(())
    }

    /// What is new in each maildrop is what was sent to it in this run, each once.
    async fn check(&self, before: &[usize], run: u64) -> Result<()> {
        for (at, user) in self.args.user.names().iter().enumerate() {
            let mut maildrop = self.open(user).await?;
            let sizes = maildrop.sizes().await?;
            let mut seen = HashSet::new();
            maildrop.read(&sizes, before[at], 50, &mut seen).await.with_context(|| format!("user {user}"))?;
            maildrop.quit().await?;
            let size = self.args.size as u32;
            let numbers = (0..self.args.messages).skip(at).step_by(before.len());
            let sent: HashSet<Id> = numbers.map(|number| Id { run, number, size }).collect();
            ensure!(seen == sent, "{user} got {} letters, not the {} that were sent", seen.len(), sent.len());
        }
        Ok(())
    }
}
