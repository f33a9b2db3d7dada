//! Whom an address reaches, and who may write under it.
//!
//! RFC 5321 §3.9 (aliases), §4.1.1.3 and §4.5.1 (postmaster); RFC 2142 §4, §5 (abuse, postmaster); RFC 5233 §1 (sub-addresses).
//!
//! In a domain of ours the first that fits decides:
//!
//! ```text
//! 1. alias, then account, of exactly this address     bob+lists@    (an alias beside an account forwards its mail)
//! 2. the same without the sub-address, longest first  bob@
//! 3. alias in every domain of ours                    sales@
//! 4. alias of the whole domain                        @crepes.test
//! 5. postmaster and abuse: the postmaster account
//! 6. the domain's catch-all, then the directory's
//! ```
//!
//! An alias that is met again while it is being expanded means the account of that name: `bob@ → bob@, b@home.test`
//! keeps a copy. Without such an account it is a circle, which adds nobody.
//!
//! Invariants: nobody is reached twice; an expansion ends, within named limits, whatever the aliases say.
//! Not here: whether a client may send to the addresses that are not ours (policy), how mail gets there (courier).

use std::collections::HashSet;
use std::sync::Arc;

use crate::address::{Address, LOCAL_PART_MAX_BYTES, fold};
use crate::snapshot::{Account, Alias, Directory, Target};

/// Aliases that may lead to one another in a row. A list in a list in a list is three.
pub const ALIAS_DEPTH_MAX: usize = 10;
/// Targets that one recipient may become. Above that it wants a mailing list, with its own queue and bounces.
pub const ALIAS_TARGETS_MAX: usize = 1000;

/// The local parts that every domain must answer (RFC 5321 §4.5.1, RFC 2142 §4).
const DUTIES: [&str; 2] = ["postmaster", "abuse"];

/// What an address comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// It reaches somebody.
    Deliver(Delivery),
    /// The domain is ours, and nobody there has this address (550 5.1.1).
    Unknown,
    /// It belongs to an account or a domain that is disabled (550 5.2.1).
    Disabled,
    /// The domain is not ours: a question of relaying, for policy.
    NotOurs,
    /// Its aliases lead nowhere but to themselves, or too far (550 5.4.6).
    Looped(Loop),
}

/// Whom a message goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Why the address is one of ours.
    pub how: How,
    /// Accounts, each once.
    pub local: Vec<Recipient>,
    /// Addresses elsewhere to forward to, each once.
    pub remote: Vec<Address>,
}

/// An account that a message goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recipient {
    /// The store's number for it.
    pub account: i64,
    /// Its name.
    pub name: Arc<str>,
}

/// Why an address is one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is an account's.
    Account,
    /// It is an account's with a sub-address.
    SubAddress,
    /// An alias says so.
    Alias,
    /// It is `postmaster` or `abuse`.
    Duty,
    /// The domain has a catch-all.
    DomainCatchAll,
    /// The directory has a catch-all.
    CatchAll,
}

/// What is wrong with an expansion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Loop {
    /// Nothing but aliases that lead to one another.
    #[error("its aliases lead in a circle")]
    Circle,
    /// More than [`ALIAS_DEPTH_MAX`] in a row.
    #[error("its aliases lead on more than {ALIAS_DEPTH_MAX} times")]
    TooDeep,
    /// More than [`ALIAS_TARGETS_MAX`] targets.
    #[error("its aliases have more than {ALIAS_TARGETS_MAX} targets")]
    TooMany,
}

impl Directory {
    /// Whom `local@domain` reaches. `local` is unquoted; an empty `domain` is the form `<postmaster>`
    /// of RFC 5321 §4.1.1.3, or an address in the default domain.
    pub fn resolve(&self, local: &str, domain: &str) -> Resolution {
        let address = Address::from_halves(local, domain);
        match self.find(&address) {
            Found::Foreign => Resolution::NotOurs,
            Found::Nobody => Resolution::Unknown,
            Found::Closed => Resolution::Disabled,
            Found::Account(account, _) if account.record.disabled => Resolution::Disabled,
            Found::Account(account, how) => {
                Resolution::Deliver(Delivery { how, local: vec![recipient(account)], remote: Vec::new() })
            }
            Found::Alias(alias) => match Expansion::run(self, alias, &address) {
                Ok(expansion) => expansion.end(),
                Err(limit) => Resolution::Looped(limit),
            },
        }
    }

    /// Whether the account may write as `local@domain`, in the envelope or the header.
    ///
    /// It may as itself, as its sub-addresses, and as every address by which mail reaches it: aliases that lead to it
    /// (a list's members write as the list), duties, and the catch-all of its domain, which has what nobody else has.
    /// The directory's catch-all gives no such right: it gets mail of foreign domains.
    pub fn may_send_as(&self, account: i64, local: &str, domain: &str) -> bool {
        let address = Address::from_halves(local, domain);
        match self.find(&address) {
            Found::Account(_, How::CatchAll) | Found::Nobody | Found::Foreign | Found::Closed => false,
            Found::Account(owner, _) => owner.id == account,
            Found::Alias(alias) => {
                Expansion::run(self, alias, &address).is_ok_and(|run| run.members.contains(&account))
            }
        }
    }

    fn find(&self, address: &Address) -> Found<'_> {
        if address.domain().is_empty() {
            return self.find_bare(address);
        }
        match self.key_domain(address.domain()) {
            None => self.caught().unwrap_or(Found::Foreign),
            Some(domain) if domain.disabled => Found::Closed,
            Some(domain) => (self.find_named(address))
                .or_else(|| self.find_everywhere(address))
                .or_else(|| self.key_alias(&format!("@{}", address.domain())).map(Found::Alias))
                .or_else(|| self.find_duty(address))
                .or_else(|| {
                    let account = self.account_named(domain.catch_all.as_deref()?)?;
                    Some(Found::Account(account, How::DomainCatchAll))
                })
                .or_else(|| self.caught())
                .unwrap_or(Found::Nobody),
        }
    }

    /// RFC 5321 §4.1.1.3: of addresses without domain only `postmaster` must be known.
    fn find_bare(&self, address: &Address) -> Found<'_> {
        if let Some(domain) = self.default_domain.as_deref().filter(|domain| self.key_domain(domain).is_some()) {
            return self.find(&address.moved(domain));
        }
        (self.find_everywhere(address))
            .or_else(|| self.find_duty(address))
            .or_else(|| self.caught())
            .unwrap_or(Found::Nobody)
    }

    fn find_named(&self, address: &Address) -> Option<Found<'_>> {
        let exact = address.key();
        let found = |name: &str| {
            let key = crate::address::key(name, address.domain());
            let how = if key == exact { How::Account } else { How::SubAddress };
            let alias = self.key_alias(&key).map(Found::Alias);
            alias.or_else(|| self.key_account(&key).map(|account| Found::Account(account, how)))
        };
        self.names(&fold(address.local())).find_map(found)
    }

    fn find_everywhere(&self, address: &Address) -> Option<Found<'_>> {
        let found = |name: &str| self.key_alias(&crate::address::key(name, "")).map(Found::Alias);
        self.names(&fold(address.local())).find_map(found)
    }

    fn find_duty(&self, address: &Address) -> Option<Found<'_>> {
        let is_duty = self.names(&fold(address.local())).any(|name| DUTIES.contains(&name));
        let account = self.postmaster().filter(|_| is_duty)?;
        Some(Found::Account(account, How::Duty))
    }

    fn caught(&self) -> Option<Found<'_>> {
        self.catch_all().map(|account| Found::Account(account, How::CatchAll))
    }

    /// The account whose address or sub-address this is, whatever the aliases say.
    fn owner(&self, address: &Address) -> Option<&Account> {
        let account = |name: &str| self.key_account(&crate::address::key(name, address.domain()));
        self.names(&fold(address.local())).find_map(account)
    }

    /// A local part, and what remains of it without sub-addresses: `a+b+c`, `a+b`, `a`.
    fn names<'a>(&self, local: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        let cuts = self.separator.map(|separator| local.rmatch_indices(separator));
        let stems = cuts.into_iter().flatten().map(|(at, _)| &local[..at]).filter(|stem| !stem.is_empty());
        std::iter::once(local).chain(stems).take(LOCAL_PART_MAX_BYTES)
    }
}

/// What one look at an address finds.
enum Found<'a> {
    Account(&'a Account, How),
    Alias(&'a Alias),
    Nobody,
    Foreign,
    Closed,
}

fn recipient(account: &Account) -> Recipient {
    Recipient { account: account.id, name: account.name.clone() }
}

/// The expansion of one alias.
struct Expansion<'a> {
    directory: &'a Directory,
    /// Names of the aliases that are being expanded, the outermost first.
    path: Vec<String>,
    /// Names of the aliases that have been.
    done: HashSet<String>,
    targets: usize,
    local: Vec<Recipient>,
    remote: Vec<Address>,
    reached: HashSet<String>,
    /// Accounts that are meant, also those which forward their mail or are disabled.
    members: HashSet<i64>,
    met_circle: bool,
    met_disabled: bool,
}

impl<'a> Expansion<'a> {
    fn run(directory: &'a Directory, alias: &'a Alias, address: &Address) -> Result<Self, Loop> {
        let mut expansion = Expansion {
            directory,
            path: Vec::new(),
            done: HashSet::new(),
            targets: 0,
            local: Vec::new(),
            remote: Vec::new(),
            reached: HashSet::new(),
            members: HashSet::new(),
            met_circle: false,
            met_disabled: false,
        };
        expansion.expand(alias, address)?;
        Ok(expansion)
    }

    fn end(self) -> Resolution {
        if self.local.is_empty() && self.remote.is_empty() {
            return match (self.met_disabled, self.met_circle) {
                (true, _) => Resolution::Disabled,
                (false, true) => Resolution::Looped(Loop::Circle),
                (false, false) => Resolution::Unknown,
            };
        }
        Resolution::Deliver(Delivery { how: How::Alias, local: self.local, remote: self.remote })
    }

    fn visit(&mut self, address: &Address) -> Result<(), Loop> {
        match self.directory.find(address) {
            Found::Account(account, _) => self.reach(account),
            Found::Alias(alias) => return self.expand(alias, address),
            Found::Foreign => self.forward(address),
            Found::Closed => self.met_disabled = true,
            Found::Nobody => {}
        }
        Ok(())
    }

    /// The recursion is bounded by [`ALIAS_DEPTH_MAX`].
    fn expand(&mut self, alias: &'a Alias, address: &Address) -> Result<(), Loop> {
        let name = name_in_path(alias, address);
        // Whoever forwards all his mail is still the one who is meant.
        self.members.extend(self.directory.owner(address).map(|owner| owner.id));
        if self.path.contains(&name) {
            match self.directory.owner(address) {
                Some(owner) => self.reach(owner),
                None => self.met_circle = true,
            }
            return Ok(());
        }
        if !self.done.insert(name.clone()) {
            return Ok(());
        }
        if self.path.len() == ALIAS_DEPTH_MAX {
            return Err(Loop::TooDeep);
        }
        self.path.push(name);
        for target in &alias.targets {
            self.targets += 1;
            if self.targets > ALIAS_TARGETS_MAX {
                return Err(Loop::TooMany);
            }
            match target {
                Target::Address(target) => self.visit(target)?,
                Target::SameIn(domain) => self.visit(&address.moved(domain))?,
            }
        }
        self.path.pop();
        Ok(())
    }

    fn reach(&mut self, account: &Account) {
        self.members.insert(account.id);
        if account.record.disabled {
            self.met_disabled = true;
        } else if self.reached.insert(account.name.to_string()) {
            self.local.push(recipient(account));
        }
    }

    /// RFC 5321 §2.4: only its own host knows whether two spellings of a local part are one; we send to both.
    fn forward(&mut self, address: &Address) {
        if self.reached.insert(address.to_string()) {
            self.remote.push(address.clone());
        }
    }
}

/// What tells one expansion from another. An alias of a whole domain may pass the local part on, so that counts too.
fn name_in_path(alias: &Alias, address: &Address) -> String {
    match alias.key.strip_prefix('@') {
        Some(_) => format!("{} {}", alias.key, fold(address.local())),
        None => alias.key.clone(),
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
