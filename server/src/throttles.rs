//! How fast files may travel: for each session, and for each account with all its sessions.
//!
//! Invariants: the sessions of an account share one bucket as long as there is one of them; what no limit holds up has no
//! bucket.
//! Not here: how a bucket fills (net).

use crate::settings::FtpSettings;
use net::{Bucket, Throttle};
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use store::AccountId;

/// The buckets that sessions share.
#[derive(Debug, Default)]
pub struct Throttles {
    accounts: Mutex<HashMap<AccountId, Shared>>,
}

#[derive(Debug)]
struct Shared {
    rate: NonZeroU64,
    bucket: Weak<Bucket>,
}

impl Throttles {
    /// What holds up a new session of an account.
    pub fn of(&self, account: AccountId, settings: &FtpSettings) -> Throttle {
        let session = settings.rate_per_session.map(|rate| Arc::new(Bucket::new(rate)));
        let account = settings.rate_per_account.map(|rate| self.account(account, rate));
        Throttle::new(session.into_iter().chain(account).collect())
    }

    fn account(&self, account: AccountId, rate: NonZeroU64) -> Arc<Bucket> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = accounts.get(&account).filter(|shared| shared.rate == rate);
        if let Some(bucket) = known.and_then(|shared| shared.bucket.upgrade()) {
            return bucket;
        }
        // Those whose last session is gone.
        accounts.retain(|_, shared| shared.bucket.strong_count() > 0);
        let bucket = Arc::new(Bucket::new(rate));
        accounts.insert(account, Shared { rate, bucket: Arc::downgrade(&bucket) });
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_one_account_share_a_bucket_and_those_of_another_do_not() {
        let throttles = Throttles::default();
        let rate = NonZeroU64::new(1000).expect("a rate");
        let first = throttles.account(AccountId(1), rate);
        assert!(Arc::ptr_eq(&first, &throttles.account(AccountId(1), rate)));
        let second = throttles.account(AccountId(2), rate);
        assert!(!Arc::ptr_eq(&first, &second));
        drop(first);
        throttles.account(AccountId(3), rate);
        let left = throttles.accounts.lock().expect("whole").len();
        assert_eq!(left, 2, "the first account is forgotten with its last session");
    }

    #[test]
    fn a_new_limit_holds_for_new_sessions() {
        let throttles = Throttles::default();
        let rate = |octets| NonZeroU64::new(octets).expect("a rate");
        let old = throttles.account(AccountId(1), rate(1000));
        let new = throttles.account(AccountId(1), rate(2000));
        assert!(!Arc::ptr_eq(&old, &new));
        assert!(Arc::ptr_eq(&new, &throttles.account(AccountId(1), rate(2000))));
    }
}
