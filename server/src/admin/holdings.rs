//! What an administrator decides of accounts and their files: quotas, permissions, doors, and what is left of who goes.
//!
//! Invariants: a quota that was changed holds for uploads under way; files go after their account, never before.
//! Not here: who sees what (spaces).

use super::app_passwords::forgotten_with;
use super::{Admin, Place, Trouble, update};
use crate::archives;
use crate::control::{Answer, Change, FilesLine};
use crate::settings::FileSettings;
use crate::spaces::{Holding, Spaces};
use directory::{Quota, Refused, change};
use files::Permissions;
use std::sync::Arc;
use store::{AccountId, Op};

impl Admin {
    pub(super) async fn set_quota(
        &self,
        address: &str,
        bytes: Change,
        messages: Change,
        files: Change,
    ) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let now = directory.account_named(address).map(|account| account.record.quota).unwrap_or_default();
        let quota =
            Quota { bytes: bytes.of(now.bytes), messages: messages.of(now.messages), files: files.of(now.files) };
        let account = change::set_quota(&directory, address, quota)?;
        let done = self.change(update(&account), format!("{} may hold {}", account.name, told(quota))).await?;
        self.with_spaces(move |spaces, settings| {
            spaces.renew(settings, &account);
            Ok(done)
        })
        .await
    }

    pub(super) async fn permit(&self, address: &str, words: Option<&str>) -> Result<Answer, Trouble> {
        let permissions = words.map(Permissions::from_words).transpose().map_err(|word| {
            Trouble::refused(format!("there is no permission {word}; {}", crate::settings::PERMISSION_WORDS))
        })?;
        let account = change::set_file_permissions(&*self.directory()?, address, words.map(str::to_owned))?;
        let done = match permissions {
            None => format!("{} may do with its files what the configuration says", account.name),
            Some(Permissions::NONE) => format!("{} has no files of its own; what is there is kept", account.name),
            Some(permissions) => format!("{} may {permissions} its own files", account.name),
        };
        self.change(update(&account), done).await
    }

    pub(super) async fn set_door(&self, address: &str, open: bool) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let (account, done) = match open {
            true => (change::enable_account(&directory, address)?, "is open"),
            false => (change::disable_account(&directory, address)?, "is closed: it gets no mail and nobody logs in"),
        };
        let done = format!("{} {done}", account.name);
        self.change(update(&account), done).await
    }

    pub(super) async fn remove_account(&self, address: &str, keep_files: bool) -> Result<Answer, Trouble> {
        let account = match change::remove_account(&*self.directory()?, address) {
            Err(unknown @ Refused::AccountUnknown(_)) => {
                return self.remove_damaged_account(address, unknown, keep_files).await;
            }
            account => account?,
        };
        let id = AccountId(account.id);
        let imported = archives::forgotten_with(&self.store, id)?;
        let ops = std::iter::once(Op::RemoveAccount { account: id }).chain(forgotten_with(&account)).chain(imported);
        let ops = ops.collect();
        let done = format!("account {} is removed with its mail", account.name);
        self.change_all(ops, done.clone()).await?;
        self.remove_files(id, account.name.to_string(), keep_files, done).await
    }

    /// One that the directory could not read is there all the same.
    async fn remove_damaged_account(
        &self,
        address: &str,
        unknown: Refused,
        keep_files: bool,
    ) -> Result<Answer, Trouble> {
        let row = self.store.accounts()?.into_iter().find(|row| row.name == address).ok_or(unknown)?;
        let done = format!("account {address}, whose record was damaged, is removed with its mail");
        let mut ops = vec![Op::RemoveAccount { account: row.id }];
        ops.extend(archives::forgotten_with(&self.store, row.id)?);
        self.change_all(ops, done.clone()).await?;
        self.remove_files(row.id, row.name, keep_files, done).await
    }

    async fn remove_files(&self, id: AccountId, name: String, keep: bool, done: String) -> Result<Answer, Trouble> {
        let aside = self.with_spaces(move |spaces, _| Ok(spaces.remove(id, &name, keep))).await?;
        Ok(Answer::Done(match aside {
            Ok(None) => format!("{done} and its files"),
            Ok(Some(aside)) => format!("{done}; its files are in {}", aside.display()),
            Err(error) => format!("{done}; its files could not be moved: {error}"),
        }))
    }

    pub(super) async fn files(&self, only: Option<&str>, anew: bool) -> Result<Answer, Trouble> {
        let (directory, wanted) = (self.directory()?, only.map(str::to_owned));
        let holdings = self
            .with_spaces(move |spaces, settings| {
                spaces.holdings(settings, &directory, wanted.as_deref(), anew).map_err(Trouble::refused)
            })
            .await?;
        match (only, holdings.is_empty()) {
            (Some(name), true) => Err(Trouble::Missing(format!("there is neither an account nor a space {name}"))),
            _ => Ok(Answer::Files(holdings.into_iter().map(files_line).collect())),
        }
    }

    /// Does what blocks with all spaces.
    async fn with_spaces<T, F>(&self, doing: F) -> Result<T, Trouble>
    where
        T: Send + 'static,
        F: FnOnce(&Spaces, &FileSettings) -> Result<T, Trouble> + Send + 'static,
    {
        let done = match &self.place {
            Place::Running(house) => {
                let house = Arc::clone(house);
                tokio::task::spawn_blocking(move || doing(&house.spaces, &house.settings().files)).await
            }
            Place::Offline { files, spaces, .. } => {
                let (files, spaces) = (Arc::clone(files), Arc::clone(spaces));
                tokio::task::spawn_blocking(move || doing(&spaces, &files)).await
            }
        };
        done.map_err(Trouble::refused)?
    }
}

fn told(quota: Quota) -> String {
    let most = |most: Option<u64>, what| most.map_or(format!("any number of {what}"), |most| format!("{most} {what}"));
    [most(quota.bytes, "octets"), most(quota.messages, "messages"), most(quota.files, "files")].join(", ")
}

fn files_line(holding: Holding) -> FilesLine {
    let Holding { name, shared, place, usage, quota } = holding;
    FilesLine {
        name,
        shared,
        path: place.display().to_string(),
        bytes: usage.bytes,
        files: usage.files,
        quota_bytes: quota.bytes_max,
        quota_files: quota.files_max,
    }
}
