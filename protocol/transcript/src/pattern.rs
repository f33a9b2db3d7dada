//! Matching what was said with what was expected, and remembering `$names`.

use std::collections::HashMap;

/// The words that `$names` stand for.
pub type Names = HashMap<String, String>;

/// Whether `text` is what `pattern` expects; binds the names it meets for the first time.
pub fn matches(pattern: &str, text: &str, names: &mut Names) -> bool {
    let mut trial = names.clone();
    let fits = fits(pattern, text, &mut trial);
    if fits {
        *names = trial;
    }
    fits
}

/// Puts the words that are known in the place of their `$names`.
pub fn fill(pattern: &str, names: &Names) -> String {
    let mut filled = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find('$') {
        let (before, behind) = rest.split_at(at);
        let name = name(&behind[1..]);
        filled.push_str(before);
        match names.get(name) {
            Some(word) => filled.push_str(word),
            None => filled.push_str(&behind[..1 + name.len()]),
        }
        rest = &behind[1 + name.len()..];
    }
    filled + rest
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn fits(pattern: &str, text: &str, names: &mut Names) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('~') => ends(text).any(|at| fits(&pattern[1..], &text[at..], names)),
        Some('$') if !name(&pattern[1..]).is_empty() => {
            let name = name(&pattern[1..]).to_string();
            let rest = &pattern[1 + name.len()..];
            match names.get(&name).cloned() {
                Some(word) => text.strip_prefix(&word[..]).is_some_and(|text| fits(rest, text, names)),
                None => bind(&name, rest, text, names),
            }
        }
        Some(c) => text.strip_prefix(c).is_some_and(|text| fits(&pattern[c.len_utf8()..], text, names)),
    }
}

fn bind(name: &str, rest: &str, text: &str, names: &mut Names) -> bool {
    let word_max = text.find([' ', '\r']).unwrap_or(text.len());
    ends(&text[..word_max]).skip(1).any(|at| {
        let mut trial = names.clone();
        trial.insert(name.to_string(), text[..at].to_string());
        let fits = fits(rest, &text[at..], &mut trial);
        if fits {
            *names = trial;
        }
        fits
    })
}

fn ends(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.char_indices().map(|(at, _)| at).chain([text.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_and_names() {
        let mut names = Names::new();
        assert!(matches("250 ~ ok", "250 it is ok", &mut names));
        assert!(matches("+OK <$id> ready~", "+OK <12.x> ready", &mut names));
        assert!(matches("again $id", "again 12.x", &mut names));
        assert!(!matches("again $id", "again 13.x", &mut names));
        assert!(!matches("250", "250 ", &mut names));
        assert_eq!(fill("$id and $other", &names), "12.x and $other");
    }
}
