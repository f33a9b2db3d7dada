//! The doorkeeper: checks passwords, and remembers for a while whom he has let in.
//!
//! RFC 9106 §4 (argon2id), RFC 2104 (HMAC).
//!
//! A right password costs some 20 ms of argon2id the first time and microseconds for the next hour, because mail
//! programs log in every few seconds. What is remembered is an HMAC over account, hash and password under a key that
//! dies with the process: it says nothing to whoever reads it, and it fits no more when the password changes.
//!
//! Invariants: unknown users cost what known ones cost; the memory holds a bounded number of marks, each for a bounded
//! time, and no password; no lock is held while hashing.
//! Not here: how often somebody may try (policy), which account a name means (login).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use crate::app_password::{self, AppPassword};
use crate::chance;
use crate::login::{Denied, Login};
use crate::secrets::{self, NOBODYS_HASH, Password, PasswordHash};
use crate::snapshot::{Account, Directory};

/// How long and how much the doorkeeper remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Marks kept; each takes some 100 octets. Below 2 nothing is remembered.
    pub marks_max: usize,
    /// How long after its hashing a password is taken without hashing again.
    pub age_max: Duration,
}

impl Default for Memory {
    /// 10,000 marks (a megabyte), one hour.
    fn default() -> Self {
        Memory { marks_max: 10_000, age_max: Duration::from_secs(3600) }
    }
}

/// Checks passwords. One for the whole process; it outlives the directories it is asked about.
#[derive(Debug)]
pub struct Doorkeeper {
    key: hmac::Key,
    memory: Memory,
    recent: Mutex<Recent>,
}

impl Doorkeeper {
    /// One with a fresh key.
    pub fn new(memory: Memory) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &chance::octets::<32>());
        Doorkeeper { key, memory, recent: Mutex::default() }
    }

    /// [`check_cached`](Self::check_cached), and if that says nothing, [`verify_slow`](Self::verify_slow).
    ///
    /// # Errors
    /// Why the login failed.
    pub fn verify(
        &self,
        directory: &Directory,
        login: &str,
        password: &Password,
        service: &str,
        now: Instant,
    ) -> Result<Login, Denied> {
        match self.check_cached(directory, login, password, service, now) {
            Some(login) => Ok(login),
            None => self.verify_slow(directory, login, password, service, now),
        }
    }

    /// The quick look, some microseconds: a password that was right lately, or an app password.
    /// `None` means that nothing is known yet, not that it is wrong.
    pub fn check_cached(
        &self,
        directory: &Directory,
        login: &str,
        password: &Password,
        service: &str,
        now: Instant,
    ) -> Option<Login> {
        let account = directory.account_for_login(login)?;
        let known = match &account.record.password {
            Some(hash) => self.recent().holds(&self.mark(account, hash, password), now, self.memory),
            None => false,
        };
        if known {
            return directory.admit(account).ok();
        }
        directory.admit_by(account, app_password_of(account, password)?, service).ok()
    }

    /// The whole check: argon2id, some 20 ms of one core and 19 MiB for that time, whoever asks.
    ///
    /// It blocks. Call it on one of a bounded number of blocking threads, after
    /// [`check_cached`](Self::check_cached) had nothing to say.
    ///
    /// # Errors
    /// Why the login failed.
    pub fn verify_slow(
        &self,
        directory: &Directory,
        login: &str,
        password: &Password,
        service: &str,
        now: Instant,
    ) -> Result<Login, Denied> {
        let account = directory.account_for_login(login);
        if let Some((account, one)) = account.and_then(|account| Some((account, app_password_of(account, password)?))) {
            return directory.admit_by(account, one, service);
        }
        let hash = account.and_then(|account| account.record.password.as_ref());
        let right = match hash {
            Some(hash) => secrets::verifies(password, hash),
            None => secrets::verifies(password, &PasswordHash::new(NOBODYS_HASH)),
        };
        match (account, hash) {
            (None, _) => Err(Denied::UnknownAccount),
            (Some(_), None) => Err(Denied::NoPassword),
            (Some(_), Some(_)) if !right => Err(Denied::WrongPassword),
            (Some(account), Some(hash)) => {
                let login = directory.admit(account)?;
                self.recent().keep(self.mark(account, hash, password), now, self.memory);
                Ok(login)
            }
        }
    }

    /// A number for this name with this password, the same while the process lives and of no use to anyone else:
    /// it tells a program that repeats one wrong password from somebody who guesses.
    pub fn fingerprint(&self, directory: &Directory, login: &str, password: &Password) -> u64 {
        let mark = self.sign(&[b"fingerprint", directory.login_key(login).as_bytes(), password.reveal()]);
        u64::from_le_bytes(mark[..8].try_into().expect("eight octets of 32"))
    }

    fn mark(&self, account: &Account, hash: &PasswordHash, password: &Password) -> Mark {
        self.sign(&[b"mark", &account.id.to_le_bytes(), hash.reveal().as_bytes(), password.reveal()])
    }

    /// Each part with its length before it, so that no two lists of parts look alike.
    fn sign(&self, parts: &[&[u8]]) -> Mark {
        let mut signed = hmac::Context::with_key(&self.key);
        for part in parts {
            signed.update(&(part.len() as u64).to_le_bytes());
            signed.update(part);
        }
        signed.sign().as_ref().try_into().expect("HMAC-SHA-256 gives 32 octets")
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        // Whoever panicked holding it left at worst a mark out.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn app_password_of<'a>(account: &'a Account, password: &Password) -> Option<&'a AppPassword> {
    let kept = &account.record.app_passwords;
    let letters = app_password::letters(password).filter(|_| !kept.is_empty())?;
    kept.iter().find(|one| app_password::fits(&letters, &one.hash))
}

type Mark = [u8; 32];

/// Marks in two generations: when the young ones fill their half, the old ones are forgotten.
/// Nobody sorts, and what is used stays.
#[derive(Debug, Default)]
struct Recent {
    young: HashMap<Mark, Instant>,
    old: HashMap<Mark, Instant>,
}

impl Recent {
    fn holds(&mut self, mark: &Mark, now: Instant, memory: Memory) -> bool {
        let fresh = |hashed: Instant| now.saturating_duration_since(hashed) < memory.age_max;
        if let Some(&hashed) = self.young.get(mark) {
            return fresh(hashed);
        }
        match self.old.remove(mark) {
            Some(hashed) if fresh(hashed) => {
                // Used again, so it stays; but its hour still counts from the hashing.
                self.keep(*mark, hashed, memory);
                true
            }
            _ => false,
        }
    }

    fn keep(&mut self, mark: Mark, hashed: Instant, memory: Memory) {
        let half = memory.marks_max / 2;
        if half == 0 {
            return;
        }
        if self.young.len() >= half && !self.young.contains_key(&mark) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(mark, hashed);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
#[path = "doorkeeper_tests.rs"]
mod tests;
