//! Several servers side by side, and how many times one is another.
//!
//! Invariants: only runs of one file are compared, and a file is of one session on one machine.
//! Not here: running anything.

use crate::args::Ratios;
use crate::figures::{Figure, Report, short};
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// In which a smaller value is the better one.
fn less_is_better(figure: &str) -> bool {
    figure.ends_with("ms") || figure.ends_with("KiB") || figure.contains("CPU") || figure.starts_with("processes")
}

/// Values by row, figure and server; rows and figures in the order of their first appearance.
#[derive(Default)]
struct Table {
    rows: Vec<(String, String)>,
    cells: BTreeMap<(usize, String), Figure>,
}

/// `bench ratios`
pub fn print(args: &Ratios) -> Result<()> {
    let text = std::fs::read_to_string(&args.file).with_context(|| args.file.display().to_string())?;
    let mut table = Table::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        table.add(serde_json::from_str(line).with_context(|| format!("not a report: {line}"))?);
    }
    println!("median (min–max) of all runs; × says how many times better {} is", args.ours);
    let mut last = "";
    for (at, (row, figure)) in table.rows.iter().enumerate() {
        if row != last {
            println!("\n{row}");
            last = row;
        }
        println!("  {figure:<26} {}", table.line(at, figure, &args.ours));
    }
    Ok(())
}

impl Table {
    fn add(&mut self, report: Report) {
        let row = report.row.unwrap_or(report.load);
        let server = report.server.unwrap_or_else(|| "?".to_owned());
        for figure in report.figures {
            let key = (row.clone(), figure.name.clone());
            let at = self.rows.iter().position(|known| *known == key).unwrap_or_else(|| {
                // A figure that only a later server has stands with its row.
                let at =
                    self.rows.iter().rposition(|(known, _)| *known == row).map_or(self.rows.len(), |last| last + 1);
                self.insert_row(at, key);
                at
            });
            let cell = self.cells.entry((at, server.clone())).or_insert_with(|| Figure::new(&figure.name, Vec::new()));
            cell.values.extend(figure.values);
        }
    }

    fn insert_row(&mut self, at: usize, key: (String, String)) {
        self.rows.insert(at, key);
        let cells = std::mem::take(&mut self.cells);
        self.cells =
            cells.into_iter().map(|((row, server), cell)| ((row + usize::from(row >= at), server), cell)).collect();
    }

    fn line(&self, at: usize, figure: &str, ours: &str) -> String {
        let of = |server: &str| self.cells.get(&(at, server.to_owned())).and_then(Figure::spread);
        let mine = of(ours);
        let mut parts: Vec<String> = mine.map(|spread| format!("{ours} {}", shown(spread))).into_iter().collect();
        let others = self.cells.range((at, String::new())..(at + 1, String::new()));
        for ((_, server), cell) in others.filter(|((_, server), _)| server != ours) {
            let Some(theirs) = cell.spread() else { continue };
            let ratio = mine.map_or(String::new(), |mine| format!(" ×{}", short(ratio(figure, mine.0, theirs.0))));
            parts.push(format!("{server} {}{ratio}", shown(theirs)));
        }
        parts.join(" | ")
    }
}

fn shown((median, min, max): (f64, f64, f64)) -> String {
    if min == max { short(median) } else { format!("{} ({}–{})", short(median), short(min), short(max)) }
}

fn ratio(figure: &str, ours: f64, theirs: f64) -> f64 {
    if less_is_better(figure) { theirs / ours } else { ours / theirs }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(server: &str, row: &str, figures: &[(&str, &[f64])]) -> Report {
        let figures = figures.iter().map(|(name, values)| Figure::new(name, values.to_vec())).collect();
        Report::new(String::new(), figures).labelled(Some(server), Some(row))
    }

    #[test]
    fn runs_of_one_server_are_put_together_and_compared() {
        let mut table = Table::default();
        table.add(report("ours", "one", &[("messages/s", &[100.0])]));
        table.add(report("theirs", "two", &[("messages/s", &[1.0])]));
        table.add(report("theirs", "one", &[("messages/s", &[50.0]), ("p50 ms", &[4.0])]));
        table.add(report("ours", "one", &[("messages/s", &[300.0]), ("p50 ms", &[1.0])]));
        let rows: Vec<_> = table.rows.iter().map(|(row, figure)| (row.as_str(), figure.as_str())).collect();
        assert_eq!(rows, [("one", "messages/s"), ("one", "p50 ms"), ("two", "messages/s")]);
        assert_eq!(table.line(0, "messages/s", "ours"), "ours 200 (100–300) | theirs 50.0 ×4.00");
        assert!(table.line(1, "p50 ms", "ours").ends_with("×4.00"), "less time is better");
        assert_eq!(table.line(2, "messages/s", "ours"), "theirs 1.00");
    }
}
