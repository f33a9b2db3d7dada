//! How answers look: tables for people, JSON for programs, and no escape sequence that came from outside.

use crate::failure::Failure;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Prints a value as JSON on one line.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    say(&json_line(value)?)
}

/// The same on standard error, where standard output is for something else.
pub fn json_aside(value: &impl Serialize) -> Result<(), Failure> {
    eprintln!("{}", json_line(value)?);
    Ok(())
}

fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Failed(error.to_string()))
}

/// Prints a line; a reader that has gone away is not a failure.
pub fn say(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// A table without lines, in columns as wide as they must be.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|cell| cell.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Text from outside with its control characters made visible.
pub fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// So many of them, by the word for one or that for more.
pub fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Octets in a unit that people read.
pub fn size(octets: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut amount = octets as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{octets} B") } else { format!("{amount:.1} {}", UNITS[unit]) }
}

/// A moment relative to now: `in 5 min`, `2 h ago`.
pub fn moment(at: i64, now: i64) -> String {
    match at - now {
        0 => "now".into(),
        ahead @ 1.. => format!("in {}", span(ahead.unsigned_abs())),
        ago => format!("{} ago", span(ago.unsigned_abs())),
    }
}

/// Seconds in a unit that people read.
pub fn span(secs: u64) -> String {
    match secs {
        0..=119 => format!("{secs} s"),
        120..=7_199 => format!("{} min", secs / 60),
        7_200..=172_799 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

/// Unix seconds now.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Whether colours may be used on this stream.
pub fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_moments() {
        assert_eq!((size(12), size(1536), size(5 << 30)), ("12 B".into(), "1.5 KiB".into(), "5.0 GiB".into()));
        assert_eq!(moment(400, 100), "in 5 min");
        assert_eq!(moment(100, 100_000), "27 h ago");
    }

    #[test]
    fn what_comes_from_outside_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }

    #[test]
    fn a_table_has_no_trailing_blanks() {
        let text = table(&["name", "size"], [vec!["a".into(), "1".into()], vec!["long name".into(), "2".into()]]);
        assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
        assert_eq!(text.lines().count(), 3);
    }
}
