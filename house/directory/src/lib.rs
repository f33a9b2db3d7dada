//! Domains, accounts, aliases and secrets: who is who, who may what.
//!
//! RFC 5321 §2.4, §3.9, §4.5.1 (names and aliases); RFC 9106 (argon2id); RFC 5802 and 7677 (SCRAM).
//!
//! Read in this order: [`address`] is what names are, [`records`] what is kept of whom, [`snapshot`] the directory in
//! memory, [`resolve`] whom an address reaches, [`login`] whom a login name means; [`secrets`] and [`app_password`] are
//! what is kept of passwords, [`doorkeeper`] checks them, [`change`] says how records change.
//!
//! ```text
//! store ─rows, entries→ Directory::build ─→ resolve · may_send_as · scram · Doorkeeper::verify
//!   ↑                        │
//!   └──────── records ── change::…
//! ```
//!
//! Invariants: nothing here opens a file, a socket or a database; a directory never changes; secrets print as `…`.
//! Not here: relaying and limits (policy), keeping the records (store), dialogues (protocol).

pub mod address;
pub mod app_password;
mod chance;
pub mod change;
pub mod doorkeeper;
pub mod login;
pub mod records;
pub mod resolve;
pub mod secrets;
pub mod snapshot;

pub use address::{Address, Malformed};
pub use app_password::AppPassword;
pub use change::Refused;
pub use doorkeeper::{Doorkeeper, Memory};
pub use login::{Denied, Login, SCRAM_PAIRS, Scram};
pub use records::{ALIAS_KIND, AccountRecord, AliasRecord, DOMAIN_KIND, DomainRecord, Quota, Record};
pub use resolve::{Delivery, How, Loop, Recipient, Resolution};
pub use secrets::{
    InstallationSecret, Password, PasswordHash, PasswordRefused, PasswordRules, ScramKeys, ScramPair, ScramTerms,
    Secrets,
};
pub use snapshot::{Account, AccountRow, Alias, BuildError, Complaint, Directory, Entry, Settings};

#[cfg(test)]
mod town;
