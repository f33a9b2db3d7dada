//! What an index is asked while it is made anew: accounts under the numbers they had, mailboxes if they are there.
//!
//! Not here: what goes where (rebuild).

use super::{Failure, Index, Trouble};
use crate::error::CommitError;
use crate::names::{AccountId, MailboxId};
use crate::op::MailboxRef;

impl Index {
    /// Whether there is such an account.
    pub(crate) fn has_account(&mut self, account: AccountId) -> Result<bool, Failure> {
        Ok(found(self.account(account))?.is_some())
    }

    /// All accounts: number, name, messages, octets.
    pub(crate) fn holdings(&self) -> Result<Vec<(AccountId, String, u64, u64)>, Failure> {
        let mut select = self.conn.prepare_cached(
            "SELECT a.id, a.name, t.messages, t.octets FROM accounts a JOIN totals t ON t.account = a.id ORDER BY a.name",
        )?;
        let rows = select.query_map([], |row| {
            let figure = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.max(0).unsigned_abs());
            Ok((AccountId(row.get(0)?), row.get(1)?, figure(2)?, figure(3)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A mailbox, if the account has it.
    pub(crate) fn find_mailbox(
        &mut self,
        account: AccountId,
        mailbox: &MailboxRef,
    ) -> Result<Option<MailboxId>, Failure> {
        Ok(found(self.mailbox(account, mailbox))?.map(|(mailbox, _)| mailbox))
    }

    /// Makes an account that has this number already.
    pub(crate) fn readmit(
        &mut self,
        account: AccountId,
        name: &str,
        record: &str,
    ) -> Result<Result<(), CommitError>, Failure> {
        let next = self.ledger.account.repeat_from(account.0);
        let made = self.create_account(name, record, &mut super::Done::default());
        self.ledger.account.seen(next - 1);
        match made {
            Ok(_) => {
                self.ledger.keep();
                Ok(Ok(()))
            }
            Err(Trouble::Refused(error)) => {
                self.ledger.undo();
                Ok(Err(error))
            }
            Err(Trouble::Database(error)) => Err(error.into()),
        }
    }
}

fn found<T>(asked: Result<T, Trouble>) -> Result<Option<T>, Failure> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(Trouble::Refused(_)) => Ok(None),
        Err(Trouble::Database(error)) => Err(error.into()),
    }
}
