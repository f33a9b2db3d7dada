//! Names for places.

use super::super::places;
use crate::failure::Failure;
use ftp_client::Url;
use std::path::PathBuf;

const FILE: &str = "ftp-bookmarks";

fn file() -> Option<PathBuf> {
    places::configuration(FILE)
}

/// All of them, by their names.
pub fn all() -> Result<Vec<(String, String)>, Failure> {
    let lines = places::lines(file())?;
    let mut all: Vec<_> =
        lines.into_iter().filter_map(|words| words.try_into().ok().map(|[name, url]: [_; 2]| (name, url))).collect();
    all.sort();
    Ok(all)
}

/// Their names.
pub fn names() -> Vec<String> {
    all().unwrap_or_default().into_iter().map(|(name, _)| name).collect()
}

/// Where one leads.
pub fn find(name: &str) -> Result<Option<String>, Failure> {
    Ok(all()?.into_iter().find_map(|(known, url)| (known == name).then_some(url)))
}

/// Adds one, or changes it. No password is written down.
pub fn add(name: &str, url: &Url) -> Result<(), Failure> {
    let good = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || "/:#".contains(c));
    if !good {
        return Err(Failure::Failed(format!("{name:?}: a name has no blanks, and none of / : #")));
    }
    let mut all = all()?;
    all.retain(|(known, _)| known != name);
    all.push((name.to_owned(), url.to_string()));
    write(&all)
}

/// Removes one.
pub fn remove(name: &str) -> Result<(), Failure> {
    let mut all = all()?;
    let before = all.len();
    all.retain(|(known, _)| known != name);
    if all.len() == before { Err(Failure::Missing(format!("{name}: no such bookmark"))) } else { write(&all) }
}

fn write(all: &[(String, String)]) -> Result<(), Failure> {
    let file = file().ok_or_else(|| Failure::Failed("there is no home to write it to".into()))?;
    let text: String = all.iter().map(|(name, url)| format!("{name} {url}\n")).collect();
    Ok(places::write(&file, &text)?)
}
