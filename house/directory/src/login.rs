//! Which account a login name means, and whether it may come in.
//!
//! RFC 4616 §2 (the name as it was prepared), RFC 5802 §9 (unknown users look like known ones).
//!
//! A name is a full address, in any case, or the local part alone: then it means the account in the default domain,
//! or else the only account of that local part. Aliases and sub-addresses do not log in.
//!
//! Invariants: an unknown name gets the same SCRAM salt at every asking.
//! Not here: checking passwords (doorkeeper), checking proofs (sasl).

use std::sync::Arc;

use crate::address::{Address, DOMAIN_MAX_BYTES, LOCAL_PART_MAX_BYTES, key};
use crate::secrets::ScramKeys;
use crate::snapshot::{Account, Directory, folded};

/// Somebody who has proved who he is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The store's number for the account.
    pub account: i64,
    /// Its name.
    pub name: Arc<str>,
    /// The number of the app password that he proved it with.
    pub app_password: Option<u32>,
}

/// Why a login failed, for the log. The peer is told the same for all of them but [`Denied::Disabled`],
/// which only he learns who knows the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No account has this name, or several have.
    #[error("no such account")]
    UnknownAccount,
    /// The password is not the one that was set.
    #[error("wrong password")]
    WrongPassword,
    /// The account has no password for this way of logging in.
    #[error("the account has no password for this mechanism")]
    NoPassword,
    /// The app password is right, but not for this service.
    #[error("the app password is not for this service")]
    OtherService,
    /// The password is right, but the account or its domain is disabled.
    #[error("the account is disabled")]
    Disabled,
}

/// What a SCRAM dialogue needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scram {
    /// To run the dialogue with. For unknown users they are made up, and no proof fits them.
    pub keys: ScramKeys,
    /// Whom a fitting proof lets in.
    pub whom: Result<Login, Denied>,
}

impl Directory {
    /// The account that a login name means.
    pub fn account_for_login(&self, login: &str) -> Option<&Account> {
        if login.contains('@') {
            return self.account_named(login);
        }
        let local = folded(login);
        let in_default = self.default_domain.as_deref().and_then(|domain| self.key_account(&key(&local, domain)));
        in_default.or_else(|| self.only_account_called(&local))
    }

    /// One key for all the ways to write one login name: what attempts are counted by.
    /// Names that mean nobody have one too; it is bounded, whatever was typed.
    pub fn login_key(&self, login: &str) -> String {
        if let Some(account) = self.account_for_login(login) {
            return account.name.to_string();
        }
        let mut key = Address::parse(login).map_or_else(|_| folded(login), |address| address.key());
        let longest = LOCAL_PART_MAX_BYTES + 1 + DOMAIN_MAX_BYTES;
        key.truncate(key.floor_char_boundary(longest));
        key
    }

    /// What a SCRAM dialogue needs for this login name.
    pub fn scram(&self, login: &str) -> Scram {
        let account = self.account_for_login(login);
        let fake = || self.secret.fake_keys(&self.login_key(login));
        match account.map(|account| (account, &account.record.scram)) {
            None => Scram { keys: fake(), whom: Err(Denied::UnknownAccount) },
            Some((_, None)) => Scram { keys: fake(), whom: Err(Denied::NoPassword) },
            Some((account, Some(keys))) => Scram { keys: keys.clone(), whom: self.admit(account) },
        }
    }

    /// Whom a certificate lets in that TLS has verified and that is for this address. Aliases do not count: a certificate
    /// proves to be somebody, not to get his mail.
    ///
    /// # Errors
    /// [`Denied::UnknownAccount`], [`Denied::Disabled`].
    pub fn certified(&self, address: &str) -> Result<Login, Denied> {
        self.account_named(address).ok_or(Denied::UnknownAccount).and_then(|account| self.admit(account))
    }

    /// Whether the account, or its domain, is disabled: nobody is in by it.
    pub fn is_closed(&self, account: &Account) -> bool {
        account.record.disabled || self.key_domain(account.domain()).is_some_and(|domain| domain.disabled)
    }

    /// Lets an account in that has proved itself, unless it or its domain is disabled.
    pub(crate) fn admit(&self, account: &Account) -> Result<Login, Denied> {
        if self.is_closed(account) {
            return Err(Denied::Disabled);
        }
        Ok(Login { account: account.id, name: account.name.clone(), app_password: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::SCRAM_ITERATIONS;
    use crate::town::Town;
    use proptest::prelude::*;

    fn who(directory: &Directory, login: &str) -> Option<i64> {
        directory.account_for_login(login).map(|account| account.id)
    }

    #[test]
    fn a_login_is_a_full_address_or_a_local_part_that_only_one_has() {
        let town = Town::new().account("bob@crepes.test");
        let town = town.clone().build();
        for login in ["alice@crepes.test", "Alice@CREPES.test", "alice", "ALICE", " alice "] {
            assert_eq!(who(&town, login), Some(1), "{login}");
        }
        assert_eq!(who(&town, "bob"), None, "there are two");
        assert_eq!(who(&town, "bob@hamburger.test"), Some(2));
        for login in ["", "@", "eve", "alice@hamburger.test", "alice+x", "alice+x@crepes.test", "postmaster"] {
            assert_eq!(who(&town, login), None, "{login}");
        }
    }

    #[test]
    fn a_default_domain_decides_between_namesakes() {
        let town = Town::new().account("bob@crepes.test").set(|it| it.default_domain = Some("crepes.test".into()));
        let town = town.build();
        assert_eq!(who(&town, "bob"), Some(3));
        assert_eq!(who(&Town::new().set(|it| it.default_domain = Some("crepes.test".into())).build(), "bob"), Some(2));
    }

    #[test]
    fn aliases_do_not_log_in() {
        let town = Town::new().alias("sales@crepes.test", &["alice@crepes.test"]).build();
        assert_eq!((who(&town, "sales"), who(&town, "sales@crepes.test")), (None, None));
    }

    #[test]
    fn scram_gives_known_keys_to_the_known_and_steady_ones_to_the_unknown() {
        let town = Town::new().build();
        let alice = town.scram("alice");
        assert_eq!(alice.whom.expect("may come in").account, 1);
        assert_eq!(Some(alice.keys), town.account(1).and_then(|account| account.record.scram.clone()));
        let eve = town.scram("eve@crepes.test");
        assert_eq!(eve.whom, Err(Denied::UnknownAccount));
        assert_eq!(eve.keys.iterations, SCRAM_ITERATIONS);
        assert_eq!(eve.keys, town.scram("Eve@Crepes.TEST").keys, "in every form of the name");
        assert_ne!(eve.keys, town.scram("mallory@crepes.test").keys);
    }

    #[test]
    fn scram_tells_who_is_disabled_only_after_the_proof() {
        let town = Town::new().edit(1, |alice| alice.disabled = true).edit(2, |bob| bob.scram = None).build();
        let alice = town.scram("alice");
        assert_eq!(Some(alice.keys), town.account(1).and_then(|account| account.record.scram.clone()));
        assert_eq!(alice.whom, Err(Denied::Disabled));
        assert_eq!(town.scram("bob").whom, Err(Denied::NoPassword));
    }

    #[test]
    fn a_certificate_lets_in_whose_address_it_is_for() {
        let town = Town::new().alias("sales@crepes.test", &["alice@crepes.test"]).edit(2, |bob| bob.disabled = true);
        let town = town.build();
        assert_eq!(town.certified("Alice@crepes.TEST").expect("she is in").account, 1);
        for nobody in ["alice", "sales@crepes.test", "eve@crepes.test", ""] {
            assert_eq!(town.certified(nobody), Err(Denied::UnknownAccount), "{nobody}");
        }
        assert_eq!(town.certified("bob@hamburger.test"), Err(Denied::Disabled));
    }

    proptest! {
        #[test]
        fn a_login_key_is_bounded_and_one_for_all_cases(login in "\\PC{0,400}") {
            let town = Town::new().build();
            prop_assert!(town.login_key(&login).len() <= 320);
            if login.is_ascii() {
                prop_assert_eq!(town.login_key(&login), town.login_key(&login.to_ascii_uppercase()));
            }
            town.scram(&login);
        }
    }
}
