//! Who sees which files: volumes opened once, joined to a tree for each who comes.
//!
//! ```text
//! account 7 ─┬─ /         ─→ data/files/7          its own, unless it may do nothing there
//!            └─ /shared   ─→ a [[space]]           ←─ other accounts have it, too, and its quota is one
//! guest ────── /          ─→ a [[space]] for anonymous: to look and fetch, or to hand in, never both
//! ```
//!
//! Invariants: a directory is opened once in this process, however many sessions use it; terms that have changed hold for
//! all of them from the next login or request of an administrator on; nobody waits for the opening of a directory that is
//! not theirs.
//! Not here: what is done in a space (files), who may in (desk), what a key means (app).

use crate::settings::{FileSettings, SpaceSettings, Whom};
use directory::{Account, Directory};
use files::{
    Error, JailedPath, Mode, Mount, OpenError, Permissions, Quota, Rule, Space, Swept, Syncs, Terms, Usage, Volume,
};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use store::{AccountId, privacy};
use tracing::{info, warn};

/// The directory in the data directory that holds what is each account's own.
const OWN: &str = "files";
/// The one that holds spaces without a path of their own.
const SHARED: &str = "spaces";
/// The one that holds what removed accounts have left, if it was to be kept.
const KEPT: &str = "kept-files";
/// What a name in [`OWN`] begins with whose account is gone, and which is being removed.
const DOOMED: &str = "removed-";

/// Whose interrupted uploads those of guests are: nobody's, so they are not kept.
const GUEST_KEY: &[u8] = b"anonymous";

/// All directories that are open.
pub struct Spaces {
    data_dir: PathBuf,
    syncs: Syncs,
    slots: Mutex<HashMap<PathBuf, Slot>>,
    /// The server is stopping: nothing that takes long goes on.
    leaving: AtomicBool,
}

/// One directory, opened by whoever comes first; who comes second waits here and nowhere else.
type Slot = Arc<Mutex<Option<Arc<Volume>>>>;

/// Who comes.
#[derive(Debug, Clone, Copy)]
pub enum Visitor<'a> {
    /// An account.
    Account(&'a Account),
    /// Somebody without one.
    Guest,
}

/// What somebody sees at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stand<'s> {
    at: JailedPath,
    what: What<'s>,
    permissions: Permissions,
    rules: Vec<Rule>,
    keeps_interrupted: bool,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What<'s> {
    /// An account's own files, and how much they may be.
    Own(AccountId, Quota),
    Shared(&'s SpaceSettings),
}

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The account, or the space.
    pub name: String,
    /// Whether it is a space for several.
    pub shared: bool,
    /// Where it lies.
    pub place: PathBuf,
    /// What is in it.
    pub usage: Usage,
    /// How much may be.
    pub quota: Quota,
}

impl Spaces {
    /// Those of a data directory. Nothing is made yet; what others may look into of what is above them is closed to others.
    pub fn new(data_dir: &Path, syncs: Syncs) -> Self {
        [OWN, SHARED, KEPT].iter().for_each(|name| privacy::tighten(&data_dir.join(name)));
        Spaces { data_dir: data_dir.to_path_buf(), syncs, slots: Mutex::default(), leaving: AtomicBool::new(false) }
    }

    /// What this visitor sees; `None` if there is nothing for them. Blocks while directories are opened.
    ///
    /// A directory of several that cannot be opened is left out, and a warning says so: a disk that is missing must not
    /// take everything else away from everybody.
    ///
    /// # Errors
    /// The account's own files cannot be opened.
    pub fn of(&self, settings: &FileSettings, visitor: Visitor<'_>) -> Result<Option<Space>, OpenError> {
        let mut mounts = Vec::new();
        for stand in stands(settings, visitor) {
            let volume = match stand.what {
                What::Own(account, quota) => self.open(&self.own(account), self.own_terms(settings, quota))?,
                What::Shared(space) => match self.open_shared(space) {
                    Ok(volume) => volume,
                    Err(error) => {
                        warn!(space = space.name, %error, "a space is left out");
                        continue;
                    }
                },
            };
            mounts.push(stand.mount(volume));
        }
        join(visitor, mounts)
    }

    /// The same, if all that they see is open on the terms that hold now; never blocks. `None`: ask [`Spaces::of`].
    pub fn at_once(&self, settings: &FileSettings, visitor: Visitor<'_>) -> Option<Space> {
        let mut mounts = Vec::new();
        for stand in stands(settings, visitor) {
            let (path, terms) = match stand.what {
                What::Own(account, quota) => (self.own(account), self.own_terms(settings, quota)),
                What::Shared(space) => (self.place(space), self.shared_terms(space)),
            };
            let slot = Arc::clone(self.slots.try_lock().ok()?.get(&path)?);
            let volume = slot.try_lock().ok()?.clone().filter(|volume| *volume.terms() == terms)?;
            mounts.push(stand.mount(volume));
        }
        // Nothing at all is for the slow way to say.
        join(visitor, mounts).ok()?
    }

    /// Lets the quota of an account hold at once, if somebody has its files open. Blocks.
    pub fn renew(&self, settings: &FileSettings, account: &Account) {
        let path = self.own(AccountId(account.id));
        let terms = self.own_terms(settings, own_quota(account));
        if let Some(volume) = self.if_open(&path)
            && let Err(error) = volume.change_terms(terms)
        {
            warn!(account = &*account.name, %error, "another quota does not hold yet");
        }
    }

    /// Lets the terms of all spaces hold at once that somebody has open, and what lies at their places now. Blocks.
    pub fn renew_shared(&self, settings: &FileSettings) {
        self.let_go_of_moved();
        for space in &settings.spaces {
            if let Some(volume) = self.if_open(&self.place(space))
                && let Err(error) = volume.change_terms(self.shared_terms(space))
            {
                warn!(space = space.name, %error, "other terms do not hold yet");
            }
        }
    }

    /// Removes from all directories what crashes have left and interrupted uploads that were kept long enough, and closes
    /// those that nobody uses. Blocks.
    pub fn sweep(&self, settings: &FileSettings, now: SystemTime) {
        self.let_go_of_moved();
        for space in &settings.spaces {
            if self.is_leaving() {
                return;
            }
            let swept = self.open_shared(space).map_err(|error| error.to_string());
            tell_swept(
                &self.place(space),
                swept.and_then(|volume| volume.sweep(now).map_err(|error| error.to_string())),
            );
        }
        for (place, account) in self.on_disk() {
            if self.is_leaving() {
                return;
            }
            match account {
                Some(_) => {
                    let keep = settings.keep_interrupted;
                    let swept = self.look(&place, keep).map_err(|error| error.to_string());
                    tell_swept(&place, swept.and_then(|volume| volume.sweep(now).map_err(|error| error.to_string())));
                    self.close_if_unused(&place);
                }
                // A removal that a crash broke off.
                None => remove_tree(&place),
            }
        }
        self.close_unused();
    }

    /// Ends a sweep after the directory it is at: the process waits for it.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether the server is about to close.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Takes the files of an account away: they are removed, or put aside where the answer says. Blocks.
    ///
    /// # Errors
    /// Says why they are still where they were.
    pub fn remove(&self, account: AccountId, name: &str, keep: bool) -> io::Result<Option<PathBuf>> {
        let place = self.own(account);
        lock(&self.slots).remove(&place);
        if !place.exists() {
            return Ok(None);
        }
        if keep {
            let aside = self.data_dir.join(KEPT).join(format!("{name}-{}", account.0));
            privacy::make_dir(&self.data_dir.join(KEPT))?;
            std::fs::rename(&place, &aside)?;
            return Ok(Some(aside));
        }
        // Out of the way in one step, so that nobody sees half of it.
        let doomed = self.data_dir.join(OWN).join(format!("{DOOMED}{}", account.0));
        std::fs::rename(&place, &doomed)?;
        remove_tree(&doomed);
        Ok(None)
    }

    /// What all directories hold, or the one of this account or space; counted anew if wished, and as they lie there now. Blocks.
    ///
    /// # Errors
    /// Says what could not be counted.
    pub fn holdings(
        &self,
        settings: &FileSettings,
        directory: &Directory,
        only: Option<&str>,
        anew: bool,
    ) -> Result<Vec<Holding>, String> {
        if anew {
            self.let_go_of_moved();
        }
        let wanted = |name: &str| only.is_none_or(|only| only.eq_ignore_ascii_case(name));
        let mut holdings = Vec::new();
        for space in settings.spaces.iter().filter(|space| wanted(&space.name)) {
            let place = self.place(space);
            let volume = self.open_shared(space).map_err(|error| error.to_string())?;
            let usage = count(&volume, anew)?;
            holdings.push(Holding { name: space.name.clone(), shared: true, place, usage, quota: space.quota });
        }
        for account in directory.accounts().iter().filter(|account| wanted(&account.name)) {
            let place = self.own(AccountId(account.id));
            let usage = match place.exists() {
                true => {
                    let volume = self.look(&place, settings.keep_interrupted).map_err(|error| error.to_string())?;
                    count(&volume, anew)?
                }
                false => Usage::default(),
            };
            self.close_if_unused(&place);
            let quota = own_quota(account);
            holdings.push(Holding { name: account.name.to_string(), shared: false, place, usage, quota });
        }
        Ok(holdings)
    }

    /// Gives an account its first files, unless it has some already. Blocks.
    ///
    /// # Errors
    /// Says what could not be stored.
    pub fn seed(&self, account: AccountId, files: &[(&str, &str)]) -> Result<(), SeedError> {
        let place = self.own(account);
        if files.is_empty() || place.exists() {
            return Ok(());
        }
        lay_out(self.open(&place, self.own_terms(&FileSettings::default(), Quota::NONE))?, files)
    }

    /// Gives a space its first files, unless there are some already. Blocks.
    ///
    /// # Errors
    /// Says what could not be stored.
    pub fn seed_shared(&self, space: &SpaceSettings) -> Result<(), SeedError> {
        if space.first_files.is_empty() || self.place(space).exists() {
            return Ok(());
        }
        lay_out(self.open_shared(space)?, space.first_files)
    }

    fn own(&self, account: AccountId) -> PathBuf {
        self.data_dir.join(OWN).join(account.0.to_string())
    }

    fn place(&self, space: &SpaceSettings) -> PathBuf {
        space.path.clone().unwrap_or_else(|| self.data_dir.join(SHARED).join(&space.name))
    }

    /// All that lies in the directory of what is accounts' own.
    fn on_disk(&self) -> Vec<(PathBuf, Option<AccountId>)> {
        let Ok(entries) = std::fs::read_dir(self.data_dir.join(OWN)) else { return Vec::new() };
        let ours = |entry: std::fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let account = name.parse().ok().map(AccountId);
            (account.is_some() || name.starts_with(DOOMED)).then_some((entry.path(), account))
        };
        entries.filter_map(|entry| ours(entry.ok()?)).collect()
    }

    /// The directory on these terms, whether it is open already or not.
    fn open(&self, path: &Path, terms: Terms) -> Result<Arc<Volume>, OpenError> {
        let slot = self.slot(path);
        let mut open = lock(&slot);
        if let Some(volume) = &*open {
            if *volume.terms() != terms {
                let failed = |error| OpenError::Io { path: path.into(), source: io::Error::other(error) };
                volume.change_terms(terms).map_err(failed)?;
            }
            return Ok(Arc::clone(volume));
        }
        self.make_above(path).map_err(|source| OpenError::Io { path: path.into(), source })?;
        let volume = Volume::open(path, terms)?;
        *open = Some(Arc::clone(&volume));
        Ok(volume)
    }

    /// What is above a directory of ours is nobody else's business: a space has its modes, the rest has none to give.
    fn make_above(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(above) if above.starts_with(&self.data_dir) => privacy::make_dir(above),
            _ => Ok(()),
        }
    }

    fn open_shared(&self, space: &SpaceSettings) -> Result<Arc<Volume>, OpenError> {
        let path = self.place(space);
        let terms = self.shared_terms(space);
        let is_new = self.if_open(&path).is_none_or(|volume| *volume.terms() != terms);
        let volume = self.open(&path, terms)?;
        if is_new && space.path.is_none() {
            make_rule_directories(space, &volume);
        }
        Ok(volume)
    }

    fn own_terms(&self, settings: &FileSettings, quota: Quota) -> Terms {
        let (keep_interrupted, syncs) = (settings.keep_interrupted, self.syncs);
        Terms { quota, keep_interrupted, make_missing: true, syncs, ..Terms::default() }
    }

    fn shared_terms(&self, space: &SpaceSettings) -> Terms {
        Terms {
            quota: space.quota,
            keep_interrupted: space.keep_interrupted,
            file_mode: space.file_mode,
            directory_mode: space.directory_mode,
            // What rules are bound to stays in its place for those, too, whom the rule does not name.
            fixed: space.rules.iter().map(|rule| rule.at.clone()).filter(|at| !at.is_root()).collect(),
            make_missing: space.path.is_none(),
            syncs: self.syncs,
        }
    }

    /// The directory as it is open, or for a look: nothing is counted that need not be.
    fn look(&self, path: &Path, keep_interrupted: Duration) -> Result<Arc<Volume>, OpenError> {
        match self.if_open(path) {
            Some(volume) => Ok(volume),
            None => self.open(path, Terms { keep_interrupted, syncs: self.syncs, ..Terms::default() }),
        }
    }

    fn if_open(&self, path: &Path) -> Option<Arc<Volume>> {
        let slot = Arc::clone(lock(&self.slots).get(path)?);
        lock(&slot).clone()
    }

    fn slot(&self, path: &Path) -> Slot {
        Arc::clone(lock(&self.slots).entry(path.to_path_buf()).or_default())
    }

    /// Forgets directories that are no longer where they were opened: a disk was mounted over one, a link leads elsewhere, a backup
    /// was put in its place. Who comes from now on gets what is there; what is under way ends where it began.
    fn let_go_of_moved(&self) {
        let slots: Vec<_> = lock(&self.slots).iter().map(|(path, slot)| (path.clone(), Arc::clone(slot))).collect();
        for (path, slot) in slots {
            let is_moved = lock(&slot).as_ref().is_some_and(|volume| !volume.is_at(&path));
            if is_moved {
                warn!(place = %path.display(), "a directory is not where it was; what is there now takes its place");
                lock(&self.slots).remove(&path);
            }
        }
    }

    /// Closes what nobody has: an open directory costs a handle, and there may be many accounts.
    fn close_unused(&self) {
        lock(&self.slots).retain(|_, slot| is_used(slot));
    }

    fn close_if_unused(&self, path: &Path) {
        let mut slots = lock(&self.slots);
        if slots.get(path).is_some_and(|slot| !is_used(slot)) {
            slots.remove(path);
        }
    }
}

/// Whether somebody has the directory, or is about to. Nobody can begin to while the slots are locked.
fn is_used(slot: &Slot) -> bool {
    Arc::strong_count(slot) > 1 || lock(slot).as_ref().is_some_and(|volume| Arc::strong_count(volume) > 1)
}

/// What somebody sees, and where.
fn stands<'s>(settings: &'s FileSettings, visitor: Visitor<'_>) -> Vec<Stand<'s>> {
    let mut stands: Vec<Stand<'s>> = Vec::new();
    for space in settings.spaces.iter().filter(|space| visitor.is_among(&space.members)) {
        // The configuration does not say two for one place; if it does all the same, the first one holds.
        if stands.iter().all(|stand| stand.at != space.at) {
            stands.push(shared(space, visitor));
        }
    }
    if let Visitor::Account(account) = visitor
        && let own = own_permissions(settings, account)
        && own != Permissions::NONE
        && stands.iter().all(|stand| !stand.at.is_root())
    {
        stands.push(Stand {
            at: JailedPath::root(),
            what: What::Own(AccountId(account.id), own_quota(account)),
            permissions: own,
            rules: Vec::new(),
            keeps_interrupted: !settings.keep_interrupted.is_zero(),
        });
    }
    stands
}

fn shared<'s>(space: &'s SpaceSettings, visitor: Visitor<'_>) -> Stand<'s> {
    let is_guest = matches!(visitor, Visitor::Guest);
    let granted = |permissions| if is_guest { for_guests(permissions) } else { permissions };
    let mut rules: Vec<Rule> = Vec::new();
    for rule in &space.rules {
        let fits = rule.whom.is_empty() || visitor.is_among(&rule.whom);
        if fits && rules.iter().all(|known| known.at != rule.at) {
            rules.push(Rule { at: rule.at.clone(), permissions: granted(rule.permissions) });
        }
    }
    Stand {
        at: space.at.clone(),
        what: What::Shared(space),
        permissions: granted(space.permissions),
        rules,
        // Strangers share the name: what one has begun is not for the next to go on with.
        keeps_interrupted: !is_guest && !space.keep_interrupted.is_zero(),
    }
}

/// Guests look and fetch, or they hand in: where they could do both, strangers would trade what they like.
fn for_guests(permissions: Permissions) -> Permissions {
    match permissions.allow_any(Permissions::READ_ONLY) {
        true => permissions & Permissions::READ_ONLY,
        false => permissions & Permissions::DROP_BOX,
    }
}

fn own_permissions(settings: &FileSettings, account: &Account) -> Permissions {
    let Some(words) = &account.record.file_permissions else { return settings.own };
    Permissions::from_words(words).unwrap_or_else(|word| {
        // A newer program has written it; what it has granted, nobody knows.
        warn!(account = &*account.name, word, "a permission is not known: the account may only look and fetch");
        settings.own & Permissions::READ_ONLY
    })
}

fn own_quota(account: &Account) -> Quota {
    Quota { bytes_max: account.record.quota.bytes, files_max: account.record.quota.files }
}

impl Stand<'_> {
    fn mount(self, volume: Arc<Volume>) -> Mount {
        let Stand { at, permissions, rules, keeps_interrupted, .. } = self;
        Mount { at, volume, permissions, rules, keeps_interrupted }
    }
}

fn join(visitor: Visitor<'_>, mounts: Vec<Mount>) -> Result<Option<Space>, OpenError> {
    if mounts.is_empty() {
        return Ok(None);
    }
    match visitor {
        Visitor::Account(account) => Space::new(&account.id.to_be_bytes(), mounts),
        Visitor::Guest => Space::new(GUEST_KEY, mounts),
    }
    .map(Some)
}

impl Visitor<'_> {
    fn is_among(self, whom: &[Whom]) -> bool {
        whom.iter().any(|whom| match (self, whom) {
            (Visitor::Guest, whom) => *whom == Whom::Guests,
            (Visitor::Account(_), Whom::Guests) => false,
            (Visitor::Account(_), Whom::Accounts) => true,
            (Visitor::Account(account), Whom::Account(name)) => *account.name == **name,
            (Visitor::Account(account), Whom::Domain(domain)) => account.domain() == domain,
        })
    }
}

/// Directories that rules speak of, in a space that is ours to make.
fn make_rule_directories(space: &SpaceSettings, volume: &Arc<Volume>) {
    for rule in space.rules.iter().filter(|rule| !rule.at.is_root()) {
        if let Err(error) = make_way(volume, &rule.at) {
            warn!(space = space.name, directory = %rule.at, %error, "a directory could not be made");
        }
    }
}

/// A volume as its keeper sees it.
fn all_of(volume: &Arc<Volume>) -> Result<Space, OpenError> {
    let mount = Mount {
        at: JailedPath::root(),
        volume: Arc::clone(volume),
        permissions: Permissions::ALL,
        rules: Vec::new(),
        keeps_interrupted: false,
    };
    Space::new(b"", vec![mount])
}

/// Makes a directory and those above it, as far as they are missing.
fn make_way(volume: &Arc<Volume>, directory: &JailedPath) -> Result<(), SeedError> {
    let space = all_of(volume)?;
    let mut at = JailedPath::root();
    for name in directory.names() {
        at = at.join(name).map_err(Error::Path)?;
        match space.make_directory(&at) {
            Ok(()) | Err(Error::AlreadyExists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn lay_out(volume: Arc<Volume>, files: &[(&str, &str)]) -> Result<(), SeedError> {
    let space = all_of(&volume)?;
    for (path, content) in files {
        let path = JailedPath::parse(path.as_bytes(), &JailedPath::root()).map_err(Error::Path)?;
        make_way(&volume, &path.parent())?;
        let mut upload = space.begin_upload(&path, Mode::Store)?;
        upload.write_all(content.as_bytes())?;
        upload.commit()?;
    }
    Ok(())
}

fn count(volume: &Volume, anew: bool) -> Result<Usage, String> {
    match volume.usage() {
        Some(usage) if !anew => Ok(usage),
        _ => volume.recount().map_err(|error| format!("{}: {error}", volume.place().display())),
    }
}

fn tell_swept(place: &Path, swept: Result<Swept, String>) {
    match swept {
        Ok(swept) if swept == Swept::default() => {}
        Ok(Swept { rubbish, expired, bytes }) => {
            info!(place = %place.display(), rubbish, expired, bytes, "interrupted uploads swept away");
        }
        Err(error) => warn!(place = %place.display(), error, "interrupted uploads could not be swept"),
    }
}

fn remove_tree(place: &Path) {
    if let Err(error) = std::fs::remove_dir_all(place) {
        warn!(place = %place.display(), %error, "files of a removed account are still there");
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why first files could not be laid out.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The directory could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file could not be stored.
    #[error(transparent)]
    Store(#[from] Error),
}

#[cfg(test)]
#[path = "spaces_tests.rs"]
mod tests;
