//! What comes through a pipe and goes to a server: whole under its name, or not at all.

use super::{Habits, Server, content};
use crate::connection::Connection;
use crate::error::Error;
use crate::send::{Send, Sent};
use std::future::pending;
use std::io::{self, Read};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// A pipe that gives so much, a little at a time, and then breaks.
struct Breaking(Vec<u8>);

impl Read for Breaking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::Error::other("the pipe broke"));
        }
        let some = self.0.len().min(buffer.len()).min(100);
        buffer[..some].copy_from_slice(&self.0[..some]);
        self.0.drain(..some);
        Ok(some)
    }
}

/// A pipe that gives so much, tells when somebody wants more, and is silent until its other end is gone.
struct Silent(Vec<u8>, Option<oneshot::Sender<()>>, mpsc::Receiver<()>);

impl Read for Silent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let some = self.0.len();
        if some > 0 {
            buffer[..some].copy_from_slice(&self.0);
            self.0.clear();
            return Ok(some);
        }
        if let Some(wanted) = self.1.take() {
            wanted.send(()).expect("somebody listens");
        }
        let _ = self.2.recv();
        Ok(0)
    }
}

async fn pour(server: &Server, source: impl Read + std::marker::Send + 'static, wishes: &Send) -> Result<Sent, Error> {
    let mut connection = Connection::open(&server.site()).await?;
    let sent = connection.send_stream(source, b"menu", wishes, pending()).await?;
    connection.quit().await;
    Ok(sent)
}

const IN_PLACE: Send =
    Send { resume: false, verify: false, keep_time: false, in_place: true, in_pieces: false, heard: None };

#[tokio::test]
async fn all_that_comes_has_its_name_when_it_has_arrived() {
    for length in [0, 1, 1000, 3_000_000] {
        let server = Server::start(Habits::default(), &[("menu", b"yesterday's")]).await;
        let sent = pour(&server, io::Cursor::new(content(length)), &Send::default()).await.expect("sent");
        assert_eq!(sent.octets, length as u64);
        assert!(server.file("menu") == Some(content(length)), "{length}");
        assert_eq!(server.names(), ["menu"]);
        let stored = server.heard("STOR").swap_remove(0);
        assert!(stored.starts_with("STOR .menu.") && stored.ends_with(".part"), "{stored}");
    }
}

#[tokio::test]
async fn two_that_come_at_once_do_not_meet_in_one_part() {
    let server = Server::start(Habits::default(), &[]).await;
    let (source, wishes) = (|| io::Cursor::new(content(1000)), Send::default());
    let (one, other) = tokio::join!(pour(&server, source(), &wishes), pour(&server, source(), &wishes));
    assert!(one.is_ok() && other.is_ok());
    let stored = server.heard("STOR");
    assert_ne!(stored[0], stored[1]);
}

#[tokio::test]
async fn of_a_pipe_that_breaks_nothing_stays_and_what_was_there_does() {
    for length in [0, 1000, 1_000_000] {
        let server = Server::start(Habits::default(), &[("menu", b"yesterday's")]).await;
        let error = pour(&server, Breaking(content(length)), &Send::default()).await.expect_err("broken");
        assert!(matches!(error, Error::Untaken { .. }) && error.to_string().contains("the pipe broke"), "{error}");
        assert_eq!(server.names(), ["menu"], "{length}");
        assert_eq!(server.file("menu"), Some(b"yesterday's".to_vec()));
        let server = Server::start(Habits::default(), &[]).await;
        pour(&server, Breaking(content(length)), &IN_PLACE).await.expect_err("broken");
        assert!(server.file("menu").is_none_or(|there| there.is_empty()), "{length}: half of it looks like all of it");
    }
}

#[tokio::test]
async fn what_is_cut_anywhere_leaves_nothing_under_its_name() {
    let whole = Server::start(Habits::default(), &[]).await;
    pour(&whole, io::Cursor::new(content(1000)), &Send::default()).await.expect("sent");
    for cut in (0..whole.moved()).step_by(3) {
        let server = Server::start(Habits { cut_after: Some(cut), ..Habits::default() }, &[]).await;
        let sent = pour(&server, io::Cursor::new(content(1000)), &Send::default()).await;
        let there = server.file("menu");
        assert!(there.is_none() || there == Some(content(1000)), "cut at {cut}");
        assert!(sent.is_err() || there.is_some(), "cut at {cut}");
    }
}

#[tokio::test]
async fn what_arrives_with_another_size_is_removed() {
    let server = Server::start(Habits { size: Some(999), ..Habits::default() }, &[]).await;
    let error = pour(&server, io::Cursor::new(content(1000)), &Send::default()).await.expect_err("another size");
    assert!(matches!(error, Error::Differs { .. }), "{error}");
    assert!(server.names().is_empty());
}

#[tokio::test]
async fn what_arrives_with_another_sum_is_removed_where_sums_are_compared() {
    let habits = Habits { features: " HASH SHA-256*\r\n", ..Habits::default() };
    let server = Server::start(habits, &[]).await;
    let verify = Send { verify: true, in_place: false, ..IN_PLACE };
    let error = pour(&server, io::Cursor::new(content(1000)), &verify).await.expect_err("another sum");
    assert!(matches!(error, Error::Differs { .. }), "{error}");
    assert!(server.names().is_empty());
    assert!(server.heard("RNFR").is_empty(), "it was not given a name before it was compared");
}

#[tokio::test]
async fn of_what_is_stopped_nothing_stays_and_the_connection_does() {
    let server = Server::start(Habits::default(), &[]).await;
    let mut connection = Connection::open(&server.site()).await.expect("open");
    for wishes in [Send::default(), IN_PLACE] {
        let ((tell, wanted), (other_end, ours)) = (oneshot::channel(), mpsc::channel());
        let source = Silent(content(1000), Some(tell), ours);
        let stop = async { wanted.await.expect("told") };
        let error = connection.send_stream(source, b"menu", &wishes, stop).await.expect_err("stopped");
        assert!(matches!(error, Error::Stopped), "{error}");
        assert!(server.file("menu").is_none_or(|there| there.is_empty()));
        assert_eq!(server.names().iter().filter(|name| name.ends_with(".part")).count(), 0);
        drop(other_end);
    }
    assert!(connection.stat(b"menu").await.is_err() || server.names() == ["menu"], "it still answers");
    connection.quit().await;
}
