//! Which names somebody wants.
//!
//! A pattern without `/` is for the name alone, anywhere in the tree; one with `/` is for the whole path below the tree's root.
//! `*`, `?` and `[…]` stand for octets of one name, `**` for any number of directories. The last pattern that fits decides;
//! when none does, a name is wanted unless the first pattern is an inclusion. A regular expression is looked for in the path.
//!
//! Invariants: a directory that is excluded is not looked into.

use ftp::Pattern;
use regex::bytes::Regex;

/// Inclusions and exclusions, in their order.
#[derive(Debug, Clone, Default)]
pub struct Selection(Vec<(bool, Rule)>);

#[derive(Debug, Clone)]
enum Rule {
    /// The parts of a pattern, as there are names in a path.
    Names(Vec<Vec<u8>>),
    Path(Regex),
}

impl Selection {
    /// Adds a pattern for what is wanted.
    pub fn include(&mut self, pattern: &str) {
        self.0.push((true, Rule::Names(parts(pattern))));
    }

    /// Adds a pattern for what is not.
    pub fn exclude(&mut self, pattern: &str) {
        self.0.push((false, Rule::Names(parts(pattern))));
    }

    /// Adds a regular expression for what is wanted.
    pub fn include_regex(&mut self, expression: &Regex) {
        self.0.push((true, Rule::Path(expression.clone())));
    }

    /// Adds a regular expression for what is not.
    pub fn exclude_regex(&mut self, expression: &Regex) {
        self.0.push((false, Rule::Path(expression.clone())));
    }

    /// Whether a file is wanted, by its path below the root.
    pub fn wants_file(&self, path: &[u8]) -> bool {
        let usual = self.0.first().is_none_or(|(include, _)| !include);
        self.decided(path).unwrap_or(usual)
    }

    /// Whether a directory is to be looked into: there may be wanted files in one that no inclusion names.
    pub fn wants_directory(&self, path: &[u8]) -> bool {
        self.decided(path).unwrap_or(true)
    }

    fn decided(&self, path: &[u8]) -> Option<bool> {
        let names: Vec<&[u8]> = path.split(|octet| *octet == b'/').collect();
        let decides = |rule: &Rule| match rule {
            Rule::Names(pattern) => fits(pattern, &names),
            Rule::Path(expression) => expression.is_match(path),
        };
        self.0.iter().rev().find(|(_, rule)| decides(rule)).map(|(include, _)| *include)
    }
}

/// A name as a pattern, if it is one.
pub fn pattern(name: &[u8]) -> Option<Pattern> {
    Pattern::parse(name)
}

fn parts(pattern: &str) -> Vec<Vec<u8>> {
    let pattern = pattern.trim_end_matches('/');
    match pattern.strip_prefix('/').or_else(|| pattern.contains('/').then_some(pattern)) {
        Some(rooted) => rooted.split('/').map(|part| part.as_bytes().to_vec()).collect(),
        None => vec![b"**".to_vec(), pattern.as_bytes().to_vec()],
    }
}

fn fits(pattern: &[Vec<u8>], names: &[&[u8]]) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((part, rest)), _) if part == b"**" => (0..=names.len()).any(|skipped| fits(rest, &names[skipped..])),
        (Some((part, rest)), Some((name, behind))) => one(part, name) && fits(rest, behind),
        _ => false,
    }
}

fn one(part: &[u8], name: &[u8]) -> bool {
    match Pattern::parse(part) {
        Some(pattern) => pattern.matches(name),
        None => part == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_that_fits_decides() {
        let mut selection = Selection::default();
        assert!(selection.wants_file(b"a/b.txt"));
        selection.exclude("*.txt");
        selection.exclude("/tmp");
        selection.exclude("a/**/old");
        selection.include("keep.txt");
        for (path, wanted) in [
            ("a/b.txt", false),
            ("a/keep.txt", true),
            ("b.bin", true),
            ("tmp", false),
            ("a/tmp", true),
            ("a/old", false),
            ("a/x/y/old", false),
            ("b/old", true),
        ] {
            assert_eq!(selection.wants_file(path.as_bytes()), wanted, "{path}");
        }
    }

    #[test]
    fn regular_expressions_are_looked_for_in_the_path() {
        let regex = |text: &str| Regex::new(text).expect("an expression");
        let mut selection = Selection::default();
        selection.exclude_regex(&regex(r"(^|/)build/.*\.o$"));
        selection.include_regex(&regex(r"^build/keep"));
        for (path, wanted) in [("build/a.o", false), ("x/build/y/a.o", false), ("build/keep.o", true), ("a.o", true)] {
            assert_eq!(selection.wants_file(path.as_bytes()), wanted, "{path}");
        }
    }

    #[test]
    fn who_begins_with_an_inclusion_wants_nothing_else() {
        let mut selection = Selection::default();
        selection.include("*.txt");
        assert!(
            selection.wants_file(b"a/b.txt") && !selection.wants_file(b"a/b.bin") && selection.wants_directory(b"a")
        );
    }
}
