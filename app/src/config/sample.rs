//! The sample file that `init` writes and the reference page of the documentation, both from the tables of keys.

use super::keys::{Fallback, HOOK_KEYS, KEYS, Key, Kind, ROUTE_KEYS, SPACE_KEYS, SPACE_RULE_KEYS};
use super::read::{Value, wanted};
use std::fmt::Write;

const WIDTH: usize = 100;

/// A commented configuration file for this host: what must be set is set, the rest stands as its fallback behind `#`.
pub fn sample(host_name: &str, data_dir: &str) -> String {
    let mut text =
        String::from("# Packetboat's configuration. A line that begins with # shows what holds without it.\n");
    let mut table = "";
    for key in KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != table {
            let _ = write!(text, "\n[{of}]\n");
            table = of;
        }
        text += "\n";
        text += &comment(key.sentence);
        let _ = match key.name {
            "host_name" => writeln!(text, "host_name = {}", Value::Text(host_name.into())),
            "data_dir" => writeln!(text, "data_dir = {}", Value::Text(data_dir.into())),
            _ => writeln!(text, "# {name} = {}", fallback(key)),
        };
    }
    text += "\n# Where mail goes that does not go where DNS says; as many of these as you need.\n# [[route]]\n";
    text += &list(ROUTE_KEYS);
    text += "\n# Who is told of what happens to files; as many of these as you need.\n# [[hook]]\n";
    text += &list(HOOK_KEYS);
    text += "\n# Directories that several see, by FTP; as many of these as you need.\n# [[space]]\n";
    text += &list(SPACE_KEYS);
    text += "# What holds in one of its directories; as many of these behind a space as you need.\n# [[space.rule]]\n";
    text += &list(SPACE_RULE_KEYS);
    text
}

fn list(keys: &[Key]) -> String {
    keys.iter().map(|key| format!("{}# {} = {}\n", comment(key.sentence), key.name, fallback(key))).collect()
}

/// The reference page, in Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration reference\n\nMade from the program by `packetboat config keys --markdown`.\n\n\
         | key | value | without it | what it is for |\n|---|---|---|---|\n",
    );
    let route_keys = ROUTE_KEYS.iter().map(|key| (format!("route.{}", key.name), key));
    let hook_keys = HOOK_KEYS.iter().map(|key| (format!("hook.{}", key.name), key));
    let space_keys = SPACE_KEYS.iter().map(|key| (format!("space.{}", key.name), key));
    let rule_keys = SPACE_RULE_KEYS.iter().map(|key| (format!("space.rule.{}", key.name), key));
    let lists = route_keys.chain(hook_keys).chain(space_keys).chain(rule_keys);
    for (name, key) in KEYS.iter().map(|key| (key.name.to_string(), key)).chain(lists) {
        let without = match key.fallback {
            Fallback::Required => "must be set".to_string(),
            Fallback::Unset => "unset".to_string(),
            _ => format!("`{}`", fallback(key)),
        };
        let _ = writeln!(text, "| `{name}` | {} | {without} | {} |", wanted(key.kind), key.sentence);
    }
    text
}

fn fallback(key: &Key) -> String {
    match key.fallback {
        Fallback::Required | Fallback::Unset if key.kind == Kind::List => "[]".into(),
        Fallback::Required | Fallback::Unset => "\"\"".into(),
        Fallback::Text(text) => Value::Text(text.into()).to_string(),
        Fallback::Count(count) => count.to_string(),
        Fallback::List(list) => Value::List(list.iter().map(|item| item.to_string()).collect()).to_string(),
    }
}

/// A sentence as comment lines.
fn comment(sentence: &str) -> String {
    let mut text = String::from("#");
    let mut column = 1;
    for word in sentence.split(' ') {
        if column + 1 + word.len() > WIDTH {
            text += "\n#";
            column = 1;
        }
        text += " ";
        text += word;
        column += 1 + word.len();
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::read::Config;
    use super::*;
    use std::path::Path;

    #[test]
    fn the_sample_is_a_valid_file_that_changes_nothing() {
        let text = sample("mail.example.org", "/var/lib/packetboat");
        let config = Config::read(&text, Path::new("/")).unwrap();
        let plain = "host_name = 'mail.example.org'\ndata_dir = '/var/lib/packetboat'\n";
        let plain = Config::read(plain, Path::new("/")).unwrap();
        assert!(config.values.iter().eq(plain.values.iter()), "{:?}", config.values);
    }

    #[test]
    fn the_sample_with_its_comments_taken_off_is_valid_too() {
        let text = sample("mail.example.org", "/var/lib/packetboat");
        let bare: String = text
            .lines()
            .map(|line| {
                line.strip_prefix("# ").filter(|rest| rest.contains(" = ") || rest.starts_with('[')).unwrap_or(line)
            })
            .map(|line| line.to_string() + "\n")
            .collect();
        assert!(Config::read(&bare, Path::new("/")).is_ok(), "{bare}");
    }
}
