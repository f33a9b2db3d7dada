//! What passes between the courier and whoever carries mail: packages out, fates back.
//!
//! Not here: how mail is carried ([`super::remote`], or a table in a test).

use super::route::Route;
use message::report::{Status, Step};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{MailRow, RecipientId, RecipientRow};

/// A mail, and those of its recipients that go the same way.
#[derive(Debug, Clone)]
pub struct Package {
    /// The mail; its own list of recipients is empty.
    pub mail: Arc<MailRow>,
    /// Who gets it this way.
    pub recipients: Vec<RecipientRow>,
    /// When the courier took it from the queue, in Unix seconds.
    pub claimed_at: i64,
    /// It was under way once and given back, because the line was cut before a word was said about it.
    pub spared: bool,
}

impl Package {
    /// The same fate for everybody.
    pub fn share(&self, fate: &Fate) -> Fates {
        self.recipients.iter().map(|to| (to.recipient, fate.clone())).collect()
    }

    /// Two packages of the same mail: those recipients of whom this is true, and the others.
    pub fn split(self, of: impl FnMut(&RecipientRow) -> bool) -> (Package, Package) {
        let (ones, others) = self.recipients.into_iter().partition(of);
        let half = |recipients| Package { mail: Arc::clone(&self.mail), recipients, ..self };
        (half(ones), half(others))
    }
}

/// What an attempt came to, for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The other server took it.
    Delivered {
        /// Who took it.
        host: String,
        /// In which words.
        reply: String,
    },
    /// Not now.
    Deferred(Reason),
    /// Not ever.
    Failed(Reason),
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The enhanced status code (RFC 3463).
    pub status: Status,
    /// In which step it went wrong, where that is known.
    pub step: Option<Step>,
    /// The host that said so, or that we tried to reach.
    pub host: Option<String>,
    /// The address it was tried at.
    pub address: Option<IpAddr>,
    /// Its reply as it was, if it gave one: what a report calls the diagnostic code.
    pub reply: Option<String>,
    /// What happened, in words.
    pub text: String,
}

impl Reason {
    /// Something we found ourselves.
    pub fn found((class, subject, detail): (u8, u16, u16), step: Step, text: impl Into<String>) -> Self {
        Reason {
            status: Status::new(class, subject, detail),
            step: Some(step),
            host: None,
            address: None,
            reply: None,
            text: text.into(),
        }
    }
}

/// What each recipient of a package came to.
pub type Fates = HashMap<RecipientId, Fate>;

/// Whoever carries mail to a next hop.
pub trait Carrier: Send + Sync + 'static {
    /// Takes packages from the lane and settles each, until the lane is empty or the next hop takes no more for now.
    /// Comes back well only after it settled something, or when nothing was left to take.
    ///
    /// # Errors
    /// Why what waits in the lane cannot be carried now.
    fn carry<S: Settle>(&self, lane: &Lane, settle: &S) -> impl Future<Output = Result<(), Stopped>> + Send;
}

/// Why a carrier came back although something waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// The next hop cannot be reached at all: this is the fate of everything that waits for it.
    Unreachable(Fate),
    /// The house is closing: what waits shall wait until it opens again.
    Leaving,
}

/// Whoever writes down what a package came to.
pub trait Settle: Send + Sync {
    /// Writes it down. A recipient without a fate was not tried, and is due as before.
    fn settle(&self, package: Package, fates: Fates) -> impl Future<Output = ()> + Send;
}

/// The way to one next hop: what waits for it.
#[derive(Debug)]
pub struct Lane {
    /// Where it leads.
    pub route: Route,
    waiting: Mutex<VecDeque<Package>>,
}

impl Lane {
    /// An empty lane.
    pub fn new(route: Route) -> Self {
        Lane { route, waiting: Mutex::default() }
    }

    /// Puts a package at the end.
    pub fn put(&self, package: Package) {
        self.waiting().push_back(package);
    }

    /// Takes the package that has waited longest.
    pub fn take(&self) -> Option<Package> {
        self.waiting().pop_front()
    }

    /// Gives back a package that was taken and not tried.
    pub fn put_back(&self, package: Package) {
        self.waiting().push_front(package);
    }

    /// Takes everything.
    pub fn empty(&self) -> Vec<Package> {
        self.waiting().drain(..).collect()
    }

    /// How many packages wait.
    pub fn len(&self) -> usize {
        self.waiting().len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Package>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
