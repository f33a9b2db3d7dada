//! One connection to one server.
//!
//! Invariants: one order at a time; whoever stops waiting for an order stops it, and the connection can be used again; it is
//! closed in order when its owner lets it go.
//! Not here: files (fetch, send), directories (directory).

use crate::charset::Charset;
use crate::desk::{Answered, Clerk, Job};
use crate::error::Error;
use crate::pump::{Fault, Pump};
use crate::site::{Safety, Site};
use ftp::address::Family;
use ftp::client::{Client, Features, Order, Outcome, Start, Transfer, Welcome, Words};
use ftp::{Command, Reply, WirePath};
use net::tap::{Label, Side, Tapped};
use net::{Begin, ClientTls, Ended, Pace, Security, Setup, TlsError, Why};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// While data move nothing is said on the control connection, and some middlebox on the way may forget it.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A server that is asked to let us go has so long to say so.
const QUIT_LIMIT: Duration = Duration::from_secs(5);

/// So long a server may take to close behind its 221. Nothing is missing then, and some close only when we have (pyftpdlib).
const LINGER: Duration = Duration::from_millis(500);

/// Who does not answer so long when asked whether he is there is taken for gone: a new connection is made sooner.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// So many of the commands that are about many things are said before the first reply is looked at: words and replies are kept
/// until then. Each batch costs a round trip. Tests have few things.
pub(crate) const SAID_AT_ONCE: usize = if cfg!(test) { 3 } else { 1000 };

/// A connection, logged in.
#[derive(Debug)]
pub struct Connection {
    site: Arc<Site>,
    jobs: mpsc::Sender<Job>,
    /// Nothing once it is known how it ended.
    talk: Option<JoinHandle<Over>>,
    _open: watch::Sender<bool>,
    welcome: Welcome,
    tls: ClientTls,
    tls13: bool,
    /// How far the server's clock is ahead of UTC, where listings do not tell UTC and it was found out.
    pub(crate) zone_secs: Option<i64>,
    /// Whether LIST takes `-a`, once that is known.
    pub(crate) lists_all: Option<bool>,
    /// Whether other files will follow: then the way to their data is asked for ahead.
    pub(crate) more: bool,
}

/// How it ended, for whoever waits still.
#[derive(Debug)]
struct Over {
    end: Option<ftp::client::End>,
    ended: Ended,
    /// What broke on our side before, if anything did: then that is the reason.
    fault: Option<Fault>,
}

impl Connection {
    /// Connects, logs in, and goes where the site says.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn open(site: &Site) -> Result<Self, Error> {
        let mut connection = Self::log_in(site).await?;
        if !site.directory.is_empty() {
            let step = format!("go to {}", crate::directory::shown(&site.directory));
            connection.command(&Command::Cwd(wire_path(&site.directory)?), &step).await?;
        }
        Ok(connection)
    }

    async fn log_in(site: &Site) -> Result<Self, Error> {
        match Self::open_with(site, false).await {
            // It speaks TLS 1.3 and nothing else.
            Err(Error::Tls { why: TlsError::Refused(_) | TlsError::Failed(_) | TlsError::HungUp(_), .. }) => {
                Self::open_with(site, true).await
            }
            other => other,
        }
    }

    async fn open_with(site: &Site, tls13: bool) -> Result<Self, Error> {
        let stream = dial(site).await?;
        let failed = |why| unreachable(site, why);
        let peer = stream.peer_addr().map_err(failed)?;
        let apart = |why| Error::Tls { why, shown: None };
        let tls = if tls13 { site.tls.alone_with_tls13() } else { site.tls.alone() }.map_err(apart)?;
        let site = Arc::new(site.clone());
        let (jobs, waiting) = mpsc::channel(1);
        let (login, admitted) = oneshot::channel();
        let clerk = Clerk::new(site.clone(), tls.clone(), &stream, waiting, login).map_err(failed)?;
        let client = Client::new(site.settings(Family::of(peer.ip().to_canonical())), Instant::now().into_std());
        let (open, leaving) = watch::channel(false);
        let pace = Pace { linger: LINGER, ..Pace::default() };
        let setup = Setup { security: security(&site, &tls), tap: tapped(&site), pace, ..Setup::new(leaving) };
        let talk = tokio::spawn(talk(client, clerk, stream, setup));
        match admitted.await {
            Ok(Answered { outcome: Outcome::Admitted(welcome), .. }) => Ok(Connection {
                site,
                jobs,
                talk: Some(talk),
                _open: open,
                welcome,
                tls,
                tls13,
                zone_secs: None,
                lists_all: None,
                more: false,
            }),
            _ => Err(over(talk, &tls).await),
        }
    }

    /// What the server said, and can do.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// What the server can do.
    pub fn features(&self) -> &Features {
        &self.welcome.features
    }

    /// Where it leads.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Whether the connection is still there, as far as is known.
    pub fn is_open(&self) -> bool {
        self.talk.as_ref().is_some_and(|talk| !talk.is_finished())
    }

    /// Whether the next file would need a ticket that is not there any more: then a new connection is better.
    pub fn is_worn(&self) -> bool {
        self.tls13 && self.welcome.private && !self.tls.can_resume()
    }

    /// Says commands, one behind the other whatever is answered. There is one reply for each.
    ///
    /// # Errors
    /// [`Error::Ended`]
    pub async fn say(&mut self, words: Vec<Words>) -> Result<Vec<Reply>, Error> {
        if words.is_empty() {
            return Ok(Vec::new());
        }
        self.said(Order::Say(words)).await
    }

    /// Says a command about each of many things, a batch at a time; `answered` is told what is replied to each, and may end it.
    ///
    /// # Errors
    /// [`Error::Ended`], and those of `command` and `answered`
    pub(crate) async fn say_of_each<T>(
        &mut self,
        things: impl IntoIterator<Item = T>,
        command: impl Fn(&Self, &T) -> Result<Words, Error>,
        mut answered: impl FnMut(T, Reply) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut things = things.into_iter();
        loop {
            let batch: Vec<T> = things.by_ref().take(SAID_AT_ONCE).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let words = batch.iter().map(|thing| command(self, thing)).collect::<Result<_, Error>>()?;
            let replies = self.say(words).await?;
            batch.into_iter().zip(replies).try_for_each(|(thing, reply)| answered(thing, reply))?;
        }
    }

    /// Says commands before a transfer: the way to its data is asked for at once, or dialled.
    pub(crate) async fn say_ahead(&mut self, words: Vec<Words>) -> Result<Vec<Reply>, Error> {
        self.said(Order::SayAhead(words)).await
    }

    /// The same where perhaps another file will follow.
    pub(crate) async fn say_between(&mut self, words: Vec<Words>) -> Result<Vec<Reply>, Error> {
        match self.more {
            true => self.say_ahead(words).await,
            false => self.say(words).await,
        }
    }

    async fn said(&mut self, order: Order) -> Result<Vec<Reply>, Error> {
        match self.order(order, None).await?.outcome {
            Outcome::Said(replies) => Ok(replies),
            other => Err(unexpected(&other)),
        }
    }

    /// Says one command, which must be answered well.
    ///
    /// # Errors
    /// [`Error::Refused`] with `step`; [`Error::Ended`]
    pub async fn command(&mut self, command: &Command, step: &str) -> Result<Reply, Error> {
        let reply = self.say(vec![command.into()]).await?.swap_remove(0);
        if reply.is_positive() { Ok(reply) } else { Err(Error::Refused { step: step.into(), reply }) }
    }

    /// Says a line that somebody has written; whatever is answered is the result.
    ///
    /// # Errors
    /// [`Error::Name`] for what cannot be said, or would bring us out of step with the server; [`Error::Ended`]
    pub async fn quote(&mut self, line: &[u8]) -> Result<Reply, Error> {
        let words = Words::parse(line).ok_or_else(|| Error::Name(String::from_utf8_lossy(line).into_owned()))?;
        Ok(self.say(vec![words]).await?.swap_remove(0))
    }

    /// Whether the server still answers.
    pub async fn answers(&mut self) -> bool {
        // Whatever it says, it has not hung up.
        matches!(tokio::time::timeout(ANSWER_LIMIT, self.say(vec![Command::Noop.into()])).await, Ok(Ok(_)))
    }

    /// Does something with data.
    pub(crate) async fn transfer(
        &mut self,
        words: Words,
        start: Start,
        pump: Pump,
        step: &str,
    ) -> Result<Reply, Error> {
        let (reply, fault) = self.transfer_with_fault(words, start, pump, step).await?;
        match fault {
            None => Ok(reply),
            Some(fault) => Err(broken(step, &fault)),
        }
    }

    /// The same, and says something behind it; if the server bears that, before it has ended, and so also when it does not go
    /// well. The replies to that are given back.
    pub(crate) async fn transfer_and_say(
        &mut self,
        words: Words,
        start: Start,
        behind: Vec<Words>,
        pump: Pump,
        step: &str,
    ) -> Result<Vec<Reply>, Error> {
        let transfer = Transfer { words, start, ascii: false, behind, ahead: self.more };
        let (_, replies, fault) = self.carry_out(transfer, pump, step).await?;
        match fault {
            None => Ok(replies),
            Some(fault) => Err(broken(step, &fault)),
        }
    }

    /// The same; a fault of the data connection is given back where the server was content all the same.
    pub(crate) async fn transfer_with_fault(
        &mut self,
        words: Words,
        start: Start,
        pump: Pump,
        step: &str,
    ) -> Result<(Reply, Option<Fault>), Error> {
        let transfer = Transfer { words, start, ascii: false, behind: Vec::new(), ahead: self.more };
        let (reply, _, fault) = self.carry_out(transfer, pump, step).await?;
        Ok((reply, fault))
    }

    async fn carry_out(
        &mut self,
        transfer: Transfer,
        pump: Pump,
        step: &str,
    ) -> Result<(Reply, Vec<Reply>, Option<Fault>), Error> {
        let Answered { outcome, fault } = self.order(Order::Transfer(transfer), Some(pump)).await?;
        let step = step.to_owned();
        match (outcome, fault) {
            (Outcome::Transferred(reply, behind), _) => Ok((reply, behind, None)),
            (Outcome::Refused(reply) | Outcome::NoRestart(reply), _) => Err(Error::Refused { step, reply }),
            (Outcome::NoWay(None), Some(fault)) => Err(broken(&step, &fault)),
            (Outcome::NoWay(reply), _) => Err(Error::NoWay { step, reply }),
            (Outcome::Broken, Some(fault)) => Ok((Reply::fixed(426, "Broken."), Vec::new(), Some(fault))),
            (Outcome::Broken, None) => Err(Error::Broken { step, why: "the data connection broke".into() }),
            (Outcome::Stopped, _) => Err(Error::Stopped),
            (other, _) => Err(unexpected(&other)),
        }
    }

    async fn order(&mut self, order: Order, pump: Option<Pump>) -> Result<Answered, Error> {
        let order = match self.site.charset {
            Some(charset) => in_charset(order, charset)?,
            None => order,
        };
        let (answer, answered) = oneshot::channel();
        let job = Job { order, private: self.welcome.private, pump, answer };
        if self.jobs.send(job).await.is_ok()
            && let Ok(answered) = answered.await
        {
            return Ok(answered);
        }
        Err(self.lost().await)
    }

    /// Why it is over.
    async fn lost(&mut self) -> Error {
        match self.talk.take() {
            Some(talk) => over(talk, &self.tls).await,
            None => Error::ended(ftp::client::End::Dropped, None),
        }
    }

    /// Leaves in order.
    pub async fn quit(self) {
        drop(self.jobs);
        // Who does not answer QUIT does not matter any more.
        if let Some(talk) = self.talk {
            let _ = tokio::time::timeout(QUIT_LIMIT, talk).await;
        }
    }
}

async fn talk(mut client: Client, mut clerk: Clerk, stream: TcpStream, setup: Setup) -> Over {
    let ended = net::converse(&mut client, &mut clerk, stream, &setup).await;
    // Dropped, so that who waits looks here for the reason.
    drop(clerk.take_pending());
    Over { end: clerk.end.take(), ended, fault: clerk.fault.take() }
}

async fn over(talk: JoinHandle<Over>, tls: &ClientTls) -> Error {
    match talk.await {
        Ok(Over { fault: Some(fault @ (Fault::Local(_) | Fault::Wrong(_))), .. }) => broken("transfer", &fault),
        Ok(Over { end, ended, .. }) => reason(end, ended, tls),
        Err(_) => Error::ended(ftp::client::End::Dropped, None),
    }
}

fn reason(end: Option<ftp::client::End>, ended: Ended, tls: &ClientTls) -> Error {
    match ended.why {
        Why::Tls(why) => Error::Tls { why, shown: tls.refused() },
        why => Error::ended(end.unwrap_or(ftp::client::End::Dropped), Some(&why)),
    }
}

pub(crate) fn broken(step: &str, fault: &Fault) -> Error {
    let (step, why) = (step.to_owned(), fault.to_string());
    match fault {
        Fault::Unconnected(_) | Fault::Line(_) => Error::Broken { step, why },
        Fault::Local(_) | Fault::Wrong(_) | Fault::Enough => Error::Untaken { step, why },
    }
}

fn unexpected(outcome: &Outcome) -> Error {
    Error::Broken { step: "FTP".into(), why: format!("an answer that fits no question: {outcome:?}") }
}

fn security(site: &Site, tls: &ClientTls) -> Security {
    let begin = match site.safety {
        Safety::Clear => return Security::None,
        Safety::Implicit => Begin::AtOnce,
        Safety::Required | Safety::IfOffered => Begin::WhenAsked,
    };
    Security::Client { tls: tls.clone(), host: site.host.clone(), begin }
}

fn tapped(site: &Site) -> Option<Tapped> {
    let label = || Label { session: site.host.clone(), protocol: "ftp", port: site.port, side: Side::Client };
    site.tap.as_ref().map(|tap| Tapped::new(tap.0.clone(), label()))
}

/// The first address that answers.
async fn dial(site: &Site) -> Result<TcpStream, Error> {
    let failed = |why| unreachable(site, why);
    if let Some(proxy) = &site.proxy {
        let stream = proxy.connect(&site.host, site.port, site.connect_limit).await.map_err(failed)?;
        return Ok(kept_alive(stream));
    }
    let found = tokio::time::timeout(site.connect_limit, tokio::net::lookup_host((site.host.as_str(), site.port)));
    let found = found.await.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
    let wanted = |address: &SocketAddr| site.family.is_none_or(|family| Family::of(address.ip()) == family);
    let mut why = io::Error::new(io::ErrorKind::NotFound, "no address of this kind");
    for address in found.filter(wanted) {
        match net::connect(address, site.connect_limit, None).await {
            Ok(stream) => return Ok(kept_alive(stream)),
            Err(error) => why = error,
        }
    }
    Err(failed(why))
}

fn unreachable(site: &Site, why: io::Error) -> Error {
    let (host, port) = (&site.host, site.port);
    let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    Error::Unreachable { place, why }
}

/// The same with names as the server has them.
fn in_charset(order: Order, charset: Charset) -> Result<Order, Error> {
    let written = |words: &Words| {
        let lost = || Error::Name(String::from_utf8_lossy(words.as_bytes().trim_ascii_end()).into_owned());
        words.rewritten(|line| charset.write(line)).ok_or_else(lost)
    };
    let all = |words: Vec<Words>| words.iter().map(written).collect::<Result<Vec<_>, _>>();
    Ok(match order {
        Order::Say(words) => Order::Say(all(words)?),
        Order::SayAhead(words) => Order::SayAhead(all(words)?),
        Order::Transfer(transfer) => {
            let (words, behind) = (written(&transfer.words)?, all(transfer.behind)?);
            Order::Transfer(Transfer { words, behind, ..transfer })
        }
        Order::Quit => Order::Quit,
    })
}

fn kept_alive(stream: TcpStream) -> TcpStream {
    // Without it, a transfer of hours may cost us the control connection; nothing else is lost.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    stream
}

/// A path that can stand in a command.
///
/// # Errors
/// [`Error::Name`]
pub fn wire_path(path: &[u8]) -> Result<WirePath, Error> {
    WirePath::new(path).ok_or_else(|| Error::Name(String::from_utf8_lossy(path).into_owned()))
}
