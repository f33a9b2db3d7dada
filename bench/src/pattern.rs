//! Names in a row: `u{0..99}@example.test` stands for a hundred addresses.
//!
//! Not here: what the names mean.

use anyhow::{Context, Result, ensure};
use std::str::FromStr;

/// More names than that are a slip of the finger.
const NAMES_MAX: u64 = 1_000_000;

/// A list of names, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<String>);

impl Pattern {
    /// The names in turn, without end.
    pub fn nth(&self, at: usize) -> &str {
        &self.0[at % self.0.len()]
    }

    /// All names.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Pattern {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((before, rest)) = text.split_once('{') else {
            ensure!(!text.is_empty(), "a name is empty");
            return Ok(Pattern(vec![text.to_owned()]));
        };
        let (range, after) = rest.split_once('}').context("a brace is not closed")?;
        let (first, last) = range.split_once("..").context("in braces stands FIRST..LAST")?;
        let (first, last): (u64, u64) = (first.parse()?, last.parse()?);
        ensure!(first <= last && last - first < NAMES_MAX, "{first}..{last} is no range");
        Ok(Pattern((first..=last).map(|number| format!("{before}{number}{after}")).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_in_braces_counts() {
        let pattern: Pattern = "u{8..10}@example.test".parse().unwrap();
        assert_eq!(pattern.names(), ["u8@example.test", "u9@example.test", "u10@example.test"]);
        assert_eq!(pattern.nth(4), "u9@example.test");
    }

    #[test]
    fn a_plain_name_stands_for_itself_and_nonsense_is_refused() {
        assert_eq!("bob".parse::<Pattern>().unwrap().names(), ["bob"]);
        for wrong in ["", "u{", "u{1}", "u{2..1}", "u{a..b}", "u{0..99999999}"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
