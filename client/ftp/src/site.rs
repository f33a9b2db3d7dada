//! How to get there: everything that a connection needs to know beforehand.
//!
//! RFC 4217 §11 and §15.1 (a refused AUTH is an error unless somebody says otherwise).
//!
//! Invariants: by default a password goes out in clear to loopback only.

use crate::charset::Charset;
use crate::error::Error;
use crate::url::{Scheme, Url};
use ftp::address::Family;
use ftp::client::{REPLY_LIMIT, Settings, Tls, VERDICT_LIMIT, Way};
use line::Secret;
use net::{ClientTls, Proxy, Throttle, Trust};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How safe it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// TLS by AUTH, or nothing.
    Required,
    /// TLS if the server has it; the password may go out in clear.
    IfOffered,
    /// TLS from the first octet.
    Implicit,
    /// No TLS, and the password may go out in clear.
    Clear,
}

/// A place, and how to get there.
#[derive(Debug, Clone)]
pub struct Site {
    /// A name or an address.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// Who.
    pub user: String,
    /// With what.
    pub password: Secret,
    /// How safe it must be.
    pub safety: Safety,
    /// Whether files go under TLS where the dialogue does.
    pub private_data: bool,
    /// Whose certificates are believed.
    pub tls: ClientTls,
    /// Whether the server dials for data, if it can, instead of us.
    pub active: bool,
    /// Whether the address that PASV tells is dialled, and not that of the server.
    pub trust_pasv_address: bool,
    /// Whether the host is told by HOST, for servers with several of them.
    pub say_host: bool,
    /// Whether commands may be said before the last one is answered.
    pub pipelining: bool,
    /// Whether files are to move right after the login: that saves a round trip for the first of them.
    pub data_next: bool,
    /// Who connects for us, also for data.
    pub proxy: Option<Proxy>,
    /// Only addresses of this family.
    pub family: Option<Family>,
    /// How long it may take to connect.
    pub connect_limit: Duration,
    /// How long nothing may move.
    pub stall_limit: Duration,
    /// How long the server may take to answer.
    pub reply_limit: Duration,
    /// How long it may take behind the last octet of a file: it may sync it, and look for viruses.
    pub verdict_limit: Duration,
    /// How fast files may travel.
    pub throttle: Throttle,
    /// Where to go after the login; nothing for where it leads.
    pub directory: Vec<u8>,
    /// What was found out about the server; clones of the site share it.
    pub experience: Experience,
    /// In which charset the server has names; nothing for whatever it has.
    pub charset: Option<Charset>,
    /// Who hears the dialogue.
    pub tap: Option<Tap>,
}

/// What was found out about a server: other connections to it need not do so again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Learnt {
    /// A way to data connections that has worked: what its firewall lets through.
    pub way: Option<Way>,
    /// It has lost what was said while a file moved.
    pub one_by_one: bool,
}

/// The same, as all connections to the server share it.
#[derive(Clone, Default)]
pub struct Experience {
    learnt: Arc<Mutex<Learnt>>,
    heard: Option<Arc<dyn Fn(Learnt) + Send + Sync>>,
}

impl Experience {
    /// What was learnt another day; `heard` is told when that changes.
    pub fn of(learnt: Learnt, heard: impl Fn(Learnt) + Send + Sync + 'static) -> Self {
        Experience { learnt: Arc::new(Mutex::new(learnt)), heard: Some(Arc::new(heard)) }
    }

    pub(crate) fn note_way(&self, way: Way) {
        self.note(|learnt| learnt.way = Some(way));
    }

    pub(crate) fn note_one_by_one(&self) {
        self.note(|learnt| learnt.one_by_one = true);
    }

    fn note(&self, change: impl FnOnce(&mut Learnt)) {
        let (before, after) = {
            let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
            let before = *learnt;
            change(&mut learnt);
            (before, *learnt)
        };
        if let Some(heard) = self.heard.as_ref().filter(|_| before != after) {
            heard(after);
        }
    }

    fn learnt(&self) -> Learnt {
        *self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Experience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.learnt().fmt(f)
    }
}

/// Somebody who hears the dialogue, secrets left out.
#[derive(Clone)]
pub struct Tap(pub Arc<dyn net::tap::Tap>);

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}

/// A connection across the world takes a second; three lost packets, seven.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Whoever moves nothing so long has usually gone.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// What anonymous users are called (RFC 1635), and what they say for a password.
pub const ANONYMOUS: (&str, &str) = ("anonymous", "guest");

impl Site {
    /// As the URL has it, with this password, the authorities of this machine, and the usual limits.
    ///
    /// # Errors
    /// [`Error::Tls`] on a machine that trusts nobody.
    pub fn new(url: &Url, password: &str) -> Result<Self, Error> {
        let trust = |why| Error::Tls { why, shown: None };
        Ok(Site::with_tls(url, password, ClientTls::verifying(Trust::Platform).map_err(trust)?))
    }

    /// The same with certificates of somebody's choice.
    pub fn with_tls(url: &Url, password: &str, tls: ClientTls) -> Self {
        let safety = match url.scheme {
            Scheme::ImplicitTls => Safety::Implicit,
            Scheme::ExplicitTls => Safety::Required,
            Scheme::Ftp if is_loopback(&url.host) => Safety::IfOffered,
            Scheme::Ftp => Safety::Required,
        };
        Site {
            host: url.host.clone(),
            port: url.port,
            user: url.user.clone().unwrap_or_else(|| ANONYMOUS.0.into()),
            password: Secret::new(password),
            safety,
            private_data: true,
            tls,
            active: false,
            trust_pasv_address: false,
            say_host: false,
            pipelining: true,
            data_next: false,
            proxy: None,
            family: None,
            connect_limit: CONNECT_LIMIT,
            stall_limit: STALL_LIMIT,
            reply_limit: REPLY_LIMIT,
            verdict_limit: VERDICT_LIMIT,
            throttle: Throttle::default(),
            directory: Vec::new(),
            experience: Experience::default(),
            charset: None,
            tap: None,
        }
    }

    /// Through somebody else. What is loopback there is not on this machine.
    #[must_use]
    pub fn through(self, proxy: Proxy) -> Self {
        let safety = match self.safety {
            Safety::IfOffered if !proxy.is_on_loopback() => Safety::Required,
            safety => safety,
        };
        Site { proxy: Some(proxy), safety, ..self }
    }

    /// Waits as long as somebody wishes, for whatever it is: data, answers, the verdict on an upload. Without a wish, as long as
    /// each of them usually takes.
    pub fn wait_at_most(&mut self, limit: Option<Duration>) {
        self.connect_limit = limit.unwrap_or(CONNECT_LIMIT).min(CONNECT_LIMIT);
        self.stall_limit = limit.unwrap_or(STALL_LIMIT);
        self.reply_limit = limit.unwrap_or(REPLY_LIMIT);
        self.verdict_limit = limit.unwrap_or(VERDICT_LIMIT);
    }

    /// A server cannot dial us behind a proxy. What has worked before comes first.
    fn ways(&self, family: Family) -> Vec<Way> {
        let mut ways = match &self.proxy {
            Some(_) => vec![Way::ExtendedPassive, Way::Passive],
            None => Way::all(family),
        };
        if self.active {
            ways.sort_by_key(|way| !Way::active(family).contains(way));
        }
        if let Some(proven) = self.experience.learnt().way {
            ways.sort_by_key(|way| *way != proven);
        }
        ways
    }

    pub(crate) fn settings(&self, family: Family) -> Settings {
        let by_name = self.host.parse::<IpAddr>().is_err();
        let host = (self.say_host && by_name).then(|| ftp::command::HostName::Domain(self.host.clone()));
        Settings {
            user: self.user.clone(),
            password: self.password.clone(),
            tls: match self.safety {
                Safety::Required | Safety::Implicit => Tls::Required,
                Safety::IfOffered => Tls::IfOffered,
                Safety::Clear => Tls::Never,
            },
            private: self.private_data,
            // An anonymous password is none.
            clear_login: matches!(self.safety, Safety::IfOffered | Safety::Clear),
            host,
            name: concat!("packetboat/", env!("CARGO_PKG_VERSION")).into(),
            pipelining: self.pipelining && !self.experience.learnt().one_by_one,
            data_next: self.data_next,
            utf8: self.charset.is_none(),
            ways: self.ways(family),
            reply_limit: self.reply_limit,
            verdict_limit: self.verdict_limit,
        }
    }
}

/// Whether what goes there stays on this machine.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|host| host.to_canonical().is_loopback())
}
