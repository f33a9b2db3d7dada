//! Warm-up, measured runs, and the work that connections share.
//!
//! Not here: what is done in a run.

use crate::args::{Effort, Login};
use crate::figures::{Report, Sample};
use crate::procs;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How often, and how long in between, we look whether the processes of ended sessions are gone: two seconds in all.
const REAPED_TRIES: u32 = 40;
const REAPED_PAUSE: Duration = Duration::from_millis(50);

/// Does `once` for the warm-up and then for each measured run.
pub async fn measure(effort: &Effort, mut once: impl AsyncFnMut() -> Result<Sample>) -> Result<Vec<Sample>> {
    for _ in 0..effort.warm_up {
        once().await?;
    }
    let mut samples = Vec::new();
    for _ in 0..effort.runs {
        // Sessions of the preparation, and of the run before, end first.
        tokio::time::sleep(4 * REAPED_PAUSE).await;
        let before = cpu(effort)?;
        let processes = effort.pid.map(procs::processes);
        let mut sample = once().await?;
        settle(effort, processes).await;
        sample.server_cpu_ms = cpu(effort)?.zip(before).map(|(after, before)| after - before);
        samples.push(sample);
    }
    Ok(samples)
}

/// Waits until a server that makes processes for its sessions has as few of them as before: what one has cost is counted while
/// it lives and once its parent has waited for it, and by nobody in between.
async fn settle(effort: &Effort, processes: Option<usize>) {
    for _ in 0..REAPED_TRIES {
        if effort.pid.map(procs::processes) <= processes {
            return;
        }
        tokio::time::sleep(REAPED_PAUSE).await;
    }
}

fn cpu(effort: &Effort) -> Result<Option<f64>> {
    effort.pid.map(procs::cpu_ms).transpose()
}

/// What a connection brings home.
#[derive(Debug, Default)]
pub struct Share {
    /// One for each message or login.
    pub latencies: Vec<Duration>,
    /// Octets of content.
    pub octets: u64,
}

/// Waits for all connections of a run; the first failure ends it.
pub async fn gather(mut tasks: JoinSet<Result<Share>>, begun: Instant) -> Result<Sample> {
    let mut sample = Sample::default();
    while let Some(share) = tasks.join_next().await {
        let share = share??;
        sample.latencies.extend(share.latencies);
        sample.octets += share.octets;
    }
    sample.elapsed = begun.elapsed();
    Ok(sample)
}

/// Logs in again and again on each connection until the time is over, or there were enough; `once` gets the connection and counts all logins.
pub async fn storm<F, L>(dialogue: &str, login: &Login, once: F) -> Result<Report>
where
    F: Fn(usize, usize) -> L + Clone + Send + 'static,
    L: Future<Output = Result<()>> + Send + 'static,
{
    let length = Duration::from_secs(login.seconds);
    let samples = measure(&login.effort, async || {
        let counter = Arc::new(Counter::new(login.logins.unwrap_or(u32::MAX)));
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for nth in 0..login.connections {
            tasks.spawn(again(begun + length, nth, once.clone(), counter.clone()));
        }
        gather(tasks, begun).await
    })
    .await?;
    let Login { target, effort, connections, seconds, logins, .. } = login;
    let most = logins.map_or(String::new(), |logins| format!(" or {logins} logins"));
    let load = format!(
        "{dialogue} logins to {}: {} runs of {seconds} s{most}, {connections} connections",
        target.to, effort.runs
    );
    Ok(Report::of_samples(load, "logins", &samples))
}

async fn again<F, L>(end: Instant, nth: usize, once: F, counter: Arc<Counter>) -> Result<Share>
where
    F: Fn(usize, usize) -> L,
    L: Future<Output = Result<()>>,
{
    let mut share = Share::default();
    while Instant::now() < end {
        let Some(number) = counter.take() else { break };
        let begun = Instant::now();
        once(nth, number as usize).await?;
        share.latencies.push(begun.elapsed());
    }
    Ok(share)
}

/// Numbers 0 to `end`, each given to one taker.
#[derive(Debug)]
pub struct Counter {
    next: AtomicU32,
    end: u32,
}

impl Counter {
    /// Gives out 0 to `end`, without `end`.
    pub fn new(end: u32) -> Counter {
        Counter { next: AtomicU32::new(0), end }
    }

    /// The next number, while there are any.
    pub fn take(&self) -> Option<u32> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.end).then_some(number)
    }
}
