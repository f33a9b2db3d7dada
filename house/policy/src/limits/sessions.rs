//! How many sessions of one service there may be, and how many of them one account may have.
//!
//! RFC 959 §5.4 (421: not now).
//!
//! Invariants: whoever was counted in is counted out once; what is remembered is bounded by the total.
//! Not here: connections of all services together, and of one neighbour (connections).

use std::collections::HashMap;

/// The sessions of one service.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    total: u32,
    of_accounts: HashMap<i64, u32>,
}

impl Sessions {
    /// Counts a session in, unless there are `max` already.
    #[must_use]
    pub fn open(&mut self, max: u32) -> bool {
        let free = self.total < max;
        self.total += u32::from(free);
        free
    }

    /// Counts one out that was counted in.
    pub fn close(&mut self) {
        self.total = self.total.checked_sub(1).expect("a session is counted until it closes");
    }

    /// Counts a session as this account's, unless it has `max` already.
    #[must_use]
    pub fn log_in(&mut self, account: i64, max: u32) -> bool {
        let held = self.of_accounts.get(&account).copied().unwrap_or(0);
        let free = held < max;
        if free {
            self.of_accounts.insert(account, held + 1);
        }
        free
    }

    /// It is this account's no longer.
    pub fn log_out(&mut self, account: i64) {
        let held = self.of_accounts.get_mut(&account).expect("a session is counted until it logs out");
        *held -= 1;
        if *held == 0 {
            self.of_accounts.remove(&account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_so_many_sessions_and_an_account_its_share() {
        let mut sessions = Sessions::default();
        assert!(sessions.open(2) && sessions.open(2) && !sessions.open(2));
        sessions.close();
        assert!(sessions.open(2));
        assert!(sessions.log_in(7, 1) && !sessions.log_in(7, 1) && sessions.log_in(8, 1));
        sessions.log_out(7);
        assert!(sessions.log_in(7, 1));
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let mut sessions = Sessions::default();
        for account in 0..100 {
            assert!(sessions.log_in(account, 1));
            sessions.log_out(account);
        }
        assert!(sessions.of_accounts.is_empty());
    }

    #[test]
    fn a_limit_that_was_lowered_throws_nobody_out() {
        let mut sessions = Sessions::default();
        assert!(sessions.log_in(7, 2) && sessions.log_in(7, 2) && !sessions.log_in(7, 1));
        sessions.log_out(7);
        assert!(!sessions.log_in(7, 1));
        sessions.log_out(7);
        assert!(sessions.log_in(7, 1));
    }
}
