//! Our judgement, as all sessions share it: who may relay, who logs in too often, who sends too much.
//!
//! Invariants: its locks are held for a look and a note, never while something is awaited.
//! Not here: the rules (policy), what is said to whom (desks).

use crate::ban_book::FAILED;
use crate::control::BanLine;
use crate::house::unix_now;
use crate::settings::Settings;
use policy::{Attempt, Ban, Gate, GateSettings, Origin, Reason, Relay, Sending, Sessions, Verdict};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;
use tracing::warn;

/// What all sessions judge by.
pub struct Judgement {
    relay: RwLock<Arc<Relay>>,
    gate: Mutex<Gate>,
    sending: Mutex<Sending>,
    /// Those of FTP.
    sessions: Mutex<Sessions>,
}

/// A session that is counted.
pub struct OpenSession(Arc<Judgement>);

impl Drop for OpenSession {
    fn drop(&mut self) {
        lock(&self.0.sessions).close();
    }
}

/// A session that is counted as an account's.
pub struct LoggedIn {
    judgement: Arc<Judgement>,
    account: i64,
}

impl Drop for LoggedIn {
    fn drop(&mut self) {
        lock(&self.judgement.sessions).log_out(self.account);
    }
}

impl Judgement {
    /// By these settings; nobody has done anything yet.
    pub fn new(settings: &Settings) -> Self {
        Judgement {
            relay: RwLock::new(Arc::new(relay(settings))),
            gate: Mutex::new(Gate::new(GateSettings::default())),
            sending: Mutex::new(Sending::new(settings.sending)),
            sessions: Mutex::default(),
        }
    }

    /// Takes new settings; what was counted so far stays counted.
    pub fn change_settings(&self, settings: &Settings) {
        *self.relay.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(relay(settings));
        lock(&self.sending).change_settings(settings.sending);
    }

    /// The rules of relaying.
    pub fn relay(&self) -> Arc<Relay> {
        Arc::clone(&self.relay.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// An account begins a message.
    pub fn count_message(&self, account: i64) -> Verdict {
        lock(&self.sending).message(account, Instant::now())
    }

    /// An account names a recipient.
    pub fn count_recipient(&self, account: i64) -> Verdict {
        lock(&self.sending).recipient(account, Instant::now())
    }

    /// A session of FTP begins, if there are fewer than `max`. It ends when this is dropped.
    pub fn open_session(self: &Arc<Self>, max: u32) -> Option<OpenSession> {
        lock(&self.sessions).open(max).then(|| OpenSession(Arc::clone(self)))
    }

    /// It is this account's, if that has fewer than `max`, until this is dropped.
    pub fn log_in(self: &Arc<Self>, account: i64, max: u32) -> Option<LoggedIn> {
        lock(&self.sessions).log_in(account, max).then(|| LoggedIn { judgement: Arc::clone(self), account })
    }

    /// Whether a login is listened to now. Waits first, if it must.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn admit(&self, address: IpAddr, account: &str) -> Result<(), Reason> {
        let attempt = lock(&self.gate).attempt(address, account, Instant::now());
        match attempt {
            Attempt::Now => Ok(()),
            Attempt::After(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Attempt::Refused(reason) => Err(reason),
        }
    }

    /// Takes over a ban of an earlier process.
    pub fn restore(&self, ban: Ban, now: Instant) {
        lock(&self.gate).restore(ban, now);
    }

    /// A login failed. Gives the ban that it has earned.
    pub fn failed(&self, address: IpAddr, account: &str, fingerprint: Option<u64>) -> Option<Ban> {
        let now = Instant::now();
        let ban = lock(&self.gate).failed(address, account, fingerprint, now);
        // Open connections of somebody who is banned go on failing.
        let ban = ban.filter(|ban| ban.since == now)?;
        warn!(origin = %ban.origin, secs = ban.left(now).as_secs(), "banned after too many failed logins");
        Some(ban)
    }

    /// A login succeeded.
    pub fn succeeded(&self, address: IpAddr, account: &str) {
        lock(&self.gate).succeeded(address, account, Instant::now());
    }

    /// Whether an address may not come in at all.
    pub fn is_banned(&self, address: IpAddr) -> bool {
        lock(&self.gate).ban_of(address, Instant::now()).is_some()
    }

    /// Everybody who is banned.
    pub fn bans(&self) -> Vec<BanLine> {
        let (now, unix) = (Instant::now(), unix_now());
        let line = |ban: Ban| BanLine {
            address: ban.origin.to_string(),
            until: unix.saturating_add(i64::try_from(ban.left(now).as_secs()).unwrap_or(i64::MAX)),
            why: FAILED.into(),
        };
        lock(&self.gate).list(now).into_iter().map(line).collect()
    }

    /// Lifts a ban; says whether there was one.
    pub fn lift(&self, address: IpAddr) -> bool {
        lock(&self.gate).lift(Origin::of(address), Instant::now())
    }
}

/// Networks too large to be trusted are refused with the configuration; here nobody is trusted rather than everybody.
fn relay(settings: &Settings) -> Relay {
    Relay::new(settings.trusted_networks.clone()).unwrap_or_default()
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
