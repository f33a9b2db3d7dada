//! What is kept of accounts, domains and aliases: the shape of the JSON records in the store.
//!
//! A record carries its version. Fields an older program does not know stay in the record when it rewrites it;
//! a record of a newer *version* is refused, because reading it halfway could undo what it says.
//!
//! Invariants: `read(write(record)) == record`, with every field that was there, known or not.
//! Not here: what the fields mean to mail and logins (resolve, login), where the JSON lies (store).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::app_password::AppPassword;
use crate::secrets::{PasswordHash, ScramKeys, Secrets};

/// The kind of entry under which the store keeps [`DomainRecord`]s; the key is the domain in canonical form.
pub const DOMAIN_KIND: &str = "domain";
/// The kind of entry under which the store keeps [`AliasRecord`]s; the key is an [alias key](AliasRecord).
pub const ALIAS_KIND: &str = "alias";

/// The version of all three records that this program writes.
pub const RECORD_VERSION: u32 = 1;

/// An account. Its name, which is its address in canonical form, is kept beside the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// See [`RECORD_VERSION`].
    pub version: u32,
    /// The hash of the password; none means that only app passwords open the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordHash>,
    /// Keys for SCRAM-SHA-256 of the same password. None after an import of hashes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scram: Option<ScramKeys>,
    /// Seconds since 1970.
    #[serde(default)]
    pub created: i64,
    /// Neither logs in nor gets mail.
    #[serde(default)]
    pub disabled: bool,
    /// How the owner is called; may be empty.
    #[serde(default)]
    pub display_name: String,
    /// How much it may keep.
    #[serde(default)]
    pub quota: Quota,
    /// What it may do with its own files, in the words of the room of files; none: what the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_permissions: Option<String>,
    /// Passwords made by us, one for each program.
    #[serde(default)]
    pub app_passwords: Vec<AppPassword>,
    /// Fields of programs newer than this one.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// How much an account may keep; what is not set is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quota {
    /// Octets of all messages, and as many of all files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Files, links and directories together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// A domain of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DomainRecord {
    /// See [`RECORD_VERSION`].
    pub version: u32,
    /// Name of the account that gets mail to addresses which do not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_all: Option<String>,
    /// Gets no mail, and its accounts do not log in.
    #[serde(default)]
    pub disabled: bool,
    /// Seconds since 1970.
    #[serde(default)]
    pub created: i64,
    /// Fields of programs newer than this one.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// An alias: mail to its key goes to its targets instead.
///
/// A key has one of three forms, and the first that fits an address wins:
/// `sales@crepes.test` (this address, and `sales+…@`), `sales@` (in every domain of ours),
/// `@crepes.test` (whatever else is in the domain).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AliasRecord {
    /// See [`RECORD_VERSION`].
    pub version: u32,
    /// Addresses, ours or remote. An alias of the form `@crepes.test` may have the target `@other.test`:
    /// the same local part there.
    pub targets: Vec<String>,
    /// Seconds since 1970.
    #[serde(default)]
    pub created: i64,
    /// Fields of programs newer than this one.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl AccountRecord {
    /// A new account, with a password or (yet) without.
    pub fn new(secrets: Option<Secrets>, created: i64) -> Self {
        let (password, scram) = secrets.map(|secrets| (secrets.hash, secrets.scram)).unzip();
        AccountRecord {
            version: RECORD_VERSION,
            password,
            scram,
            created,
            disabled: false,
            display_name: String::new(),
            quota: Quota::default(),
            file_permissions: None,
            app_passwords: Vec::new(),
            unknown: Map::new(),
        }
    }
}

impl DomainRecord {
    /// A new domain without catch-all.
    pub fn new(created: i64) -> Self {
        DomainRecord { version: RECORD_VERSION, catch_all: None, disabled: false, created, unknown: Map::new() }
    }
}

impl AliasRecord {
    /// A new alias.
    pub fn new(targets: Vec<String>, created: i64) -> Self {
        AliasRecord { version: RECORD_VERSION, targets, created, unknown: Map::new() }
    }
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not the JSON we write.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Written by a newer program.
    #[error("it has version {0}, and this program reads up to {RECORD_VERSION}: use the newer program")]
    TooNew(u32),
}

/// A record of this room: JSON with a version.
pub trait Record: Serialize + DeserializeOwned {
    /// The version it says it has.
    fn version(&self) -> u32;

    /// From the JSON in the store.
    ///
    /// # Errors
    /// [`Unreadable`]: damaged, or of a newer version.
    fn read(json: &str) -> Result<Self, Unreadable> {
        // The version first: a newer record may well look damaged to us.
        if let Ok(Versioned { version }) = serde_json::from_str(json)
            && version > RECORD_VERSION
        {
            return Err(Unreadable::TooNew(version));
        }
        serde_json::from_str(json).map_err(|error| Unreadable::Damaged(error.to_string()))
    }

    /// The JSON for the store.
    fn write(&self) -> String {
        serde_json::to_string(self).expect("records have string keys and no fallible parts")
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

macro_rules! records {
    ($($record:ty),*) => {$(
        impl Record for $record {
            fn version(&self) -> u32 {
                self.version
            }
        }
    )*};
}

records!(AccountRecord, DomainRecord, AliasRecord);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_record_is_enough() {
        let account = AccountRecord::read(r#"{"version":1}"#).expect("reads");
        assert_eq!(account, AccountRecord::new(None, 0));
        assert_eq!(DomainRecord::read(r#"{"version":1}"#).expect("reads"), DomainRecord::new(0));
    }

    #[test]
    fn a_field_of_a_newer_program_survives_rewriting() {
        let json = r#"{"version":1,"targets":["bob@a.test"],"colour":{"of":"crêpes"}}"#;
        let alias = AliasRecord::read(json).expect("reads");
        assert!(alias.write().contains(r#""colour":{"of":"crêpes"}"#));
        assert_eq!(AliasRecord::read(&alias.write()), Ok(alias));
    }

    #[test]
    fn a_newer_version_is_refused_even_if_it_looks_damaged() {
        assert_eq!(AliasRecord::read(r#"{"version":2,"targets":{"to":"bob"}}"#), Err(Unreadable::TooNew(2)));
        for damaged in ["", "{}", "[]", r#"{"version":1}"#, r#"{"version":"1","targets":[]}"#] {
            assert!(matches!(AliasRecord::read(damaged), Err(Unreadable::Damaged(_))), "{damaged}");
        }
    }

    proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same(
            display_name in "\\PC{0,20}", created: i64, disabled: bool, bytes: Option<u64>, messages: Option<u64>,
            files: Option<u64>, permissions in proptest::option::of("\\PC{0,20}"),
            hash in proptest::option::of("\\PC{0,20}"), keys in proptest::option::of((any::<[u8; 32]>(), any::<Vec<u8>>(), 1u32..)),
        ) {
            let mut account = AccountRecord::new(None, created);
            account.display_name = display_name;
            account.disabled = disabled;
            account.quota = Quota { bytes, messages, files };
            account.file_permissions = permissions;
            account.password = hash.map(PasswordHash::new);
            account.scram = keys.map(|(key, salt, iterations)| ScramKeys { salt, iterations, stored_key: key, server_key: key });
            prop_assert_eq!(AccountRecord::read(&account.write()), Ok(account));
        }
    }
}
