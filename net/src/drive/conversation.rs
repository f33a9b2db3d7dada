//! The loop of `line::Session`, in code.
//!
//! ```text
//! next ─Send→ gather   ─Keep→ desk.keep   ─Ask→ desk.answer   ─Secure→ handshake   ─Clear→ flush, close_notify
//!      ─Deflate→ flush, compress from here on   ─Close→ desk.over, flush, linger, end
//!      ─Wait→ pipelined input first, then: flush, and wait for input | news | until | leaving
//! ```
//!
//! Invariants: `next` follows every call that changes the session; `closed` is said once, and `leave` once for each reason;
//! a session whose line is lost hears `closed`, may settle things with its desk, and is not waited for.
//! Not here: octets on their way (post), timers (alarm).

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use line::{Exposure, Leave, Session, Step};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::post::Post;
use super::wire::Wire;
use super::{Attachment, Begin, Desk, Ended, INBOX_MAX, KEEP_MAX, Security, Setup, Why};
use crate::lent;
use crate::tap::Side;
use crate::tls::TlsError;

pub(super) struct Conversation<'a, S: Session, D> {
    session: &'a mut S,
    desk: &'a mut D,
    post: Post<'a>,
    /// What the session says right now.
    said: Vec<u8>,
    setup: &'a Setup,
    /// When the session's wait at hand is over. It stands here, as `due` does: futures that wait for one another would each hold it.
    until: Instant,
    /// When there is something to do in that wait.
    due: Instant,
    told_closed: bool,
    told_leave: Option<Leave>,
}

/// What ends a wait.
enum Woken<News> {
    /// Something came, or nothing will come any more.
    Post,
    News(News),
    Due,
    Leaving(Leave),
    /// The thread is to be given back.
    ThreadDue,
}

impl<'a, S: Session, D: Desk<S>> Conversation<'a, S, D> {
    pub(super) fn new(session: &'a mut S, desk: &'a mut D, stream: TcpStream, setup: &'a Setup) -> Self {
        let (post, said, now) = (Post::new(stream, setup), Vec::new(), Instant::now());
        Conversation { session, desk, post, said, setup, until: now, due: now, told_closed: false, told_leave: None }
    }

    /// Holds the conversation to its end.
    pub(super) async fn hold(&mut self) -> Ended {
        if let Security::Server { begin: Begin::AtOnce, .. } | Security::Client { begin: Begin::AtOnce, .. } =
            self.setup.security
        {
            self.secure().await;
        }
        loop {
            let mut step = self.next();
            if matches!(step, Step::Wait { .. }) && self.desk.is_in_haste() {
                step = Box::pin(self.hasten(step)).await;
            }
            match step {
                Step::Send => self.send().await,
                Step::Keep => self.keep().await,
                Step::Ask(ask) => Box::pin(self.ask(ask)).await,
                Step::Secure => {
                    self.secure().await;
                    // A session that waits for TLS wants nothing else until it hears that there will be none.
                    if self.post.is_lost() {
                        self.tell_closed();
                    }
                }
                Step::Clear => self.clear().await,
                Step::Deflate => self.post.deflate().await,
                Step::Wait { until } => {
                    self.until = until.into();
                    if self.wait().await.is_break() {
                        break;
                    }
                }
                Step::Close => {
                    self.desk.over();
                    self.post.close().await;
                    break;
                }
            }
        }
        self.ended()
    }

    fn next(&mut self) -> Step<S::Ask> {
        self.said.clear();
        self.session.next(&mut self.said)
    }

    /// Goes on from this step on a thread that is lent, if there is one; what comes back is the step at which that ended.
    async fn hasten(&mut self, step: Step<S::Ask>) -> Step<S::Ask> {
        let Some(loan) = self.setup.lender.lend().await else { return step };
        self.post.leave_reactor();
        let step = loan.run(self.on_lent_thread(step));
        self.post.return_to_reactor();
        // Whoever watches over this conversation has heard nothing meanwhile.
        tokio::task::yield_now().await;
        step
    }

    async fn on_lent_thread(&mut self, mut step: Step<S::Ask>) -> Step<S::Ask> {
        loop {
            match step {
                Step::Send => self.send().await,
                Step::Keep => self.keep().await,
                Step::Ask(ask) => Box::pin(self.ask(ask)).await,
                Step::Wait { until } if !lent::is_over() => {
                    self.until = until.into();
                    if self.wait().await.is_break() {
                        return step;
                    }
                }
                // What is rare, and may take its time.
                Step::Wait { .. } | Step::Secure | Step::Clear | Step::Deflate | Step::Close => return step,
            }
            step = self.next();
        }
    }

    async fn keep(&mut self) {
        self.post.attend(Box::pin(self.desk.keep(&mut self.said)).as_mut()).await;
    }

    fn ended(&mut self) -> Ended {
        let (received, sent) = (self.setup.pulse.received(), self.setup.pulse.sent());
        let peer_closed = self.told_closed;
        let why = match self.post.take_lost() {
            Some(why) => why,
            None if peer_closed => Why::PeerClosed,
            None => Why::Closed,
        };
        Ended { why, received, sent }
    }

    async fn send(&mut self) {
        if let Some(tap) = &self.setup.tap {
            tap.exchanged(Side::own, &self.said, self.session.exposure());
        }
        self.post.gather(&mut self.said).await;
        if self.post.gather_is_full() {
            self.post.flush().await;
        }
    }

    /// To be boxed: a desk's large futures, its questions and its answers must not make every idle connection large.
    async fn ask(&mut self, ask: S::Ask) {
        let answer = self.post.attend(pin!(self.desk.answer(ask))).await;
        if let Some(attachment) = self.desk.attached() {
            Box::pin(self.send_attached(attachment)).await;
        }
        self.session.answer(answer, now());
    }

    async fn send_attached(&mut self, attachment: Attachment) {
        let mut left = match &self.setup.tap {
            None => self.post.send_straight(attachment).await,
            // Who listens in sees what is sent.
            Some(_) => Some(attachment),
        };
        while let Some(attachment) = left.take().filter(|attachment| !attachment.is_over() && !self.post.is_lost()) {
            match attachment.read().await {
                Ok((rest, mut piece)) => {
                    if let Some(tap) = &self.setup.tap {
                        tap.exchanged(Side::own, &piece, Exposure::Content);
                    }
                    self.post.gather(&mut piece).await;
                    self.post.flush().await;
                    left = Some(rest);
                }
                Err(error) => self.post.lose(Why::Lost(error)),
            }
        }
    }

    /// Begins TLS, on either side, for every protocol.
    async fn secure(&mut self) {
        self.post.flush().await;
        // RFC 3207 §4.2, RFC 2595 §4: what came in clear may be anybody's, and must not be taken for what was
        // said under TLS. This is the one place where it is thrown away.
        let dropped = self.post.drop_unread();
        if let Some(tap) = self.setup.tap.as_ref().filter(|_| dropped > 0) {
            tap.dropped(dropped);
        }
        let Some(stream) = self.clear_stream() else { return };
        // Boxed: a handshake is large and soon over.
        let handshake = Box::pin(tokio::time::timeout(self.setup.pace.handshake, shake(&self.setup.security, stream)));
        match handshake.await.unwrap_or(Err(Why::Tls(TlsError::TooSlow))) {
            Ok((stream, secured)) => {
                *self.post.wire() = Wire::Tls(stream);
                self.setup.pulse.note_protected(true);
                if let Some(tap) = &self.setup.tap {
                    tap.secured(&secured);
                }
                self.session.secured(secured, now());
            }
            Err(why) => self.post.lose(why),
        }
    }

    /// Ends TLS, for every protocol that can.
    async fn clear(&mut self) {
        self.post.clear().await;
        self.setup.pulse.note_protected(false);
        if let Some(tap) = self.setup.tap.as_ref().filter(|_| !self.post.is_lost()) {
            tap.cleared();
        }
    }

    fn tell_closed(&mut self) {
        if !self.told_closed {
            self.told_closed = true;
            self.session.closed(now());
        }
    }

    fn clear_stream(&mut self) -> Option<TcpStream> {
        if self.post.is_lost() {
            return None;
        }
        let stream = self.post.wire().take_clear();
        if stream.is_none() {
            self.post.lose(Why::Fault("TLS was asked for twice"));
        }
        stream
    }

    /// One `Step::Wait`. Breaks when the conversation is over, here or altogether.
    async fn wait(&mut self) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        loop {
            if self.receive() {
                return Continue(());
            }
            if self.nothing_will_come() && !self.told_closed {
                self.tell_closed();
                return Continue(());
            }
            if self.post.is_lost() {
                return Break(());
            }
            // What has happened already is told in the same packet as what is gathered.
            if self.post.has_gathered()
                && let Some(news) = self.desk.news().now_or_never()
            {
                self.session.news(news, now());
                return Continue(());
            }
            let unread = self.post.unread().len();
            self.post.flush().await;
            // A peer that does not read may be heard while we write; what he said comes first then.
            if self.post.is_lost() || self.post.unread().len() > unread {
                continue;
            }
            self.due = self.post.quiet_at().map_or(self.until, |quiet_at| quiet_at.min(self.until));
            match self.wake().await {
                Woken::Post => {}
                Woken::ThreadDue => return Break(()),
                Woken::Due if self.due < self.until => self.post.rest(),
                Woken::News(news) => {
                    self.session.news(news, now());
                    return Continue(());
                }
                Woken::Due => {
                    self.session.tick(now().max(self.until.into_std()));
                    return Continue(());
                }
                Woken::Leaving(why) => {
                    self.told_leave = Some(why);
                    self.session.leave(why, now());
                    return Continue(());
                }
            }
        }
    }

    /// Offers the session what came. Says whether it took something.
    fn receive(&mut self) -> bool {
        let unread = self.post.unread();
        if unread.is_empty() || self.told_closed {
            return false;
        }
        let taken = self.session.receive(unread, now());
        if let Some(tap) = self.setup.tap.as_ref().filter(|_| taken > 0) {
            tap.exchanged(Side::other, &unread[..taken], self.session.exposure());
        }
        if taken == 0 && unread.len() > INBOX_MAX {
            self.post.lose(Why::Fault("the session takes nothing"));
            return false;
        }
        self.post.take(taken);
        taken > 0
    }

    fn nothing_will_come(&self) -> bool {
        self.post.peer_closed() || self.post.is_lost()
    }

    /// Waits for whatever comes first. Input goes before the timer: a command that came in time counts,
    /// even if we are late to look at it.
    async fn wake(&mut self) -> Woken<S::News> {
        let mut news = pin!(self.desk.news());
        poll_fn(|cx: &mut Context<'_>| {
            if let Some(why) = self.setup.pulse.leave().filter(|why| self.told_leave < Some(*why)) {
                return Poll::Ready(Woken::Leaving(why));
            }
            if let Poll::Ready(news) = news.as_mut().poll(cx) {
                return Poll::Ready(Woken::News(news));
            }
            if !self.told_closed && self.post.poll_fill(cx).is_ready() {
                return Poll::Ready(Woken::Post);
            }
            if lent::is_over() {
                return Poll::Ready(Woken::ThreadDue);
            }
            self.post.slim();
            if self.said.capacity() > KEEP_MAX {
                self.said = Vec::new();
            }
            self.post.poll_due(cx, self.due).map(|()| Woken::Due)
        })
        .await
    }
}

/// The handshake of our side.
async fn shake(
    security: &Security,
    stream: TcpStream,
) -> Result<(Box<tokio_rustls::TlsStream<TcpStream>>, line::Secured), Why> {
    let shaken = match security {
        Security::Server { tls, .. } => tls.accept(stream).await,
        Security::Client { tls, host, .. } => tls.connect(stream, host).await,
        Security::None => return Err(Why::Fault("TLS was asked for where there is none")),
    };
    shaken.map_err(Why::Tls)
}

/// The session's clock. It is tokio's, so that a test may stop it.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
