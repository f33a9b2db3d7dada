//! The driver: carries one conversation between a socket, a session and the house.
//!
//! The contract it keeps is `line::Session`; the loop there and the loop in `conversation.rs` are the same.
//!
//! ```text
//!             ┌───────────── next ─────────────┐
//! peer ─read→ inbox ─receive→ session ─Ask/Keep→ desk (house)
//! peer ←write outbox ←─Send── session ←answer── desk
//! ```
//!
//! What is sent is gathered until the session waits for input, a question is not answered at once, TLS begins,
//! the conversation ends, or [`GATHER_MAX`] octets are together: pipelined commands get one packet of answers,
//! and a peer that waits for an answer gets it.
//!
//! Invariants: an answer under way is not cancelled because the peer is gone; whoever is idle owns no buffer;
//! the tail of what was said is not lost when we close first; octets in clear that were not read before TLS are dropped;
//! a file's octets go by `sendfile` where they go as they are.
//! Not here: the house's answers ([`Desk`], implemented in server), handshakes (tls), admission (listen).

mod alarm;
mod attached;
mod conversation;
mod fold;
mod outbox;
mod post;
mod pulse;
mod tail;
mod wire;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use line::Session;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::lent::Lender;
use crate::tap::Tapped;
use crate::tls::{ClientTls, ServerTls, TlsError};
pub use attached::Attachment;
use conversation::Conversation;
pub use pulse::Pulse;

/// So much to the peer is gathered before it is written, in octets: what the system takes at once, for few calls.
pub const GATHER_MAX: usize = 128 * 1024;

/// So much is read at once, into a buffer that all connections of a thread share, in octets.
pub const READ_MAX: usize = 64 * 1024;

/// So much input may pile up while the peer does not read what we write, in octets. Two pipelining ends that both
/// write before they read would otherwise wait for each other for ever.
pub const READ_AHEAD_MAX: usize = 64 * 1024;

/// A session that leaves more than this untaken breaks its contract, in octets. Far above any line or literal
/// a protocol allows to be gathered.
pub const INBOX_MAX: usize = 1024 * 1024;

/// Buffers larger than this are given back when the connection falls idle, in octets. A usual command and its answer fit; there
/// are three of them, and ten thousand connections that wait for mail should not keep what they said at their beginning.
pub const KEEP_MAX: usize = 512;

/// A peer that takes fewer octets than this within [`Pace::write`] is stalled. Reading an octet now and then
/// must not hold a connection for ever.
pub const STALL_OCTETS: u64 = 4 * 1024;

/// After we closed, so many octets are read and thrown away at most while the peer takes in our last words.
/// A close with unread input resets the connection, and a reset would destroy those words.
pub const LINGER_OCTETS: usize = 16 * 1024 * 1024;

/// So long a conversation that was sent away may take to its end. It is for an answer that is under way, which comes from the disk, and for
/// the last words; nobody sends away whom he would wait for.
pub const SENT_AWAY_LIMIT: Duration = Duration::from_secs(10);

/// How the house answers one conversation: the other side of [`Session`].
///
/// Futures are polled to their end by the driver, except [`news`](Desk::news); they are dropped unfinished
/// only when the conversation is to end and [`Pace::leaving`] or [`SENT_AWAY_LIMIT`] is over.
pub trait Desk<S: Session>: Send {
    /// Answers a question. Nothing is read from the peer meanwhile.
    fn answer(&mut self, ask: S::Ask) -> impl Future<Output = S::Answer> + Send;

    /// Takes the next stretch of message content, in order of arrival. The buffer may be taken away (`mem::take`)
    /// or left; whatever is left in it is forgotten.
    fn keep(&mut self, content: &mut Vec<u8>) -> impl Future<Output = ()> + Send;

    /// Waits for something the session should hear unasked. Must be cancel-safe: it is asked anew at every wait.
    fn news(&mut self) -> impl Future<Output = S::News> + Send {
        std::future::pending()
    }

    /// What goes to the peer with the answer that was just given, before the session hears it: octets of a file that need not
    /// pass through the session.
    fn attached(&mut self) -> Option<Attachment> {
        None
    }

    /// The session has ended, and its last words are about to go. The peer may take a while to close: what was held for it, and
    /// others may want, is let go now.
    fn over(&mut self) {}

    /// Whether the peer says one thing right after the other, so that a thread of its own would be worth it.
    fn is_in_haste(&self) -> bool {
        false
    }
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A TLS handshake.
    pub handshake: Duration,
    /// Between two times that the peer takes [`STALL_OCTETS`] of what we write, or all of it.
    pub write: Duration,
    /// After we closed, until the peer closes too.
    pub linger: Duration,
    /// After the house began to close, until the connection is dropped.
    pub leaving: Duration,
}

impl Default for Pace {
    /// Handshake 1 min: a few round trips over the worst of lines. Write 3 min: what RFC 5321 §4.5.3.2.5 grants a block
    /// of data. Linger 10 s: the last words are short. Leaving 30 s: a message on its way gets to its final dot.
    fn default() -> Self {
        Pace {
            handshake: Duration::from_secs(60),
            write: Duration::from_secs(180),
            linger: Duration::from_secs(10),
            leaving: Duration::from_secs(30),
        }
    }
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Before the first word (RFC 8314 §3: implicit TLS).
    AtOnce,
    /// When the session says `Step::Secure`.
    WhenAsked,
}

/// How a conversation can be protected.
#[derive(Debug, Clone, Default)]
pub enum Security {
    /// Not at all. A session that says `Step::Secure` all the same breaks its contract.
    #[default]
    None,
    /// We are the server.
    Server {
        /// Our certificates.
        tls: ServerTls,
        /// When to begin.
        begin: Begin,
    },
    /// We are the client.
    Client {
        /// Whom we trust.
        tls: ClientTls,
        /// The name (or address) the server's certificate should bear; a name is sent as SNI.
        host: String,
        /// When to begin.
        begin: Begin,
    },
}

/// All that [`converse`] needs for one conversation beside the session, the desk and the stream.
#[derive(Debug)]
pub struct Setup {
    /// Whether and when TLS begins.
    pub security: Security,
    /// Who listens in, if anybody.
    pub tap: Option<Tapped>,
    /// How long things may take.
    pub pace: Pace,
    /// Where who is in haste may borrow a thread.
    pub lender: Lender,
    /// Turns `true` when the house closes; when its sender is gone, the house never does. `None` where the house says it to the pulse
    /// ([`Pulse::house_closes`]), which costs who idles nothing.
    pub leaving: Option<watch::Receiver<bool>>,
    /// For whoever looks at it, or sends it away.
    pub pulse: Arc<Pulse>,
}

impl Setup {
    /// In clear, unobserved, at the default pace.
    pub fn new(leaving: watch::Receiver<bool>) -> Self {
        let (pace, lender, pulse) = <(Pace, Lender, Arc<Pulse>)>::default();
        Setup { security: Security::None, tap: None, pace, lender, leaving: Some(leaving), pulse }
    }
}

/// How a conversation ended, for the log.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub why: Why,
    /// Octets that came from the peer, without the dress of TLS.
    pub received: u64,
    /// Octets that were handed to the peer, without the dress of TLS.
    pub sent: u64,
}

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// The session said `Step::Close`, and everything before it was written.
    #[error("we closed the connection")]
    Closed,
    /// The peer closed first; the session was told and ended in order.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// Reading or writing failed.
    #[error("the connection was lost: {0}")]
    Lost(io::Error),
    /// The peer did not take what we wrote.
    #[error("the peer stopped reading")]
    Stalled,
    /// No TLS, no conversation.
    #[error(transparent)]
    Tls(TlsError),
    /// It was to end, and could not be waited for any longer.
    #[error("dropped, for it did not end in time")]
    Dropped,
    /// We are wrong: a session broke its contract.
    #[error("internal fault: {0}")]
    Fault(&'static str),
}

/// Drives `session` over `stream` until it ends, and says why it did.
///
/// The session and the desk stay the caller's, so that he can ask them for the outcome; so does the setup, of which there would
/// be three in the memory of who idles. The future is meant for a
/// task of its own: a panic inside ends that task and nothing else.
pub fn converse<'a, S, D>(
    session: &'a mut S,
    desk: &'a mut D,
    stream: TcpStream,
    setup: &'a Setup,
) -> impl Future<Output = Ended>
where
    S: Session,
    D: Desk<S>,
{
    // Not `async` itself, which would keep the stream twice.
    let mut conversation = Conversation::new(session, desk, stream, setup);
    async move {
        let ended = tokio::select! {
            biased;
            () = setup.pulse.close(setup) => {
                Ended { why: Why::Dropped, received: setup.pulse.received(), sent: setup.pulse.sent() }
            }
            ended = conversation.hold() => ended,
        };
        if let Some(tap) = &setup.tap {
            tap.ended(&ended);
        }
        ended
    }
}

/// Ends when the house begins to close; never, when nobody is left who could say so.
pub(crate) async fn left(mut leaving: watch::Receiver<bool>) {
    if leaving.wait_for(|leaving| *leaving).await.is_err() {
        std::future::pending().await
    }
}
