//! Several files that somebody has named, over a crew.

use crate::connection::Connection;
use crate::crew::{Crew, Event, Move, Tasks};
use crate::directory::shown;
use crate::error::Error;
use crate::fetch::Fetch;
use crate::mirror::Report;
use crate::send::Send;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

impl Crew {
    /// Fetches files, each to its own place here.
    ///
    /// # Errors
    /// When there is no connection at all; what fails besides is told to the watcher and counted.
    pub async fn fetch_all(&self, files: Vec<(Vec<u8>, PathBuf)>, wishes: &Fetch) -> Result<Report, Error> {
        let moves = files.into_iter().map(|(remote, local)| Move { remote, local, size: None, time: None, mode: None });
        self.each(moves.collect(), async |connection: &mut Connection, task: &Move, name: &str| {
            let wishes = Fetch { heard: self.heard(name.to_owned()), ..wishes.clone() };
            Ok(connection.fetch(&task.remote, &task.local, &wishes).await?.octets)
        })
        .await
    }

    /// Sends files, each to its own place there.
    ///
    /// # Errors
    /// As [`fetch_all`](Self::fetch_all).
    pub async fn send_all(&self, files: Vec<(PathBuf, Vec<u8>)>, wishes: &Send) -> Result<Report, Error> {
        let moves = files.into_iter().map(|(local, remote)| {
            let size = local.metadata().ok().map(|about| about.len());
            Move { remote, local, size, time: None, mode: None }
        });
        self.each(moves.collect(), async |connection: &mut Connection, task: &Move, name: &str| {
            let wishes = Send { heard: self.heard(name.to_owned()), ..wishes.clone() };
            Ok(connection.send(&task.local, &task.remote, &wishes).await?.octets)
        })
        .await
    }

    async fn each(
        &self,
        moves: Vec<Move>,
        one: impl AsyncFn(&mut Connection, &Move, &str) -> Result<u64, Error>,
    ) -> Result<Report, Error> {
        let (moved, octets) = (AtomicU64::new(0), AtomicU64::new(0));
        let tasks = Tasks::new(moves);
        let failed = self
            .work(&tasks, async |connection: &mut Connection, task: &Move| {
                let name = shown(&task.remote);
                self.tell(&Event::Begun { name: &name, octets: task.size });
                let length = one(connection, task, &name).await?;
                moved.fetch_add(1, Ordering::Relaxed);
                octets.fetch_add(length, Ordering::Relaxed);
                self.tell(&Event::Done { name: &name, octets: length });
                Ok(())
            })
            .await?;
        Ok(Report { moved: moved.into_inner(), octets: octets.into_inner(), removed: 0, failed })
    }
}
