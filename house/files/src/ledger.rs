//! How much a volume holds, and how much it may.
//!
//! ```text
//! usage = octets and entries that lie there, kept ones among them + what uploads under way have taken
//! an upload that replaces a file has that file's octets as credit: they are free when it is whole
//! ```
//!
//! Invariants: what is taken is given back or becomes a file, never both; without a count nothing is refused.
//! Not here: counting what lies there (`survey`), room on the disk itself.

use std::sync::{Arc, Mutex};

use crate::error::Error;
use crate::locks::lock;

/// Octets taken ahead of what an upload has written, so that the ledger is asked once a MiB and not at each write.
const AHEAD: u64 = 1 << 20;

/// How much a volume may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Octets of all files together, by their length.
    pub bytes_max: Option<u64>,
    /// Files, links and directories together: each costs an inode.
    pub files_max: Option<u64>,
}

impl Quota {
    /// No bound.
    pub const NONE: Quota = Quota { bytes_max: None, files_max: None };
}

/// How much a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Octets of all files together, by their length.
    pub bytes: u64,
    /// Files, links and directories together.
    pub files: u64,
}

/// The account of one volume.
#[derive(Debug)]
pub(crate) struct Ledger {
    balance: Mutex<Balance>,
}

/// Below zero only until the first count, or when other programs remove what we made.
#[derive(Debug, Clone, Copy, Default)]
struct Balance {
    quota: Quota,
    bytes: i64,
    files: i64,
    /// How much of that uploads under way have taken: octets, files. A count does not see it.
    taken: (i64, i64),
    /// What changed of what lies there since a count that is under way began.
    since: (i64, i64),
    counted: bool,
}

impl Ledger {
    pub(crate) fn new(quota: Quota) -> Ledger {
        Ledger { balance: Mutex::new(Balance { quota, ..Balance::default() }) }
    }

    pub(crate) fn quota(&self) -> Quota {
        lock(&self.balance).quota
    }

    /// Holds from now on, for uploads under way too. What lies there already may be more.
    pub(crate) fn set_quota(&self, quota: Quota) {
        lock(&self.balance).quota = quota;
    }

    /// What is there, once it was counted.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let balance = lock(&self.balance);
        let usage = Usage { bytes: balance.bytes.max(0) as u64, files: balance.files.max(0) as u64 };
        balance.counted.then_some(usage)
    }

    /// Octets that still fit, where there is a bound.
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        let balance = lock(&self.balance);
        balance.quota.bytes_max.map(|max| max.saturating_sub(balance.bytes.max(0) as u64))
    }

    /// A count begins; what changes from now on is added to its result.
    pub(crate) fn begin_count(&self) {
        lock(&self.balance).since = (0, 0);
    }

    /// The count is done, of all but uploads under way. What was made or removed while it ran may be counted twice or not at
    /// all.
    pub(crate) fn end_count(&self, found: Usage) {
        let mut balance = lock(&self.balance);
        balance.bytes = signed(found.bytes).saturating_add(balance.since.0).saturating_add(balance.taken.0);
        balance.files = signed(found.files).saturating_add(balance.since.1).saturating_add(balance.taken.1);
        balance.counted = true;
    }

    /// Puts down a change; one that would grow the volume beyond its quota is refused and leaves no trace.
    pub(crate) fn change(&self, bytes: i64, files: i64) -> Result<(), Error> {
        let mut balance = lock(&self.balance);
        balance.check(bytes, files)?;
        balance.note(bytes, files);
        Ok(())
    }

    /// Takes room for an upload, if there is so much.
    fn take(&self, bytes: i64, files: i64) -> Result<(), Error> {
        let mut balance = lock(&self.balance);
        balance.check(bytes, files)?;
        balance.take(bytes, files);
        Ok(())
    }

    /// Puts down what has happened already, quota or not.
    pub(crate) fn note(&self, bytes: i64, files: i64) {
        lock(&self.balance).note(bytes, files);
    }
}

impl Balance {
    fn check(&self, bytes: i64, files: i64) -> Result<(), Error> {
        let exceeds = |before: i64, by: i64, max: Option<u64>| {
            by > 0 && max.is_some_and(|max| before.saturating_add(by) > signed(max))
        };
        if exceeds(self.bytes, bytes, self.quota.bytes_max) || exceeds(self.files, files, self.quota.files_max) {
            return Err(Error::QuotaExceeded);
        }
        Ok(())
    }

    /// What lies there changes.
    fn note(&mut self, bytes: i64, files: i64) {
        self.add(bytes, files);
        self.since = (self.since.0.saturating_add(bytes), self.since.1.saturating_add(files));
    }

    /// What uploads under way have taken changes.
    fn take(&mut self, bytes: i64, files: i64) {
        self.add(bytes, files);
        self.taken = (self.taken.0.saturating_add(bytes), self.taken.1.saturating_add(files));
    }

    fn add(&mut self, bytes: i64, files: i64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.files = self.files.saturating_add(files);
    }
}

/// A length as the ledger adds it. No file system has files of more than 2^63 octets.
pub(crate) fn signed(octets: u64) -> i64 {
    i64::try_from(octets).unwrap_or(i64::MAX)
}

/// What one upload has taken from a ledger. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Charge {
    ledger: Arc<Ledger>,
    bytes: u64,
    file: bool,
    /// Octets that come free when the upload is whole.
    credit: u64,
}

impl Charge {
    /// Takes one entry, unless the upload replaces one of `replaced` octets.
    pub(crate) fn begin(ledger: &Arc<Ledger>, replaced: Option<u64>) -> Result<Charge, Error> {
        let file = replaced.is_none();
        ledger.take(0, i64::from(file))?;
        Ok(Charge { ledger: Arc::clone(ledger), bytes: 0, file, credit: replaced.unwrap_or(0) })
    }

    /// Takes over what an interrupted upload of `kept` octets is charged with already.
    pub(crate) fn resume(ledger: &Arc<Ledger>, kept: u64, replaced: Option<u64>) -> Charge {
        let mut balance = lock(&ledger.balance);
        balance.note(-signed(kept), -1);
        balance.take(signed(kept), 1);
        Charge { ledger: Arc::clone(ledger), bytes: kept, file: true, credit: replaced.unwrap_or(0) }
    }

    /// Sees that a file of `length` octets is paid for, or as much more than `written` as there is room for.
    pub(crate) fn cover(&mut self, written: u64, length: u64) -> Result<u64, Error> {
        let covered = self.bytes.saturating_add(self.credit);
        if length <= covered {
            return Ok(length);
        }
        let missing = length - covered;
        let most = missing.max(AHEAD);
        for octets in [most, missing, self.ledger.bytes_left().unwrap_or(0).min(missing)] {
            if octets > 0 && self.ledger.take(signed(octets), 0).is_ok() {
                self.bytes += octets;
                return Ok(length.min(covered + octets));
            }
        }
        if covered > written { Ok(covered) } else { Err(Error::QuotaExceeded) }
    }

    /// The upload is a file of `length` octets now, in the place of one of `replaced` octets where there was one.
    ///
    /// Refused, nothing has changed.
    pub(crate) fn settle(&mut self, length: u64, replaced: Option<u64>) -> Result<(), Error> {
        let (bytes, files) =
            (signed(length).saturating_sub(signed(replaced.unwrap_or(0))), 1 - i64::from(replaced.is_some()));
        let mut balance = lock(&self.ledger.balance);
        balance.check(bytes.saturating_sub(signed(self.bytes)), files - i64::from(self.file))?;
        balance.take(-signed(self.bytes), -i64::from(self.file));
        balance.note(bytes, files);
        (self.bytes, self.file) = (0, false);
        Ok(())
    }

    /// What was settled last did not happen after all.
    pub(crate) fn unsettle(&mut self, length: u64, replaced: Option<u64>) {
        self.ledger
            .note(signed(replaced.unwrap_or(0)).saturating_sub(signed(length)), i64::from(replaced.is_some()) - 1);
    }

    /// What was taken stays: it lies there still.
    pub(crate) fn leave(&mut self) {
        let mut balance = lock(&self.ledger.balance);
        balance.take(-signed(self.bytes), -i64::from(self.file));
        balance.note(signed(self.bytes), i64::from(self.file));
        (self.bytes, self.file) = (0, false);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        lock(&self.ledger.balance).take(-signed(self.bytes), -i64::from(self.file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(bytes: u64, files: u64) -> Arc<Ledger> {
        let ledger = Ledger::new(Quota { bytes_max: Some(bytes), files_max: Some(files) });
        ledger.end_count(Usage::default());
        Arc::new(ledger)
    }

    fn usage(ledger: &Ledger) -> (u64, u64) {
        let usage = ledger.usage().unwrap();
        (usage.bytes, usage.files)
    }

    #[test]
    fn an_upload_may_fill_the_quota_to_the_last_octet_and_no_further() {
        let ledger = ledger(10, 1);
        let mut charge = Charge::begin(&ledger, None).unwrap();
        assert_eq!(charge.cover(0, 6).unwrap(), 6);
        assert_eq!(charge.cover(6, 20).unwrap(), 10);
        assert!(matches!(charge.cover(10, 11), Err(Error::QuotaExceeded)));
        assert!(matches!(Charge::begin(&ledger, None), Err(Error::QuotaExceeded)));
        charge.settle(10, None).unwrap();
        drop(charge);
        assert_eq!(usage(&ledger), (10, 1));
    }

    #[test]
    fn what_is_not_finished_is_given_back() {
        let ledger = ledger(10 << 20, 5);
        let mut charge = Charge::begin(&ledger, None).unwrap();
        charge.cover(0, 5).unwrap();
        assert_eq!(usage(&ledger), (AHEAD, 1));
        drop(charge);
        assert_eq!(usage(&ledger), (0, 0));
    }

    #[test]
    fn replacing_costs_the_difference() {
        let ledger = ledger(10, 1);
        ledger.change(8, 1).unwrap();
        let mut charge = Charge::begin(&ledger, Some(8)).unwrap();
        assert_eq!(charge.cover(0, 10).unwrap(), 10);
        assert_eq!(usage(&ledger).0, 10);
        charge.settle(9, Some(8)).unwrap();
        assert_eq!(usage(&ledger), (9, 1));
    }

    #[test]
    fn credit_that_somebody_else_used_up_is_noticed_at_the_end() {
        let ledger = ledger(10, 2);
        ledger.change(8, 1).unwrap();
        let mut first = Charge::begin(&ledger, Some(8)).unwrap();
        first.cover(0, 8).unwrap();
        ledger.note(-8, -1);
        ledger.change(8, 1).unwrap();
        assert!(matches!(first.settle(8, None), Err(Error::QuotaExceeded)));
        drop(first);
        assert_eq!(usage(&ledger), (8, 1));
    }

    #[test]
    fn a_count_takes_in_what_changes_meanwhile() {
        let ledger = ledger(100, 100);
        ledger.begin_count();
        ledger.change(7, 1).unwrap();
        ledger.end_count(Usage { bytes: 50, files: 5 });
        assert_eq!(usage(&ledger), (57, 6));
    }

    #[test]
    fn a_count_leaves_uploads_under_way_what_they_have_taken() {
        let ledger = ledger(10 << 20, 5);
        let mut charge = Charge::begin(&ledger, None).unwrap();
        charge.cover(0, 5).unwrap();
        ledger.begin_count();
        ledger.end_count(Usage { bytes: 50, files: 1 });
        assert_eq!(usage(&ledger), (AHEAD + 50, 2));
        drop(charge);
        assert_eq!(usage(&ledger), (50, 1));
    }
}
