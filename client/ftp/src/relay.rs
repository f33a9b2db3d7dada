//! Files from one server to another, through this machine: neither server needs to know of the other.
//!
//! ```text
//! RETR there ─octets→ a few stretches in memory ─octets→ STOR .name.tag.part on the other
//!      both are content, and SIZE says so → (the sums of both?) → RNFR, RNTO, MFMT
//! ```
//!
//! Invariants: what broke off on one side is not taken for whole on the other; memory does not grow with what moves.
//! Not here: FXP, which many servers refuse, and rightly (RFC 2577 §3).

use crate::connection::{Connection, wire_path};
use crate::crew::{Crew, Event, Pool, Sum, Task, Tasks};
use crate::directory::shown;
use crate::error::Error;
use crate::mirror::Report;
use crate::pump::{Counter, Fault, Pump};
use crate::send::{Renaming, beside, has_arrived};
use ftp::client::{Start, Words};
use ftp::{Command, Moment};
use net::{Arrival, DataLine};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// So much is received at once, in octets.
const STRETCH: usize = 256 * 1024;

/// So many stretches wait for the slower of the two.
const STRETCHES: usize = 4;

/// A file to be carried.
#[derive(Debug, Clone)]
pub(crate) struct Carry {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
    pub(crate) size: Option<u64>,
    pub(crate) time: Option<Moment>,
    pub(crate) mode: Option<u32>,
}

impl Task for Carry {
    fn name(&self) -> &[u8] {
        &self.from
    }
}

/// What goes from one line to the other.
enum Passing {
    Octets(Vec<u8>),
    /// All of it was there.
    End,
}

impl Crew {
    /// Carries files to another server; what fails is told to the watcher and counted.
    pub(crate) async fn carry_all(
        &self,
        carries: impl Iterator<Item = Carry> + std::marker::Send,
        count: usize,
        pool: &Pool<'_>,
        verify: bool,
    ) -> Result<Report, Error> {
        let (tasks, sum) = (Tasks::lazy(carries, count), Sum::default());
        let failed = self
            .work(&tasks, async |connection: &mut Connection, carry: &Carry| {
                let carry = measured(connection, carry).await?;
                let name = carry.name();
                self.tell(&Event::Begun { name, octets: carry.size });
                let mut other = pool.take().await?;
                let carried =
                    connection.carry(&mut other, &carry, verify, Counter::heard_by(self.heard(name.to_vec()))).await;
                if let (Ok(_), Some(mode)) = (&carried, carry.mode) {
                    self.give_modes(&mut other, [(carry.to.clone(), mode & 0o777)]).await?;
                }
                pool.put(other);
                let octets = carried?;
                sum.add(octets);
                self.tell(&Event::Done { name, octets });
                Ok(())
            })
            .await?;
        Ok(sum.report(failed))
    }
}

async fn measured(connection: &mut Connection, carry: &Carry) -> Result<Carry, Error> {
    if carry.size.is_some() {
        return Ok(carry.clone());
    }
    let (size, time) = connection.measure_ahead(&wire_path(&carry.from)?).await?;
    Ok(Carry { size, time, ..carry.clone() })
}

impl Connection {
    /// Carries one file to another server.
    async fn carry(
        &mut self,
        other: &mut Connection,
        carry: &Carry,
        verify: bool,
        counter: Counter,
    ) -> Result<u64, Error> {
        let step = format!("carry {}", shown(&carry.from));
        let (source, target) = (wire_path(&carry.from)?, wire_path(&carry.to)?);
        let part = wire_path(&beside(&carry.to, carry.size.unwrap_or(u64::MAX), carry.time))?;
        let (give, take) = mpsc::channel(STRETCHES);
        let fetched = self.transfer(
            Words::from(Command::Retr(source.clone())),
            Start::Beginning,
            into_channel(give, counter.clone()),
            &step,
        );
        let behind = other.behind(&part, !verify);
        let words = Words::from(Command::Stor(part.clone()));
        let stored = other.transfer_and_say(words, Start::Beginning, behind, out_of_channel(take), &step);
        let (fetched, stored) = tokio::join!(fetched, stored);
        let whole = match (fetched, stored) {
            (Ok(_), Ok(heard)) => {
                let octets = counter.octets();
                match is_all(octets, carry.size, &step).and_then(|()| has_arrived(heard.first(), octets, &step)) {
                    Ok(()) if verify => self.same_there(other, (&source, &part), octets, &step).await.map(|()| heard),
                    all => all.map(|()| heard),
                }
            }
            // Whoever has lost the other side says only that.
            (Err(error), Ok(_))
            | (Ok(_), Err(error))
            | (Err(Error::Untaken { .. }), Err(error))
            | (Err(error), Err(_)) => Err(error),
        };
        let heard = match whole {
            Ok(heard) => heard,
            Err(error) => {
                if other.is_open() {
                    let _ = other.say(vec![Command::Dele(part).into()]).await;
                }
                return Err(error);
            }
        };
        other.finish(&part, &target, Renaming::of(&heard), carry.time, &step).await?;
        Ok(counter.octets())
    }

    /// Compares sums, if both servers tell them.
    async fn same_there(
        &mut self,
        other: &mut Connection,
        (source, part): (&ftp::WirePath, &ftp::WirePath),
        octets: u64,
        step: &str,
    ) -> Result<(), Error> {
        match self.same_sum_there(source, other, part, octets).await? {
            Some(false) => Err(Error::Differs { step: step.into(), why: "the sums differ".into() }),
            Some(true) | None => Ok(()),
        }
    }
}

/// Whether all has come that a listing has told of.
fn is_all(octets: u64, expected: Option<u64>, step: &str) -> Result<(), Error> {
    match expected {
        Some(size) if size != octets => {
            let why = format!("{octets} octets came of {size}");
            Err(Error::Differs { step: step.into(), why })
        }
        _ => Ok(()),
    }
}

fn into_channel(give: mpsc::Sender<Passing>, counter: Counter) -> Pump {
    Arc::new(move |data| Box::pin(receive(data, give.clone(), counter.clone())))
}

async fn receive(mut data: DataLine, give: mpsc::Sender<Passing>, counter: Counter) -> Result<(), Fault> {
    let lost = |_| Fault::Wrong("the other server does not take it".into());
    loop {
        let mut buffer = Vec::with_capacity(STRETCH);
        let arrival = data.receive(&mut buffer).await.map_err(Fault::Line)?;
        if !buffer.is_empty() {
            counter.add(buffer.len() as u64);
            give.send(Passing::Octets(buffer)).await.map_err(lost)?;
        }
        if arrival == Arrival::End {
            give.send(Passing::End).await.map_err(lost)?;
            let _ = data.finish().await;
            return Ok(());
        }
    }
}

fn out_of_channel(take: mpsc::Receiver<Passing>) -> Pump {
    let take = Arc::new(Mutex::new(take));
    Arc::new(move |data| Box::pin(send(data, take.clone())))
}

async fn send(mut data: DataLine, take: Arc<Mutex<mpsc::Receiver<Passing>>>) -> Result<(), Fault> {
    let mut take = take.lock().await;
    loop {
        match take.recv().await {
            Some(Passing::Octets(octets)) => data.send(&octets, |_| ()).await.map_err(Fault::Line)?,
            Some(Passing::End) => return data.finish().await.map_err(Fault::Line),
            None => return Err(Fault::Wrong("the other server broke off".into())),
        }
    }
}
