//! What is kept is its owner's alone; what others could look into is closed to them when the store is opened.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A store in a directory of its own, closed.
fn kept() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let store = open_swiftly(&dir);
    let bob = make_account(&store, "bob");
    deliver(&store, &[bob], b"hungry").unwrap();
    store.close();
    (folder, dir)
}

#[test]
fn what_others_could_see_is_named_and_closed_to_them_at_the_next_opening() {
    let (_folder, dir) = kept();
    assert!(crate::privacy::exposed(&dir).is_empty());
    let seen = ["", "store.db", "register.db", "seg", "seg/0000000001.seg"].map(|name| dir.join(name));
    let before: Vec<_> = seen.iter().map(|path| mode(path)).collect();
    seen.iter().for_each(|path| set_mode(path, mode(path) | 0o055));

    let named = crate::check(&dir).unwrap().problems;
    assert_eq!(named.len(), seen.len(), "{named:#?}");
    assert!(named.iter().all(|problem| problem.mending.is_some()), "{named:#?}");
    assert_eq!(mode(&dir.join("store.db")), 0o655, "a check changes nothing");

    open_swiftly(&dir).close();
    assert_eq!(seen.iter().map(|path| mode(path)).collect::<Vec<_>>(), before);
    assert_sound(&dir);
}

#[test]
fn a_repair_names_what_it_closes_to_others() {
    let (_folder, dir) = kept();
    set_mode(&dir.join("store.db"), 0o644);
    assert_eq!(crate::repair(&dir).unwrap().problems.len(), 1);
    assert_eq!(mode(&dir.join("store.db")), 0o600);
}

#[test]
fn a_directory_for_everybody_stays_one_and_is_named() {
    let (_folder, dir) = kept();
    set_mode(&dir, 0o1777);
    open_swiftly(&dir).close();
    assert_eq!(mode(&dir), 0o1777);
    let named = crate::check(&dir).unwrap().problems;
    assert_eq!((named.len(), named[0].mending), (1, None), "{named:#?}");
}

#[test]
fn what_a_link_leads_to_and_what_is_not_ours_keeps_its_mode() {
    let (folder, dir) = kept();
    let (elsewhere, other) = (folder.path().join("elsewhere"), dir.join("letter.txt"));
    for path in [&elsewhere, &other] {
        fs::write(path, "").unwrap();
        set_mode(path, 0o644);
    }
    std::os::unix::fs::symlink(&elsewhere, dir.join("store.db-old")).unwrap();
    open_swiftly(&dir).close();
    assert_eq!((mode(&elsewhere), mode(&other)), (0o644, 0o644));
}
