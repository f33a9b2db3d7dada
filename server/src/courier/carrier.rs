//! What passes between the courier and whoever carries mail: packages out, fates back.
//!
//! Not here: how mail is carried ([`super::remote`], or a table in a test).

use super::route::Route;
use message::report::Step;
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
    /// The enhanced status code (RFC 3463): `4.4.1`.
    pub status: String,
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
    pub fn found(status: &str, step: Step, text: impl Into<String>) -> Self {
        Reason { status: status.into(), step: Some(step), host: None, address: None, reply: None, text: text.into() }
    }
}

/// What each recipient of a package came to.
pub type Fates = HashMap<RecipientId, Fate>;

/// Whoever carries mail to a next hop.
pub trait Carrier: Send + Sync + 'static {
    /// Takes packages from the lane and settles each, until the lane is empty or the next hop takes no more.
    ///
    /// # Errors
    /// The fate of all that waits in the lane, when the next hop cannot be reached at all.
    fn carry<S: Settle>(&self, lane: &Lane, settle: &S) -> impl Future<Output = Result<(), Fate>> + Send;
}

/// Whoever writes down what a package came to.
pub trait Settle: Send + Sync {
    /// Writes it down.
    fn settle(&self, package: Package, fates: Fates) -> impl Future<Output = ()> + Send;
}

/// The way to one next hop: what waits for it, and how many work on it.
#[derive(Debug)]
pub struct Lane {
    /// Where it leads.
    pub route: Route,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Package>,
    workers: usize,
}

impl Lane {
    /// An empty lane.
    pub fn new(route: Route) -> Self {
        Lane { route, state: Mutex::default() }
    }

    /// Puts a package at the end.
    pub fn put(&self, package: Package) {
        self.state().waiting.push_back(package);
    }

    /// Takes the package that has waited longest.
    pub fn take(&self) -> Option<Package> {
        self.state().waiting.pop_front()
    }

    /// Gives back a package that was taken and not tried.
    pub fn put_back(&self, package: Package) {
        self.state().waiting.push_front(package);
    }

    /// Takes everything.
    pub fn empty(&self) -> Vec<Package> {
        self.state().waiting.drain(..).collect()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.state().waiting.is_empty()
    }

    /// Whether somebody works on it.
    pub fn is_staffed(&self) -> bool {
        self.state().workers > 0
    }

    /// One more worker, if there are fewer than `most` and fewer than packages.
    pub fn hire(&self, most: usize) -> bool {
        let mut state = self.state();
        let needed = state.workers < most && state.workers < state.waiting.len().max(1) && !state.waiting.is_empty();
        if needed {
            state.workers += 1;
        }
        needed
    }

    /// A worker goes home, unless something waits: in one step, so that nothing is put into a lane that all just left.
    pub fn dismiss_if_empty(&self) -> bool {
        let mut state = self.state();
        let empty = state.waiting.is_empty();
        if empty {
            state.workers -= 1;
        }
        empty
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
