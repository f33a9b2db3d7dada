//! Several files over a crew: those that somebody has named, or that a plan has.
//!
//! ```text
//! Move ─→ one connection fetches or sends it
//!   └─ large, and hands are free ─→ its pieces, one a connection (see `pieces`, `shipment`)
//! ```
//!
//! Invariants: a file that cannot go in pieces goes as a whole; each file is told to be done, or to have failed,
//! once.
//! Not here: which files (mirror, and whoever asks), how one moves (fetch, send, pieces).

use crate::connection::{Connection, wire_path};
use crate::crew::{Crew, Event, Move, Sum, Task, Tasks};
use crate::error::Error;
use crate::fetch::{Fetch, SPLIT_FROM_OCTETS};
use crate::mirror::{Report, set_mode_here};
use crate::pieces::{About, Fate, PIECE_MIN_OCTETS, Whole};
use crate::send::Send;
use crate::shipment::Shipment;
use ftp::Moment;
use std::path::PathBuf;
use std::sync::Arc;

/// A file, or a piece of one.
enum Errand<W> {
    File(Move),
    /// The same, which does not go in pieces.
    Undivided(Move),
    Piece(Arc<Move>, Arc<W>, usize),
}

/// A file in pieces.
trait Divided: std::marker::Send + Sync {
    fn fate(&self) -> &Fate;
}

impl Divided for Whole {
    fn fate(&self) -> &Fate {
        self.fate()
    }
}

impl Divided for Shipment {
    fn fate(&self) -> &Fate {
        self.fate()
    }
}

impl<W> Errand<W> {
    fn remote(&self) -> &[u8] {
        match self {
            Errand::File(file) | Errand::Undivided(file) => &file.remote,
            Errand::Piece(file, ..) => &file.remote,
        }
    }
}

impl<W: Divided> Task for Errand<W> {
    fn name(&self) -> &[u8] {
        self.remote()
    }

    fn fail(&self) -> bool {
        match self {
            Errand::File(_) | Errand::Undivided(_) => true,
            Errand::Piece(_, whole, _) => whole.fate().give_up(),
        }
    }
}

impl Crew {
    /// Fetches files, each to its own place here. A large one is fetched in pieces by those who have nothing else to do.
    ///
    /// # Errors
    /// When there is no connection at all; what fails besides is told to the watcher and counted.
    pub async fn fetch_all(&self, files: Vec<(Vec<u8>, PathBuf)>, wishes: &Fetch) -> Result<Report, Error> {
        let moves = files.into_iter().map(|(remote, local)| Move { remote, local, ..Move::default() });
        let count = moves.len();
        let fetched = self.fetch_moves(moves, count, wishes).await;
        self.rest().await;
        fetched
    }

    /// Sends files, each to its own place there.
    ///
    /// # Errors
    /// As [`fetch_all`](Self::fetch_all).
    pub async fn send_all(&self, files: Vec<(PathBuf, Vec<u8>)>, wishes: &Send) -> Result<Report, Error> {
        let moves = files.into_iter().map(|(local, remote)| {
            let size = local.metadata().ok().map(|about| about.len());
            Move { remote, local, size, ..Move::default() }
        });
        let count = moves.len();
        let sent = self.send_moves(moves, count, wishes).await;
        self.rest().await;
        sent
    }

    pub(crate) async fn fetch_moves(
        &self,
        moves: impl Iterator<Item = Move> + std::marker::Send,
        count: usize,
        wishes: &Fetch,
    ) -> Result<Report, Error> {
        let (tasks, sum) = (Tasks::lazy(moves.map(Errand::File), count), Sum::default());
        let failed = self
            .work(&tasks, async |connection: &mut Connection, errand: &Errand<Whole>| match errand {
                Errand::File(file) => {
                    // A listing may be of yesterday.
                    let fresh = file.size.is_none();
                    let file = measured(connection, file).await?;
                    self.tell(&Event::Begun { name: errand.name(), octets: file.size });
                    let told = if fresh { Some((file.size, file.time)) } else { None };
                    match self.divide(connection, &file, told, &tasks, wishes).await? {
                        true => Ok(()),
                        false => self.fetch_whole(connection, &file, wishes, &sum).await,
                    }
                }
                Errand::Undivided(file) => self.fetch_whole(connection, file, wishes, &sum).await,
                Errand::Piece(file, whole, index) => {
                    match self.fetch_piece(connection, (file, whole, *index), wishes, &sum).await {
                        // It cannot be had in pieces, or is another one by now.
                        Err(error) if is_against_pieces(&error) && whole.fate().give_up() => {
                            whole.discard();
                            tasks.add(Errand::Undivided(file.as_ref().clone()));
                            Ok(())
                        }
                        // Others have said so.
                        Err(_) if whole.fate().is_given_up() => Ok(()),
                        other => other,
                    }
                }
            })
            .await?;
        Ok(sum.report(failed))
    }

    pub(crate) async fn send_moves(
        &self,
        moves: impl Iterator<Item = Move> + std::marker::Send,
        count: usize,
        wishes: &Send,
    ) -> Result<Report, Error> {
        let (tasks, sum) = (Tasks::lazy(moves.map(Errand::File), count), Sum::default());
        let failed = self
            .work(&tasks, async |connection: &mut Connection, errand: &Errand<Shipment>| match errand {
                Errand::File(file) => {
                    self.tell(&Event::Begun { name: errand.name(), octets: file.size });
                    match self.divide_sent(connection, file, &tasks, wishes).await? {
                        true => Ok(()),
                        false => self.send_whole(connection, file, wishes, &sum).await,
                    }
                }
                Errand::Undivided(file) => self.send_whole(connection, file, wishes, &sum).await,
                Errand::Piece(file, shipment, index) => {
                    match self.send_piece(connection, (file, shipment, *index), wishes, &sum).await {
                        // It is said without pieces what the reason is, if it is another one.
                        Err(Error::Refused { .. }) if shipment.fate().give_up() => {
                            connection.discard_shipment(shipment).await?;
                            tasks.add(Errand::Undivided(file.as_ref().clone()));
                            Ok(())
                        }
                        // Others have said so.
                        Err(_) if shipment.fate().is_given_up() => Ok(()),
                        other => other,
                    }
                }
            })
            .await?;
        Ok(sum.report(failed))
    }

    fn done(&self, file: &Move, octets: u64, sum: &Sum) {
        sum.add(octets);
        self.tell(&Event::Done { name: &file.remote, octets });
    }

    async fn fetch_whole(
        &self,
        connection: &mut Connection,
        file: &Move,
        wishes: &Fetch,
        sum: &Sum,
    ) -> Result<(), Error> {
        let known = Some((file.size, file.time));
        let wishes = Fetch { heard: self.heard(file.remote.clone()), known, ..wishes.clone() };
        let octets = connection.fetch(&file.remote, &file.local, &wishes).await?.octets;
        give_mode(file)?;
        self.done(file, octets, sum);
        Ok(())
    }

    async fn send_whole(
        &self,
        connection: &mut Connection,
        file: &Move,
        wishes: &Send,
        sum: &Sum,
    ) -> Result<(), Error> {
        let wishes = Send { heard: self.heard(file.remote.clone()), ..wishes.clone() };
        let octets = connection.send(&file.local, &file.remote, &wishes).await?.octets;
        self.sent(connection, file, octets, sum).await
    }

    async fn sent(&self, connection: &mut Connection, file: &Move, octets: u64, sum: &Sum) -> Result<(), Error> {
        if let Some(mode) = file.mode {
            self.give_modes(connection, [(file.remote.clone(), mode & 0o777)]).await?;
        }
        self.done(file, octets, sum);
        Ok(())
    }

    /// How many would share a file with so many tasks open, its own among them.
    fn free(&self, open: usize) -> u64 {
        (self.hands() + 1).saturating_sub(open) as u64
    }

    /// Makes a task of each piece that is sent, if that is wished, the file is large, the server joins them, and there are hands
    /// that have nothing else to do.
    async fn divide_sent(
        &self,
        connection: &mut Connection,
        file: &Move,
        tasks: &Tasks<'_, Errand<Shipment>>,
        wishes: &Send,
    ) -> Result<bool, Error> {
        let features = connection.features();
        let can = features.comb && features.size;
        if !can || !wishes.in_pieces || wishes.in_place || self.free(tasks.open()) < 2 {
            return Ok(false);
        }
        let Some(shipment) = Shipment::begin(&file.local, &file.remote)? else { return Ok(false) };
        connection.prepare_shipment(&shipment, wishes).await?;
        let (file, shipment) = (Arc::new(file.clone()), Arc::new(shipment));
        for index in 0..shipment.pieces() {
            tasks.add(Errand::Piece(file.clone(), shipment.clone(), index));
        }
        Ok(true)
    }

    async fn send_piece(
        &self,
        connection: &mut Connection,
        (file, shipment, index): (&Move, &Arc<Shipment>, usize),
        wishes: &Send,
        sum: &Sum,
    ) -> Result<(), Error> {
        if shipment.fate().is_given_up() {
            return Ok(());
        }
        let wishes = Send { heard: self.heard(file.remote.clone()), ..wishes.clone() };
        connection.send_piece(shipment, index, &wishes).await?;
        if shipment.is_to_complete() {
            let octets = connection.join_shipment(shipment, &wishes).await?.octets;
            self.sent(connection, file, octets, sum).await?;
        }
        Ok(())
    }

    /// Makes a task of each piece, if the file is large and there are hands that have nothing else to do.
    async fn divide(
        &self,
        connection: &mut Connection,
        file: &Move,
        told: Option<(Option<u64>, Option<Moment>)>,
        tasks: &Tasks<'_, Errand<Whole>>,
        wishes: &Fetch,
    ) -> Result<bool, Error> {
        let free = self.free(tasks.open());
        let long = wishes.split_from.unwrap_or(SPLIT_FROM_OCTETS);
        let worth = |size: u64| if size < long { 1 } else { (size / PIECE_MIN_OCTETS).min(free) };
        if !connection.features().rest || file.size.is_none_or(|size| worth(size) < 2) {
            return Ok(false);
        }
        let told = match told {
            Some(told) => told,
            None => connection.measure_ahead(&wire_path(&file.remote)?).await?,
        };
        let (Some(size), told) = told else { return Ok(false) };
        let about = About { size, time: file.time, told };
        let pieces = worth(size);
        let whole = Arc::new(Whole::begin(&file.remote, &file.local, &about, pieces, wishes.resume)?);
        let file = Arc::new(file.clone());
        for index in 0..whole.pieces() {
            tasks.add(Errand::Piece(file.clone(), whole.clone(), index));
        }
        Ok(true)
    }

    async fn fetch_piece(
        &self,
        connection: &mut Connection,
        (file, whole, index): (&Move, &Arc<Whole>, usize),
        wishes: &Fetch,
        sum: &Sum,
    ) -> Result<(), Error> {
        if whole.fate().is_given_up() {
            return Ok(());
        }
        connection.fetch_piece(whole, index, self.heard(file.remote.clone())).await?;
        if whole.is_to_complete() {
            let octets = connection.complete(whole, wishes).await?.octets;
            give_mode(file)?;
            self.done(file, octets, sum);
        }
        Ok(())
    }
}

/// A size that is not known exactly is asked for.
async fn measured(connection: &mut Connection, file: &Move) -> Result<Move, Error> {
    if file.size.is_some() {
        return Ok(file.clone());
    }
    let (size, time) = connection.measure_ahead(&wire_path(&file.remote)?).await?;
    Ok(Move { size, time, ..file.clone() })
}

fn is_against_pieces(error: &Error) -> bool {
    match error {
        Error::Untaken { .. } => true,
        Error::Refused { reply, .. } => reply.is_permanent(),
        _ => false,
    }
}

fn give_mode(file: &Move) -> Result<(), Error> {
    let Some(mode) = file.mode else { return Ok(()) };
    let why = |why| Error::local(&file.local, why);
    set_mode_here(&file.local, mode & 0o777).map_err(why)
}
