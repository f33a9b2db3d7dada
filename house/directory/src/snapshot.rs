//! The directory as it stands at one moment: who is who, ready to be asked.
//!
//! `server` loads rows and entries from the store, builds a [`Directory`], and swaps it in whole when something changed.
//! Every question afterwards is a few look-ups in memory.
//!
//! Invariants: a directory never changes; its names, domains and alias keys are in canonical form and there once.
//! Not here: where the records lie (store), how they change (change), what an address reaches (resolve).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::address::{Address, Malformed, canonical_domain, fold, hosted_domain, key};
use crate::records::{AccountRecord, AliasRecord, DomainRecord, Record, Unreadable};
use crate::resolve::Resolution;
use crate::secrets::InstallationSecret;

/// An account as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// The store's number for it.
    pub id: i64,
    /// Its address.
    pub name: String,
    /// The JSON of its [`AccountRecord`].
    pub record: String,
}

/// A domain or an alias as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The domain, or the alias key.
    pub key: String,
    /// The JSON of its [`DomainRecord`] or [`AliasRecord`].
    pub value: String,
}

/// What the administrator decides about the directory as a whole.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What parts a sub-address from the name it belongs to: `+` in `bob+lists@`. None: there are no sub-addresses.
    pub separator: Option<char>,
    /// The account that gets mail to `postmaster@` and `abuse@` where no alias says otherwise.
    /// None: the first account that is not disabled.
    pub postmaster: Option<String>,
    /// The account that gets mail to *any* other address of *any* domain, so that nothing leaves the machine.
    /// For `dev`; in real use it would swallow the world's mail.
    pub catch_all: Option<String>,
    /// The domain of logins and recipients that name none.
    pub default_domain: Option<String>,
    /// Gives unknown users their steady SCRAM salt.
    pub secret: InstallationSecret,
}

impl Settings {
    /// Sub-addresses with `+`, and nothing else out of the ordinary.
    pub fn new(secret: InstallationSecret) -> Self {
        Settings { separator: Some('+'), postmaster: None, catch_all: None, default_domain: None, secret }
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The store's number for it.
    pub id: i64,
    /// Its address in canonical form.
    pub name: Arc<str>,
    /// What is kept of it.
    pub record: AccountRecord,
}

impl Account {
    /// The domain of its address.
    pub fn domain(&self) -> &str {
        self.name.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// An alias.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// What it stands for; see [`AliasRecord`].
    pub key: String,
    /// What is kept of it.
    pub record: AliasRecord,
    pub(crate) targets: Vec<Target>,
}

/// What an alias points at, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Address(Address),
    /// The same local part in this domain.
    SameIn(String),
}

impl Target {
    /// # Errors
    /// It is neither an address nor `@domain`.
    pub(crate) fn parse(text: &str) -> Result<Target, Malformed> {
        match text.trim().strip_prefix('@') {
            Some(domain) => hosted_domain(domain).map(Target::SameIn),
            None => Address::parse(text).map(Target::Address),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Address(address) => write!(f, "{address}"),
            Target::SameIn(domain) => write!(f, "@{domain}"),
        }
    }
}

/// The canonical form of an alias key: `local@domain`, `local@` or `@domain`.
///
/// # Errors
/// It has none of these forms.
pub fn alias_key(text: &str) -> Result<String, Malformed> {
    let text = text.trim();
    if let Some(domain) = text.strip_prefix('@') {
        return hosted_domain(domain).map(|domain| format!("@{domain}"));
    }
    if let Some(local) = text.strip_suffix('@') {
        // Any domain will do to have the local part judged.
        let address = Address::parse(&format!("{local}@x")).ok().filter(Address::is_plain).ok_or(Malformed::Local)?;
        return Ok(key(address.local(), ""));
    }
    let address = Address::parse(text)?;
    if address.is_plain() { Ok(address.key()) } else { Err(Malformed::Local) }
}

/// Why no directory can be built of what the store holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A record cannot be read.
    #[error("the record of {kind} `{key}` cannot be used: {why}")]
    Record {
        /// `account`, `domain` or `alias`.
        kind: &'static str,
        /// Its name.
        key: String,
        /// What is wrong.
        why: Unreadable,
    },
    /// A name, a domain, an alias key or a target is none.
    #[error("{kind} `{key}` is not well formed: {why}")]
    Name {
        /// `account`, `domain`, `alias` or `alias target`.
        kind: &'static str,
        /// As it stands in the store.
        key: String,
        /// What is wrong.
        why: Malformed,
    },
    /// Two records have one name.
    #[error("{kind} `{key}` is there twice")]
    Twice {
        /// `account`, `domain` or `alias`.
        kind: &'static str,
        /// Its canonical name.
        key: String,
    },
    /// A setting names an account that is not there.
    #[error("the {setting} account `{name}` does not exist")]
    NoSuchAccount {
        /// `postmaster` or `catch-all`.
        setting: &'static str,
        /// As it was set.
        name: String,
    },
    /// The setting for the default domain is no domain.
    #[error("the default domain `{0}` is not a domain name")]
    DefaultDomain(String),
}

/// The directory at one moment. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Directory {
    pub(crate) separator: Option<char>,
    pub(crate) default_domain: Option<String>,
    pub(crate) secret: InstallationSecret,
    accounts: Arc<Accounts>,
    domains: Arc<HashMap<String, DomainRecord>>,
    aliases: Arc<HashMap<String, Alias>>,
    /// Places in `accounts.list`.
    postmaster: Option<usize>,
    postmaster_is_set: bool,
    catch_all: Option<usize>,
}

/// All accounts in order of their numbers, and where to find each.
#[derive(Debug, Default)]
struct Accounts {
    list: Vec<Account>,
    by_name: HashMap<Arc<str>, usize>,
    by_id: HashMap<i64, usize>,
    by_local: HashMap<Box<str>, Namesakes>,
}

/// The accounts of one local part in all domains.
#[derive(Debug, Clone, Copy)]
enum Namesakes {
    One(usize),
    Several,
}

impl Directory {
    /// Reads everything the store holds about accounts, domains and aliases.
    ///
    /// A domain is ours when it has an entry. What is merely odd (an alias that leads nowhere) does not stop it:
    /// [`Directory::complaints`] lists that. 100,000 accounts take a fraction of a second.
    ///
    /// # Errors
    /// [`BuildError`] names the record or the setting that cannot be used. A tool that removes such a record must
    /// not need a directory to do so.
    pub fn build(
        accounts: impl IntoIterator<Item = AccountRow>,
        domains: impl IntoIterator<Item = Entry>,
        aliases: impl IntoIterator<Item = Entry>,
        settings: Settings,
    ) -> Result<Directory, BuildError> {
        let (directory, faults) = Directory::build_of_the_usable(accounts, domains, aliases, settings);
        faults.into_iter().next().map_or(Ok(directory), Err)
    }

    /// The same of whatever can be used, and what is wrong with the rest: for commands that mend a directory, and not for
    /// a server, whose mail to an account that cannot be read would bounce.
    pub fn build_of_the_usable(
        accounts: impl IntoIterator<Item = AccountRow>,
        domains: impl IntoIterator<Item = Entry>,
        aliases: impl IntoIterator<Item = Entry>,
        settings: Settings,
    ) -> (Directory, Vec<BuildError>) {
        let mut faults = Vec::new();
        let accounts = Accounts::read(accounts, &mut faults);
        let domains = read_domains(domains, &mut faults);
        let aliases = read_aliases(aliases, &mut faults);
        let mut of_setting = |setting, name: &Option<String>| {
            let name = name.as_deref()?;
            let place = accounts.place_of(name);
            if place.is_none() {
                faults.push(BuildError::NoSuchAccount { setting, name: name.to_owned() });
            }
            place
        };
        let catch_all = of_setting("catch-all", &settings.catch_all);
        let postmaster = of_setting("postmaster", &settings.postmaster);
        let default_domain = settings.default_domain.and_then(|domain| match hosted_domain(&domain) {
            Ok(domain) => Some(domain),
            Err(_) => {
                faults.push(BuildError::DefaultDomain(domain));
                None
            }
        });
        let first = || accounts.list.iter().position(|account| !account.record.disabled);
        let directory = Directory {
            separator: settings.separator,
            default_domain,
            secret: settings.secret,
            postmaster: postmaster.or_else(first),
            postmaster_is_set: postmaster.is_some(),
            catch_all,
            accounts: Arc::new(accounts),
            domains: Arc::new(domains),
            aliases: Arc::new(aliases),
        };
        (directory, faults)
    }

    /// The account with this number.
    pub fn account(&self, id: i64) -> Option<&Account> {
        self.accounts.by_id.get(&id).map(|&place| &self.accounts.list[place])
    }

    /// The account with this name; case does not matter.
    pub fn account_named(&self, name: &str) -> Option<&Account> {
        self.accounts.place_of(name).map(|place| &self.accounts.list[place])
    }

    /// All accounts, the oldest number first.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts.list
    }

    /// The domain, if it is ours.
    pub fn domain(&self, domain: &str) -> Option<&DomainRecord> {
        self.domains.get(canonical_domain(domain).ok()?.as_ref())
    }

    /// All domains of ours by name.
    pub fn domains(&self) -> Vec<(&str, &DomainRecord)> {
        let mut domains: Vec<_> = self.domains.iter().map(|(name, record)| (name.as_str(), record)).collect();
        domains.sort_unstable_by_key(|(name, _)| *name);
        domains
    }

    /// The alias with this key.
    pub fn alias(&self, key: &str) -> Option<&Alias> {
        self.aliases.get(&alias_key(key).ok()?)
    }

    /// All aliases by key.
    pub fn aliases(&self) -> Vec<&Alias> {
        let mut aliases: Vec<_> = self.aliases.values().collect();
        aliases.sort_unstable_by_key(|alias| &alias.key);
        aliases
    }

    /// Who reads what is sent to `postmaster@` and `abuse@` when no alias says otherwise.
    pub fn postmaster(&self) -> Option<&Account> {
        self.postmaster.map(|place| &self.accounts.list[place])
    }

    /// Who gets mail to any other address of any domain.
    pub fn catch_all(&self) -> Option<&Account> {
        self.catch_all.map(|place| &self.accounts.list[place])
    }

    /// What leads nowhere, to be shown to the administrator.
    pub fn complaints(&self) -> Vec<Complaint> {
        let accounts = self.accounts().iter().flat_map(|account| self.complaints_of(account));
        let domains = self.domains().into_iter().filter_map(|(domain, record)| self.complaint_of(domain, record));
        let aliases = self.aliases().into_iter().flat_map(|alias| self.complaints_about(alias));
        accounts.chain(domains).chain(aliases).collect()
    }

    fn complaints_of(&self, account: &Account) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        let name = account.name.to_string();
        if !self.domains.contains_key(account.domain()) {
            complaints.push(Complaint::AccountWithoutDomain { account: name.clone() });
        }
        if account.record.password.as_ref().is_some_and(|hash| !hash.is_readable()) {
            complaints.push(Complaint::HashUnreadable { account: name });
        }
        complaints
    }

    fn complaint_of(&self, domain: &str, record: &DomainRecord) -> Option<Complaint> {
        let account = record.catch_all.as_deref().filter(|name| self.account_named(name).is_none())?;
        Some(Complaint::CatchAllMissing { domain: domain.to_owned(), account: account.to_owned() })
    }

    fn complaints_about(&self, alias: &Alias) -> Vec<Complaint> {
        let led_astray = |target: &Target| {
            let Target::Address(address) = target else { return None };
            match self.resolve(address.local(), address.domain()) {
                Resolution::Unknown | Resolution::Looped(_) => {
                    Some(Complaint::TargetMissing { alias: alias.key.clone(), target: address.to_string() })
                }
                _ => None,
            }
        };
        alias.targets.iter().filter_map(led_astray).collect()
    }

    pub(crate) fn key_account(&self, key: &str) -> Option<&Account> {
        self.accounts.by_name.get(key).map(|&place| &self.accounts.list[place])
    }

    pub(crate) fn key_alias(&self, key: &str) -> Option<&Alias> {
        self.aliases.get(key)
    }

    pub(crate) fn key_domain(&self, domain: &str) -> Option<&DomainRecord> {
        self.domains.get(domain)
    }

    pub(crate) fn only_account_called(&self, local: &str) -> Option<&Account> {
        match self.accounts.by_local.get(local)? {
            Namesakes::One(place) => Some(&self.accounts.list[*place]),
            Namesakes::Several => None,
        }
    }

    /// Whether the settings name this account, by which word.
    pub(crate) fn role_of(&self, account: &Account) -> Option<&'static str> {
        let is = |place: Option<usize>| place.is_some_and(|place| self.accounts.list[place].id == account.id);
        if is(self.catch_all) {
            return Some("catch-all");
        }
        (self.postmaster_is_set && is(self.postmaster)).then_some("postmaster")
    }

    /// The directory as it would be with this alias.
    pub(crate) fn with_alias(&self, alias: Alias) -> Directory {
        let mut aliases = (*self.aliases).clone();
        aliases.insert(alias.key.clone(), alias);
        Directory { aliases: Arc::new(aliases), ..self.clone() }
    }

    /// The directory as it would be without the alias of this key.
    pub(crate) fn without_alias(&self, key: &str) -> Directory {
        let mut aliases = (*self.aliases).clone();
        aliases.remove(key);
        Directory { aliases: Arc::new(aliases), ..self.clone() }
    }
}

impl Accounts {
    fn read(rows: impl IntoIterator<Item = AccountRow>, faults: &mut Vec<BuildError>) -> Accounts {
        let mut list: Vec<Account> = rows.into_iter().filter_map(|row| usable(Account::read(row), faults)).collect();
        list.sort_by_key(|account| account.id);
        let mut accounts = Accounts::default();
        for account in list {
            if accounts.by_name.contains_key(&account.name) || accounts.by_id.contains_key(&account.id) {
                faults.push(BuildError::Twice { kind: "account", key: account.name.to_string() });
                continue;
            }
            let place = accounts.list.len();
            let local = account.name.rsplit_once('@').map_or(&*account.name, |(local, _)| local);
            let namesakes = accounts.by_local.entry(local.into());
            namesakes.and_modify(|them| *them = Namesakes::Several).or_insert(Namesakes::One(place));
            accounts.by_name.insert(account.name.clone(), place);
            accounts.by_id.insert(account.id, place);
            accounts.list.push(account);
        }
        accounts
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        if let Some(&place) = self.by_name.get(name) {
            return Some(place);
        }
        self.by_name.get(Address::parse(name).ok()?.key().as_str()).copied()
    }
}

impl Account {
    fn read(row: AccountRow) -> Result<Account, BuildError> {
        let AccountRow { id, name, record } = row;
        let record = AccountRecord::read(&record).map_err(|why| unusable("account", &name, why))?;
        let address = Address::parse(&name).map_err(|why| misnamed("account", &name, why))?;
        Ok(Account { id, name: address.key().into(), record })
    }
}

impl Alias {
    /// `key` is in canonical form.
    pub(crate) fn new(key: String, record: AliasRecord) -> Result<Alias, BuildError> {
        let target = |text: &String| Target::parse(text).map_err(|why| misnamed("alias target", text, why));
        let targets = record.targets.iter().map(target).collect::<Result<_, _>>()?;
        Ok(Alias { key, record, targets })
    }
}

fn read_domains(
    entries: impl IntoIterator<Item = Entry>,
    faults: &mut Vec<BuildError>,
) -> HashMap<String, DomainRecord> {
    let read = |Entry { key, value }: &Entry| {
        let record = DomainRecord::read(value).map_err(|why| unusable("domain", key, why))?;
        Ok((hosted_domain(key).map_err(|why| misnamed("domain", key, why))?, record))
    };
    let mut domains = HashMap::new();
    for entry in entries {
        let Some((domain, record)) = usable(read(&entry), faults) else { continue };
        if domains.insert(domain, record).is_some() {
            faults.push(BuildError::Twice { kind: "domain", key: entry.key });
        }
    }
    domains
}

fn read_aliases(entries: impl IntoIterator<Item = Entry>, faults: &mut Vec<BuildError>) -> HashMap<String, Alias> {
    let read = |Entry { key, value }: &Entry| {
        let record = AliasRecord::read(value).map_err(|why| unusable("alias", key, why))?;
        Alias::new(alias_key(key).map_err(|why| misnamed("alias", key, why))?, record)
    };
    let mut aliases = HashMap::new();
    for entry in entries {
        let Some(alias) = usable(read(&entry), faults) else { continue };
        if aliases.insert(alias.key.clone(), alias).is_some() {
            faults.push(BuildError::Twice { kind: "alias", key: entry.key });
        }
    }
    aliases
}

/// What could be read; what could not is noted.
fn usable<T>(read: Result<T, BuildError>, faults: &mut Vec<BuildError>) -> Option<T> {
    read.map_err(|fault| faults.push(fault)).ok()
}

fn unusable(kind: &'static str, key: &str, why: Unreadable) -> BuildError {
    BuildError::Record { kind, key: key.to_owned(), why }
}

fn misnamed(kind: &'static str, key: &str, why: Malformed) -> BuildError {
    BuildError::Name { kind, key: key.to_owned(), why }
}

/// The part of an account's name before the `@`, as logins give it.
pub(crate) fn folded(local: &str) -> String {
    fold(local.trim()).into_owned()
}

/// Something odd that stops nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    /// The domain of an account has no entry, so its mail is not taken.
    #[error("account `{account}` gets no mail: its domain is not one of ours")]
    AccountWithoutDomain {
        /// Its name.
        account: String,
    },
    /// The hash is of a kind we cannot verify.
    #[error("account `{account}` cannot log in with its password: the hash is of a kind we do not know; set a new one")]
    HashUnreadable {
        /// Its name.
        account: String,
    },
    /// A domain's catch-all is not there.
    #[error("the catch-all of domain `{domain}` does not exist: `{account}`")]
    CatchAllMissing {
        /// The domain.
        domain: String,
        /// What it names.
        account: String,
    },
    /// An alias leads to an address of ours that nobody has.
    #[error("alias `{alias}` leads to `{target}`, which reaches nobody")]
    TargetMissing {
        /// The alias key.
        alias: String,
        /// What it names.
        target: String,
    },
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
