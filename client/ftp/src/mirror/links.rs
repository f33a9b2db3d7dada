//! Links in a tree: where they lead, and making them.
//!
//! ```text
//! what a link says ─→ aim: a path below the root, or nothing ─→ made here (what it says, written anew), or there (SITE SYMLINK)
//! ```
//!
//! Invariants: a link that is made leads to a place in its tree, whatever the server says of the other one.
//! Not here: which links differ (compare).

use super::{Action, Ends, Mirror, Report, below};
use crate::connection::{Connection, wire_path};
use crate::crew::Event;
use crate::directory::shown;
use crate::error::Error;
use ftp::Command;
use ftp::client::Words;
use ftp::command::Site;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Where a link leads, as a path below the root: nothing if that is outside, or may be.
///
/// It may go up before it goes down, but not in between: another link may stand there, and what is above that is somewhere else.
pub fn aim(link: &[u8], says: &[u8]) -> Option<Vec<u8>> {
    if says.is_empty() || says[0] == b'/' || says.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')) {
        return None;
    }
    let mut path: Vec<&[u8]> = names(link).collect();
    path.pop()?;
    let mut down = false;
    for name in names(says) {
        match name {
            b".." if down => return None,
            b".." => {
                path.pop()?;
            }
            name => {
                down = true;
                path.push(name);
            }
        }
    }
    Some(path.join(&b'/'))
}

/// The same of a link on a server, which may tell where it leads from its own root on; `root` is the tree's path from there. A
/// question mark is what some, this server too, say of a link that leads nowhere.
pub fn aim_there(link: &[u8], says: &[u8], root: &[u8]) -> Option<Vec<u8>> {
    match says {
        b"?" => None,
        [b'/', ..] => {
            let rest = says.strip_prefix(root.strip_suffix(b"/").unwrap_or(root))?;
            let inside = matches!(rest, [] | [b'/', ..]) && names(rest).all(|name| name != b"..");
            let plain = !rest.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'));
            (inside && plain).then(|| names(rest).collect::<Vec<_>>().join(&b'/'))
        }
        says => aim(link, says),
    }
}

/// What a link at this path has to say to lead there.
fn says(link: &[u8], aim: &[u8]) -> Vec<u8> {
    let (from, to): (Vec<_>, Vec<_>) = (names(link).collect(), names(aim).collect());
    let directory = &from[..from.len().saturating_sub(1)];
    let common = directory.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n(&b".."[..], directory.len() - common);
    let way = up.chain(to[common..].iter().copied()).collect::<Vec<_>>().join(&b'/');
    if way.is_empty() { b".".to_vec() } else { way }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|octet| *octet == b'/').filter(|name| !matches!(*name, b"" | b"."))
}

impl Mirror {
    pub(super) async fn make_links(
        &self,
        actions: &[(Vec<u8>, Action)],
        ends: &Ends<'_>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let links = actions.iter().filter_map(|(path, action)| match action {
            Action::Link { aim, instead } => Some((&path[..], &aim[..], *instead)),
            _ => None,
        });
        let links: Vec<_> = links.collect();
        if links.is_empty() {
            return Ok(());
        }
        let mut note = |name: &[u8], done: Result<(), Error>| match done {
            Ok(()) => {
                report.links += 1;
                ends.crew.tell(&Event::Linked { name });
            }
            Err(error) => report.fail(ends.crew, name, &error),
        };
        let Some(root) = self.target() else {
            for (path, aim, instead) in links {
                let place = self.here(path);
                let made = make_here(&place, &says(path, aim), instead);
                note(place.as_os_str().as_bytes(), made.map_err(|why| Error::local(&place, why)));
            }
            return Ok(());
        };
        let mut connection = ends.take().await?;
        for (path, aim, instead) in links {
            let (link, target) = (below(root, path), below(root, aim));
            let made = connection.make_link(&link, &target, instead).await;
            if made.as_ref().is_err_and(Error::is_fatal) {
                return made;
            }
            note(&link, made);
        }
        ends.put(connection);
        Ok(())
    }
}

/// The new one takes the place of the old one: there is always one.
fn make_here(place: &Path, says: &[u8], instead: bool) -> io::Result<()> {
    let says = OsStr::from_bytes(says);
    if !instead {
        return symlink(says, place);
    }
    let mut new = place.file_name().unwrap_or_default().to_owned();
    new.push(".new");
    let new = place.with_file_name(new);
    symlink(says, &new)?;
    fs::rename(&new, place).inspect_err(|_| drop(fs::remove_file(&new)))
}

impl Connection {
    /// A path as it is from the server's root on, if that can be found out.
    pub(super) async fn path_from_root(&mut self, path: &[u8]) -> Result<Vec<u8>, Error> {
        if path.starts_with(b"/") {
            return Ok(path.to_vec());
        }
        let Some(home) = self.whereabouts().await? else { return Ok(path.to_vec()) };
        // What is read here is said again: it is ours by then.
        let home = self.site().charset.map_or(home.clone(), |charset| charset.read(&home));
        Ok(below(&home, path))
    }

    /// Makes a link there, `instead` of one that is there already.
    async fn make_link(&mut self, link: &[u8], target: &[u8], instead: bool) -> Result<(), Error> {
        let step = format!("make the link {}", shown(link));
        // Servers differ in where a path of a link begins: only from the root all agree.
        let target = self.path_from_root(target).await?;
        let made = Command::Site(Site::Symlink(wire_path(&target)?, wire_path(link)?));
        let mut words: Vec<Words> = Vec::new();
        if instead {
            words.push(Command::Dele(wire_path(link)?).into());
        }
        words.push(made.into());
        let reply = self.say(words).await?.pop();
        match reply {
            Some(reply) if !reply.is_positive() => Err(Error::Refused { step, reply }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_link_leads_to_a_place_in_its_tree_or_nowhere() {
        for (link, says, expected) in [
            ("a", "b", Some("b")),
            ("d/a", "b", Some("d/b")),
            ("d/a", "../b/./c//", Some("b/c")),
            ("d/e/a", "../..", Some("")),
            ("d/a", ".", Some("d")),
            ("a", "..", None),
            ("d/a", "../../x", None),
            ("a", "/etc/passwd", None),
            ("a", "", None),
            // Whatever stands at `b` may be a link to the root.
            ("d/a", "b/../..", None),
            ("d/a", "b/..", None),
            ("a", "b\0c", None),
        ] {
            let found = aim(link.as_bytes(), says.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{link} -> {says}");
        }
    }

    #[test]
    fn a_server_may_tell_from_its_root_on() {
        for (says, root, expected) in [
            ("/menus/a/b", "/menus", Some("a/b")),
            ("/menus", "/menus", Some("")),
            ("/a", "/", Some("a")),
            ("b", "/menus", Some("d/b")),
            ("/menus2/a", "/menus", None),
            ("/menus/../etc", "/menus", None),
            ("/etc", "/menus", None),
            ("?", "/", None),
        ] {
            let found = aim_there(b"d/link", says.as_bytes(), root.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{says}");
        }
    }

    proptest! {
        #[test]
        fn what_a_made_link_says_leads_where_it_should(
            link in "[ab]{1,2}(/[ab]{1,2}){0,3}",
            target in "([ab]{1,2}(/[ab]{1,2}){0,3})?",
        ) {
            let says = says(link.as_bytes(), target.as_bytes());
            prop_assert_eq!(aim(link.as_bytes(), &says), Some(target.into_bytes()));
        }
    }
}
