//! The index's format: one number, and the steps that lead from each format to the next.
//!
//! A step runs in one transaction with the change of the number, so a format is reached or it is not. A store whose
//! number is larger than ours is refused: it may hold what we would destroy.
//!
//! Invariants: a step that was ever released is never edited; a new format is a new step at the end.
//! Not here: the format of segments; each record carries its own version (record).

use std::path::Path;

use rusqlite::Connection;
use tracing::info;

use crate::error::OpenError;
use crate::states;

/// "PBST": how a database says that it is a store of ours.
const APPLICATION_ID: i32 = 0x5042_5354;

/// The steps, in order: applying the first n gives format n.
const STEPS: &[&[Deed]] = &[
    &[Deed::Run(include_str!("index/format1.sql"))],
    &[Deed::Run(include_str!("index/format2.sql"))],
    &[
        Deed::Run(include_str!("index/format3.sql")),
        Deed::Pack(
            "SELECT mailbox, uid, modseq, size, received_at, flags, keywords FROM messages ORDER BY mailbox, uid",
        ),
        Deed::Run(include_str!("index/format3_messages.sql")),
    ],
    // Of rows nothing changes: the journal of segments may be ahead of them, which earlier versions would not see.
    &[],
    // The same: there may be changes of flags in it.
    &[],
];

/// A part of a step.
enum Deed {
    /// Statements.
    Run(&'static str),
    /// Blocks of states, made of what a query gives.
    Pack(&'static str),
}

/// The newest format this version knows.
pub const FORMAT: u32 = STEPS.len() as u32;

/// Brings the index to the present format.
pub(crate) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let is_empty: bool = conn.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && !is_empty {
        return Err(OpenError::NotAStore { path: path.into() });
    }
    if found > FORMAT {
        let dir = path.parent().unwrap_or(path).into();
        return Err(OpenError::NewerFormat { dir, found, known: FORMAT });
    }
    for (number, step) in STEPS.iter().enumerate().skip(found as usize) {
        if !is_empty {
            // A million messages take some ten seconds.
            info!("bringing the index {} to format {}", path.display(), number + 1);
        }
        let transaction = conn.transaction()?;
        for deed in *step {
            match deed {
                Deed::Run(sql) => transaction.execute_batch(sql)?,
                Deed::Pack(select) => states::pack(&transaction, select)?,
            }
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number as u32 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
