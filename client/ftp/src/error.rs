//! What goes wrong: in which step, what the server said, and whether it is worth another try.

use ftp::Reply;
use ftp::client::{End, Unsafe};
use net::Why;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be read.
    #[error("{0}")]
    Url(String),
    /// Nobody listens there, or the name leads nowhere.
    #[error("cannot reach {place}: {why}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// What the system says.
        why: io::Error,
    },
    /// TLS failed. `shown` is the fingerprint of a certificate that was not trusted.
    #[error("{why}{}", shown.as_ref().map_or(String::new(), |shown| format!(" (its fingerprint is {shown})")))]
    Tls {
        /// What was wrong.
        why: net::TlsError,
        /// The fingerprint of the certificate.
        shown: Option<String>,
    },
    /// The connection ended.
    #[error("{0}")]
    Ended(Ending),
    /// The server says no.
    #[error("{step}: the server says {}", Said(reply))]
    Refused {
        /// What we wanted.
        step: String,
        /// What it said.
        reply: Reply,
    },
    /// What should be a file is a directory on the server.
    #[error("{step}: that is a directory")]
    IsDirectory {
        /// What we wanted.
        step: String,
    },
    /// The directory that a file should go into is not there.
    #[error("{step}: there is no directory {directory}; the server says {}", Said(reply))]
    NoDirectory {
        /// What we wanted.
        step: String,
        /// Which one.
        directory: String,
        /// What the server said.
        reply: Reply,
    },
    /// What should be a directory is something else.
    #[error("{step}: {directory} is no directory")]
    NotDirectory {
        /// What we wanted.
        step: String,
        /// What is none.
        directory: String,
    },
    /// All of a file has arrived under the name of a part, and stays there.
    #[error("{step}: all of it is in {part}, but the server does not rename that; it says {}", Said(reply))]
    Unrenamed {
        /// What we wanted.
        step: String,
        /// Where it is.
        part: String,
        /// What the server said.
        reply: Reply,
    },
    /// There was no way to a data connection.
    #[error("{step}: no way to a data connection{}", reply.as_ref().map_or(String::new(), |reply| format!("; the server says {}", Said(reply))))]
    NoWay {
        /// What we wanted.
        step: String,
        /// What the server said of the last one.
        reply: Option<Reply>,
    },
    /// The data connection broke.
    #[error("{step}: {why}")]
    Broken {
        /// What we wanted.
        step: String,
        /// How it broke.
        why: String,
    },
    /// What came could not be taken, or is not what should have come.
    #[error("{step}: {why}")]
    Untaken {
        /// What we wanted.
        step: String,
        /// What was wrong with it.
        why: String,
    },
    /// Something here.
    #[error("{}: {why}", path.display())]
    Local {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// What arrived is not what was sent.
    #[error("{step}: {why}")]
    Differs {
        /// What we wanted.
        step: String,
        /// How it differs.
        why: String,
    },
    /// A name that cannot be sent, or must not reach the disk.
    #[error("{0:?} cannot be a name")]
    Name(String),
    /// Somebody stopped it.
    #[error("stopped")]
    Stopped,
    /// There is more than we can bear.
    #[error("{0}")]
    TooMuch(String),
    /// A tree has more in it than it may.
    #[error("the {side} has more than {most} files and directories")]
    TooLarge {
        /// The source or the target.
        side: &'static str,
        /// What it may have.
        most: u64,
    },
}

/// How a connection ended.
#[derive(Debug)]
pub struct Ending {
    /// As the dialogue sees it.
    pub end: End,
    /// As the network sees it, if that says more.
    pub why: Option<String>,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            End::Quit | End::Leaving => write!(f, "the connection was closed"),
            End::Unwelcome(reply) => write!(f, "the server does not want to speak to us: {}", Said(reply)),
            End::LoginRefused(reply) => write!(f, "the login was refused: {}", Said(reply)),
            End::AccountWanted(reply) => {
                write!(f, "the server wants an account besides name and password: {}", Said(reply))
            }
            End::Unsendable => write!(f, "the name or the password has a line end in it"),
            End::Unsafe(Unsafe::NoTls(reply)) => write!(f, "the server has no TLS: {}", Said(reply)),
            End::Unsafe(Unsafe::ClearLogin) => write!(f, "the password would go out in clear, and that is not allowed"),
            End::Unsafe(Unsafe::ClearData(reply)) => write!(f, "the server does not protect data: {}", Said(reply)),
            End::Dismissed(reply) => write!(f, "the server has closed the connection: {}", Said(reply)),
            End::Garbled => write!(f, "the server does not speak FTP"),
            End::Silent => write!(f, "the server does not answer"),
            End::OutOfStep => {
                write!(f, "the server does not answer what is said while files move: one command at a time, then")
            }
            End::Dropped => match &self.why {
                Some(why) => write!(f, "{why}"),
                None => write!(f, "the server has hung up"),
            },
        }
    }
}

/// A reply in one line, such that no terminal obeys it.
pub struct Said<'a>(pub &'a Reply);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0.to_string()))
    }
}

/// Text from elsewhere with what a terminal would obey made visible.
pub fn printable(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let letters =
        text.chars().map(|c| if c.is_control() || turns(c) { c.escape_unicode().to_string() } else { c.into() });
    letters.collect()
}

impl Error {
    pub(crate) fn ended(end: End, why: Option<&Why>) -> Self {
        let why = match why {
            Some(Why::Closed | Why::PeerClosed) | None => None,
            Some(other) => Some(other.to_string()),
        };
        Error::Ended(Ending { end, why })
    }

    pub(crate) fn local(path: impl Into<PathBuf>, why: io::Error) -> Self {
        Error::Local { path: path.into(), why }
    }

    /// Whether the connection is lost with it.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Error::Ended(_) | Error::Unreachable { .. } | Error::Tls { .. })
    }

    /// Whether the same may work in a moment.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Broken { .. } | Error::NoWay { .. } => true,
            Error::Ended(Ending { end, .. }) => {
                matches!(end, End::Dismissed(_) | End::Dropped | End::Silent | End::OutOfStep)
            }
            Error::Refused { reply, .. } | Error::Unrenamed { reply, .. } => reply.is_transient(),
            _ => false,
        }
    }

    /// Whether the server has too many connections already.
    pub fn is_crowded(&self) -> bool {
        match self {
            Error::Ended(Ending { end: End::Dismissed(_), .. }) => true,
            // Servers that are full say so in place of a refused login, too.
            Error::Ended(Ending { end: End::LoginRefused(reply) | End::Unwelcome(reply), .. }) => {
                let text = reply.to_string().to_lowercase();
                text.contains("too many") || text.contains("maximum") || text.contains("connections")
            }
            _ => false,
        }
    }

    /// Whether the server says that there is no such thing, or that it is none of ours; or would, if it were asked.
    pub fn is_missing(&self) -> bool {
        let reply = match self {
            Error::NoDirectory { .. } | Error::NotDirectory { .. } => return true,
            Error::Refused { reply, .. } => reply,
            _ => return false,
        };
        // pyftpdlib says 501 to MLSD of what is not there.
        matches!(reply.code(), 550 | 450) || reply.code() == 501 && reply.to_string().to_lowercase().contains("no such")
    }
}
