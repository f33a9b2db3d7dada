//! The contract: how a dialogue is driven, whichever protocol it speaks and on whichever side.
//!
//! The driver owns the socket, the clock and the house; the session owns the conversation.
//! They meet in one loop:
//!
//! ```text
//! loop {
//!     match session.next(&mut out) {
//!         Send   → out goes to the peer          (may be gathered until a Wait, Ask, Secure or Close)
//!         Keep   → out goes to the house          (content of a message, in order)
//!         Ask(q) → session.answer(house(q))       (nothing is received meanwhile; what the house attaches to its answer
//!                                                  goes to the peer behind what was sent, and before the session hears it)
//!         Secure → flush; drop unread clear octets; TLS handshake; session.secured(facts), or closed if it fails
//!         Clear  → flush; drop unread octets; close_notify; go on in clear
//!         Deflate → flush; from here on, both ways are compressed; unread octets are compressed already
//!         Wait   → receive | closed | news | tick | leave, whichever comes first
//!         Close  → flush; close; done
//!     }
//! }
//! ```
//!
//! Invariants: after *each* call that changes the session, `next` is called until it says `Wait` or `Close`;
//! between `Ask` and its `answer` nothing else happens to the session; after `Close` nothing does.
//! Not here: the driver (net), the desks that answer (server).

use std::time::Instant;

/// One side of one conversation. Touches no socket, file, clock or thread.
pub trait Session {
    /// What it must ask the house: "is <joe@example.org> ours?"
    type Ask;
    /// What the house answers to an [`Ask`](Self::Ask).
    type Answer;
    /// What the house may tell it unasked: "message 23 arrived". Uninhabited where there is no news.
    type News;

    /// Takes octets from the front of `bytes` and returns how many it took.
    ///
    /// It takes at most one line, or one stretch of content, at a call; the driver calls `next` until
    /// `Wait` and then offers the rest again. `0` means: a line is not whole yet, come back with more behind it.
    /// A session takes something whenever `bytes` is longer than the longest line it allows, so a driver's
    /// buffer stays bounded.
    fn receive(&mut self, bytes: &[u8], now: Instant) -> usize;

    /// The peer will send no more. Octets that were offered and not taken are lost.
    fn closed(&mut self, now: Instant);

    /// TLS is up: after `Step::Secure`, or before the first `next` where TLS is implicit.
    fn secured(&mut self, tls: Secured, now: Instant);

    /// The answer to the open question.
    fn answer(&mut self, answer: Self::Answer, now: Instant);

    /// Something happened in the house.
    fn news(&mut self, news: Self::News, now: Instant);

    /// `now` is at or past the `until` of the last `Step::Wait`.
    fn tick(&mut self, now: Instant);

    /// It is to end: say farewell, close. May be said again with a more urgent reason.
    fn leave(&mut self, why: Leave, now: Instant);

    /// What is to be done next. `out` is empty when it is called.
    fn next(&mut self, out: &mut Vec<u8>) -> Step<Self::Ask>;

    /// How far the octets of the last `receive` or `Step::Send` may be shown in a log of the dialogue.
    fn exposure(&self) -> Exposure {
        Exposure::Open
    }
}

/// Why a session is to end, the more urgent reason behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leave {
    /// The house closes: what is under way may end, if that takes no more than a while.
    HouseCloses,
    /// An administrator ends this session: what is under way is broken off.
    SentAway,
}

/// What a session wants done. See the loop in the module header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<Ask> {
    /// `out` holds octets for the peer.
    Send,
    /// `out` holds message content for the house, in order of arrival.
    Keep,
    /// A question to the house; nothing is received until it is answered.
    Ask(Ask),
    /// Begin TLS, after what was sent so far has left. Octets received in clear and not yet taken are thrown away:
    /// the driver does this, once for all protocols (RFC 3207 §4.2, RFC 2595 §4, RFC 4217 §4).
    Secure,
    /// End TLS and go on in clear, after what was sent so far has left under TLS. Octets received and not yet taken are
    /// thrown away, and so is what the peer still says under TLS (RFC 4217 §5). Nothing is told of it; what cannot be
    /// cleared is lost, and the session hears `closed`.
    Clear,
    /// Compress from here on: behind what was sent so far, each way is one stream of raw DEFLATE (RFC 1951), flushed whenever
    /// the session waits; octets received and not yet taken are the beginning of the peer's (RFC 4978 §4). Asked for once.
    /// Nothing is told of it; a stream that cannot be read is a line that is lost.
    Deflate,
    /// Nothing to do before input, news, or `until`.
    Wait {
        /// When `tick` is due.
        until: Instant,
    },
    /// Say no more: flush and close the connection.
    Close,
}

/// How much of the last exchanged octets a log of the dialogue may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// All of it.
    Open,
    /// The first so many octets; the rest is a secret.
    SecretAfter(usize),
    /// Message content, which a log may shorten.
    Content,
}

/// What a session may know of the TLS that protects it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secured {
    /// `"TLSv1.2"` or `"TLSv1.3"`.
    pub version: String,
    /// The cipher suite by its IANA name.
    pub cipher: String,
    /// The host name the client asked for (SNI), if it did.
    pub server_name: Option<String>,
    /// Channel binding `tls-exporter` (RFC 9266): 32 octets. Absent on TLS 1.2 without extended master secret.
    pub exporter: Option<Vec<u8>>,
    /// Channel binding `tls-server-end-point` (RFC 5929 §4): the hash of the server's certificate.
    pub server_end_point: Option<Vec<u8>>,
    /// For a server: the mail addresses that the client's certificate is for, where it was asked for one and an authority
    /// that we trust for it has issued it.
    pub client_names: Vec<String>,
    /// For a client: whether the server's certificate was verified, and under which rule.
    pub verified: bool,
}
