//! Who is logged in, and what they have.
//!
//! RFC 959 §4.1.1; RFC 1635 (anonymous FTP).
//!
//! Invariants: what the directory or the configuration takes away is gone with the next command, also for who is in already;
//! guests see what is for guests and nothing else.
//! Not here: who sees what (spaces), passwords (door).

use super::entry::Clerk;
use super::{denied, door};
use crate::desk::door::Caller;
use crate::house::House;
use crate::judgement::LoggedIn;
use crate::settings::{GuestSettings, Settings};
use crate::spaces::Visitor;
use directory::Directory;
use files::{Permissions, Space};
use ftp::path::VirtualPath;
use ftp::server::ask::{Denied, Login, Welcome};
use net::Throttle;
use std::path::Path;
use std::sync::Arc;
use store::AccountId;
use tracing::{info, warn};

/// What guests are called in logs, and own in listings.
pub const GUEST: &str = "anonymous";

/// As what their sessions are counted: no account has this number.
const GUESTS: i64 = 0;

/// The words of welcome are read up to so many octets: some screens.
const WELCOME_MAX_BYTES: u64 = 8 * 1024;

/// So much of what a guest gives as address is logged, in letters.
const ADDRESS_MAX: usize = 100;

/// Who is logged in, and what they have.
pub(super) struct Member {
    /// The account's name, or what guests are called.
    pub(super) account: Arc<str>,
    pub(super) space: Space,
    pub(super) clerk: Clerk,
    pub(super) visit: Arc<Visit>,
    /// What was true when the space was put together.
    as_of: (Arc<Directory>, Arc<Settings>),
}

/// What stays the same as long as they are in.
pub(super) struct Visit {
    who: Who,
    /// Whether that was under TLS.
    pub(super) private: bool,
    /// How fast files may travel.
    pub(super) throttle: Throttle,
    /// Counted as one of the sessions of the account, or of guests.
    _logged_in: LoggedIn,
}

#[derive(Debug, Clone)]
enum Who {
    Account(i64),
    /// With what they gave as their address, fit for a line of a log.
    Guest(String),
}

impl Member {
    /// Lets somebody in.
    pub(super) async fn log_in(house: &Arc<House>, caller: &Caller, login: Login) -> Result<(Self, Welcome), Denied> {
        match login.anonymous {
            true => Member::guest(house, caller, login).await,
            false => Member::account(house, caller, login).await,
        }
    }

    async fn account(house: &Arc<House>, caller: &Caller, login: Login) -> Result<(Self, Welcome), Denied> {
        let Login { user, password, client, private, .. } = login;
        let proof = sasl::server::Proof::Password(password);
        let ask = sasl::server::Ask::Login { login: user, acting_for: None, proof };
        let sasl::server::Answer::Login(verdict) = door::answer(house, caller, ask).await else {
            return Err(Denied::Temporary);
        };
        let account = verdict.map_err(denied)?;
        let id = house.directory().account_named(&account).ok_or(Denied::Temporary)?.id;
        let logged_in = house.judgement.log_in(id, house.settings().ftp.sessions_per_account_max);
        let logged_in = logged_in.ok_or_else(|| {
            info!(session = %caller.session, account, "too many sessions of one account");
            Denied::TooMany
        })?;
        let throttle = house.throttles.of(AccountId(id), &house.settings().ftp);
        let visit = Visit { who: Who::Account(id), private, throttle, _logged_in: logged_in };
        let member = Member::put_together(house, caller, Arc::new(visit)).await;
        let member = member.map_err(|none| none.denied("There are no files for this account."))?;
        info!(session = %caller.session, account, private, client, "file space entered");
        let welcome = member.welcome(None);
        Ok((member, welcome))
    }

    async fn guest(house: &Arc<House>, caller: &Caller, login: Login) -> Result<(Self, Welcome), Denied> {
        let Login { password, client, private, .. } = login;
        let Some(GuestSettings { sessions_max, welcome }) = house.settings().ftp.guests.clone() else {
            return Err(Denied::Credentials);
        };
        let logged_in = house.judgement.log_in(GUESTS, sessions_max).ok_or_else(|| {
            info!(session = %caller.session, "too many guests");
            Denied::TooMany
        })?;
        let address = shown(password.reveal());
        // RFC 1635: who puts a hyphen first wants to be spared the words.
        let words = welcome.filter(|_| !address.starts_with('-'));
        let throttle = house.throttles.of(AccountId(GUESTS), &house.settings().ftp);
        let visit = Visit { who: Who::Guest(address), private, throttle, _logged_in: logged_in };
        let member = Member::put_together(house, caller, Arc::new(visit)).await;
        let member = member.map_err(|none| none.denied("There is nothing here for guests."))?;
        let (session, peer, address) = (caller.session, caller.peer, member.guest_address());
        info!(%session, %peer, account = GUEST, address, private, client, "guest logged in");
        let words = match words {
            Some(file) => tokio::task::spawn_blocking(move || words_of(&file)).await.ok().flatten(),
            None => None,
        };
        let welcome = member.welcome(words);
        Ok((member, welcome))
    }

    /// What a guest gave as address; accounts have given none.
    pub(super) fn guest_address(&self) -> Option<&str> {
        match &self.visit.who {
            Who::Account(_) => None,
            Who::Guest(address) => Some(address),
        }
    }

    /// The same member as it is now, if anything has changed.
    pub(super) async fn renewed(self: &Arc<Self>, house: &Arc<House>, caller: &Caller) -> Result<Arc<Self>, NoSpace> {
        let (directory, settings) = (house.directory(), house.settings());
        if Arc::ptr_eq(&self.as_of.0, &directory) && Arc::ptr_eq(&self.as_of.1, &settings) {
            return Ok(Arc::clone(self));
        }
        let member = Member::put_together(house, caller, Arc::clone(&self.visit)).await?;
        Ok(Arc::new(member))
    }

    async fn put_together(house: &Arc<House>, caller: &Caller, visit: Arc<Visit>) -> Result<Self, NoSpace> {
        let as_of = (house.directory(), house.settings());
        let visitor = visit.who.visitor(&as_of.0, &as_of.1).ok_or(NoSpace::Nothing)?;
        let account = visitor.name();
        let space = match house.spaces.at_once(&as_of.1.files, visitor) {
            Some(space) => space,
            None => Member::open_space(house, caller, &visit.who, &as_of).await?,
        };
        let clerk = Clerk::new(Arc::clone(&account));
        Ok(Member { account, space, clerk, visit, as_of })
    }

    async fn open_space(
        house: &Arc<House>,
        caller: &Caller,
        who: &Who,
        as_of: &(Arc<Directory>, Arc<Settings>),
    ) -> Result<Space, NoSpace> {
        let (house, who, (directory, settings)) = (Arc::clone(house), who.clone(), as_of.clone());
        let look = move || match who.visitor(&directory, &settings) {
            Some(visitor) => house.spaces.of(&settings.files, visitor),
            None => Ok(None),
        };
        let seen = tokio::task::spawn_blocking(look).await.map_err(|_| NoSpace::Failed)?.map_err(|error| {
            warn!(session = %caller.session, %error, "a file space could not be opened");
            NoSpace::Failed
        })?;
        seen.ok_or(NoSpace::Nothing)
    }

    fn welcome(&self, message: Option<String>) -> Welcome {
        Welcome { permissions: anywhere(self.space.permissions()), home: VirtualPath::root(), message }
    }
}

impl Who {
    /// Who that is now, if they may be in.
    fn visitor<'d>(&self, directory: &'d Directory, settings: &Settings) -> Option<Visitor<'d>> {
        match self {
            Who::Account(id) => {
                directory.account(*id).filter(|account| !directory.is_closed(account)).map(Visitor::Account)
            }
            Who::Guest(_) => settings.ftp.guests.is_some().then_some(Visitor::Guest),
        }
    }
}

impl Visitor<'_> {
    fn name(self) -> Arc<str> {
        match self {
            Visitor::Account(account) => Arc::clone(&account.name),
            Visitor::Guest => GUEST.into(),
        }
    }
}

/// Why there is no space.
pub(super) enum NoSpace {
    /// There is nothing for them.
    Nothing,
    /// There may be.
    Failed,
}

impl NoSpace {
    fn denied(self, nothing: &str) -> Denied {
        match self {
            NoSpace::Nothing => Denied::Policy(nothing.into()),
            NoSpace::Failed => Denied::Temporary,
        }
    }
}

/// In the words of the dialogue.
fn anywhere(permissions: Permissions) -> ftp::Permissions {
    const SAME: [(Permissions, ftp::Permissions); 10] = [
        (Permissions::LIST, ftp::Permissions::LIST),
        (Permissions::READ, ftp::Permissions::READ),
        (Permissions::WRITE, ftp::Permissions::WRITE),
        (Permissions::APPEND, ftp::Permissions::APPEND),
        (Permissions::CREATE, ftp::Permissions::CREATE),
        (Permissions::DELETE, ftp::Permissions::DELETE),
        (Permissions::RENAME, ftp::Permissions::RENAME),
        (Permissions::MKDIR, ftp::Permissions::MAKE_DIRECTORY),
        (Permissions::RMDIR, ftp::Permissions::REMOVE_DIRECTORY),
        (Permissions::CHMOD, ftp::Permissions::CHANGE),
    ];
    let permitted = SAME.iter().filter(|(ours, _)| permissions.allow(*ours));
    permitted.fold(ftp::Permissions::NONE, |all, (_, theirs)| all.and(*theirs))
}

/// The words of welcome, if they can be read.
fn words_of(file: &Path) -> Option<String> {
    use std::io::Read;
    let mut octets = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(WELCOME_MAX_BYTES).read_to_end(&mut octets));
    if let Err(error) = read {
        warn!(file = %file.display(), %error, "the words of welcome for guests cannot be read");
        return None;
    }
    let text = String::from_utf8_lossy(&octets);
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    let words = lines.join("\n").replace(|c: char| c.is_control() && c != '\n', " ");
    (!words.is_empty()).then_some(words)
}

/// What a guest gave as address, fit for a line of the log.
fn shown(given: &[u8]) -> String {
    String::from_utf8_lossy(given).chars().take(ADDRESS_MAX).map(|c| if c.is_control() { '?' } else { c }).collect()
}
