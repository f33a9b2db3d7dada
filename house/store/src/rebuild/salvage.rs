//! Who is who, for an index that is made anew: out of the old one as far as it can be read, and out of the register.
//!
//! Invariants: sources are read and never written; of a table that can be read to its end the better source alone counts, so that what
//! was removed does not come back; a UIDVALIDITY is none that was ever given.
//! Not here: where messages go (enter), what keeps the register (register).

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params, params_from_iter};

use super::finds::Finds;
use crate::check::RAISE_NUMBERS;
use crate::error::OpenError;
use crate::index::open_for_reading;
use crate::register::REGISTER;
use crate::{DATABASE, index};

/// What is salvaged, in this order: what a row points at comes before it.
pub(crate) const SALVAGED: &[(&str, &[&str])] = &[
    ("accounts", &["id", "name", "record", "created_at"]),
    ("totals", &["account", "modseq"]),
    ("entries", &["kind", "key", "value"]),
    ("mailboxes", &["id", "account", "name", "special_use", "uidvalidity", "created_at"]),
    ("subscriptions", &["account", "name"]),
    ("annotations", &["account", "mailbox", "entry", "value"]),
    ("rights", &["mailbox", "who", "rights"]),
    ("counters", &["name", "next"]),
];

/// What is known of those who had mail.
pub(super) struct Known {
    /// Whether there are accounts from some source.
    pub(super) has_names: bool,
    /// Accounts with smaller numbers that are not there have been removed.
    pub(super) accounts_below: i64,
}

/// Fills a new index.
pub(super) fn salvage(conn: &mut Connection, dir: &Path, finds: &Finds, now: i64) -> Result<Known, OpenError> {
    let sources: Vec<_> = [DATABASE, REGISTER].iter().map(|name| dir.join(name)).filter(|path| path.exists()).collect();
    let sources: Vec<_> = sources.iter().filter_map(|path| open_for_reading(path).ok()).collect();
    let transaction = conn.transaction()?;
    let mut accounts_below = 0;
    for (table, columns) in SALVAGED {
        for source in &sources {
            let is_whole = copy(source, &transaction, table, columns)?;
            if *table == "accounts" && is_whole {
                let next = "SELECT next FROM counters WHERE name = 'account'";
                accounts_below = source.query_row(next, [], |row| row.get(0)).unwrap_or(0);
            }
            // Numbers only grow, so the highest counts wherever it is.
            if is_whole && *table != "counters" {
                break;
            }
        }
    }
    let has_names = index::has_accounts(&transaction)?;
    for name in ["account", "mailbox", "body", "segment"] {
        put(
            &transaction,
            "counters",
            &["name", "next"],
            vec![name.to_owned().into(), (finds.highest(name)? + 1).into()],
        )?;
    }
    transaction.execute(
        "INSERT OR IGNORE INTO totals (account, modseq, messages, octets) SELECT id, 1, 0, 0 FROM accounts",
        [],
    )?;
    give_uidvalidities(&transaction, now)?;
    transaction.execute_batch(RAISE_NUMBERS)?;
    transaction.commit()?;
    Ok(Known { has_names, accounts_below })
}

/// Copies rows as far as they can be read; says whether that was to the end, and there were some.
fn copy(source: &Connection, target: &Connection, table: &str, columns: &[&str]) -> Result<bool, OpenError> {
    let Ok(mut select) = source.prepare(&format!("SELECT {} FROM {table}", columns.join(", "))) else {
        return Ok(false);
    };
    let Ok(mut rows) = select.query([]) else { return Ok(false) };
    let mut copied = 0;
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                let values = (0..columns.len()).map(|column| row.get::<_, Value>(column)).collect::<Result<_, _>>();
                match values {
                    Ok(values) => put(target, table, columns, values)?,
                    Err(_) => return Ok(false),
                }
                copied += 1;
            }
            Ok(None) => return Ok(copied > 0),
            Err(_) => return Ok(false),
        }
    }
}

/// Puts a row into the new index; what cannot be there, because what it points at is not, is left out.
fn put(target: &Connection, table: &str, columns: &[&str], mut values: Vec<Value>) -> Result<(), OpenError> {
    let mut columns = columns.to_vec();
    let zeros: &[&str] = match table {
        "totals" => &["messages", "octets"],
        "mailboxes" => &["messages", "unseen", "octets", "deleted"],
        _ => &[],
    };
    let ones: &[&str] = if table == "mailboxes" { &["uidnext", "modseq", "made", "changed"] } else { &[] };
    columns.extend(zeros.iter().chain(ones));
    values.extend(zeros.iter().map(|_| Value::from(0)).chain(ones.iter().map(|_| Value::from(1))));
    let marks = vec!["?"; columns.len()].join(", ");
    let conflict = match table {
        "counters" => "ON CONFLICT (name) DO UPDATE SET next = max(next, excluded.next)",
        _ => "ON CONFLICT DO NOTHING",
    };
    let sql = format!("INSERT INTO {table} ({}) VALUES ({marks}) {conflict}", columns.join(", "));
    match target.prepare_cached(&sql)?.execute(params_from_iter(values)) {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// RFC 9051 §2.3.1.1: UIDs mean other messages from now on.
fn give_uidvalidities(conn: &Connection, now: i64) -> Result<(), OpenError> {
    let floor = now.clamp(1, i64::from(u32::MAX / 2));
    conn.execute(
        "UPDATE mailboxes SET uidvalidity = n.number FROM (SELECT id, row_number() OVER (ORDER BY id) + max(?1, \
             ifnull((SELECT max(uidvalidity) FROM mailboxes), 0), \
             ifnull((SELECT next FROM counters WHERE name = 'uidvalidity'), 0)) AS number FROM mailboxes) n \
         WHERE n.id = mailboxes.id",
        params![floor],
    )?;
    Ok(())
}
