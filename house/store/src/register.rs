//! The register: a copy of what the index alone knows and segments do not tell: accounts, the directory's entries, mailboxes.
//!
//! Whoever has lost the index finds people and folders again by it (rebuild). It is written when the store closes and when room is
//! given back, where something of it has changed: some hundred octets for each mailbox.
//!
//! Invariants: it is whole or the one before it; a register that cannot be written costs no commit.
//! Not here: reading it (rebuild).

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};
use tracing::warn;

use crate::rebuild::SALVAGED;
use crate::{DATABASE, Shared, privacy};

/// Its name beside the index.
pub(crate) const REGISTER: &str = "register.db";

/// Writes the register, where something has changed since it was written last.
pub(crate) fn keep(shared: &Shared) {
    let changes = shared.mailbox_changes.load(Ordering::Acquire);
    if shared.failure().is_some() || shared.registered.swap(changes, Ordering::AcqRel) == changes {
        return;
    }
    if let Err(error) = write(shared) {
        warn!("the register of accounts and mailboxes could not be written: {error}");
    }
}

/// The same for a store that closes: commands that only look write nothing.
pub(crate) fn keep_at_the_end(shared: &Shared) {
    if shared.mailbox_changes.load(Ordering::Acquire) > 0 || !shared.dir.join(REGISTER).exists() {
        keep(shared);
    }
}

fn write(shared: &Shared) -> Result<(), Box<dyn std::error::Error>> {
    let (made, index) = (shared.tmp_dir().join(REGISTER), shared.dir.join(DATABASE));
    let _ = std::fs::remove_file(&made);
    privacy::make_file(&made)?;
    copy(&Connection::open(&made)?, index.to_str().ok_or("the name of its directory is no text")?)?;
    let file = shared.disk.open(&made)?;
    shared.disk.sync(&file)?;
    shared.disk.rename(&made, &shared.dir.join(REGISTER))?;
    Ok(shared.disk.sync_dir(&shared.dir)?)
}

fn copy(register: &Connection, index: &str) -> rusqlite::Result<()> {
    // Until it has its name it is nobody's: what a crash leaves is swept up.
    register.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
    register.pragma_update(None, "synchronous", "OFF")?;
    register.execute("ATTACH ?1 AS source", params![index])?;
    register.execute_batch("BEGIN")?;
    for (table, columns) in SALVAGED {
        register.execute_batch(&format!(
            "CREATE TABLE main.{table} AS SELECT {} FROM source.{table}",
            columns.join(", ")
        ))?;
    }
    register.execute_batch("COMMIT; DETACH source")
}
