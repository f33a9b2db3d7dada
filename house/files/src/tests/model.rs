//! Anything done in any order, against a tree in memory that does the same.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;

use super::yard::{Yard, fetch, path, store};
use crate::disk::{Disk, RealDisk, UnsyncedDisk};
use crate::{Detail, Error, Kind, Mode, Quota, Terms};

/// What a session may do; paths are one to three names of three letters.
#[derive(Debug, Clone)]
enum Deed {
    Store(String, Vec<u8>),
    Append(String, Vec<u8>),
    At(String, u64, Vec<u8>),
    Interrupt(String, u64, Vec<u8>),
    Abandon(String),
    Unique(String, Vec<u8>),
    MakeDirectory(String),
    RemoveDirectory(String),
    Remove(String),
    Rename(String, String),
    List(String),
}

/// A tree as users see it, and what is kept for them.
#[derive(Debug, Default)]
struct Model {
    /// Files have content, directories none.
    tree: BTreeMap<String, Option<Vec<u8>>>,
    kept: BTreeMap<String, Vec<u8>>,
}

/// What came of it, as far as a user can tell errors apart.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Size(u64),
    Names(Vec<String>),
    NotFound,
    AlreadyExists,
    NotADirectory,
    IsADirectory,
    NotEmpty,
    IntoItself,
    BeyondEnd(u64),
    Interrupted(u64),
    Other(String),
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Outcome {
        match error {
            Error::NotFound => Outcome::NotFound,
            Error::AlreadyExists => Outcome::AlreadyExists,
            Error::NotADirectory => Outcome::NotADirectory,
            Error::IsADirectory => Outcome::IsADirectory,
            Error::NotEmpty => Outcome::NotEmpty,
            Error::IntoItself => Outcome::IntoItself,
            Error::OffsetBeyondEnd { end } => Outcome::BeyondEnd(end),
            Error::Interrupted { kept } => Outcome::Interrupted(kept),
            other => Outcome::Other(other.to_string()),
        }
    }
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Model {
    /// Whether a name can be looked for at all: all before it are directories.
    fn way(&self, name: &str) -> Result<(), Outcome> {
        for (at, _) in name.match_indices('/') {
            match self.tree.get(&name[..at]) {
                Some(None) => {}
                Some(Some(_)) => return Err(Outcome::NotADirectory),
                None => return Err(Outcome::NotFound),
            }
        }
        Ok(())
    }

    fn file(&self, name: &str) -> Result<Option<&Vec<u8>>, Outcome> {
        self.way(name)?;
        match self.tree.get(name) {
            Some(None) => Err(Outcome::IsADirectory),
            Some(Some(content)) => Ok(Some(content)),
            None => Ok(None),
        }
    }

    fn put(&mut self, name: &str, content: Vec<u8>) -> Outcome {
        let size = content.len() as u64;
        self.tree.insert(name.into(), Some(content));
        self.kept.remove(name);
        Outcome::Size(size)
    }

    /// What an upload at an offset begins with.
    fn beginning(&self, name: &str, offset: u64) -> Result<Vec<u8>, Outcome> {
        let file = self.file(name)?;
        if offset == 0 {
            return Ok(vec![]);
        }
        let head = |content: &Vec<u8>| content[..offset as usize].to_vec();
        match (self.kept.get(name), file) {
            (Some(kept), _) if offset <= kept.len() as u64 => Ok(head(kept)),
            (Some(kept), Some(_)) => Err(Outcome::Interrupted(kept.len() as u64)),
            (None, Some(file)) if offset <= file.len() as u64 => Ok(head(file)),
            (Some(there), None) | (None, Some(there)) => Err(Outcome::BeyondEnd(there.len() as u64)),
            (None, None) => Err(Outcome::BeyondEnd(0)),
        }
    }

    fn below<'m>(&'m self, name: &'m str) -> impl Iterator<Item = String> + 'm {
        let prefix = format!("{name}/");
        self.tree.keys().filter(move |path| path.starts_with(&prefix)).cloned()
    }

    fn act(&mut self, deed: &Deed) -> Result<Outcome, Outcome> {
        match deed {
            Deed::Store(name, content) => {
                self.file(name)?;
                Ok(self.put(name, content.clone()))
            }
            Deed::Append(name, content) => {
                let before = match (self.file(name)?, self.kept.get(name)) {
                    (Some(_), Some(kept)) => return Err(Outcome::Interrupted(kept.len() as u64)),
                    (Some(file), None) => file.clone(),
                    (None, kept) => kept.cloned().unwrap_or_default(),
                };
                Ok(self.put(name, [before, content.clone()].concat()))
            }
            Deed::At(name, offset, content) => {
                let before = self.beginning(name, *offset)?;
                Ok(self.put(name, [before, content.clone()].concat()))
            }
            Deed::Interrupt(name, offset, content) => {
                let whole = [self.beginning(name, *offset)?, content.clone()].concat();
                // Continuing takes what is kept; a new beginning without an octet does not replace it.
                if *offset > 0 || !whole.is_empty() {
                    self.kept.insert(name.clone(), whole);
                }
                Ok(Outcome::Done)
            }
            Deed::Abandon(name) => self.file(name).map(|_| Outcome::Done),
            Deed::Unique(name, _) => {
                self.way(name)?;
                // It got this very name, and was removed again, which ends what was kept of it.
                if !self.tree.contains_key(name) {
                    self.kept.remove(name);
                }
                Ok(Outcome::Done)
            }
            Deed::MakeDirectory(name) => {
                self.way(name)?;
                if self.tree.contains_key(name) {
                    return Err(Outcome::AlreadyExists);
                }
                self.tree.insert(name.clone(), None);
                Ok(Outcome::Done)
            }
            Deed::RemoveDirectory(name) => {
                self.way(name)?;
                match self.tree.get(name) {
                    None => Err(Outcome::NotFound),
                    Some(Some(_)) => Err(Outcome::NotADirectory),
                    Some(None) if self.below(name).next().is_some() => Err(Outcome::NotEmpty),
                    Some(None) => {
                        self.tree.remove(name);
                        self.kept.retain(|kept, _| parent(kept) != name);
                        Ok(Outcome::Done)
                    }
                }
            }
            Deed::Remove(name) => {
                let there = self.file(name)?.is_some();
                let kept = self.kept.remove(name).is_some();
                self.tree.remove(name);
                if there || kept { Ok(Outcome::Done) } else { Err(Outcome::NotFound) }
            }
            Deed::Rename(from, to) => self.rename(from, to),
            Deed::List(name) => {
                self.way(name)?;
                match self.tree.get(name) {
                    None => Err(Outcome::NotFound),
                    Some(Some(_)) => Err(Outcome::NotADirectory),
                    Some(None) => {
                        let names = self.below(name).filter(|path| parent(path) == name);
                        Ok(Outcome::Names(names.map(|path| path[name.len() + 1..].to_string()).collect()))
                    }
                }
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<Outcome, Outcome> {
        self.way(from)?;
        self.way(to)?;
        let moved = self.tree.get(from).ok_or(Outcome::NotFound)?;
        let is_directory = moved.is_none();
        if is_directory && to.starts_with(&format!("{from}/")) {
            return Err(Outcome::IntoItself);
        }
        if from == to {
            if !is_directory {
                self.kept.remove(to);
            }
            return Ok(Outcome::Done);
        }
        match self.tree.get(to) {
            Some(None) => return Err(Outcome::AlreadyExists),
            Some(Some(_)) if is_directory => return Err(Outcome::AlreadyExists),
            _ => {}
        }
        self.kept.remove(to);
        let renamed = |path: &str| match path.strip_prefix(from) {
            Some(rest) if rest.starts_with('/') => format!("{to}{rest}"),
            _ => path.to_string(),
        };
        let (content, rest) = (self.tree.remove(from).unwrap(), std::mem::take(&mut self.tree));
        self.tree = rest.into_iter().map(|(path, content)| (renamed(&path), content)).collect();
        self.kept = std::mem::take(&mut self.kept).into_iter().map(|(path, kept)| (renamed(&path), kept)).collect();
        self.tree.insert(to.into(), content);
        Ok(Outcome::Done)
    }
}

fn act(yard: &Yard, deed: &Deed) -> Result<Outcome, Outcome> {
    let space = &yard.space;
    let size = |stored: crate::Stored| Outcome::Size(stored.size);
    Ok(match deed {
        Deed::Store(name, content) => size(store(space, name, Mode::Store, content)?),
        Deed::Append(name, content) => size(store(space, name, Mode::Append, content)?),
        Deed::At(name, offset, content) => size(store(space, name, Mode::At(*offset), content)?),
        Deed::Interrupt(name, offset, content) => {
            let mut upload = space.begin_upload(&path(name), Mode::At(*offset))?;
            upload.write_all(content)?;
            upload.interrupt();
            Outcome::Done
        }
        Deed::Abandon(name) => {
            let mut upload = space.begin_upload(&path(name), Mode::Store)?;
            upload.write_all(b"unwanted")?;
            upload.abandon();
            Outcome::Done
        }
        Deed::Unique(name, content) => {
            match store(space, name, Mode::Unique, content) {
                Ok(stored) => {
                    assert_eq!(super::yard::fetch(space, &stored.path.to_string()).unwrap(), *content);
                    space.remove(&stored.path).unwrap();
                }
                // Nothing of a unique kind can be asked for under the name of a directory.
                Err(Error::IsADirectory) => {}
                Err(error) => return Err(error.into()),
            }
            Outcome::Done
        }
        Deed::MakeDirectory(name) => space.make_directory(&path(name)).map(|()| Outcome::Done)?,
        Deed::RemoveDirectory(name) => space.remove_directory(&path(name)).map(|()| Outcome::Done)?,
        Deed::Remove(name) => space.remove(&path(name)).map(|()| Outcome::Done)?,
        Deed::Rename(from, to) => space.rename(&path(from), &path(to)).map(|()| Outcome::Done)?,
        Deed::List(name) => {
            let entries = space.list(&path(name), Detail::Names)?;
            let mut names: Vec<_> = entries.map(|entry| String::from_utf8(entry.unwrap().name).unwrap()).collect();
            names.sort();
            Outcome::Names(names)
        }
    })
}

fn check(yard: &Yard, model: &Model) {
    for (name, content) in &model.tree {
        let entry = yard.space.stat(&path(name)).unwrap();
        match content {
            None => assert_eq!(entry.facts.kind, Kind::Directory, "{name}"),
            Some(content) => assert_eq!(fetch(&yard.space, name).unwrap(), *content, "{name}"),
        }
    }
    let mut entries = 0;
    let mut ahead = vec![yard.top()];
    while let Some(dir) = ahead.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            entries += 1;
            if entry.file_type().unwrap().is_dir() {
                ahead.push(entry.path());
            }
        }
    }
    assert_eq!(entries, model.tree.len() + model.kept.len(), "nothing else is there");
    for (name, kept) in model.kept.iter().filter(|(name, _)| !model.tree.contains_key(*name)) {
        assert_eq!(yard.kept(name), Some(kept.len() as u64), "{name}");
    }
    let counted = yard.usage();
    let found = yard.volume.recount().unwrap();
    assert_eq!(counted, (found.bytes, found.files));
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let name = || "[abc](/[abc]){0,2}";
    let content = || proptest::collection::vec(any::<u8>(), 0..12);
    let deed = prop_oneof![
        3 => (name(), content()).prop_map(|(n, c)| Deed::Store(n, c)),
        2 => (name(), content()).prop_map(|(n, c)| Deed::Append(n, c)),
        2 => (name(), 0..14u64, content()).prop_map(|(n, o, c)| Deed::At(n, o, c)),
        3 => (name(), 0..14u64, content()).prop_map(|(n, o, c)| Deed::Interrupt(n, o, c)),
        1 => name().prop_map(Deed::Abandon),
        1 => (name(), content()).prop_map(|(n, c)| Deed::Unique(n, c)),
        4 => name().prop_map(Deed::MakeDirectory),
        1 => name().prop_map(Deed::RemoveDirectory),
        1 => name().prop_map(Deed::Remove),
        3 => (name(), name()).prop_map(|(a, b)| Deed::Rename(a, b)),
        1 => name().prop_map(Deed::List),
    ];
    proptest::collection::vec(deed, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_the_tree_is_as_it_should_be(deeds in deeds(), is_synced: bool) {
        let quota = Quota { bytes_max: Some(1 << 30), files_max: Some(1000) };
        let disk: Box<dyn Disk> = if is_synced { Box::new(RealDisk) } else { Box::new(UnsyncedDisk::default()) };
        let yard = Yard::on(Terms { quota, ..Terms::default() }, disk, None);
        let mut model = Model::default();
        for deed in &deeds {
            let expected = model.act(deed).unwrap_or_else(|outcome| outcome);
            let found = act(&yard, deed).unwrap_or_else(|outcome| outcome);
            prop_assert_eq!(found, expected, "{:?}", deed);
        }
        check(&yard, &model);
    }
}
