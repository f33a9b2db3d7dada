//! What is done while the prompt lives.
//!
//! Invariants: a job has a seat of its own, and does not move when the prompt goes elsewhere; one that is stopped leaves what
//! has come so far in its part, to be gone on with; how it ended is told once.

use super::seat::Seat;
use super::there::{self, Work};
use super::words::There;
use crate::failure::{DIFFERENT, Failure, INTERRUPTED};
use ftp_client::error::printable;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

/// Each has connections of its own, and servers do not bear any number of those.
const JOBS_MAX: usize = 16;

/// All that are not forgotten yet.
#[derive(Default)]
pub struct Jobs {
    all: Vec<Job>,
}

/// One of them.
struct Job {
    number: u32,
    /// As it was typed.
    text: String,
    show: Arc<super::super::show::Show>,
    stop: Arc<Notify>,
    over: watch::Receiver<bool>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Jobs {
    /// Begins one.
    pub fn begin(&mut self, text: &str, word: There, seat: Seat, work: Work) -> Result<(), Failure> {
        if self.running() >= JOBS_MAX {
            return Err(Failure::Failed(format!("{JOBS_MAX} jobs are running; wait for one")));
        }
        let number = self.all.iter().map(|job| job.number).max().unwrap_or(0) + 1;
        let text = printable(text);
        work.screen.line(&format!("[{number}] {text}"));
        let (tell, over) = watch::channel(false);
        let (stop, show) = (Arc::new(Notify::new()), work.show.clone());
        let (stopped, runtime, title) = (stop.clone(), Handle::current(), format!("[{number}] {text}"));
        let thread = std::thread::Builder::new().name(format!("job {number}")).spawn(move || {
            let done = runtime.block_on(run(word, seat, work, &title, &stopped));
            // Nobody may be waiting.
            let _ = tell.send(true);
            done
        })?;
        self.all.push(Job { number, text, show, stop, over, thread });
        Ok(())
    }

    /// How many are not at their end.
    pub fn running(&self) -> usize {
        self.all.iter().filter(|job| !job.thread.is_finished()).count()
    }

    /// A line for each.
    pub fn lines(&self) -> Vec<String> {
        let state = |job: &Job| match job.thread.is_finished() {
            true => "ended".to_owned(),
            false => job.show.state(),
        };
        self.all.iter().map(|job| format!("[{}] {}  ({})", job.number, job.text, state(job))).collect()
    }

    /// Stops one, or all.
    pub fn kill(&self, which: &str) -> Result<(), Failure> {
        let number = which.trim_start_matches('%').parse().ok();
        let fits = |job: &&Job| which == "all" || Some(job.number) == number;
        let mut fitting = self.all.iter().filter(fits).peekable();
        if fitting.peek().is_none() && which != "all" {
            return Err(Failure::Missing(format!("{which}: no such job")));
        }
        fitting.for_each(|job| job.stop.notify_one());
        Ok(())
    }

    /// Waits for one, or for all, with their bars; `stop` ends the waiting, not the job. Says whether all went well.
    pub async fn wait(
        &mut self,
        number: Option<u32>,
        bars: bool,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        if let Some(number) = number
            && !self.all.iter().any(|job| job.number == number)
        {
            return Err(Failure::Missing(format!("{number}: no such job")));
        }
        tokio::pin!(stop);
        let _unechoed = bars.then(crate::terminal::Unechoed::begin);
        let mut done = Ok(());
        while let Some(at) = self.all.iter().position(|job| number.is_none_or(|number| job.number == number)) {
            let job = &mut self.all[at];
            if bars {
                job.show.reveal();
            }
            let over = tokio::select! {
                _ = job.over.wait_for(|over| *over) => true,
                () = &mut stop => false,
            };
            job.show.hide();
            if !over {
                return Err(Failure::Told(INTERRUPTED));
            }
            let job = self.all.remove(at);
            done = done.and(ended(job));
        }
        done
    }

    /// Forgets those that have ended; how has been told.
    pub fn forget_ended(&mut self) {
        self.all.retain(|job| !job.thread.is_finished());
    }
}

fn ended(job: Job) -> Result<(), Failure> {
    job.thread.join().unwrap_or_else(|_| Err(Failure::Failed(format!("{} fell over", job.text))))
}

async fn run(word: There, mut seat: Seat, work: Work, title: &str, stop: &Notify) -> Result<(), Failure> {
    let done = tokio::select! {
        done = there::run(word, &mut seat, &work) => done,
        () = stop.notified() => Err(Failure::Failed("stopped".into())),
    };
    seat.leave().await;
    let Work { out, screen, .. } = work;
    let aside = out.close();
    if let Ok(text) = &aside
        && !text.is_empty()
    {
        screen.line(String::from_utf8_lossy(text).trim_end_matches('\n'));
    }
    let done = done.and(aside.map(drop));
    match &done {
        Ok(()) => screen.line(&format!("{title}: done")),
        Err(Failure::Told(DIFFERENT)) => screen.line(&format!("{title}: done; there are differences")),
        Err(failure) => {
            let why = failure.sentence().unwrap_or_default();
            let why = why.strip_prefix("packetboat: ").unwrap_or("failed");
            screen.line(&format!("{title}: {why}"));
        }
    }
    done.map_err(|failure| Failure::Told(failure.code()))
}
