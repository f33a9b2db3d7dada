//! Import and export, as an administrator asks for them.
//!
//! Whoever answers reads and writes the files: with a server running it is the server's user.
//!
//! Not here: how it is done (archives).

use super::{Admin, Trouble};
use crate::archives::{Progress, Stopped, Summary, Tell};
use crate::control::Answer;
use store::{AccountId, Store};
use tokio::sync::mpsc;

impl From<Stopped> for Trouble {
    fn from(why: Stopped) -> Self {
        match why {
            Stopped::NoMailbox(_) => Trouble::Missing(why.to_string()),
            _ => Trouble::refused(why),
        }
    }
}

impl Admin {
    /// Carries out an import or an export, on a thread that may block.
    pub(super) async fn archive(
        &self,
        address: &str,
        teller: mpsc::Sender<Progress>,
        carry_out: impl FnOnce(&Store, AccountId, Tell<'_>) -> Result<Summary, Stopped> + Send + 'static,
    ) -> Result<Answer, Trouble> {
        let directory = self.directory()?;
        let account = directory.account_named(address).map(|account| AccountId(account.id));
        let account = account.ok_or_else(|| {
            Trouble::Missing(format!("there is no account {address}; `packetboat account list` shows them"))
        })?;
        let store = self.store.clone();
        let work = move || carry_out(&store, account, &mut |progress| teller.blocking_send(progress).is_ok());
        let summary = tokio::task::spawn_blocking(work).await.map_err(Trouble::refused)??;
        Ok(Answer::Archived(summary))
    }
}
