//! Stopping at each step, failing at each step, and cutting the power: what was acknowledged is there, whole, and of the
//! rest nothing is seen by halves.
//!
//! | the call said | the name has, whatever happened |
//! |---|---|
//! | `Ok` | the new content |
//! | an error | the old content, or nothing where there was none |
//! | `Stopped`, or nothing, because the machine stopped | the old or the new content, whole |
//!
//! And always: opened anew and swept, no rubbish is left, the count is right, and the same thing done again works.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustix::io::Errno;

use super::yard::{Yard, path, store, temporary};
use crate::disk::{Disk, RealDisk, UnsyncedDisk};
use crate::{Error, Mode, Quota, Space, Terms, Volume};

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// The machine stops before the step, and does nothing more.
    Stop,
    /// The step fails, the next ones do not.
    Fail(Errno),
}

/// A disk that counts its steps, goes wrong at one of them, and knows what a power cut would leave.
#[derive(Default)]
struct Faulty(Mutex<Knowledge>);

struct Knowledge {
    top: PathBuf,
    steps: usize,
    at: usize,
    fault: Fault,
    /// Names whose directory was synced, with their inodes; content that was synced, by inode.
    names: BTreeMap<String, u64>,
    contents: HashMap<u64, Vec<u8>>,
}

impl Default for Knowledge {
    fn default() -> Knowledge {
        Knowledge {
            top: PathBuf::new(),
            steps: 0,
            at: 0,
            fault: Fault::None,
            names: BTreeMap::new(),
            contents: HashMap::new(),
        }
    }
}

impl Faulty {
    /// From here on everything there is counts as durable, and the `at`-th step goes wrong.
    fn arm(&self, top: &Path, at: usize, fault: Fault) {
        let mut known = self.0.lock().unwrap();
        *known = Knowledge { top: top.into(), at, fault, ..Knowledge::default() };
        known.names = inodes(top);
        // Directories have no content of their own.
        let content = |name: &String| fs::read(top.join(name)).unwrap_or_default();
        known.contents = known.names.iter().map(|(name, inode)| (*inode, content(name))).collect();
    }

    fn steps(&self) -> usize {
        self.0.lock().unwrap().steps
    }

    fn step(&self) -> io::Result<()> {
        let mut known = self.0.lock().unwrap();
        known.steps += 1;
        match known.fault {
            Fault::Stop if known.steps >= known.at => Err(io::Error::other("the machine has stopped")),
            Fault::Fail(errno) if known.steps == known.at => Err(errno.into()),
            _ => Ok(()),
        }
    }

    /// A new directory as a power cut might leave it: unsynced content is lost; unsynced names are too, or are not.
    fn after_power_cut(&self, names_are_lost: bool) -> tempfile::TempDir {
        let known = self.0.lock().unwrap();
        let left = temporary();
        fs::create_dir(left.path().join("top")).unwrap();
        let names = if names_are_lost { known.names.clone() } else { inodes(&known.top) };
        for (name, inode) in names {
            let content = known.contents.get(&inode).cloned().unwrap_or_default();
            fs::write(left.path().join("top").join(name), content).unwrap();
        }
        left
    }
}

fn inodes(top: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(top).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().ino())).collect()
}

/// The disk is the volume's and the test's.
struct Shared(Arc<Faulty>, Naming);

/// Whether files have names from the beginning.
enum Naming {
    Early,
    Late(UnsyncedDisk),
}

/// Both, for what must not depend on it.
fn both() -> [fn() -> Naming; 2] {
    [|| Naming::Early, || Naming::Late(UnsyncedDisk::default())]
}

impl Disk for Shared {
    fn create_nameless(&self, dir: BorrowedFd<'_>, mode: u32) -> Option<File> {
        let Naming::Late(disk) = &self.1 else { return None };
        self.0.step().ok()?;
        let file = disk.create_nameless(dir, mode).expect("this machine has such files");
        self.0.0.lock().unwrap().contents.remove(&file.metadata().ok()?.ino());
        Some(file)
    }
    fn give_name(&self, file: &File, dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        self.0.step()?;
        RealDisk.give_name(file, dir, name)
    }
    fn create(&self, dir: BorrowedFd<'_>, name: &[u8], mode: u32) -> io::Result<File> {
        self.0.step()?;
        let file = RealDisk.create(dir, name, mode)?;
        // The number may have been another file's before.
        self.0.0.lock().unwrap().contents.remove(&file.metadata()?.ino());
        Ok(file)
    }
    fn write(&self, file: &File, octets: &[u8]) -> io::Result<usize> {
        self.0.step()?;
        // Short, as disks may.
        RealDisk.write(file, &octets[..octets.len().div_ceil(2)])
    }
    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        self.0.step()?;
        RealDisk.truncate(file, length)
    }
    fn copy(&self, source: &File, target: &File, offset: u64, length: u64) -> io::Result<()> {
        self.0.step()?;
        RealDisk.copy(source, target, offset, length)
    }
    fn overlay(&self, source: &File, target: &File, offset: u64, length: u64) -> io::Result<()> {
        self.0.step()?;
        RealDisk.overlay(source, target, offset, length)
    }
    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.0.step()?;
        let content = fs::read(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)))?;
        self.0.0.lock().unwrap().contents.insert(file.metadata()?.ino(), content);
        Ok(())
    }
    fn sync_directory(&self, _: BorrowedFd<'_>) -> io::Result<()> {
        self.0.step()?;
        let mut known = self.0.0.lock().unwrap();
        known.names = inodes(&known.top);
        Ok(())
    }
    fn replace(&self, dir: BorrowedFd<'_>, name: &[u8], to: BorrowedFd<'_>, as_name: &[u8]) -> io::Result<()> {
        self.0.step()?;
        RealDisk.replace(dir, name, to, as_name)
    }
    fn rename(&self, dir: BorrowedFd<'_>, name: &[u8], to: BorrowedFd<'_>, as_name: &[u8]) -> io::Result<()> {
        self.0.step()?;
        RealDisk.rename(dir, name, to, as_name)
    }
    fn remove(&self, dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        self.0.step()?;
        RealDisk.remove(dir, name)
    }
    fn set_mode(&self, file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
        self.0.step()?;
        RealDisk.set_mode(file, mode)
    }
}

const OLD: &[u8] = b"the old content of the file";
const NEW: &[u8] = b"what is new";

/// One thing that is done to the file `f`, and what it may have then.
struct Scene {
    name: &'static str,
    /// What lies there before; `f` has [`OLD`] in it or does not exist.
    before: fn(&Space),
    deed: fn(&Space) -> Result<(), Error>,
    old: Option<&'static [u8]>,
    new: &'static [u8],
}

fn nothing(_: &Space) {}

fn old_file(space: &Space) {
    store(space, "f", Mode::Store, OLD).unwrap();
}

fn begun(space: &Space) {
    assert_eq!(begun_anew(space), Some(12));
}

fn begun_anew(space: &Space) -> Option<u64> {
    let mut upload = space.begin_upload(&path("f"), Mode::Store).ok()?;
    upload.write_all(b"what is kept").ok()?;
    upload.interrupt()
}

fn old_file_and_begun(space: &Space) {
    old_file(space);
    begun(space);
}

const SCENES: &[Scene] = &[
    Scene { name: "store", before: nothing, deed: |s| store(s, "f", Mode::Store, NEW).map(drop), old: None, new: NEW },
    Scene {
        name: "replace",
        before: old_file,
        deed: |s| store(s, "f", Mode::Store, NEW).map(drop),
        old: Some(OLD),
        new: NEW,
    },
    Scene {
        name: "unique",
        before: nothing,
        deed: |s| store(s, "f", Mode::Unique, NEW).map(drop),
        old: None,
        new: NEW,
    },
    Scene {
        name: "make by appending",
        before: nothing,
        deed: |s| store(s, "f", Mode::Append, NEW).map(drop),
        old: None,
        new: NEW,
    },
    Scene {
        name: "append",
        before: old_file,
        deed: |s| store(s, "f", Mode::Append, NEW).map(drop),
        old: Some(OLD),
        new: b"the old content of the filewhat is new",
    },
    Scene {
        name: "a range",
        before: old_file,
        deed: |s| store(s, "f", Mode::Between(4, 16), NEW).map(drop),
        old: Some(OLD),
        new: b"the what is new of the file",
    },
    Scene {
        name: "go on from a file",
        before: old_file,
        deed: |s| store(s, "f", Mode::At(8), NEW).map(drop),
        old: Some(OLD),
        new: b"the old what is new",
    },
    Scene {
        name: "continue",
        before: begun,
        deed: |s| store(s, "f", Mode::At(8), NEW).map(drop),
        old: None,
        new: b"what is what is new",
    },
    Scene {
        name: "continue by appending",
        before: begun,
        deed: |s| store(s, "f", Mode::Append, NEW).map(drop),
        old: None,
        new: b"what is keptwhat is new",
    },
    Scene {
        name: "continue a replacement",
        before: old_file_and_begun,
        deed: |s| store(s, "f", Mode::At(8), NEW).map(drop),
        old: Some(OLD),
        new: b"what is what is new",
    },
    Scene {
        name: "rename",
        before: |s| {
            old_file(s);
            store(s, "g", Mode::Store, NEW).unwrap();
        },
        deed: |s| s.rename(&path("g"), &path("f")),
        old: Some(OLD),
        new: NEW,
    },
];

fn each_way() -> impl Iterator<Item = (&'static Scene, fn() -> Naming)> {
    SCENES.iter().flat_map(|scene| both().map(|names| (scene, names)))
}

fn terms() -> Terms {
    Terms { quota: Quota { bytes_max: Some(10_000), files_max: Some(100) }, ..Terms::default() }
}

/// Plays a scene with a fault at a step; what the deed said, and how many steps there were.
fn play(scene: &Scene, names: Naming, at: usize, fault: Fault) -> (Yard, Arc<Faulty>, Result<(), Error>) {
    let disk = Arc::new(Faulty::default());
    let yard = Yard::on(terms(), Box::new(Shared(Arc::clone(&disk), names)), None);
    disk.arm(&yard.top(), 0, Fault::None);
    (scene.before)(&yard.space);
    disk.arm(&yard.top(), at, fault);
    let said = (scene.deed)(&yard.space);
    (yard, disk, said)
}

/// Opens a directory as after a crash, and holds it against the table.
fn check(scene: &Scene, dir: tempfile::TempDir, allowed: &[Option<&[u8]>], what: &str) {
    let yard = Yard::over(dir, terms(), Box::new(RealDisk), None);
    let content = yard.content("f");
    assert!(
        allowed.contains(&content.as_deref()),
        "{what}: {:?}",
        content.map(|c| String::from_utf8_lossy(&c).into_owned())
    );
    yard.volume.sweep(SystemTime::now()).unwrap();
    let counted = yard.usage();
    let found = yard.volume.recount().unwrap();
    assert_eq!(counted, (found.bytes, found.files), "{what}: the count");
    assert!(!yard.on_disk().iter().any(|name| name == "~0" || name == "~1"), "{what}: {:?}", yard.on_disk());
    if let Some(kept) = yard.kept("f") {
        store(&yard.space, "f", Mode::At(kept), "!").unwrap();
        let whole = yard.content("f").unwrap();
        let beginning = whole.strip_suffix(b"!").unwrap();
        assert!(scene.new.starts_with(beginning) || b"what is kept".starts_with(beginning), "{what}: kept {whole:?}");
    }
    yard.store("f", NEW).unwrap();
    assert_eq!(yard.content("f").unwrap(), NEW, "{what}: done again");
}

#[test]
fn a_machine_may_stop_before_any_step() {
    for (scene, names) in each_way() {
        let (_, disk, said) = play(scene, names(), 0, Fault::None);
        said.unwrap();
        let steps = disk.steps();
        assert!(steps >= 2, "{} has {steps} steps", scene.name);
        for at in 1..=steps + 1 {
            for names_are_lost in [false, true] {
                let (yard, disk, said) = play(scene, names(), at, Fault::Stop);
                let what = format!("{} stopped at step {at} of {steps}, names lost: {names_are_lost}", scene.name);
                let allowed: &[_] = if said.is_ok() { &[Some(scene.new)] } else { &[scene.old, Some(scene.new)] };
                let now = yard.content("f");
                assert!(allowed.contains(&now.as_deref()), "{what}, seen before: {now:?}");
                check(scene, disk.after_power_cut(names_are_lost), allowed, &what);
            }
        }
    }
}

#[test]
fn any_step_may_fail() {
    for (scene, names) in each_way() {
        let steps = play(scene, names(), 0, Fault::None).1.steps();
        for at in 1..=steps {
            for errno in [Errno::IO, Errno::NOSPC] {
                let (yard, disk, said) = play(scene, names(), at, Fault::Fail(errno));
                let what = format!("{} with {errno:?} at step {at} of {steps}: {said:?}", scene.name);
                let allowed: &[_] = match said {
                    Ok(()) => &[Some(scene.new)],
                    Err(Error::Stopped) => &[scene.old, Some(scene.new)],
                    Err(_) => &[scene.old],
                };
                let now = yard.content("f");
                assert!(allowed.contains(&now.as_deref()), "{what}, seen at once: {now:?}");
                if errno == Errno::NOSPC && !matches!(said, Ok(()) | Err(Error::Stopped)) {
                    assert!(matches!(said, Err(Error::DiskFull)), "{what}");
                }
                let counted = yard.usage();
                let found = yard.volume.recount().unwrap();
                // What could not be removed is removed by the count, and was counted so long.
                assert!(counted.0 >= found.bytes && counted.1 >= found.files, "{what}: {counted:?}, {found:?}");
                for names_are_lost in [false, true] {
                    check(scene, disk.after_power_cut(names_are_lost), allowed, &what);
                }
            }
        }
    }
}

#[test]
fn what_is_said_to_be_kept_is_kept_or_gone_but_never_other_octets() {
    let scene = Scene {
        name: "interrupt",
        before: begun,
        deed: |s| {
            let mut upload = s.begin_upload(&path("f"), Mode::At(8))?;
            upload.write_all(NEW)?;
            upload.interrupt();
            Ok(())
        },
        old: None,
        new: b"what is what is new",
    };
    let begin = Scene {
        name: "begin and interrupt",
        before: nothing,
        deed: |s| {
            begun_anew(s);
            Ok(())
        },
        old: None,
        new: b"what is kept",
    };
    for (scene, names) in [&scene, &begin].into_iter().flat_map(|scene| both().map(|names| (scene, names))) {
        let steps = play(scene, names(), 0, Fault::None).1.steps();
        for at in 1..=steps + 1 {
            for fault in [Fault::Stop, Fault::Fail(Errno::IO), Fault::Fail(Errno::NOSPC)] {
                for names_are_lost in [false, true] {
                    let (yard, disk, _) = play(scene, names(), at, fault);
                    assert_eq!(yard.content("f"), None);
                    let what = format!("{} with {fault:?} at {at}, names lost: {names_are_lost}", scene.name);
                    check(scene, disk.after_power_cut(names_are_lost), &[None], &what);
                }
            }
        }
    }
}

#[test]
fn after_a_failed_directory_sync_nothing_is_changed_any_more() {
    let disk = Arc::new(Faulty::default());
    let yard = Yard::on(terms(), Box::new(Shared(Arc::clone(&disk), Naming::Early)), None);
    disk.arm(&yard.top(), 0, Fault::None);
    yard.store("f", OLD).unwrap();
    let steps = {
        disk.arm(&yard.top(), 0, Fault::None);
        yard.store("g", NEW).unwrap();
        disk.steps()
    };
    let waiting = yard.begun("w", Mode::Store, "x");
    disk.arm(&yard.top(), steps, Fault::Fail(Errno::IO));
    assert!(matches!(yard.store("h", NEW), Err(Error::Stopped)));
    assert!(yard.volume.is_stopped());
    let space = &yard.space;
    assert!(matches!(waiting.commit(), Err(Error::Stopped)));
    assert!(matches!(yard.store("i", NEW), Err(Error::Stopped)));
    assert!(matches!(space.make_directory(&path("d")), Err(Error::Stopped)));
    assert!(matches!(space.rename(&path("f"), &path("g")), Err(Error::Stopped)));
    assert!(matches!(space.remove(&path("f")), Err(Error::Stopped)));
    assert!(matches!(space.link(&path("f"), &path("l")), Err(Error::Stopped)));
    assert!(matches!(space.set_mode(&path("f"), 0o600), Err(Error::Stopped)));
    assert_eq!(super::yard::fetch(space, "f").unwrap(), OLD, "reading goes on");
    assert!(Error::Stopped.to_string().contains("opened anew") && !Error::Stopped.is_permanent());
    let top = yard.top();
    let Yard { dir, volume, space } = yard;
    drop((volume, space));
    let again = Volume::open(&top, terms()).unwrap();
    store(&super::yard::one_mount(b"alice", &again, crate::Permissions::ALL, &[]), "i", Mode::Store, NEW).unwrap();
    drop(dir);
}

#[test]
fn a_directory_is_durable_before_anything_can_be_stored_in_it() {
    let disk = Arc::new(Faulty::default());
    let yard = Yard::on(terms(), Box::new(Shared(Arc::clone(&disk), Naming::Early)), None);
    disk.arm(&yard.top(), 0, Fault::None);
    yard.space.make_directory(&path("d")).unwrap();
    assert!(disk.0.lock().unwrap().names.contains_key("d"));
    disk.arm(&yard.top(), 1, Fault::Fail(Errno::IO));
    assert!(matches!(yard.space.make_directory(&path("e")), Err(Error::Stopped)));
}
