//! App passwords, as an administrator has them: made and shown once, listed, taken back.
//!
//! When one was last used is kept beside the account's record, as an entry of its own, and written once a day at most: a
//! program that fetches mail every minute is no reason to write every minute.
//!
//! Invariants: the password itself is in one answer and nowhere else; taking one back holds at once, for logins to come.
//! Not here: what they are made of (directory), who logs in with them (desk).

use super::{Admin, Trouble, update};
use crate::control::{Answer, AppPasswordLine};
use crate::house::{House, unix_now};
use directory::{Account, change};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Commit, Op, ReadError, Store};
use tracing::warn;

/// The kind of the entries that say when each was used; their keys are `account/number`.
const USED_KIND: &str = "app-password-used";
/// The pause between two notes of one app password.
const NOTE_EVERY_SECS: i64 = 86_400;

fn used_key(account: i64, id: u32) -> String {
    format!("{account}/{id}")
}

/// When app passwords were used, as far as it has been noted since the start. At most as many as there are.
#[derive(Debug, Default)]
pub struct LastUses(Mutex<HashMap<(i64, u32), i64>>);

impl LastUses {
    /// Notes that one was used now, unless that was noted lately.
    pub fn note(&self, house: &Arc<House>, account: i64, id: u32) {
        let now = unix_now();
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&(account, id)).is_some_and(|at| now < at.saturating_add(NOTE_EVERY_SECS)) {
            return;
        }
        noted.insert((account, id), now);
        drop(noted);
        let op = Op::PutEntry { kind: USED_KIND.into(), key: used_key(account, id), value: now.to_string() };
        let noting = house.store.commit(Commit::of(vec![op]));
        // The login need not wait for it.
        tokio::spawn(async move {
            if let Err(error) = noting.await {
                warn!(%error, "the use of an app password could not be noted");
            }
        });
    }
}

fn last_uses(store: &Store) -> Result<HashMap<String, i64>, ReadError> {
    let entries = store.entries(USED_KIND)?.into_iter();
    Ok(entries.filter_map(|(key, at)| Some((key, at.parse().ok()?))).collect())
}

/// What is to go with an account: the notes on its app passwords.
pub(super) fn forgotten_with(account: &Account) -> impl Iterator<Item = Op> {
    account.record.app_passwords.iter().map(|one| forget(account.id, one.id))
}

fn forget(account: i64, id: u32) -> Op {
    Op::RemoveEntry { kind: USED_KIND.into(), key: used_key(account, id) }
}

impl Admin {
    pub(super) async fn add_app_password(
        &self,
        address: &str,
        label: &str,
        services: &[String],
    ) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let (address, label, services) = (address.to_owned(), label.to_owned(), services.to_vec());
        let make = move || change::add_app_password(&directory, &address, &label, &services, unix_now());
        let (account, shown) = tokio::task::spawn_blocking(make).await.map_err(Trouble::refused)??;
        let id = account.record.app_passwords.last().map_or(0, |one| one.id);
        self.change(update(&account), String::new()).await?;
        Ok(Answer::AppPassword {
            address: account.name.to_string(),
            id,
            password: String::from_utf8_lossy(shown.reveal()).into_owned(),
        })
    }

    pub(super) fn app_passwords(&self, address: &str) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let account = directory.account_named(address);
        let account = account.ok_or_else(|| Trouble::from(directory::Refused::AccountUnknown(address.to_string())))?;
        let used = last_uses(&self.store)?;
        let line = |one: &directory::AppPassword| AppPasswordLine {
            id: one.id,
            label: one.label.clone(),
            services: one.services.clone(),
            created: one.created,
            last_used: used.get(&used_key(account.id, one.id)).copied(),
        };
        Ok(Answer::AppPasswords(account.record.app_passwords.iter().map(line).collect()))
    }

    pub(super) async fn remove_app_password(&self, address: &str, id: u32) -> Result<Answer, Trouble> {
        let account = change::remove_app_password(&*self.directory()?, address, id)?;
        let done = format!("app password {id} of {} opens nothing any more", account.name);
        self.change_all(vec![update(&account), forget(account.id, id)], done).await
    }
}
