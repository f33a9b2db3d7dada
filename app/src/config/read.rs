//! Reads a configuration file against the tables of keys; every complaint names its line and says what to do.

use super::keys::{Fallback, HOOK_KEYS, KEYS, Key, Kind, ROUTE_KEYS, SPACE_KEYS, SPACE_RULE_KEYS};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value that fits its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Count(u64),
    List(Vec<String>),
}

/// The values of one table of keys, fallbacks filled in.
#[derive(Debug, Default)]
pub struct Values {
    values: BTreeMap<&'static str, Value>,
    /// Where keys were set, and where the table begins if it is one of a list.
    lines: BTreeMap<&'static str, usize>,
    line: Option<usize>,
    base: PathBuf,
    asked: RefCell<BTreeSet<&'static str>>,
}

/// A configuration file, read.
#[derive(Debug, Default)]
pub struct Config {
    pub values: Values,
    pub routes: Vec<Values>,
    pub hooks: Vec<Values>,
    pub spaces: Vec<SpaceTable>,
}

/// A `[[space]]` and its rules.
#[derive(Debug, Default)]
pub struct SpaceTable {
    pub values: Values,
    pub rules: Vec<Values>,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct Complaint {
    /// The line, counted from 1, if the complaint has one.
    pub line: Option<usize>,
    /// A sentence.
    pub message: String,
}

impl Config {
    /// Reads `text`; relative paths in it start at `base`.
    ///
    /// # Errors
    /// All complaints, not just the first.
    pub fn read(text: &str, base: &Path) -> Result<Config, Vec<Complaint>> {
        let table = DeTable::parse(text).map_err(|error| {
            vec![Complaint {
                line: error.span().map(|span| line_of(text, span.start)),
                message: error.message().to_string(),
            }]
        })?;
        let mut reader = Reader { text, base, complaints: Vec::new() };
        let config = reader.config(table.get_ref());
        if reader.complaints.is_empty() { Ok(config) } else { Err(reader.complaints) }
    }
}

impl Values {
    /// The value of a text, path or choice that is set or has a fallback.
    pub fn text(&self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::Text(text) => Some(text),
            other => panic!("{name} is declared as text and holds {other:?}"),
        }
    }

    /// The same, for keys that always have one.
    pub fn text_of(&self, name: &'static str) -> String {
        self.text(name).unwrap_or_else(|| panic!("{name} is declared with a value and has none"))
    }

    /// A path, made absolute from the configuration file's folder.
    pub fn path(&self, name: &'static str) -> Option<PathBuf> {
        self.text(name).map(|text| self.base.join(text))
    }

    /// A number.
    pub fn count(&self, name: &'static str) -> u64 {
        match self.value(name) {
            Some(Value::Count(count)) => count,
            other => panic!("{name} is declared as a number and holds {other:?}"),
        }
    }

    /// A list of texts.
    pub fn list(&self, name: &'static str) -> Vec<String> {
        match self.value(name) {
            Some(Value::List(list)) => list,
            other => panic!("{name} is declared as a list and holds {other:?}"),
        }
    }

    fn value(&self, name: &'static str) -> Option<Value> {
        self.asked.borrow_mut().insert(name);
        self.values.get(name).cloned()
    }

    /// The line to look at for this key: its own, or that of its table.
    pub fn line(&self, name: &str) -> Option<usize> {
        self.lines.get(name).copied().or(self.line)
    }

    /// All values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }

    /// Those of these keys that have another value there.
    pub fn differing(&self, other: &Values, names: &[&'static str]) -> Vec<&'static str> {
        names.iter().copied().filter(|name| self.values.get(name) != other.values.get(name)).collect()
    }

    /// Keys that nobody has asked for: none, after the settings are built.
    #[cfg(test)]
    pub fn unasked<'a>(&self, keys: &'a [Key]) -> Vec<&'a str> {
        keys.iter().map(|key| key.name).filter(|name| !self.asked.borrow().contains(name)).collect()
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Text(text) => write!(f, "{}", toml::Value::from(text.as_str())),
            Value::Count(count) => write!(f, "{count}"),
            Value::List(list) => write!(f, "{}", toml::Value::from(list.clone())),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    base: &'a Path,
    complaints: Vec<Complaint>,
}

type Found<'i> = BTreeMap<String, Spanned<DeValue<'i>>>;

impl<'a> Reader<'a> {
    fn config(&mut self, table: &DeTable<'a>) -> Config {
        let mut found = Found::new();
        let (mut routes, mut hooks, mut spaces) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in table {
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("route", DeValue::Array(tables)) => routes = self.list("route", ROUTE_KEYS, tables),
                ("hook", DeValue::Array(tables)) => hooks = self.list("hook", HOOK_KEYS, tables),
                ("space", DeValue::Array(tables)) => spaces = tables.iter().map(|table| self.space(table)).collect(),
                (name, DeValue::Table(inner)) => {
                    found.extend(inner.iter().map(|(key, value)| (format!("{name}.{}", key.get_ref()), value.clone())));
                }
                (name, _) => drop(found.insert(name.to_string(), value.clone())),
            }
        }
        Config { values: self.values(KEYS, found, None), routes, hooks, spaces }
    }

    /// A table of `[[space]]`, which has tables of its own.
    fn space(&mut self, table: &Spanned<DeValue<'a>>) -> SpaceTable {
        let DeValue::Table(inner) = table.get_ref() else {
            return SpaceTable { values: self.table("space", SPACE_KEYS, table), rules: Vec::new() };
        };
        let mut found: Found<'a> =
            inner.iter().map(|(key, value)| (key.get_ref().to_string(), value.clone())).collect();
        let rules = match found.remove("rule").as_ref().map(Spanned::get_ref) {
            Some(DeValue::Array(tables)) => self.list("space.rule", SPACE_RULE_KEYS, tables),
            Some(_) => {
                self.complain(table.span().start, "a rule is written as [[space.rule]]".into());
                Vec::new()
            }
            None => Vec::new(),
        };
        SpaceTable { values: self.values(SPACE_KEYS, found, Some(table.span().start)), rules }
    }

    /// The tables of `[[name]]`.
    fn list(&mut self, name: &str, keys: &'static [Key], tables: &[Spanned<DeValue<'a>>]) -> Vec<Values> {
        tables.iter().map(|table| self.table(name, keys, table)).collect()
    }

    fn table(&mut self, name: &str, keys: &'static [Key], table: &Spanned<DeValue<'a>>) -> Values {
        let DeValue::Table(inner) = table.get_ref() else {
            self.complain(table.span().start, format!("a {name} is written as [[{name}]]"));
            return Values::default();
        };
        let found = inner.iter().map(|(key, value)| (key.get_ref().to_string(), value.clone())).collect();
        self.values(keys, found, Some(table.span().start))
    }

    fn values(&mut self, keys: &'static [Key], mut found: Found<'a>, at: Option<usize>) -> Values {
        let (mut values, mut lines) = (BTreeMap::new(), BTreeMap::new());
        for key in keys {
            let value = match found.remove(key.name) {
                Some(value) => {
                    lines.insert(key.name, line_of(self.text, value.span().start));
                    self.value(key, &value)
                }
                None => self.fallback(key, at),
            };
            values.extend(value.map(|value| (key.name, value)));
        }
        for (name, value) in found {
            let hint = nearest(&name, keys).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            self.complain(value.span().start, format!("there is no key {name}{hint}"));
        }
        let line = at.map(|at| line_of(self.text, at));
        Values { values, lines, line, base: self.base.to_path_buf(), asked: RefCell::default() }
    }

    fn fallback(&mut self, key: &Key, at: Option<usize>) -> Option<Value> {
        match key.fallback {
            Fallback::Required => {
                let line = at.map(|at| line_of(self.text, at));
                self.complaints
                    .push(Complaint { line, message: format!("{} must be set: {}", key.name, key.sentence) });
                None
            }
            Fallback::Unset => None,
            Fallback::Text(text) => Some(Value::Text(text.into())),
            Fallback::Count(count) => Some(Value::Count(count)),
            Fallback::List(list) => Some(Value::List(list.iter().map(|text| text.to_string()).collect())),
        }
    }

    fn value(&mut self, key: &Key, value: &Spanned<DeValue<'a>>) -> Option<Value> {
        let fitting = fit(key.kind, value.get_ref());
        fitting.map_err(|wanted| self.complain(value.span().start, format!("{} wants {wanted}", key.name))).ok()
    }

    fn complain(&mut self, at: usize, message: String) {
        self.complaints.push(Complaint { line: Some(line_of(self.text, at)), message });
    }
}

/// The value as its kind wants it, or what the kind wants.
fn fit(kind: Kind, value: &DeValue<'_>) -> Result<Value, String> {
    match (kind, value) {
        (Kind::Text | Kind::Path, DeValue::String(text)) => Ok(Value::Text(text.to_string())),
        (Kind::Choice(words), DeValue::String(text)) if words.contains(&text.as_ref()) => {
            Ok(Value::Text(text.to_string()))
        }
        (Kind::Count { min, max }, DeValue::Integer(digits)) => u64::from_str_radix(digits.as_str(), digits.radix())
            .ok()
            .filter(|count| (min..=max).contains(count))
            .map(Value::Count)
            .ok_or_else(|| wanted(kind)),
        (Kind::List, DeValue::Array(items)) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_string))
            .collect::<Option<Vec<String>>>()
            .map(Value::List)
            .ok_or_else(|| wanted(kind)),
        _ => Err(wanted(kind)),
    }
}

/// A kind in words, for complaints and the reference page.
pub fn wanted(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text in quotes".into(),
        Kind::Path => "a path in quotes".into(),
        Kind::Choice(words) => {
            format!("one of {}", words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", "))
        }
        Kind::Count { min, max } => format!("a whole number from {min} to {max}"),
        Kind::List => "a list of texts, as [\"a\", \"b\"]".into(),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|octet| **octet == b'\n').count() + 1
}

/// The key that differs least, if it differs little.
fn nearest<'a>(name: &str, keys: &'a [Key]) -> Option<&'a str> {
    const FAR: usize = 5;
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_string();
    keys.iter()
        .map(|key| (distance(name, key.name).min(distance(&last(name), &last(key.name)) + 1), key.name))
        .min()
        .filter(|(far, _)| *far < FAR)
        .map(|(_, name)| name)
}

/// How many letters must be added, dropped or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        Config::read(text, Path::new("/etc")).unwrap_err().iter().map(Complaint::to_string).collect()
    }

    #[test]
    fn fallbacks_hold_where_nothing_is_set() {
        let config = Config::read("host_name = 'mx.example.org'\n", Path::new("/etc")).unwrap();
        assert_eq!(config.values.text_of("host_name"), "mx.example.org");
        assert_eq!(config.values.count("smtp.recipients_max"), 1_000);
        assert_eq!(config.values.path("data_dir").unwrap(), Path::new("/etc/packetboat-data"));
        assert_eq!(config.values.text("tls.key"), None);
    }

    #[test]
    fn routes_are_read_each_with_its_keys() {
        let text = "host_name = 'a.test'\n[[route]]\ndomain = '*'\nhost = 'smart.test'\nport = 0x251\n";
        let config = Config::read(text, Path::new("/")).unwrap();
        assert_eq!(config.routes[0].text_of("host"), "smart.test");
        assert_eq!(config.routes[0].count("port"), 593);
    }

    #[test]
    fn every_complaint_names_its_line_and_a_way_out() {
        let text = "hostname = 'x'\n[smtp]\nrecipient_max = 5\nidle_limit_secs = 'long'\n[log]\nlevel = 'loud'\n[[route]]\ndomain = 'a'\n";
        assert_eq!(
            complaints(text),
            [
                "line 7: host must be set: The host that takes their mail: a name or an address. No MX record is asked for.",
                "host_name must be set: The name this machine greets with and signs trace fields with. It should resolve to its public address, and that address back to it.",
                "line 6: log.level wants one of \"error\", \"warn\", \"info\", \"debug\"",
                "line 4: smtp.idle_limit_secs wants a whole number from 60 to 3600",
                "line 1: there is no key hostname; did you mean host_name?",
                "line 3: there is no key smtp.recipient_max; did you mean smtp.recipients_max?",
            ]
        );
        assert_eq!(complaints("host_name = \n").len(), 1);
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        assert_eq!(
            complaints("host_name = 'x'\npop3.idle_limit_secs = 5\n"),
            ["line 2: pop3.idle_limit_secs wants a whole number from 600 to 86400"]
        );
    }
}
