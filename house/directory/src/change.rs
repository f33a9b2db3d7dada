//! Changes to the directory: each looks at it as it is and gives the record as it shall be, for `server` to keep.
//!
//! Nothing is written here. A change is true once its record is on disk and a new [`Directory`] is built.
//!
//! Invariants: what is given back keeps all rules of this room, so the next `build` takes it; nothing that is still
//! in use is given up for removal.
//! Not here: hashing of passwords (secrets), writing (store), who may ask for a change (app, web).

use crate::address::{Address, Malformed, hosted_domain};
use crate::app_password::{self, SERVICES};
use crate::records::{AccountRecord, AliasRecord, DomainRecord, Quota};
use crate::resolve::{ALIAS_TARGETS_MAX, Loop, Resolution};
use crate::secrets::{Password, SCRAM_ITERATIONS, ScramTerms, Secrets};
use crate::snapshot::{Account, Alias, Directory, Target, alias_key};

/// App passwords of one account. More than anyone has programs; all are tried at a login.
pub const APP_PASSWORDS_MAX: usize = 50;
/// Octets of a display name or a label.
pub const LABEL_MAX_BYTES: usize = 200;

/// Why a change cannot be. Each is a sentence for the administrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no address, domain or alias key.
    #[error("`{text}` cannot be used: {why}")]
    Malformed {
        /// As it was given.
        text: String,
        /// What is wrong.
        why: Malformed,
    },
    /// There is an account of this name.
    #[error("account `{0}` exists already")]
    AccountExists(String),
    /// There is none.
    #[error("account `{0}` does not exist")]
    AccountUnknown(String),
    /// There is a domain of this name.
    #[error("domain `{0}` exists already")]
    DomainExists(String),
    /// It is not ours.
    #[error("domain `{0}` is not one of ours: add it first")]
    DomainUnknown(String),
    /// There is an alias with this key.
    #[error("alias `{0}` exists already")]
    AliasExists(String),
    /// There is none.
    #[error("alias `{0}` does not exist")]
    AliasUnknown(String),
    /// It cannot go while something needs it.
    #[error("`{what}` is still needed by {by}")]
    StillUsed {
        /// What was to be removed.
        what: String,
        /// What needs it.
        by: String,
    },
    /// An alias needs somebody to lead to.
    #[error("an alias needs at least one target")]
    NoTargets,
    /// An alias leads to too many.
    #[error("an alias has at most {ALIAS_TARGETS_MAX} targets")]
    TooManyTargets,
    /// A target in one of our domains that nobody has.
    #[error("target `{0}` is in a domain of ours, but reaches nobody there")]
    TargetUnknown(String),
    /// `@domain` as a target of something that is not `@domain` itself.
    #[error("target `{0}` stands for a whole domain: only an alias like `@domain` can have it")]
    TargetIsDomain(String),
    /// It would lead to itself, or too far.
    #[error("alias `{key}` would not work: {why}")]
    AliasLoop {
        /// The alias key.
        key: String,
        /// What is wrong.
        why: Loop,
    },
    /// See [`APP_PASSWORDS_MAX`].
    #[error("account `{0}` has {APP_PASSWORDS_MAX} app passwords already: remove one first")]
    TooManyAppPasswords(String),
    /// There is no app password with this number.
    #[error("account `{account}` has no app password {id}")]
    AppPasswordUnknown {
        /// The account's name.
        account: String,
        /// The number asked for.
        id: u32,
    },
    /// An app password cannot be for this.
    #[error("`{0}` is no service that an app password can be for; those are {known}", known = SERVICES.join(", "))]
    ServiceUnknown(String),
    /// A display name or a label that is too long or has control characters.
    #[error("a name to be shown has at most {LABEL_MAX_BYTES} octets and no control characters")]
    Label,
}

/// A new account: its name, and its record.
///
/// # Errors
/// The name is no address of a domain of ours, or is taken by an account or an alias.
pub fn create_account(
    directory: &Directory,
    name: &str,
    secrets: Option<Secrets>,
    now: i64,
) -> Result<(String, AccountRecord), Refused> {
    let address = plain_address(name)?;
    if directory.key_domain(address.domain()).is_none() {
        return Err(Refused::DomainUnknown(address.domain().to_owned()));
    }
    let name = address.key();
    if directory.key_account(&name).is_some() {
        return Err(Refused::AccountExists(name));
    }
    if directory.key_alias(&name).is_some() {
        // The alias would take all its mail. The other way round is meant: an alias beside an account forwards.
        return Err(Refused::AliasExists(name));
    }
    Ok((name, AccountRecord::new(secrets, now)))
}

/// Under what the SCRAM keys of this account's next password are made, so that its app passwords go on to open it; fresh ones
/// where there is nothing to go by, or where that is weaker than what is made now.
pub fn scram_terms(directory: &Directory, name: &str) -> ScramTerms {
    let terms = directory.account_named(name).and_then(|account| account.scram_terms());
    terms.filter(|terms| terms.iterations >= SCRAM_ITERATIONS).unwrap_or_else(ScramTerms::fresh)
}

/// The account with a new password. Its app passwords stay.
///
/// # Errors
/// There is no such account.
pub fn set_password(directory: &Directory, name: &str, secrets: Secrets) -> Result<Account, Refused> {
    let mut account = account(directory, name)?;
    account.record.password = Some(secrets.hash);
    account.record.scram = Some(secrets.scram);
    Ok(account)
}

/// The account under another display name; an empty one is none.
///
/// # Errors
/// There is no such account, or the name cannot be shown.
pub fn set_display_name(directory: &Directory, name: &str, display_name: &str) -> Result<Account, Refused> {
    let mut account = account(directory, name)?;
    account.record.display_name = label(display_name)?;
    Ok(account)
}

/// The account with another quota.
///
/// # Errors
/// There is no such account.
pub fn set_quota(directory: &Directory, name: &str, quota: Quota) -> Result<Account, Refused> {
    let mut account = account(directory, name)?;
    account.record.quota = quota;
    Ok(account)
}

/// The account with other permissions for its own files; none: what the configuration says.
///
/// # Errors
/// There is no such account.
pub fn set_file_permissions(directory: &Directory, name: &str, words: Option<String>) -> Result<Account, Refused> {
    let mut account = account(directory, name)?;
    account.record.file_permissions = words;
    Ok(account)
}

/// The account, closed to mail and logins. What it has is kept.
///
/// # Errors
/// There is no such account.
pub fn disable_account(directory: &Directory, name: &str) -> Result<Account, Refused> {
    let mut account = account(directory, name)?;
    account.record.disabled = true;
    Ok(account)
}

/// The account, open again.
///
/// # Errors
/// There is no such account.
pub fn enable_account(directory: &Directory, name: &str) -> Result<Account, Refused> {
    let mut account = account(directory, name)?;
    account.record.disabled = false;
    Ok(account)
}

/// The account with one more app password, and that password, to be shown once and forgotten. It opens these services,
/// or all if none are named. Takes some 30 ms of one core: call it on a blocking thread.
///
/// # Errors
/// There is no such account, it has too many, a service is none of ours, or the label cannot be shown.
pub fn add_app_password(
    directory: &Directory,
    name: &str,
    called: &str,
    services: &[String],
    now: i64,
) -> Result<(Account, Password), Refused> {
    let mut account = account(directory, name)?;
    let terms = account.scram_terms().unwrap_or_else(ScramTerms::fresh);
    let kept = &mut account.record.app_passwords;
    if kept.len() >= APP_PASSWORDS_MAX {
        return Err(Refused::TooManyAppPasswords(account.name.to_string()));
    }
    let id = kept.iter().map(|one| one.id).max().map_or(1, |highest| highest.saturating_add(1));
    let (one, shown) = app_password::make(id, &label(called)?, known_services(services)?, &terms, now);
    kept.push(one);
    Ok((account, shown))
}

/// The account without one of its app passwords.
///
/// # Errors
/// There is no such account, or it has no such app password.
pub fn remove_app_password(directory: &Directory, name: &str, id: u32) -> Result<Account, Refused> {
    let mut account = account(directory, name)?;
    let before = account.record.app_passwords.len();
    account.record.app_passwords.retain(|one| one.id != id);
    if account.record.app_passwords.len() == before {
        return Err(Refused::AppPasswordUnknown { account: account.name.to_string(), id });
    }
    Ok(account)
}

/// The account, if nothing needs it and it may go.
///
/// # Errors
/// There is no such account, or a setting, a domain or an alias names it.
pub fn remove_account(directory: &Directory, name: &str) -> Result<Account, Refused> {
    let account = account(directory, name)?;
    match user_of(directory, &account) {
        Some(by) => Err(Refused::StillUsed { what: account.name.to_string(), by }),
        None => Ok(account),
    }
}

/// A new domain: its name, and its record.
///
/// # Errors
/// It is no domain, or ours already.
pub fn add_domain(directory: &Directory, domain: &str, now: i64) -> Result<(String, DomainRecord), Refused> {
    let domain = hosted_domain(domain.trim()).map_err(|why| malformed(domain, why))?;
    if directory.key_domain(&domain).is_some() {
        return Err(Refused::DomainExists(domain));
    }
    Ok((domain, DomainRecord::new(now)))
}

/// The domain, closed to mail and to the logins of its accounts.
///
/// # Errors
/// It is not ours.
pub fn disable_domain(directory: &Directory, domain: &str) -> Result<(String, DomainRecord), Refused> {
    let (domain, record) = known_domain(directory, domain)?;
    Ok((domain, DomainRecord { disabled: true, ..record }))
}

/// The domain, open again.
///
/// # Errors
/// It is not ours.
pub fn enable_domain(directory: &Directory, domain: &str) -> Result<(String, DomainRecord), Refused> {
    let (domain, record) = known_domain(directory, domain)?;
    Ok((domain, DomainRecord { disabled: false, ..record }))
}

/// The domain with another catch-all account, or with none.
///
/// # Errors
/// The domain is not ours, or there is no such account.
pub fn set_catch_all(
    directory: &Directory,
    domain: &str,
    catch_all: Option<&str>,
) -> Result<(String, DomainRecord), Refused> {
    let (domain, record) = known_domain(directory, domain)?;
    let catch_all = catch_all.map(|name| account(directory, name)).transpose()?.map(|account| account.name.to_string());
    Ok((domain, DomainRecord { catch_all, ..record }))
}

/// The name of the domain, if nothing is in it and it may go.
///
/// # Errors
/// It is not ours, or accounts, aliases or the default domain need it.
pub fn remove_domain(directory: &Directory, domain: &str) -> Result<String, Refused> {
    let (domain, _) = known_domain(directory, domain)?;
    let account = directory.accounts().iter().find(|account| account.domain() == domain);
    let account = || account.map(|account| format!("account `{}`", account.name));
    let alias = || {
        let inside = |alias: &&Alias| alias.key.rsplit_once('@').is_some_and(|(_, behind)| behind == domain);
        directory.aliases().into_iter().find(inside).map(|alias| format!("alias `{}`", alias.key))
    };
    let default = || directory.default_domain.as_ref().filter(|it| **it == domain);
    let user = account().or_else(alias).or_else(|| default().map(|_| "the default domain setting".to_owned()));
    match user {
        Some(by) => Err(Refused::StillUsed { what: domain, by }),
        None => Ok(domain),
    }
}

/// A new alias: its key, and its record. See [`AliasRecord`] for the forms of key and targets.
///
/// # Errors
/// The key or a target cannot be used, leads to nobody, or leads in a circle.
pub fn add_alias<T: AsRef<str>>(
    directory: &Directory,
    key: &str,
    targets: &[T],
    now: i64,
) -> Result<(String, AliasRecord), Refused> {
    let key = alias_key(key).map_err(|why| malformed(key, why))?;
    if directory.key_alias(&key).is_some() {
        return Err(Refused::AliasExists(key));
    }
    let domain = key.rsplit_once('@').map_or("", |(_, domain)| domain);
    if !domain.is_empty() && directory.key_domain(domain).is_none() {
        return Err(Refused::DomainUnknown(domain.to_owned()));
    }
    let record = aimed(directory, &key, AliasRecord::new(Vec::new(), now), targets)?;
    Ok((key, record))
}

/// The alias with other targets.
///
/// # Errors
/// There is no such alias, or as for [`add_alias`].
pub fn set_alias_targets<T: AsRef<str>>(
    directory: &Directory,
    key: &str,
    targets: &[T],
) -> Result<(String, AliasRecord), Refused> {
    let alias = known_alias(directory, key)?;
    let record = aimed(directory, &alias.key, alias.record.clone(), targets)?;
    Ok((alias.key.clone(), record))
}

/// The key of the alias that may go.
///
/// # Errors
/// There is no such alias, or another one leads to it, which without it would lead to nobody.
pub fn remove_alias(directory: &Directory, key: &str) -> Result<String, Refused> {
    let alias = known_alias(directory, key)?;
    let without = directory.without_alias(&alias.key);
    let leads_here = |target: &&Target| matches!(target, Target::Address(address) if address.key() == alias.key);
    let loses = |target: &Target| check_target(&without, &alias.key, target).is_err();
    let needs_it = |other: &&Alias| other.key != alias.key && other.targets.iter().find(leads_here).is_some_and(loses);
    match directory.aliases().into_iter().find(needs_it) {
        Some(by) => Err(Refused::StillUsed { what: alias.key.clone(), by: format!("alias `{}`", by.key) }),
        None => Ok(alias.key.clone()),
    }
}

/// `record` with `targets`, if they all lead somewhere.
fn aimed<T: AsRef<str>>(
    directory: &Directory,
    key: &str,
    record: AliasRecord,
    targets: &[T],
) -> Result<AliasRecord, Refused> {
    match targets.len() {
        0 => return Err(Refused::NoTargets),
        count if count > ALIAS_TARGETS_MAX => return Err(Refused::TooManyTargets),
        _ => {}
    }
    let parse = |text: &T| Target::parse(text.as_ref()).map_err(|why| malformed(text.as_ref(), why));
    let mut parsed = targets.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let mut seen = std::collections::HashSet::new();
    parsed.retain(|target| seen.insert(target.to_string()));
    let record = AliasRecord { targets: parsed.iter().map(Target::to_string).collect(), ..record };
    let alias = Alias { key: key.to_owned(), record, targets: parsed };
    let trial = directory.with_alias(alias.clone());
    for target in &alias.targets {
        check_target(&trial, key, target)?;
    }
    if let Ok(whole) = Address::parse(key) {
        check_resolution(key, key, trial.resolve(whole.local(), whole.domain()))?;
    }
    Ok(alias.record)
}

/// Looks where a target leads in the directory as it would be.
fn check_target(trial: &Directory, key: &str, target: &Target) -> Result<(), Refused> {
    match target {
        Target::SameIn(_) if !key.starts_with('@') => Err(Refused::TargetIsDomain(target.to_string())),
        Target::SameIn(domain) if *domain == key[1..] => {
            Err(Refused::AliasLoop { key: key.to_owned(), why: Loop::Circle })
        }
        Target::SameIn(_) => Ok(()),
        Target::Address(address) => {
            check_resolution(key, &address.to_string(), trial.resolve(address.local(), address.domain()))
        }
    }
}

fn check_resolution(key: &str, target: &str, resolution: Resolution) -> Result<(), Refused> {
    match resolution {
        Resolution::Unknown => Err(Refused::TargetUnknown(target.to_owned())),
        Resolution::Looped(why) => Err(Refused::AliasLoop { key: key.to_owned(), why }),
        Resolution::Deliver(_) | Resolution::Disabled | Resolution::NotOurs => Ok(()),
    }
}

/// What would miss the account.
fn user_of(directory: &Directory, account: &Account) -> Option<String> {
    let name = &*account.name;
    let setting = || directory.role_of(account).map(|role| format!("the {role} setting"));
    let domain = || {
        let caught = |record: &DomainRecord| record.catch_all.as_deref().is_some_and(|it| it == name);
        let domain = directory.domains().into_iter().find(|(_, record)| caught(record));
        domain.map(|(domain, _)| format!("domain `{domain}` as its catch-all"))
    };
    let alias = || {
        let leads_here = |target: &Target| matches!(target, Target::Address(address) if address.key() == name);
        let alias = directory.aliases().into_iter().find(|alias| alias.targets.iter().any(leads_here));
        alias.map(|alias| format!("alias `{}`", alias.key))
    };
    setting().or_else(domain).or_else(alias)
}

fn account(directory: &Directory, name: &str) -> Result<Account, Refused> {
    directory.account_named(name).cloned().ok_or_else(|| Refused::AccountUnknown(name.to_owned()))
}

fn known_domain(directory: &Directory, domain: &str) -> Result<(String, DomainRecord), Refused> {
    let name = hosted_domain(domain.trim()).map_err(|why| malformed(domain, why))?;
    match directory.key_domain(&name).cloned() {
        Some(record) => Ok((name, record)),
        None => Err(Refused::DomainUnknown(name)),
    }
}

fn known_alias<'a>(directory: &'a Directory, key: &str) -> Result<&'a Alias, Refused> {
    directory.alias(key).ok_or_else(|| Refused::AliasUnknown(key.to_owned()))
}

fn plain_address(text: &str) -> Result<Address, Refused> {
    let address = Address::parse(text).map_err(|why| malformed(text, why))?;
    if address.is_plain() { Ok(address) } else { Err(malformed(text, Malformed::Local)) }
}

/// Each once, in our order.
fn known_services(named: &[String]) -> Result<Vec<String>, Refused> {
    match named.iter().find(|name| !SERVICES.contains(&name.as_str())) {
        Some(stranger) => Err(Refused::ServiceUnknown(stranger.clone())),
        None => {
            Ok(SERVICES.iter().filter(|one| named.iter().any(|name| name == *one)).map(|one| one.to_string()).collect())
        }
    }
}

fn label(text: &str) -> Result<String, Refused> {
    let text = text.trim();
    let fits = text.len() <= LABEL_MAX_BYTES && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(Refused::Label) }
}

fn malformed(text: &str, why: Malformed) -> Refused {
    Refused::Malformed { text: text.to_owned(), why }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
