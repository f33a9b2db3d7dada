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
use crate::app_password::AppPassword;
use crate::change::APP_PASSWORDS_MAX;
use crate::secrets::{ScramKeys, ScramPair, ScramTerms};
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

/// What a SCRAM dialogue is run with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scram {
    /// What the client is told.
    pub terms: ScramTerms,
    /// Those of the password and of each app password. There are always [`SCRAM_PAIRS`]: those that are missing, which are all of
    /// an unknown user's, are made up, and no proof fits them.
    pub pairs: Vec<ScramPair>,
}

/// With so many keys a proof is compared, whoever has how many passwords.
pub const SCRAM_PAIRS: usize = 1 + APP_PASSWORDS_MAX;

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
        let fake = self.secret.fake_keys(&self.login_key(login));
        let account = self.account_for_login(login);
        let terms = account.and_then(Account::scram_terms).unwrap_or_else(|| fake.terms());
        let mut pairs = Vec::with_capacity(SCRAM_PAIRS);
        let known = account.into_iter().flat_map(Account::scram_keys).map(|(_, keys)| keys);
        pairs.extend(known.filter(|keys| keys.are_under(&terms)).map(ScramKeys::pair));
        pairs.resize(SCRAM_PAIRS, fake.pair());
        Scram { terms, pairs }
    }

    /// Who is in by a proof made with this key, if the key is one of the account's still.
    ///
    /// # Errors
    /// Why the login failed.
    pub fn proved(&self, login: &str, stored_key: &[u8; 32], service: &str) -> Result<Login, Denied> {
        let account = self.account_for_login(login).ok_or(Denied::UnknownAccount)?;
        let by = account.scram_keys().find(|(_, keys)| keys.stored_key == *stored_key);
        match by.ok_or(Denied::WrongPassword)? {
            (None, _) => self.admit(account),
            (Some(one), _) => self.admit_by(account, one, service),
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

    /// The same for one of its app passwords that was proved, where it opens this service.
    pub(crate) fn admit_by(&self, account: &Account, one: &AppPassword, service: &str) -> Result<Login, Denied> {
        match one.opens(service) {
            true => self.admit(account).map(|login| Login { app_password: Some(one.id), ..login }),
            false => Err(Denied::OtherService),
        }
    }
}

impl Account {
    /// Its SCRAM keys, and the app passwords they are of; its own password comes first.
    fn scram_keys(&self) -> impl Iterator<Item = (Option<&AppPassword>, &ScramKeys)> {
        let own = self.record.scram.iter().map(|keys| (None, keys));
        own.chain(self.record.app_passwords.iter().filter_map(|one| Some((Some(one), one.scram.as_ref()?))))
    }

    /// Under what they are made. Those that are under others cannot be used: the client is told these.
    pub(crate) fn scram_terms(&self) -> Option<ScramTerms> {
        self.scram_keys().next().map(|(_, keys)| keys.terms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change;
    use crate::secrets::{SCRAM_ITERATIONS, scram_keys};
    use crate::town::Town;
    use proptest::prelude::*;

    fn own_keys(town: &Directory, account: i64) -> ScramKeys {
        town.account(account).and_then(|account| account.record.scram.clone()).expect("keys")
    }

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
        let (alice, own) = (town.scram("alice"), own_keys(&town, 1));
        assert_eq!((&alice.terms, alice.pairs[0]), (&own.terms(), own.pair()));
        assert_eq!(town.proved("alice", &own.stored_key, "imap").expect("may come in").account, 1);
        let eve = town.scram("eve@crepes.test");
        assert_eq!(eve.terms.iterations, SCRAM_ITERATIONS);
        assert_eq!(eve, town.scram("Eve@Crepes.TEST"), "in every form of the name");
        assert_ne!(eve, town.scram("mallory@crepes.test"));
        assert_eq!((eve.pairs.len(), alice.pairs.len()), (SCRAM_PAIRS, SCRAM_PAIRS), "the time tells nothing");
        assert_eq!(town.proved("eve@crepes.test", &own.stored_key, "imap"), Err(Denied::UnknownAccount));
    }

    #[test]
    fn scram_tells_who_is_disabled_only_after_the_proof() {
        let town = Town::new().edit(1, |alice| alice.disabled = true).edit(2, |bob| bob.scram = None).build();
        let own = own_keys(&town, 1);
        assert_eq!(town.scram("alice").pairs[0], own.pair());
        assert_eq!(town.proved("alice", &own.stored_key, "imap"), Err(Denied::Disabled));
        assert_eq!(town.proved("bob", &own.stored_key, "imap"), Err(Denied::WrongPassword), "he has none");
        assert!(!town.scram("bob").pairs.contains(&own.pair()));
    }

    #[test]
    fn scram_takes_app_passwords_for_what_they_are_for() {
        let (town, bob) = (Town::new(), "bob@hamburger.test");
        let (made, shown) =
            change::add_app_password(&town.clone().build(), bob, "scanner", &["ftp".into()], 0).expect("added");
        let town = town.edit(2, |it| *it = made.record).build();
        let (own, offered) = (own_keys(&town, 2), town.scram("bob"));
        let app = scram_keys(&shown, &own.terms());
        assert_eq!((&offered.terms, &offered.pairs[..2]), (&own.terms(), &[own.pair(), app.pair()][..]));
        assert_eq!(town.proved("bob", &app.stored_key, "ftp").expect("may come in").app_password, Some(1));
        assert_eq!(town.proved("bob", &app.stored_key, "imap"), Err(Denied::OtherService));
        assert_eq!(town.proved("bob", &own.stored_key, "imap").expect("may come in").app_password, None);
        let without = change::remove_app_password(&town, bob, 1).expect("has it");
        let town = Town::new().edit(2, |it| *it = without.record).build();
        assert_eq!(town.proved("bob", &app.stored_key, "ftp"), Err(Denied::WrongPassword), "taken back meanwhile");
    }

    #[test]
    fn an_account_without_a_password_of_its_own_has_scram_by_its_app_passwords() {
        let town = Town::new().edit(2, |bob| (bob.password, bob.scram) = (None, None));
        let (made, shown) =
            change::add_app_password(&town.clone().build(), "bob@hamburger.test", "telephone", &[], 0).expect("added");
        let town = town.edit(2, |it| *it = made.record).build();
        let offered = town.scram("bob");
        let app = scram_keys(&shown, &offered.terms);
        assert_eq!(offered.pairs[0], app.pair());
        assert_eq!(town.proved("bob", &app.stored_key, "imap").expect("may come in").app_password, Some(1));
    }

    #[test]
    fn keys_under_other_terms_are_not_offered() {
        let other = ScramTerms { salt: b"other".to_vec(), iterations: 1 };
        let town = Town::new();
        let (mut made, shown) =
            change::add_app_password(&town.clone().build(), "bob@hamburger.test", "telephone", &[], 0).expect("added");
        let keys = scram_keys(&shown, &other);
        made.record.app_passwords[0].scram = Some(keys.clone());
        assert!(!town.edit(2, |it| *it = made.record).build().scram("bob").pairs.contains(&keys.pair()));
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
