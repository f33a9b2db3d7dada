//! What the client asks of its house, and what the house wants of the server.
//!
//! Not here: what follows from it (client).

use super::features::Features;
use crate::address::Family;
use crate::command::Command;
use crate::path::WirePath;
use crate::reply::Reply;
use crate::telnet;
use core::net::{SocketAddr, SocketAddrV4};
use std::fmt;

/// What we ask the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// This came of the last order; what is next?
    Next(Outcome),
    /// Make a data connection to this port of the server.
    Dial {
        /// The port.
        port: u16,
        /// The address that the server has told with it, which need not be its own: RFC 1123 §4.1.2.6 lets us pass over it.
        told: Option<SocketAddrV4>,
    },
    /// The same, before it is needed: whoever begins to make it need not wait until it is there. It may never be needed.
    DialAhead {
        /// The port.
        port: u16,
        /// The address that the server has told with it.
        told: Option<SocketAddrV4>,
    },
    /// Listen for a data connection.
    Listen(Family),
    /// The command has been said: begin to send or to receive.
    Pump,
    /// The data connection, or the attempt to get one, is no longer wanted.
    LetGo,
    /// It is over. Any answer will do.
    Ended(End),
}

/// What the house answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Ask::Next`].
    Order(Order),
    /// To [`Ask::Dial`]: it is there, or as good as there.
    Dialled,
    /// To [`Ask::Listen`]: here.
    Listening(SocketAddr),
    /// To [`Ask::Dial`] and [`Ask::Listen`]: there is no way.
    Unreachable,
    /// To the others.
    Understood,
}

/// What the house tells unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The data connection ended in good order: all has come, or all has gone.
    Whole,
    /// It ended otherwise.
    Broken,
    /// Somebody wants the transfer stopped.
    Stop,
}

/// What the house wants of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// These commands, one behind the other whatever is answered; one reply comes for each.
    Say(Vec<Words>),
    /// The same, and a transfer will follow: the way to its data is asked for at once, and if it is known already, dialled.
    SayAhead(Vec<Words>),
    /// A command with data.
    Transfer(Transfer),
    /// Leave.
    Quit,
}

/// A command with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// RETR, STOR, APPE, STOU, LIST, NLST, MLSD.
    pub words: Words,
    /// Where it begins.
    pub start: Start,
    /// TYPE A.
    pub ascii: bool,
    /// What is to be said if it goes well; one reply comes for each. A server that is known to bear it hears it before the end,
    /// and so also when it does not go well: nothing that does harm then may be among it.
    pub behind: Vec<Words>,
    /// Another one will follow: the way to its data is asked for with `behind`.
    pub ahead: bool,
}

/// Which part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// All of it.
    #[default]
    Beginning,
    /// From this octet on (REST).
    At(u64),
    /// From the first to the last octet, counted from 0 and both included (RANG).
    Between(u64, u64),
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// We are in.
    Admitted(Welcome),
    /// The replies, one for each command.
    Said(Vec<Reply>),
    /// The data connection ended in good order and the server says so; and here are the replies to what was said behind it.
    Transferred(Reply, Vec<Reply>),
    /// The server says no, before or behind the data.
    Refused(Reply),
    /// It cannot begin where it should; nothing was transferred.
    NoRestart(Reply),
    /// No way to a data connection; here is what the server said of the last one.
    NoWay(Option<Reply>),
    /// The data connection broke; the house knows how.
    Broken,
    /// Stopped, as was wished.
    Stopped,
}

/// What we know when we are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// What the server said first.
    pub greeting: Reply,
    /// What it said when it let us in.
    pub admission: Reply,
    /// What it can do.
    pub features: Features,
    /// Whether data go under TLS.
    pub private: bool,
    /// Whether the server is one that lets commands wait while data move, and answers them in turn. There are others: ProFTPD
    /// says 450 to most of them, Pure-FTPd 500, and pyftpdlib closes the data connection for EPSV.
    pub in_turn: bool,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By QUIT.
    Quit,
    /// The server does not want to speak to us.
    Unwelcome(Reply),
    /// The server refuses the login.
    LoginRefused(Reply),
    /// The server wants an account besides, which nobody has any more (RFC 959 §4.1.1, ACCT).
    AccountWanted(Reply),
    /// The name or the password cannot be sent: there is a line end or a NUL in it.
    Unsendable,
    /// It is not as safe as it must be.
    Unsafe(Unsafe),
    /// The server has closed with 421.
    Dismissed(Reply),
    /// The server said something that is not FTP.
    Garbled,
    /// The server said nothing for too long.
    Silent,
    /// The server does not answer what was said behind a transfer, or not in turn: it is one for one command at a time.
    OutOfStep,
    /// The connection broke.
    Dropped,
    /// Our own house is closing.
    Leaving,
}

/// What is missing for safety.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsafe {
    /// TLS is required, and the server refuses it.
    NoTls(Reply),
    /// The password would go out in clear.
    ClearLogin,
    /// Data would go out in clear.
    ClearData(Reply),
}

/// A way to a data connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// EPSV: we dial.
    ExtendedPassive,
    /// PASV: we dial.
    Passive,
    /// EPRT: the server dials.
    ExtendedActive,
    /// PORT: the server dials.
    Active,
}

impl Way {
    /// All that there are for this family, the best first. PASV and PORT know IPv4 only.
    pub fn all(family: Family) -> Vec<Way> {
        match family {
            Family::V4 => vec![Way::ExtendedPassive, Way::Passive, Way::ExtendedActive, Way::Active],
            Family::V6 => vec![Way::ExtendedPassive, Way::ExtendedActive],
        }
    }

    /// Those where the server dials, the best first.
    pub fn active(family: Family) -> Vec<Way> {
        Way::all(family).into_iter().filter(|way| matches!(way, Way::ExtendedActive | Way::Active)).collect()
    }
}

/// A command as it goes over the wire: one line.
#[derive(Clone, PartialEq, Eq)]
pub struct Words(Vec<u8>);

impl Words {
    /// A line that somebody has written, such as `SITE UMASK 022`. `None` if it is empty, or has a line end or NUL in it, or is
    /// one of the commands that would bring us out of step with the server: those with data, and those about logins.
    pub fn parse(line: &[u8]) -> Option<Self> {
        const OURS: [&str; 27] = [
            "RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD", "PORT", "PASV", "EPRT", "EPSV", "LPRT", "LPSV",
            "REST", "RANG", "ABOR", "QUIT", "REIN", "USER", "PASS", "ACCT", "AUTH", "CCC", "PROT", "TYPE", "MODE",
            "STRU",
        ];
        let (verb, _) = crate::command::split(line);
        let good = !line.trim_ascii().is_empty()
            && memchr::memchr3(0, b'\r', b'\n', line).is_none()
            && !OURS.iter().any(|ours| verb.eq_ignore_ascii_case(ours.as_bytes()));
        good.then(|| Self::line(line))
    }

    /// LIST with hidden files, as servers of Unix take it.
    pub fn list_all(path: Option<&WirePath>) -> Self {
        let words = [&b"LIST -a"[..]].into_iter().chain(path.map(WirePath::as_bytes));
        Self::line(&words.collect::<Vec<_>>().join(&b' '))
    }

    /// The same line written by somebody who knows another charset. `None` if it cannot be written, or would be none.
    pub fn rewritten(&self, write: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Self> {
        let line = self.0.strip_suffix(b"\r\n").unwrap_or(&self.0);
        // Without Telnet's dress, which UTF-8 never wears: it has no 0xFF.
        let line = write(line)?;
        let good = !line.is_empty() && memchr::memchr2(b'\r', b'\n', &line).is_none();
        good.then(|| Self::line(&line))
    }

    /// Whether the server reads whole files before it answers.
    pub(super) fn is_slow(&self) -> bool {
        const SLOW: [&str; 7] = ["COMB", "HASH", "XCRC", "XMD5", "XSHA1", "XSHA256", "XSHA512"];
        let (verb, _) = crate::command::split(&self.0);
        SLOW.iter().any(|slow| verb.eq_ignore_ascii_case(slow.as_bytes()))
    }

    fn line(text: &[u8]) -> Self {
        let mut line = Vec::with_capacity(text.len() + 2);
        telnet::encode(text, &mut line);
        line.extend_from_slice(b"\r\n");
        Words(line)
    }

    /// With the CRLF.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&Command> for Words {
    fn from(command: &Command) -> Self {
        let mut line = Vec::new();
        command.write(&mut line);
        Words(line)
    }
}

impl From<Command> for Words {
    fn from(command: Command) -> Self {
        Words::from(&command)
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.0.trim_ascii_end()))
    }
}
