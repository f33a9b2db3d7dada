//! What an administrator asks, answered: the one place, whether a server runs or not.
//!
//! Invariants: a change is a commit of the store first, and holds from then on; a refusal says what to do.
//! Not here: how a request comes here (the control socket, or the command itself), how an answer looks (app).

mod app_passwords;
mod archiving;
mod holdings;
mod hooking;
mod sessions;

pub use app_passwords::LastUses;

use crate::archives::{self, Export, Import, Progress};
use crate::ban_book;
use crate::control::{
    AccountLine, AliasLine, Answer, AttemptLine, DomainLine, QueueChange, QueueLine, RebuiltLine, RebuiltStore,
    RecipientLine, Request, Which,
};
use crate::house::{House, HouseError, installation_secret, read_directory, read_usable_directory, unix_now};
use crate::judgement::Judgement;
use crate::settings::{DirectorySettings, FileSettings, Person};
use crate::spaces::Spaces;
use directory::{
    Account, AccountRecord, Directory, InstallationSecret, Password, PasswordRules, Quota, Record, Refused, ScramTerms,
    change, secrets,
};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use store::{AccountId, Commit, CommitError, MailId, MailRow, Op, QueueFilter, QueueScope, RecipientRow, Store};
use tokio::sync::mpsc;

/// How many mails a list of the queue shows at most.
const QUEUE_LIST_MAX: usize = 10_000;
/// How much room one `compact` gives back at most, in octets moved.
const COMPACT_BYTES: u64 = 16 << 30;

/// Who answers.
pub struct Admin {
    store: Store,
    place: Place,
}

/// Where the directory and the judgement are.
enum Place {
    /// In a running server.
    Running(Arc<House>),
    /// In the store alone.
    Offline { settings: DirectorySettings, secret: InstallationSecret, files: Arc<FileSettings>, spaces: Arc<Spaces> },
}

/// Why something is not done.
enum Trouble {
    /// What was named is not there.
    Missing(String),
    /// Anything else.
    Refused(String),
}

impl Trouble {
    fn refused(why: impl std::fmt::Display) -> Self {
        Trouble::Refused(why.to_string())
    }
}

impl From<Refused> for Trouble {
    fn from(why: Refused) -> Self {
        let text = why.to_string();
        match why {
            Refused::DomainUnknown(domain) => {
                Trouble::Missing(format!("{text}; take mail for it with `packetboat domain add {domain}`"))
            }
            Refused::AccountUnknown(_) | Refused::AliasUnknown(_) | Refused::AppPasswordUnknown { .. } => {
                Trouble::Missing(text)
            }
            _ => Trouble::Refused(text),
        }
    }
}

impl From<CommitError> for Trouble {
    fn from(why: CommitError) -> Self {
        Trouble::refused(why)
    }
}

impl From<store::ReadError> for Trouble {
    fn from(why: store::ReadError) -> Self {
        Trouble::refused(why)
    }
}

impl From<HouseError> for Trouble {
    fn from(why: HouseError) -> Self {
        Trouble::refused(why)
    }
}

/// An answer, and the records that could not be used on the way, each a sentence: whoever is told the one is told the other.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// What is damaged.
    pub damaged: Vec<String>,
}

/// Answers a request on a store that no server holds. Damaged records of the directory do not keep it from the others.
///
/// # Errors
/// When the store cannot be opened.
pub async fn answer_offline(
    data_dir: &Path,
    settings: DirectorySettings,
    files: FileSettings,
    request: &Request,
) -> Result<Answered, HouseError> {
    let (teller, _nobody) = mpsc::channel(1);
    answer_offline_telling(data_dir, settings, files, request, teller).await
}

/// The same for what takes long: how far it has come goes to `teller`.
///
/// # Errors
/// When the store cannot be opened.
pub async fn answer_offline_telling(
    data_dir: &Path,
    settings: DirectorySettings,
    files: FileSettings,
    request: &Request,
    teller: mpsc::Sender<Progress>,
) -> Result<Answered, HouseError> {
    let store = Store::open(data_dir, store::Options::default())?;
    let secret = installation_secret(&store).await?;
    let (_, faults) = read_usable_directory(&store, &settings, &secret)?;
    let (files, spaces) = (Arc::new(files), Arc::new(Spaces::new(data_dir, files::Syncs::Always)));
    let admin = Admin { store: store.clone(), place: Place::Offline { settings, secret, files, spaces } };
    let answer = admin.answer(request, teller).await;
    store.close();
    Ok(Answered { answer, damaged: faults.iter().map(ToString::to_string).collect() })
}

/// Mends a store that nobody has open.
///
/// # Errors
/// When it cannot be opened at all.
pub fn repair(data_dir: &Path) -> Result<Answer, HouseError> {
    Ok(findings(&store::repair(data_dir)?))
}

/// Makes the index of a store that nobody has open anew, from what lies in its segments.
///
/// # Errors
/// When segments cannot be read, or the index is of use as it is.
pub fn rebuild(
    data_dir: &Path,
    dry_run: bool,
    force: bool,
    mut tell: impl FnMut(&Progress),
) -> Result<Answer, HouseError> {
    let unknown_record = AccountRecord::new(None, unix_now()).write();
    let order = store::Rebuilding { dry_run, force, unknown_record, clock: unix_now };
    let rebuilt = store::rebuild(data_dir, &order, |step| {
        let mailbox = if step.is_reading { "found" } else { "in their places" }.into();
        tell(&Progress { mailbox, messages: step.messages, done: step.done, total: step.total });
    })?;
    let line = |account: store::RebuiltAccount| RebuiltLine {
        address: account.name,
        messages: account.messages,
        bytes: account.octets,
        unknown: account.is_unknown,
    };
    Ok(Answer::Rebuilt(Box::new(RebuiltStore {
        dry_run,
        segments: rebuilt.segments,
        messages: rebuilt.messages,
        bytes: rebuilt.octets,
        accounts: rebuilt.accounts.into_iter().map(line).collect(),
        held: rebuilt.held,
        expired: rebuilt.expired,
        left_out: rebuilt.left_out,
        names_known: rebuilt.has_names,
        damage: rebuilt.damage,
        kept: rebuilt.kept,
    })))
}

/// Makes people who are not there yet, and their domains.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn ensure_people(store: &Store, people: &[Person], secret: &InstallationSecret) -> Result<(), HouseError> {
    for person in people {
        let settings = DirectorySettings::default();
        let directory = read_directory(store, &settings, secret)?;
        if directory.account_named(person.address).is_some() {
            continue;
        }
        let refused = |why: &dyn std::fmt::Display| HouseError::Refused(format!("{}: {why}", person.address));
        let domain = person.address.rsplit('@').next().unwrap_or_default();
        if directory.domain(domain).is_none() {
            let (key, record) = change::add_domain(&directory, domain, unix_now()).map_err(|why| refused(&why))?;
            let op = Op::PutEntry { kind: directory::DOMAIN_KIND.into(), key, value: record.write() };
            store.commit(Commit::of(vec![op])).await?;
        }
        let directory = read_directory(store, &settings, secret)?;
        // These passwords are known to everybody; no rule needs to guard them.
        let secrets = secrets::derive(&Password::new(person.password), &PasswordRules::none(), &ScramTerms::fresh())
            .map_err(|why| refused(&why))?;
        let (name, record) = change::create_account(&directory, person.address, Some(secrets), unix_now())
            .map_err(|why| refused(&why))?;
        store.commit(Commit::of(vec![Op::CreateAccount { name, record: record.write() }])).await?;
    }
    Ok(())
}

impl Admin {
    /// The one of a running server.
    pub fn of(house: Arc<House>) -> Self {
        Admin { store: house.store.clone(), place: Place::Running(house) }
    }

    /// Answers. How far a long answer has come goes to `teller`; once nobody listens there, it stops.
    pub async fn answer(&self, request: &Request, teller: mpsc::Sender<Progress>) -> Answer {
        match self.try_answer(request, teller).await {
            Ok(answer) => answer,
            Err(Trouble::Missing(why)) => Answer::Refused { why, missing: true },
            Err(Trouble::Refused(why)) => Answer::Refused { why, missing: false },
        }
    }

    async fn try_answer(&self, request: &Request, teller: mpsc::Sender<Progress>) -> Result<Answer, Trouble> {
        match request {
            Request::Ping => Ok(Answer::Done("here".into())),
            Request::AccountAdd { address, name, password, quota } => {
                self.add_account(address, name.as_deref(), password, *quota).await
            }
            Request::AccountList => self.accounts(),
            Request::AccountPasswd { address, password } => self.set_password(address, password).await,
            Request::AccountQuota { address, bytes, messages, files } => {
                self.set_quota(address, *bytes, *messages, *files).await
            }
            Request::AccountPermit { address, words } => self.permit(address, words.as_deref()).await,
            Request::AccountDoor { address, open } => self.set_door(address, *open).await,
            Request::AccountRemove { address, keep_files } => self.remove_account(address, *keep_files).await,
            Request::FilesUsage { only, anew } => self.files(only.as_deref(), *anew).await,
            Request::AppPasswordAdd { address, label, services } => {
                self.add_app_password(address, label, services).await
            }
            Request::AppPasswordList { address } => self.app_passwords(address),
            Request::AppPasswordRemove { address, id } => self.remove_app_password(address, *id).await,
            Request::DomainAdd { domain, catch_all } => self.add_domain(domain, catch_all.as_deref()).await,
            Request::DomainList => self.domains(),
            Request::DomainRemove { domain } => self.remove_domain(domain).await,
            Request::AliasAdd { address, targets } => self.add_alias(address, targets).await,
            Request::AliasList => self.aliases(),
            Request::AliasRemove { address } => self.remove_alias(address).await,
            Request::QueueList => self.queue(),
            Request::QueueShow { mail } => self.queued_mail(mail),
            Request::QueueChange { change, which } => self.change_queue(*change, which).await,
            Request::HookList => self.hooks(),
            Request::HookRetry { which } => self.retry_hooks(which),
            Request::HookDrop { which } => self.drop_hooks(which).await,
            Request::HookTest { hook } => self.test_hook(hook).await,
            Request::SessionList { only } => self.sessions(only),
            Request::SessionEnd { which } => self.end_sessions(which),
            Request::BanList => self.bans(),
            Request::BanLift { address } => self.lift(*address).await,
            Request::StoreCheck => self.check(),
            Request::StoreCompact => self.compact(),
            Request::Import { address, path, format, into, dry_run, again } => {
                let (path, format, into) = (path.clone(), *format, into.clone());
                let order = Import { path, format, into, dry_run: *dry_run, again: *again };
                self.archive(address, teller, move |store, id, tell| archives::import(store, id, &order, tell)).await
            }
            Request::Export { address, path, format, mailboxes } => {
                let order = Export { path: path.clone(), format: *format, mailboxes: mailboxes.clone() };
                self.archive(address, teller, move |store, id, tell| archives::export(store, id, &order, tell)).await
            }
        }
    }

    fn directory(&self) -> Result<Arc<Directory>, Trouble> {
        match &self.place {
            Place::Running(house) => Ok(house.directory()),
            Place::Offline { settings, secret, .. } => {
                let (directory, _) = read_usable_directory(&self.store, settings, secret)?;
                Ok(Arc::new(directory))
            }
        }
    }

    fn now(&self) -> i64 {
        match &self.place {
            Place::Running(house) => house.now(),
            Place::Offline { .. } => unix_now(),
        }
    }

    fn judgement(&self) -> Option<&Judgement> {
        match &self.place {
            Place::Running(house) => Some(&house.judgement),
            Place::Offline { .. } => None,
        }
    }

    /// Commits a change of the directory, after which it holds.
    async fn change(&self, op: Op, done: String) -> Result<Answer, Trouble> {
        self.change_all(vec![op], done).await
    }

    async fn change_all(&self, ops: Vec<Op>, done: String) -> Result<Answer, Trouble> {
        self.store.commit(Commit::of(ops)).await?;
        if let Place::Running(house) = &self.place {
            house.reread_directory()?;
        }
        Ok(Answer::Done(done))
    }

    async fn add_account(
        &self,
        address: &str,
        name: Option<&str>,
        password: &str,
        quota: Option<u64>,
    ) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let (key, mut record) = change::create_account(&directory, address, None, unix_now())?;
        let AccountRecord { password: hash, scram, .. } =
            AccountRecord::new(Some(derive(password, ScramTerms::fresh()).await?), 0);
        (record.password, record.scram) = (hash, scram);
        record.display_name = name.unwrap_or_default().trim().to_string();
        record.quota = Quota { bytes: quota, ..Quota::default() };
        let done = format!("account {key} is made");
        self.change(Op::CreateAccount { name: key, record: record.write() }, done).await
    }

    fn accounts(&self) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let line = |account: &Account| {
            let held = self.store.holding(AccountId(account.id))?;
            Ok(AccountLine {
                address: account.name.to_string(),
                name: Some(account.record.display_name.clone()).filter(|name| !name.is_empty()),
                messages: held.messages,
                bytes: held.octets,
                quota: account.record.quota.bytes,
                quota_messages: account.record.quota.messages,
                quota_files: account.record.quota.files,
                file_permissions: account.record.file_permissions.clone(),
                disabled: account.record.disabled,
            })
        };
        directory.accounts().iter().map(line).collect::<Result<_, Trouble>>().map(Answer::Accounts)
    }

    async fn set_password(&self, address: &str, password: &str) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let secrets = derive(password, change::scram_terms(&directory, address)).await?;
        let account = change::set_password(&directory, address, secrets)?;
        let done = format!("{} has a new password", account.name);
        self.change(update(&account), done).await
    }

    /// A domain or an alias that the directory could not read is there all the same.
    async fn remove_damaged_entry(&self, kind: &str, key: &str, unknown: Refused) -> Result<Answer, Trouble> {
        let there = self.store.entries(kind)?.into_iter().any(|(entry, _)| entry == key);
        if !there {
            return Err(unknown.into());
        }
        let done = format!("{kind} {key}, whose record was damaged, is removed");
        self.change(Op::RemoveEntry { kind: kind.into(), key: key.into() }, done).await
    }

    async fn add_domain(&self, domain: &str, catch_all: Option<&str>) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let changed = match (directory.domain(domain), catch_all) {
            (Some(_), Some(catch_all)) => change::set_catch_all(&directory, domain, Some(catch_all))?,
            (None, Some(_)) => {
                return Err(Trouble::refused(
                    "a catch-all needs an account first; add the domain without, then the account, then say this again",
                ));
            }
            (_, None) => change::add_domain(&directory, domain, unix_now())?,
        };
        let (key, record) = changed;
        let done = match &record.catch_all {
            Some(account) => format!("mail to unknown addresses of {key} goes to {account}"),
            None => format!("mail for {key} is taken"),
        };
        self.change(Op::PutEntry { kind: directory::DOMAIN_KIND.into(), key, value: record.write() }, done).await
    }

    fn domains(&self) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let line = |(domain, record): (&str, &directory::DomainRecord)| DomainLine {
            domain: domain.to_string(),
            accounts: directory.accounts().iter().filter(|account| account.domain() == domain).count(),
            catch_all: record.catch_all.clone(),
        };
        Ok(Answer::Domains(directory.domains().into_iter().map(line).collect()))
    }

    async fn remove_domain(&self, domain: &str) -> Result<Answer, Trouble> {
        let key = match change::remove_domain(&*self.directory()?, domain) {
            Err(unknown @ (Refused::DomainUnknown(_) | Refused::Malformed { .. })) => {
                return self.remove_damaged_entry(directory::DOMAIN_KIND, domain, unknown).await;
            }
            key => key?,
        };
        let done = format!("mail for {key} is no longer taken");
        self.change(Op::RemoveEntry { kind: directory::DOMAIN_KIND.into(), key }, done).await
    }

    async fn add_alias(&self, address: &str, targets: &[String]) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let (key, record) = match directory.alias(address) {
            Some(_) => change::set_alias_targets(&directory, address, targets)?,
            None => change::add_alias(&directory, address, targets, unix_now())?,
        };
        let done = format!("{key} leads to {}", record.targets.join(", "));
        self.change(Op::PutEntry { kind: directory::ALIAS_KIND.into(), key, value: record.write() }, done).await
    }

    fn aliases(&self) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let line =
            |alias: &directory::Alias| AliasLine { address: alias.key.clone(), targets: alias.record.targets.clone() };
        Ok(Answer::Aliases(directory.aliases().into_iter().map(line).collect()))
    }

    async fn remove_alias(&self, address: &str) -> Result<Answer, Trouble> {
        let key = match change::remove_alias(&*self.directory()?, address) {
            Err(unknown @ (Refused::AliasUnknown(_) | Refused::Malformed { .. })) => {
                return self.remove_damaged_entry(directory::ALIAS_KIND, address, unknown).await;
            }
            key => key?,
        };
        let done = format!("alias {key} is removed");
        self.change(Op::RemoveEntry { kind: directory::ALIAS_KIND.into(), key }, done).await
    }

    fn queue(&self) -> Result<Answer, Trouble> {
        let mails = self.store.queue_list(&QueueFilter::default(), QUEUE_LIST_MAX)?;
        Ok(Answer::Queue(mails.into_iter().map(queue_line).collect()))
    }

    fn queued_mail(&self, mail: &str) -> Result<Answer, Trouble> {
        let found = self.store.queue_show(mail_id(mail)?)?;
        let found = found.ok_or_else(|| Trouble::Missing(format!("there is no mail {mail} in the queue")))?;
        Ok(Answer::Mail(Box::new(queue_line(found))))
    }

    async fn change_queue(&self, change: QueueChange, which: &Which) -> Result<Answer, Trouble> {
        let scope = match which {
            Which::Mail(mail) => QueueScope::Mail(mail_id(mail)?),
            Which::Domain(domain) => {
                QueueScope::Matching(QueueFilter { domain: Some(domain.clone()), ..QueueFilter::default() })
            }
            Which::All => QueueScope::Matching(QueueFilter::default()),
        };
        let (op, done) = match change {
            QueueChange::Retry => (Op::QueueRetryNow { scope, now: self.now() }, "due now"),
            QueueChange::Hold => (Op::QueueHold { scope }, "held"),
            QueueChange::Release => (Op::QueueRelease { scope }, "released"),
            QueueChange::Drop => (Op::QueueDrop { scope }, "dropped"),
        };
        let changed = self.store.commit(Commit::of(vec![op])).await?.changed();
        match (changed, which) {
            (0, Which::Mail(mail)) => {
                Err(Trouble::Missing(format!("there is no mail {mail} in the queue that this would change")))
            }
            (1, _) => Ok(Answer::Done(format!("1 recipient {done}"))),
            _ => Ok(Answer::Done(format!("{changed} recipients {done}"))),
        }
    }

    fn bans(&self) -> Result<Answer, Trouble> {
        Ok(Answer::Bans(match self.judgement() {
            Some(judgement) => judgement.bans(),
            None => ban_book::lines(&self.store, self.now())?,
        }))
    }

    async fn lift(&self, address: IpAddr) -> Result<Answer, Trouble> {
        let origin = policy::Origin::of(address);
        let is_banned = match self.judgement() {
            Some(judgement) => judgement.lift(address),
            None => ban_book::lines(&self.store, self.now())?.iter().any(|line| line.address == origin.to_string()),
        };
        self.store.commit(Commit::of(vec![ban_book::forget(origin)])).await?;
        match is_banned {
            true => Ok(Answer::Done(format!("{address} may come in again"))),
            false => Err(Trouble::Missing(format!("{address} is not refused"))),
        }
    }

    fn check(&self) -> Result<Answer, Trouble> {
        Ok(findings(&self.store.check().map_err(Trouble::refused)?))
    }

    fn compact(&self) -> Result<Answer, Trouble> {
        let done = self.store.compact(COMPACT_BYTES).map_err(Trouble::refused)?;
        Ok(Answer::Done(format!(
            "{} segments removed, {} octets copied together",
            done.segments_removed, done.octets_copied
        )))
    }
}

fn update(account: &Account) -> Op {
    Op::UpdateAccount { account: AccountId(account.id), name: account.name.to_string(), record: account.record.write() }
}

/// Hashing takes its time, on a thread that may take it.
async fn derive(password: &str, terms: ScramTerms) -> Result<directory::Secrets, Trouble> {
    let password = Password::new(sasl::prepared_password(password.as_bytes()).reveal());
    let derive = move || secrets::derive(&password, &PasswordRules::default(), &terms);
    let derived = tokio::task::spawn_blocking(derive).await;
    derived.map_err(Trouble::refused)?.map_err(Trouble::refused)
}

fn mail_id(text: &str) -> Result<MailId, Trouble> {
    text.parse()
        .map(MailId)
        .map_err(|_| Trouble::Missing(format!("{text} is not the id of a mail; `packetboat queue list` shows them")))
}

fn queue_line(mail: MailRow) -> QueueLine {
    QueueLine {
        mail: mail.mail.to_string(),
        sender: mail.sender,
        size: mail.size,
        arrived_at: mail.queued_at,
        expires_at: mail.expires,
        recipients: mail.recipients.into_iter().map(recipient_line).collect(),
    }
}

fn recipient_line(recipient: RecipientRow) -> RecipientLine {
    let (reason, host) = recipient.last.map(|last| (last.reason, last.host)).unzip();
    let attempt = |attempt: store::Attempt| AttemptLine { at: attempt.at, host: attempt.host, reason: attempt.reason };
    RecipientLine {
        address: recipient.address,
        held: recipient.held,
        attempts: recipient.attempts,
        next_attempt: recipient.next_attempt,
        reason,
        host: host.flatten(),
        history: recipient.history.into_iter().map(attempt).collect(),
    }
}

fn findings(report: &store::Report) -> Answer {
    let looked_at = format!(
        "Looked at {} messages in mailboxes and {} mails in the queue: {} bodies of {} octets.",
        report.messages, report.mails, report.bodies, report.octets
    );
    Answer::Findings { looked_at, wrong: report.problems.iter().map(ToString::to_string).collect() }
}

#[cfg(test)]
mod tests;
