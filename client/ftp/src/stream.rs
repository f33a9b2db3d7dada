//! What comes through a pipe, from here to there: whole under its name, or not at all.
//!
//! ```text
//! source ─a thread that may wait→ a few pieces ─→ STOR .name.tag.part, SIZE → (same sum?) → RNFR, RNTO
//!                                    └ it broke, or did not arrive ─→ DELE .name.tag.part
//! ```
//!
//! Invariants: a few pieces are in memory, however much comes; nothing is sent twice, since nothing can be read twice; of what
//! broke off nothing stays, as far as the server still listens to us.
//! Not here: files (send). That whoever writes to the pipe has failed and says nothing of it, nobody can see.

use crate::connection::{Connection, wire_path};
use crate::desk::number;
use crate::directory::{join, parted, shown};
use crate::error::Error;
use crate::part::new_part_name;
use crate::pump::{Counter, Fault, Pump};
use crate::send::{Renaming, Send, Sent, has_arrived};
use crate::sums::Summing;
use ftp::client::{Start, Words};
use ftp::{Command, HashKind, Reply, WirePath};
use net::DataLine;
use std::io::{self, Read};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// So much is read at once, in octets: as much as a pipe holds on Linux.
const PIECE_OCTETS: usize = 64 * 1024;

/// So many pieces wait at most until the line takes them.
const PIECES_MAX: usize = 8;

/// What was read.
enum Piece {
    Octets(Vec<u8>),
    /// All of it has been read; its sum, if that is wished.
    End(Option<String>),
    Broken(io::Error),
}

/// A source that is read ahead.
struct Stream {
    pieces: mpsc::Receiver<Piece>,
    /// Whether some of it has gone already.
    begun: bool,
    sum: Option<String>,
}

/// An upload of such a source.
struct Pouring<'a> {
    stream: Arc<Mutex<Stream>>,
    counter: Counter,
    part: &'a WirePath,
    sum: Option<HashKind>,
    step: &'a str,
}

impl Connection {
    /// Sends what can be read, until its end, or until `stop` is over. Of the wishes, `resume`, `keep_time` and `in_pieces` are
    /// for files.
    ///
    /// # Errors
    /// [`Error`]; what has gone so far is removed, if the server still listens to us. [`Error::Stopped`]
    pub async fn send_stream(
        &mut self,
        source: impl Read + std::marker::Send + 'static,
        path: &[u8],
        wishes: &Send,
        stop: impl Future<Output = ()>,
    ) -> Result<Sent, Error> {
        let step = format!("send {}", shown(path));
        let whole = wire_path(path)?;
        let part = if wishes.in_place { whole.clone() } else { wire_path(&beside(path))? };
        let sum = self.kind_of_sum().filter(|_| wishes.verify);
        let stream = Stream::begin(source, sum.and_then(Summing::of)).map_err(|why| Error::local("the source", why))?;
        let stream = Arc::new(Mutex::new(stream));
        let pouring =
            Pouring { stream, counter: Counter::heard_by(wishes.heard.clone()), part: &part, sum, step: &step };
        let poured = tokio::select! {
            // Ctrl-C ends whoever writes to the pipe as well: what comes to its end then is not whole.
            biased;
            () = stop => Err(Error::Stopped),
            poured = self.pour(&pouring, part != whole) => poured,
        };
        let (heard, verified) = match poured {
            Ok(poured) => poured,
            Err(error) => return Err(self.give_up(&pouring, path, wishes.in_place, error).await),
        };
        self.finish(&part, &whole, Renaming::of(&heard), None, &step).await?;
        Ok(Sent { octets: pouring.counter.octets(), resumed_at: 0, verified, dated: false })
    }

    /// Sends all of it, and sees to it that it has arrived. The replies to what was said behind it, and whether sums were compared.
    async fn pour(&mut self, pouring: &Pouring<'_>, renames: bool) -> Result<(Vec<Reply>, bool), Error> {
        let Pouring { part, sum, step, .. } = pouring;
        let behind = self.behind(part, renames && sum.is_none());
        let words = Words::from(Command::Stor(WirePath::clone(part)));
        let heard = self.transfer_and_say(words, Start::Beginning, behind, pouring.pump(), step).await?;
        has_arrived(heard.first(), pouring.counter.octets(), step)?;
        let verified = match sum {
            Some(kind) => self.compare_stream(pouring, *kind).await?,
            None => false,
        };
        Ok((heard, verified))
    }

    async fn compare_stream(&mut self, pouring: &Pouring<'_>, kind: HashKind) -> Result<bool, Error> {
        let ours = pouring.stream.lock().await.sum.take();
        let there = self.sum_by(kind, pouring.part, pouring.counter.octets()).await?;
        match ours.zip(there) {
            Some((ours, there)) if !ours.eq_ignore_ascii_case(&there) => {
                Err(Error::Differs { step: pouring.step.into(), why: "the sums differ".into() })
            }
            compared => Ok(compared.is_some()),
        }
    }

    /// Removes what has gone so far. Says why it did not go on.
    async fn give_up(&mut self, pouring: &Pouring<'_>, path: &[u8], in_place: bool, error: Error) -> Error {
        // Before a refusal the file of that name may be another one, which stays.
        let is_ours = !in_place || pouring.counter.octets() > 0 && !matches!(error, Error::Refused { .. });
        if is_ours && !error.is_fatal() {
            // What never began cannot be removed.
            let _ = self.say(vec![Command::Dele(pouring.part.clone()).into()]).await;
        }
        match error {
            Error::Refused { step, reply } if reply.is_permanent() => self.why_refused(path, step, reply).await,
            error => error,
        }
    }
}

impl Pouring<'_> {
    fn pump(&self) -> Pump {
        let (stream, counter) = (self.stream.clone(), self.counter.clone());
        Arc::new(move |data| {
            let (stream, counter) = (stream.clone(), counter.clone());
            Box::pin(async move { stream.lock().await.flow(data, &counter).await })
        })
    }
}

impl Stream {
    /// Reads on a thread of its own: a pipe may be silent for as long as it likes, and a read cannot be stopped.
    fn begin(source: impl Read + std::marker::Send + 'static, summing: Option<Summing>) -> io::Result<Self> {
        let (give, pieces) = mpsc::channel(PIECES_MAX);
        std::thread::Builder::new().name("source".into()).spawn(move || read(source, summing, &give))?;
        Ok(Stream { pieces, begun: false, sum: None })
    }

    async fn flow(&mut self, mut data: DataLine, counter: &Counter) -> Result<(), Fault> {
        if self.begun {
            return Err(Fault::Wrong("it would have to be sent once more, and cannot be read again".into()));
        }
        loop {
            let piece = self.pieces.recv().await;
            self.begun = true;
            match piece {
                Some(Piece::Octets(octets)) => {
                    data.send(&octets, |sent| counter.add(sent)).await.map_err(Fault::Line)?;
                }
                Some(Piece::End(sum)) => {
                    self.sum = sum;
                    return data.finish().await.map_err(Fault::Line);
                }
                Some(Piece::Broken(why)) => return Err(Fault::Local(why)),
                None => return Err(Fault::Wrong("who read it has fallen over".into())),
            }
        }
    }
}

/// Reads until the end, or until nobody wants to have it.
fn read(mut source: impl Read, mut summing: Option<Summing>, give: &mpsc::Sender<Piece>) {
    let mut buffer = vec![0; PIECE_OCTETS];
    loop {
        let (piece, is_last) = match source.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => (Piece::Broken(error), true),
            Ok(0) => (Piece::End(summing.take().map(Summing::digits)), true),
            Ok(octets) => {
                summing.iter_mut().for_each(|summing| summing.take(&buffer[..octets]));
                (Piece::Octets(buffer[..octets].to_vec()), false)
            }
        };
        if give.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}

/// A part's path that nobody else has, beside the file's.
fn beside(path: &[u8]) -> Vec<u8> {
    let (directory, name) = parted(path);
    join(directory, &new_part_name(name, number()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    /// A data connection, and its other end.
    async fn line() -> (DataLine, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let ours = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (theirs, _) = listener.accept().await.expect("connected");
        (DataLine::clear(ours, Duration::from_secs(60)), theirs)
    }

    #[tokio::test]
    async fn what_has_gone_over_one_connection_does_not_go_on_over_another() {
        let mut stream = Stream::begin(io::Cursor::new(b"pea soup"), None).expect("begun");
        let ((first, mut there), counter) = (line().await, Counter::default());
        stream.flow(first, &counter).await.expect("sent");
        let mut arrived = Vec::new();
        there.read_to_end(&mut arrived).await.expect("all of it");
        assert_eq!(arrived, b"pea soup");
        let (second, mut there) = line().await;
        assert!(matches!(stream.flow(second, &counter).await, Err(Fault::Wrong(_))));
        let mut arrived = Vec::new();
        there.read_to_end(&mut arrived).await.expect("nothing");
        assert!(arrived.is_empty());
    }
}
