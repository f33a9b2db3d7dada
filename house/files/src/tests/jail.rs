//! Nothing leads out: links of all kinds, and somebody who swaps them while we look.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::yard::{Yard, fetch, listed, mount, names_in, path, store};
use crate::confine::Confinement;
use crate::disk::RealDisk;
use crate::{Detail, Error, Kind, Mode, Permissions, Space, Terms};

/// How often a swap is raced. Each round has its chance; with a hole made on purpose, tens were enough.
const ROUNDS: usize = 1_000;

fn each_way(check: impl Fn(&Yard)) {
    for way in [Confinement::Kernel, Confinement::NameByName] {
        let yard = Yard::on(Terms::default(), Box::new(RealDisk), Some(way));
        fs::create_dir(yard.dir.path().join("outside")).unwrap();
        fs::write(yard.dir.path().join("outside/secret"), "secret").unwrap();
        check(&yard);
    }
}

#[test]
fn links_inside_work_for_everything() {
    each_way(|yard| {
        yard.write("a/b/file", "content");
        symlink("a/b", yard.real("dir")).unwrap();
        symlink("../b/./file", yard.real("a/b/again")).unwrap();
        symlink("dir/again", yard.real("file")).unwrap();
        symlink("a//b/../../dir/", yard.real("around")).unwrap();
        symlink(yard.real("a/b/file"), yard.real("absolute")).unwrap();
        symlink(yard.top(), yard.real("a/top")).unwrap();
        for name in ["dir/file", "dir/again", "file", "around/file", "absolute", "a/top/a/top/dir/file"] {
            assert_eq!(fetch(&yard.space, name).unwrap(), b"content", "{name}");
            assert_eq!(yard.space.open_read(&path(name)).unwrap().path, path("/a/b/file"), "{name}");
        }
        assert_eq!(listed(&yard.space, "around"), ["again", "file"]);
        assert_eq!(listed(&yard.space, "a/top/a"), ["b", "top"]);
        assert_eq!(store(&yard.space, "file", Mode::Store, "new").unwrap().path, path("/a/b/file"));
        assert!(fs::symlink_metadata(yard.real("file")).unwrap().is_symlink(), "the link stays a link");
        assert_eq!(yard.content("a/b/file").unwrap(), b"new");
        yard.space.enter(&path("dir")).unwrap();
        yard.space.make_directory(&path("dir/new")).unwrap();
        assert!(yard.real("a/b/new").is_dir());
    });
}

#[test]
fn an_upload_through_a_link_to_nothing_makes_what_it_leads_to() {
    each_way(|yard| {
        yard.write("a/x", "");
        symlink("a/none", yard.real("link")).unwrap();
        assert_eq!(store(&yard.space, "link", Mode::Store, "now").unwrap().path, path("/a/none"));
        assert_eq!(yard.content("a/none").unwrap(), b"now");
    });
}

#[test]
fn links_out_lead_nowhere_and_say_so() {
    each_way(|yard| {
        yard.write("d/x", "");
        let links: [(&str, &str); 7] = [
            ("../outside", "climb"),
            ("d/../../outside", "climb2"),
            ("/etc", "etc"),
            ("/proc/self/root", "magic"),
            ("/", "root"),
            ("..", "up"),
            ("../top2", "neighbour"),
        ];
        for (target, name) in links {
            symlink(target, yard.real(name)).unwrap();
            for path_text in [name.to_string(), format!("{name}/secret"), format!("{name}/passwd")] {
                let p = path(&path_text);
                let outside = |result: Result<(), Error>| matches!(result, Err(Error::Outside));
                assert!(outside(yard.space.open_read(&p).map(drop)), "{path_text}");
                assert!(outside(yard.space.stat(&p).map(drop)), "{path_text}");
                assert!(outside(yard.space.list(&p, Detail::Facts).map(drop)), "{path_text}");
                assert!(outside(yard.space.enter(&p)), "{path_text}");
                assert!(outside(yard.space.begin_upload(&p, Mode::Store).map(drop)), "{path_text}");
                assert!(outside(yard.space.set_mode(&p, 0o777)), "{path_text}");
                assert!(outside(yard.space.set_modified(&p, std::time::UNIX_EPOCH)), "{path_text}");
            }
            let inner = path(&format!("{name}/secret"));
            assert!(matches!(yard.space.remove(&inner), Err(Error::Outside)));
            assert!(matches!(yard.space.make_directory(&inner), Err(Error::Outside)));
            assert!(matches!(yard.space.rename(&inner, &path("got")), Err(Error::Outside)));
            assert!(matches!(yard.space.rename(&path("d/x"), &inner), Err(Error::Outside)));
            let entry = yard.space.stat_link(&path(name)).unwrap();
            assert_eq!((entry.facts.kind, entry.target), (Kind::Link, None));
        }
        let all = yard.space.list(&path("/"), Detail::Facts).unwrap().map(Result::unwrap);
        assert!(all.into_iter().all(|entry| entry.target.is_none()));
        for (_, name) in links {
            yard.space.remove(&path(name)).unwrap();
        }
        assert_eq!(fs::read(yard.dir.path().join("outside/secret")).unwrap(), b"secret");
    });
}

#[test]
fn a_name_that_begins_like_the_volume_s_is_outside() {
    each_way(|yard| {
        fs::create_dir(yard.dir.path().join("top2")).unwrap();
        fs::write(yard.dir.path().join("top2/file"), "").unwrap();
        symlink(yard.dir.path().join("top2/file"), yard.real("link")).unwrap();
        assert!(matches!(yard.space.open_read(&path("link")), Err(Error::Outside)));
    });
}

#[test]
fn links_in_circles_end() {
    each_way(|yard| {
        symlink("b", yard.real("a")).unwrap();
        symlink("a", yard.real("b")).unwrap();
        symlink("grow/x", yard.real("grow")).unwrap();
        for name in ["a", "a/x", "grow"] {
            assert!(matches!(yard.space.stat(&path(name)), Err(Error::TooManyLinks)), "{name}");
        }
        assert_eq!(yard.space.stat_link(&path("a")).unwrap().facts.kind, Kind::Link);
    });
}

#[test]
fn links_into_another_mount_are_followed_by_its_real_place() {
    let (home, shared) = (Yard::new(), Yard::new());
    shared.write("pub/file", "shared");
    symlink(shared.real("pub"), home.real("link")).unwrap();
    let mounts = || {
        vec![mount("/", &home.volume, Permissions::ALL, &[]), mount("/s", &shared.volume, Permissions::READ_ONLY, &[])]
    };
    let space = Space::new(b"alice", mounts()).unwrap();
    assert_eq!(fetch(&space, "link/file").unwrap(), b"shared");
    assert_eq!(space.open_read(&path("link/file")).unwrap().path, path("/s/pub/file"));
    let denied = store(&space, "link/file", Mode::Store, "x");
    assert!(
        matches!(denied, Err(Error::Denied(missing)) if missing.allow(Permissions::WRITE)),
        "the rules of where it truly is"
    );
    assert!(matches!(home.space.open_read(&path("link/file")), Err(Error::Outside)), "not a volume of this space");
}

#[test]
fn what_a_mount_covers_is_out_of_reach_by_links_too() {
    let (home, shared) = (Yard::new(), Yard::new());
    home.write("s/hidden", "beneath");
    shared.write("file", "shared");
    symlink("s", home.real("link")).unwrap();
    let mounts =
        vec![mount("/", &home.volume, Permissions::ALL, &[]), mount("/s", &shared.volume, Permissions::ALL, &[])];
    let space = Space::new(b"alice", mounts).unwrap();
    assert!(matches!(space.stat(&path("link/hidden")), Err(Error::NotFound)));
    assert_eq!(fetch(&space, "link/file").unwrap(), b"shared");
    assert_eq!((listed(&space, "link"), listed(&space, "/")), (vec!["file".into()], vec!["link".into(), "s".into()]));
}

#[test]
fn uploads_under_way_cannot_be_reached_by_any_way() {
    each_way(|yard| {
        let upload = yard.begun("f", Mode::Store, "half");
        let hidden = fs::read_dir(yard.top()).unwrap().next().unwrap().unwrap().file_name();
        symlink(&hidden, yard.real("link")).unwrap();
        for name in [hidden.as_bytes().to_vec(), hidden.as_bytes().to_ascii_uppercase(), b"link".to_vec()] {
            let p = path("/").join(&name).unwrap();
            assert!(matches!(yard.space.open_read(&p), Err(Error::Reserved)));
            assert!(matches!(yard.space.stat(&p), Err(Error::Reserved)));
            assert!(matches!(yard.space.begin_upload(&p, Mode::Store), Err(Error::Reserved)));
        }
        let p = path("/").join(hidden.as_bytes()).unwrap();
        assert!(matches!(yard.space.remove(&p), Err(Error::Reserved)));
        assert!(matches!(yard.space.rename(&p, &path("got")), Err(Error::Reserved)));
        yard.write("g", "");
        assert!(matches!(yard.space.rename(&path("g"), &p), Err(Error::Reserved)));
        assert!(matches!(yard.space.make_directory(&p), Err(Error::Reserved)));
        assert_eq!(listed(&yard.space, "/"), ["g", "link"]);
        upload.commit().unwrap();
    });
}

#[test]
fn pipes_and_devices_are_no_files() {
    each_way(|yard| {
        use rustix::fs::{CWD, Mode as Bits, mkfifoat};
        mkfifoat(CWD, yard.real("pipe"), Bits::from_raw_mode(0o600)).unwrap();
        assert!(matches!(yard.space.open_read(&path("pipe")), Err(Error::NotAFile)));
        assert!(matches!(yard.space.begin_upload(&path("pipe"), Mode::Store), Err(Error::NotAFile)));
        assert_eq!(yard.space.stat(&path("pipe")).unwrap().facts.kind, Kind::Other);
    });
}

/// One thread swaps `victim` between what belongs there and a link out, another does `attempt` all the while, which says
/// whether it found what belongs there. It goes on until both were found.
fn race(yard: &Yard, victim: &str, good: &str, attempt: impl Fn() -> bool) {
    let evil = yard.real("evil");
    let target = if good == "dir-good" { "../outside" } else { "../outside/secret" };
    symlink(target, &evil).unwrap();
    let over = AtomicBool::new(false);
    fs::rename(yard.real(good), yard.real(victim)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            while !over.load(Ordering::Relaxed) {
                // Exchanged in one step: there is no moment without the name.
                let _ = renameat_with(CWD, &evil, CWD, yard.real(victim), RenameFlags::EXCHANGE);
                // An upload may have replaced the link, which is its right.
                let is_file = |path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
                if is_file(&evil) && is_file(&yard.real(victim)) {
                    fs::remove_file(&evil).unwrap();
                    symlink(target, &evil).unwrap();
                }
            }
        });
        let (mut rounds, mut found, mut refused) = (0, 0, 0);
        while rounds < ROUNDS || found == 0 || refused == 0 {
            if attempt() {
                found += 1
            } else {
                refused += 1
            }
            rounds += 1;
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_directory_swapped_for_a_link_out_betrays_nothing() {
    each_way(|yard| {
        yard.write("dir-good/secret", "inside");
        race(yard, "victim", "dir-good", || {
            let fetched = fetch(&yard.space, "victim/secret");
            if let Ok(octets) = &fetched {
                assert_eq!(octets, b"inside");
            }
            if let Ok(listing) = yard.space.list(&path("victim"), Detail::Facts) {
                for entry in listing.flatten() {
                    assert_eq!(entry.facts.size, 6);
                }
            }
            let _ = yard.space.stat(&path("victim/secret")).map(|entry| assert_eq!(entry.facts.size, 6));
            fetched.is_ok()
        });
        assert_eq!(names_in(&yard.dir.path().join("outside")), ["secret"]);
    });
}

#[test]
fn a_directory_swapped_for_a_link_out_receives_nothing_out_there() {
    each_way(|yard| {
        yard.write("dir-good/x", "");
        race(yard, "victim", "dir-good", || {
            let stored = store(&yard.space, "victim/upload", Mode::Store, "content");
            let _ = store(&yard.space, "victim/secret", Mode::Append, "content");
            let _ = yard.space.make_directory(&path("victim/new"));
            let _ = yard.space.rename(&path("victim/upload"), &path("victim/secret"));
            let _ = yard.space.remove(&path("victim/secret"));
            let _ = yard.space.remove_directory(&path("victim/new"));
            let _ = yard.space.link(&path("x"), &path("victim/link"));
            let _ = yard.space.remove(&path("victim/link"));
            stored.is_ok()
        });
        let outside = yard.dir.path().join("outside");
        assert_eq!(
            (names_in(&outside), fs::read(outside.join("secret")).unwrap()),
            (vec!["secret".into()], b"secret".to_vec())
        );
    });
}

#[test]
fn a_file_swapped_for_a_link_out_is_neither_read_nor_written() {
    each_way(|yard| {
        let secret = yard.dir.path().join("outside/secret");
        let before = fs::metadata(&secret).unwrap();
        yard.write("file-good", "inside");
        race(yard, "victim", "file-good", || {
            let fetched = fetch(&yard.space, "victim");
            if let Ok(octets) = &fetched {
                assert_ne!(octets, b"secret");
            }
            let _ = yard.space.set_mode(&path("victim"), 0o600);
            let _ = yard.space.set_modified(&path("victim"), std::time::UNIX_EPOCH);
            let _ = store(&yard.space, "victim", Mode::Append, "+");
            let _ = store(&yard.space, "victim", Mode::At(2), "in");
            let _ = yard.space.open_to_sum(&path("victim"));
            fetched.is_ok()
        });
        let after = fs::metadata(&secret).unwrap();
        assert_eq!(fs::read(&secret).unwrap(), b"secret");
        assert_eq!(before.permissions(), after.permissions());
        assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    });
}
