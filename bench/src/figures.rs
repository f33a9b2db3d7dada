//! What was measured: samples, figures and how they are printed.
//!
//! Invariants: a figure is the median of the runs, with the smallest and the largest beside it;
//! times are of whole answers, in milliseconds unless the name says otherwise.
//! Not here: comparisons (`ratios`).

use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One run's raw outcome.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// How long the run took.
    pub elapsed: Duration,
    /// Octets of content carried.
    pub octets: u64,
    /// One for each message or login.
    pub latencies: Vec<Duration>,
    /// CPU time of the server in this run, if it was asked for. Milliseconds.
    pub server_cpu_ms: Option<f64>,
}

/// One figure, with its value in each run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    /// What it is, with its unit.
    pub name: String,
    /// Of each run.
    pub values: Vec<f64>,
}

impl Figure {
    /// Of several runs.
    pub fn new(name: &str, values: Vec<f64>) -> Figure {
        Figure { name: name.to_owned(), values }
    }

    /// Median, smallest, largest; `None` without any run.
    pub fn spread(&self) -> Option<(f64, f64, f64)> {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        let (first, last) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some((median, first, last))
    }
}

/// What one call of the load generator found out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The load in words.
    pub load: String,
    /// Which server, if it was named.
    pub server: Option<String>,
    /// Which row of a table, if it was named.
    pub row: Option<String>,
    /// What was measured.
    pub figures: Vec<Figure>,
}

impl Report {
    /// A report of figures that stand for themselves.
    pub fn new(load: String, figures: Vec<Figure>) -> Report {
        Report { load, server: None, row: None, figures }
    }

    /// The usual figures of runs in which `what` (plural) were carried.
    pub fn of_samples(load: String, what: &str, samples: &[Sample]) -> Report {
        let of = |name: &str, value: &dyn Fn(&Sample) -> f64| Figure::new(name, samples.iter().map(value).collect());
        let count = |sample: &Sample| sample.latencies.len() as f64;
        let mut figures = vec![
            of(&format!("{what}/s"), &|sample| count(sample) / sample.elapsed.as_secs_f64()),
            of("p50 ms", &|sample| percentile_ms(&sample.latencies, 0.50)),
            of("p99 ms", &|sample| percentile_ms(&sample.latencies, 0.99)),
            of("max ms", &|sample| percentile_ms(&sample.latencies, 1.0)),
        ];
        if samples.iter().any(|sample| sample.octets > 0) {
            figures.push(of("MB/s", &|sample| sample.octets as f64 / sample.elapsed.as_secs_f64() / 1e6));
        }
        if samples.iter().all(|sample| sample.server_cpu_ms.is_some()) {
            let cpu = |sample: &Sample| sample.server_cpu_ms.unwrap_or(0.0) / count(sample).max(1.0);
            figures.push(of("server CPU ms each", &cpu));
        }
        Report::new(load, figures)
    }

    /// With names for a table of ratios.
    pub fn labelled(mut self, server: Option<&str>, row: Option<&str>) -> Report {
        self.server = server.map(str::to_owned);
        self.row = row.map(str::to_owned);
        self
    }

    /// To stdout.
    pub fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        println!("{}", self.load);
        println!("{:<24} {:>12} {:>12} {:>12}", "", "median", "min", "max");
        for figure in &self.figures {
            let Some((median, min, max)) = figure.spread() else { continue };
            println!("{:<24} {:>12} {:>12} {:>12}", figure.name, short(median), short(min), short(max));
        }
        Ok(())
    }
}

/// Four significant digits are more than a machine with noise deserves.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The value that `share` of all do not exceed (nearest rank). Milliseconds; 0 of none.
pub fn percentile_ms(latencies: &[Duration], share: f64) -> f64 {
    let mut latencies = latencies.to_vec();
    latencies.sort_unstable();
    let rank = (share * latencies.len() as f64).ceil() as usize;
    latencies.get(rank.saturating_sub(1)).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_are_as_in_the_book() {
        assert_eq!(Figure::new("", vec![3.0, 1.0, 2.0]).spread(), Some((2.0, 1.0, 3.0)));
        assert_eq!(Figure::new("", vec![4.0, 1.0]).spread(), Some((2.5, 1.0, 4.0)));
        assert_eq!(Figure::new("", vec![]).spread(), None);
        let hundred: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile_ms(&hundred, 0.5), 50.0);
        assert_eq!(percentile_ms(&hundred, 0.99), 99.0);
        assert_eq!(percentile_ms(&hundred, 1.0), 100.0);
        assert_eq!(percentile_ms(&[], 0.5), 0.0);
    }
}
