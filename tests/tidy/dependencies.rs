//! What `deny.toml` says of licences, of crates that must not come in, and of where crates come from, as far as cargo itself can tell:
//! what is built here, for this system.
//!
//! Not here: security advisories and other systems, for which `cargo deny check` has to be run.

use super::{read, root};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use toml::{Table, Value};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn table(name: &str) -> Table {
    read(&root().join(name)).parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn list<'a>(table: &'a Table, path: &[&str]) -> &'a [Value] {
    let (last, above) = path.split_last().expect("a path");
    let table = above.iter().fold(table, |table, name| table[*name].as_table().expect("a table"));
    table[*last].as_array().expect("a list")
}

/// Each crate that is built, for tests too, with its versions and their licences.
fn built() -> BTreeMap<String, BTreeMap<String, String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = "tree --workspace --locked --offline --edges normal,build,dev --prefix none --no-dedupe --format";
    let output = Command::new(cargo).args(words.split(' ')).arg("{l}|{p}").current_dir(root()).output();
    let output = output.expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut built = BTreeMap::<_, BTreeMap<_, _>>::new();
    for line in String::from_utf8(output.stdout).expect("text").lines().filter(|line| !line.is_empty()) {
        let (licence, package) = line.split_once('|').unwrap_or_else(|| panic!("no package: {line}"));
        let mut words = package.split(' ').map(str::to_owned);
        let (name, version) = (words.next().expect("a name"), words.next().expect("a version"));
        built.entry(name).or_default().insert(version, licence.to_owned());
    }
    built
}

/// An expression of SPDX, read from its left.
struct Expression<'a> {
    words: Vec<&'a str>,
    allowed: &'a BTreeSet<&'a str>,
}

impl Expression<'_> {
    fn is_allowed(licence: &str, allowed: &BTreeSet<&str>) -> bool {
        // Old manifests write a stroke for OR.
        let licence = licence.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "+");
        let mut expression = Expression { words: licence.split_whitespace().rev().collect(), allowed };
        let is_allowed = expression.any();
        assert!(expression.words.is_empty(), "no licence: {licence}");
        is_allowed
    }

    fn comes(&mut self, word: &str) -> bool {
        self.words.pop_if(|next| *next == word).is_some()
    }

    fn any(&mut self) -> bool {
        let mut is_allowed = self.all();
        while self.comes("OR") {
            is_allowed |= self.all();
        }
        is_allowed
    }

    fn all(&mut self) -> bool {
        let mut is_allowed = self.one();
        while self.comes("AND") {
            is_allowed &= self.one();
        }
        is_allowed
    }

    fn one(&mut self) -> bool {
        if self.comes("(") {
            let is_allowed = self.any();
            assert!(self.comes(")"), "a parenthesis is not closed");
            return is_allowed;
        }
        let name = self.words.pop().map(|name| name.replace('+', " WITH "));
        name.is_some_and(|name| self.allowed.contains(name.as_str()))
    }
}

#[test]
fn licences_are_understood() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    for licence in
        ["MIT", "GPL-3.0-only OR MIT", "MIT/GPL-2.0", "ISC AND (GPL-2.0 OR MIT)", "Apache-2.0 WITH LLVM-exception"]
    {
        assert!(Expression::is_allowed(licence, &allowed), "{licence}");
    }
    for licence in ["", "GPL-3.0-only", "MIT AND GPL-2.0", "ISC AND (GPL-2.0 OR Apache-2.0)", "GPL-2.0 OR ISC AND Zlib"]
    {
        assert!(!Expression::is_allowed(licence, &allowed), "{licence}");
    }
}

#[test]
fn what_is_built_may_be_built() {
    let (deny, built) = (table("deny.toml"), built());
    let allowed = list(&deny, &["licenses", "allow"]).iter().map(|name| name.as_str().expect("a name")).collect();
    for (name, versions) in &built {
        for (version, licence) in versions {
            assert!(Expression::is_allowed(licence, &allowed), "{name} {version} is licensed {licence:?}");
        }
    }
    for rule in list(&deny, &["bans", "deny"]) {
        let versions = rule["crate"].as_str().and_then(|name| built.get(name)).map_or(0, BTreeMap::len);
        let most = usize::from(rule.get("deny-multiple-versions").is_some());
        assert!(versions <= most, "{versions} versions of what {rule} forbids");
    }
}

#[test]
fn all_that_others_wrote_is_of_crates_io() {
    let lock = table("Cargo.lock");
    for package in list(&lock, &["package"]) {
        let source = package.get("source").map_or(CRATES_IO, |source| source.as_str().expect("a text"));
        assert_eq!(source, CRATES_IO, "{}", package["name"]);
    }
}
