//! A small town for tests: two domains, some people, and whatever aliases a test adds.

use crate::records::{AccountRecord, AliasRecord, DomainRecord, Record};
use crate::secrets::{InstallationSecret, Password, PasswordHash, ScramTerms, scram_keys};
use crate::snapshot::{AccountRow, BuildError, Directory, Entry, Settings};

/// What a test builds its directory of.
#[derive(Clone)]
pub(crate) struct Town {
    pub(crate) accounts: Vec<(i64, String, AccountRecord)>,
    pub(crate) domains: Vec<(String, DomainRecord)>,
    pub(crate) aliases: Vec<(String, AliasRecord)>,
    pub(crate) settings: Settings,
}

impl Town {
    /// `crepes.test` with alice (1), `hamburger.test` with bob (2); both have the password `pickles`.
    pub(crate) fn new() -> Town {
        let town = Town {
            accounts: Vec::new(),
            domains: Vec::new(),
            aliases: Vec::new(),
            settings: Settings::new(InstallationSecret::new([7; 32])),
        };
        town.domain("crepes.test").domain("hamburger.test").account("alice@crepes.test").account("bob@hamburger.test")
    }

    pub(crate) fn domain(mut self, domain: &str) -> Town {
        self.domains.push((domain.into(), DomainRecord::new(0)));
        self
    }

    pub(crate) fn account(mut self, name: &str) -> Town {
        let mut record = AccountRecord::new(None, 0);
        record.password = Some(cheap_hash("pickles"));
        record.scram = Some(scram_keys(&Password::new("pickles"), &cheap_terms()));
        self.accounts.push((self.accounts.len() as i64 + 1, name.into(), record));
        self
    }

    pub(crate) fn alias(mut self, key: &str, targets: &[&str]) -> Town {
        let targets = targets.iter().map(|target| (*target).to_owned()).collect();
        self.aliases.push((key.into(), AliasRecord::new(targets, 0)));
        self
    }

    /// Changes the record of the account with this number.
    pub(crate) fn edit(mut self, id: i64, edit: impl FnOnce(&mut AccountRecord)) -> Town {
        edit(&mut self.accounts.iter_mut().find(|(it, ..)| *it == id).expect("an account of the town").2);
        self
    }

    /// Changes the record of the first domain, `crepes.test`.
    pub(crate) fn edit_crepes(mut self, edit: impl FnOnce(&mut DomainRecord)) -> Town {
        edit(&mut self.domains[0].1);
        self
    }

    pub(crate) fn set(mut self, set: impl FnOnce(&mut Settings)) -> Town {
        set(&mut self.settings);
        self
    }

    pub(crate) fn try_build(self) -> Result<Directory, BuildError> {
        let row = |(id, name, record): (i64, String, AccountRecord)| AccountRow { id, name, record: record.write() };
        Directory::build(
            self.accounts.into_iter().map(row),
            self.domains.into_iter().map(|(key, record)| Entry { key, value: record.write() }),
            self.aliases.into_iter().map(|(key, record)| Entry { key, value: record.write() }),
            self.settings,
        )
    }

    pub(crate) fn build(self) -> Directory {
        self.try_build().expect("a town that can be built")
    }
}

/// Keys under them cost next to nothing, too.
pub(crate) fn cheap_terms() -> ScramTerms {
    ScramTerms { salt: b"salt".to_vec(), iterations: 1 }
}

/// A hash that costs next to nothing, as no real one should.
pub(crate) fn cheap_hash(password: &str) -> PasswordHash {
    use argon2::PasswordHasher as _;
    let params = argon2::Params::new(8, 1, 1, None).expect("the least");
    let hash = argon2::Argon2::from(params).hash_password_with_salt(password.as_bytes(), b"saltsalt");
    PasswordHash::new(hash.expect("hashes").to_string())
}
