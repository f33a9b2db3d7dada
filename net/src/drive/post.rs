//! The post of one conversation: what came and is not read yet, what is said and not written yet.
//!
//! ```text
//! wire ─poll_fill→ inbox ─unread/take→ session      session ─gather→ outbox ─poll_flush→ wire
//! ```
//! What is compressed passes through a `Fold` on both ways; the outbox holds it as it goes over the wire.
//!
//! Invariants: after the line is lost nothing is read or written any more, and the reason of the first loss stays;
//! inbox and outbox are bounded (`READ_AHEAD_MAX`, `INBOX_MAX`, `GATHER_MAX`) and empty of memory when idle.
//! Not here: what the octets mean (conversation and session).

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::fold::{self, Fold};
use super::outbox::Outbox;
use super::wire::Wire;
use super::{Attachment, GATHER_MAX, KEEP_MAX, LINGER_OCTETS, READ_AHEAD_MAX, STALL_OCTETS, Setup, Why};
use crate::home;

/// Above this what is dressed is not copied behind what is gathered but written by itself, in octets.
const COPY_MAX: usize = 32 * 1024;

/// What the system may hold unsent for one connection, in octets. It keeps a peer that does not read from costing
/// megabytes, and it lets us see in small steps whether a slow one still does: without it, a socket is writable again
/// only when a third of a buffer of megabytes is gone.
#[cfg(target_os = "linux")]
const UNSENT_MAX: u32 = 128 * 1024;

pub(super) struct Post<'a> {
    wire: Wire,
    /// Once the session has asked for compression.
    fold: Option<Box<Fold>>,
    alarm: Alarm,
    inbox: Vec<u8>,
    /// How much of the inbox is taken.
    taken: usize,
    outbox: Outbox,
    /// When the peer counts as stalled; `None` while nothing waits to be written.
    stalled_at: Option<Instant>,
    /// Octets written since `stalled_at` was set.
    moved: u64,
    peer_closed: bool,
    lost: Option<Why>,
    setup: &'a Setup,
}

impl<'a> Post<'a> {
    pub(super) fn new(stream: TcpStream, setup: &'a Setup) -> Self {
        // A socket that refuses options is as good as gone, and reading will say so.
        let _ = set_options(&stream);
        Post {
            wire: Wire::Clear(stream),
            fold: None,
            alarm: Alarm::new(),
            inbox: Vec::new(),
            taken: 0,
            outbox: Outbox::default(),
            stalled_at: None,
            moved: 0,
            peer_closed: false,
            lost: None,
            setup,
        }
    }

    /// What came and is not taken.
    pub(super) fn unread(&self) -> &[u8] {
        &self.inbox[self.taken..]
    }

    /// Marks octets at the front of [`Self::unread`] as taken.
    pub(super) fn take(&mut self, octets: usize) {
        assert!(octets <= self.unread().len(), "a session cannot take more than it was offered");
        self.taken += octets;
        if self.taken == self.inbox.len() {
            self.inbox.clear();
            self.taken = 0;
        }
    }

    /// Throws all input away that was not taken, and says how much it was.
    pub(super) fn drop_unread(&mut self) -> usize {
        let dropped = self.unread().len();
        self.inbox = Vec::new();
        self.taken = 0;
        dropped
    }

    pub(super) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// The line is lost; only the first reason counts.
    pub(super) fn lose(&mut self, why: Why) {
        self.lost.get_or_insert(why);
        self.drop_unread();
        self.forget_outbox();
    }

    /// Why the line is lost, if it is. To be asked once, at the end.
    pub(super) fn take_lost(&mut self) -> Option<Why> {
        self.lost.take()
    }

    pub(super) fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// From here on a lent thread waits for the socket by itself.
    pub(super) fn leave_reactor(&mut self) {
        if let Err(error) = self.wire.leave_reactor() {
            self.lose(Why::Lost(error));
        }
    }

    /// The reactor does again.
    pub(super) fn return_to_reactor(&mut self) {
        if let Err(error) = self.wire.return_to_reactor() {
            self.lose(Why::Lost(error));
        }
    }

    pub(super) fn has_gathered(&self) -> bool {
        !self.outbox.is_empty() || self.fold.as_ref().is_some_and(|fold| fold.is_unflushed())
    }

    /// Writes what is gathered; from here on, both ways are compressed. What came and is not taken is so already.
    pub(super) async fn deflate(&mut self) {
        self.flush().await;
        if self.fold.is_some() {
            return self.lose(Why::Fault("compression was asked for twice"));
        }
        let folded = self.unread().to_vec();
        self.drop_unread();
        self.fold = Some(Box::new(Fold::new(folded)));
    }

    pub(super) fn gather_is_full(&self) -> bool {
        self.outbox.unwritten() >= GATHER_MAX
    }

    /// Puts `said` behind what is gathered and leaves an empty buffer in its place. Large stretches change owner; they
    /// are not copied. What is dressed is gathered in one piece: for large ones what was gathered before them is written first.
    pub(super) async fn gather(&mut self, said: &mut Vec<u8>) {
        let is_dressed = self.fold.is_some() || self.wire.is_dressed();
        if is_dressed && said.len() > COPY_MAX && !self.outbox.is_empty() {
            self.flush().await;
        }
        if self.lost.is_some() {
            said.clear();
        } else if let Some(fold) = &mut self.fold {
            fold.put(said, self.outbox.end());
            said.clear();
        } else if is_dressed {
            self.outbox.put_whole(said);
        } else {
            self.outbox.put(said);
        }
    }

    /// Writes all that is gathered, or loses the line.
    pub(super) async fn flush(&mut self) {
        poll_fn(|cx| self.poll_flush(cx)).await;
    }

    /// Writes what is gathered, and of a file what goes as it is. What must be dressed is given back.
    pub(super) async fn send_straight(&mut self, mut attachment: Attachment) -> Option<Attachment> {
        self.flush().await;
        let Some(socket) = self.wire.clear_socket().filter(|_| self.fold.is_none()) else { return Some(attachment) };
        let mut socket = match socket {
            Ok(socket) => socket,
            Err(error) => return self.lose_with(error),
        };
        while !attachment.is_over() && !self.is_lost() {
            let sent;
            (attachment, socket, sent) = match attachment.send(socket).await {
                Ok(gone_on) => gone_on,
                Err(error) => return self.lose_with(error),
            };
            self.note_moved(sent);
            if !attachment.is_over() {
                poll_fn(|cx| self.poll_room(cx)).await;
            }
        }
        self.stalled_at = None;
        None
    }

    fn lose_with<T>(&mut self, error: io::Error) -> Option<T> {
        self.lose(Why::Lost(error));
        None
    }

    /// Ready when the peer takes more, or the line is lost.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.wire.poll_room(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(error)) => {
                self.lose(Why::Lost(error));
                Poll::Ready(())
            }
            Poll::Pending => self.poll_stalled(cx),
        }
    }

    /// Writes what is gathered, ends TLS, and goes on in clear, or loses the line.
    pub(super) async fn clear(&mut self) {
        self.flush().await;
        if self.lost.is_some() {
            return;
        }
        poll_fn(|cx| match self.wire.poll_clear(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(error)) => {
                self.lose(Why::Lost(error));
                Poll::Ready(())
            }
            Poll::Pending => self.poll_stalled(cx),
        })
        .await;
        // It may have come meanwhile, and under TLS. So may a close_notify, which ends TLS and not the connection.
        self.drop_unread();
        self.peer_closed = false;
    }

    /// Waits for the house, and lets the peer have what was said so far if the house does not answer at once.
    pub(super) async fn attend<T>(&mut self, mut house: Pin<&mut impl Future<Output = T>>) -> T {
        poll_fn(|cx| {
            let answer = house.as_mut().poll(cx);
            if answer.is_pending() {
                let _ = self.poll_flush(cx);
            }
            answer
        })
        .await
    }

    /// Reads once. Ready when something came, the peer closed, or the line is lost.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.peer_closed || self.lost.is_some() {
            return Poll::Pending;
        }
        self.inbox.drain(..std::mem::take(&mut self.taken));
        if self.fold.is_some() {
            return self.poll_unfold(cx);
        }
        match ready!(self.wire.poll_read(cx, &mut self.inbox)) {
            Ok(0) => self.peer_closed = true,
            Ok(octets) => self.setup.pulse.note_received(octets),
            Err(error) => self.lose(Why::Lost(error)),
        }
        Poll::Ready(())
    }

    /// As [`Self::poll_fill`], where the peer compresses.
    fn poll_unfold(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(fold) = &mut self.fold {
            match fold.unfold(&mut self.inbox) {
                Ok(0) if fold.has_ended() => self.peer_closed = true,
                // What has come makes no octet yet.
                Ok(0) => match ready!(self.wire.poll_read(cx, fold.folded())) {
                    Ok(0) => self.peer_closed = true,
                    Ok(octets) => {
                        self.setup.pulse.note_received(octets);
                        continue;
                    }
                    Err(error) => self.lose(Why::Lost(error)),
                },
                Ok(_) => {}
                Err(error) => self.lose(Why::Lost(error)),
            }
            break;
        }
        Poll::Ready(())
    }

    /// When the connection counts as quiet, if that would give something back.
    pub(super) fn quiet_at(&self) -> Option<Instant> {
        self.fold.as_ref().filter(|fold| fold.is_large()).map(|_| Instant::now() + fold::QUIET)
    }

    /// The connection is quiet.
    pub(super) fn rest(&mut self) {
        if let Some(fold) = &mut self.fold {
            fold.rest();
        }
    }

    /// Ready once `until` is reached.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        self.alarm.poll_due(cx, until)
    }

    /// Gives memory back that an idle connection does not need.
    pub(super) fn slim(&mut self) {
        if self.inbox.capacity() > KEEP_MAX && self.inbox.len() <= KEEP_MAX / 2 {
            self.inbox.shrink_to(self.inbox.len());
        }
        self.outbox.slim();
    }

    /// Ready when all is written, or the line is lost.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(fold) = &mut self.fold {
            fold.flush(self.outbox.end());
        }
        if self.outbox.is_empty() || self.lost.is_some() {
            return Poll::Ready(());
        }
        while !self.outbox.is_written() {
            match self.outbox.poll_write(&mut self.wire, cx) {
                Poll::Ready(Ok(0)) => self.lose(Why::Lost(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(octets)) => self.note_written(octets),
                Poll::Ready(Err(error)) => self.lose(Why::Lost(error)),
                Poll::Pending => return self.poll_stalled(cx),
            }
        }
        if self.lost.is_none() {
            match self.wire.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.forget_outbox(),
                Poll::Ready(Err(error)) => self.lose(Why::Lost(error)),
                Poll::Pending => return self.poll_stalled(cx),
            }
        }
        Poll::Ready(())
    }

    fn note_written(&mut self, octets: usize) {
        self.outbox.note_written(octets);
        self.note_moved(octets as u64);
    }

    fn note_moved(&mut self, octets: u64) {
        self.moved = self.moved.saturating_add(octets);
        self.setup.pulse.note_sent(octets);
        if self.moved >= STALL_OCTETS {
            self.stalled_at = None;
        }
    }

    /// The peer takes no more for now. It may be because it waits until we read.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.unread().len() < READ_AHEAD_MAX && self.poll_fill(cx).is_ready() {}
        if self.lost.is_some() {
            return Poll::Ready(());
        }
        let until = *self.stalled_at.get_or_insert_with(|| {
            self.moved = 0;
            Instant::now() + self.setup.pace.write
        });
        ready!(self.alarm.poll_due(cx, until));
        self.lose(Why::Stalled);
        Poll::Ready(())
    }

    fn forget_outbox(&mut self) {
        self.outbox.clear();
        self.stalled_at = None;
    }

    /// Writes what is gathered, says goodbye on the line, and waits a while until the peer has heard it.
    pub(super) async fn close(&mut self) {
        self.flush().await;
        if self.lost.is_some() {
            return;
        }
        poll_fn(|cx| self.poll_shutdown(cx)).await;
        if !self.peer_closed && self.lost.is_none() {
            let until = Instant::now() + self.setup.pace.linger;
            let mut left = LINGER_OCTETS;
            poll_fn(|cx| self.poll_linger(cx, until, &mut left)).await;
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.wire.poll_shutdown(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            // The peer was faster: it has reset or closed, and there is nobody left to say goodbye to.
            Poll::Ready(Err(_)) => {
                self.peer_closed = true;
                Poll::Ready(())
            }
            Poll::Pending => self.poll_stalled(cx),
        }
    }

    /// Reads and forgets until the peer closes, or time or octets are used up: a close with unread input would
    /// reset the connection and destroy our last words on their way.
    fn poll_linger(&mut self, cx: &mut Context<'_>, until: Instant, left: &mut usize) -> Poll<()> {
        while *left > 0 {
            match self.wire.poll_discard(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(octets)) => *left = left.saturating_sub(octets),
                Poll::Pending => return self.alarm.poll_due(cx, until),
            }
        }
        Poll::Ready(())
    }
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    // Answers are gathered by us; Nagle would only hold back the last one.
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_MAX)?;
    home::cease_pacing(stream)
}
