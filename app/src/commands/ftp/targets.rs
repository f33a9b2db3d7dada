//! Where several files are to go: no two of them to the same place.
//!
//! Invariants: that is known before anything moves, and before a directory is made for it.
//! Not here: trees, in which each file has a place of its own (mirror).

use crate::failure::Failure;
use ftp_client::directory::shown;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// What somebody might do instead.
const ONE_BY_ONE: &str = "move them one by one, each under a name of its own";

/// The places that are taken, and by what.
#[derive(Debug, Default)]
pub struct Targets(HashMap<Vec<u8>, Vec<u8>>);

impl Targets {
    /// Takes their places for these files, of which `ends` tells source and target. One that is named twice moves once.
    ///
    /// # Errors
    /// [`Failure::Misused`] when another file has such a place already: one of the two would be lost.
    pub fn taken_by<T>(
        &mut self,
        files: impl IntoIterator<Item = T>,
        ends: impl Fn(&T) -> (Vec<u8>, Vec<u8>),
    ) -> Result<Vec<T>, Failure> {
        let mut once = Vec::new();
        for file in files {
            let (source, target) = ends(&file);
            match self.0.entry(target) {
                Entry::Vacant(place) => {
                    place.insert(source);
                    once.push(file);
                }
                Entry::Occupied(place) if *place.get() == source => {}
                Entry::Occupied(place) => {
                    let [first, second, target] = [place.get(), &source, place.key()].map(|path| shown(path));
                    let why = format!("{first} and {second} would both be {target}");
                    return Err(Failure::Misused(why).with_hint(ONE_BY_ONE));
                }
            }
        }
        Ok(once)
    }
}

/// From where a file that is sent comes, and to where.
pub fn ends((source, target): &(PathBuf, Vec<u8>)) -> (Vec<u8>, Vec<u8>) {
    (plainly(source).into_os_string().into_vec(), target.clone())
}

/// A file here however it is written: `./menu` is `menu`.
fn plainly(file: &Path) -> PathBuf {
    file.components().filter(|part| *part != Component::CurDir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(targets: &mut Targets, files: &[(&'static str, &'static str)]) -> Result<Vec<&'static str>, String> {
        let ends = |file: &(&str, &str)| (file.0.into(), file.1.into());
        let taken = targets.taken_by(files.iter().copied(), ends);
        taken.map(|files| files.into_iter().map(|(source, _)| source).collect()).map_err(|failure| {
            assert_eq!(failure.code(), 2);
            failure.reasons().concat()
        })
    }

    #[test]
    fn each_place_is_taken_by_one_file() {
        let mut targets = Targets::default();
        assert_eq!(taken(&mut targets, &[("a/x", "d/x"), ("a/y", "d/y"), ("a/x", "d/x")]), Ok(vec!["a/x", "a/y"]));
        assert_eq!(taken(&mut targets, &[("a/x", "d/x"), ("a/x", "e/x")]), Ok(vec!["a/x"]), "also in two steps");
        let refused = taken(&mut targets, &[("b/z", "d/z"), ("b/x", "d/x")]).expect_err("taken");
        assert!(refused.starts_with("a/x and b/x would both be d/x\n"), "{refused}");
    }

    #[test]
    fn a_file_is_the_same_however_it_is_written() {
        for written in ["menus/today", "./menus/today", "menus/./today", "menus//today"] {
            assert_eq!(plainly(Path::new(written)), Path::new("menus/today"));
        }
        assert_ne!(plainly(Path::new("../today")), Path::new("today"));
    }
}
