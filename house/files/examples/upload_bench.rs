//! How many small uploads become durable a second, grouped and each by itself; and what the rest costs.
//!
//! `cargo run --release -p files --example upload_bench -- DIRECTORY [SECONDS] [ROUNDS] [DEVICE]`
//!
//! With a device (`loop0`) the flushes it was asked for are counted: unlike the time, they do not depend on what else the
//! machine does, if nothing else uses the device.
//!
//! Ways are taken in turn, several rounds of each, so that what else the machine does meets all of them alike. The figures
//! in `docs/decisions/0003-confinement.md` are medians of this. Not here: the network.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use files::{Algorithm, Detail, JailedPath, Mode, Mount, Permissions, Space, Terms, Volume};

const SMALL: usize = 4096;
const THREADS: [usize; 4] = [1, 4, 16, 64];
const LARGE: u64 = 1 << 30;

/// How a small file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Written and renamed, nothing is synced.
    Unsynced,
    /// Written, synced, renamed, the directory synced, by each for himself.
    EachForHimself,
    /// Through a space: the directory is synced for all who wait.
    Space,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let place = PathBuf::from(arguments.next().expect("a directory to work in"));
    let seconds: f64 = arguments.next().map_or(2.0, |text| text.parse().expect("seconds"));
    let rounds: usize = arguments.next().map_or(5, |text| text.parse().expect("rounds"));
    let device = Device(arguments.next());
    let place = place.join(format!("upload-bench-{}", std::process::id()));
    fs::create_dir_all(&place).expect("the directory is made");
    small_files(&place, Duration::from_secs_f64(seconds), rounds, &device);
    large_files(&place, rounds);
    looking(&place);
    fs::remove_dir_all(&place).expect("the directory is removed");
}

fn path(text: &str) -> JailedPath {
    JailedPath::parse(text.as_bytes(), &JailedPath::root()).expect("a path")
}

fn space(top: &Path) -> Space {
    let terms = Terms { make_missing: true, ..Terms::default() };
    let volume = Volume::open(top, terms).expect("a volume");
    let mount = Mount {
        at: JailedPath::root(),
        volume,
        permissions: Permissions::ALL,
        rules: Vec::new(),
        keeps_interrupted: true,
    };
    Space::new(b"alice", vec![mount]).expect("a space")
}

/// The disk, where its name is known.
struct Device(Option<String>);

impl Device {
    /// How often it was flushed so far.
    fn flushes(&self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/sys/block/{}/stat", self.0.as_ref()?)).expect("a device");
        stat.split_whitespace().nth(15)?.parse().ok()
    }
}

/// Each thread has a directory of its own, or all share one.
fn small_files(place: &Path, time: Duration, rounds: usize, device: &Device) {
    println!("small files of {SMALL} octets, files/s, median of {rounds} rounds (least to most)");
    for shared in [true, false] {
        for threads in THREADS {
            let ways = [Way::Unsynced, Way::EachForHimself, Way::Space];
            let mut figures = [const { (Vec::new(), Vec::new()) }; 3];
            for round in 0..rounds {
                for (way, figures) in ways.iter().zip(&mut figures) {
                    let top = place.join(format!("{way:?}-{shared}-{threads}-{round}"));
                    let flushed = device.flushes();
                    let stored = small_files_once(&top, *way, threads, shared, time);
                    figures.0.push(stored / time.as_secs_f64());
                    figures.1.extend(device.flushes().zip(flushed).map(|(after, before)| (after - before) / stored));
                    fs::remove_dir_all(&top).expect("removed");
                }
            }
            let shown = ways.iter().zip(figures).map(|(way, (stored, mut flushed))| {
                flushed.sort_by(f64::total_cmp);
                let flushes = flushed.get(flushed.len() / 2).map(|one| format!(", {one:.2} flushes each"));
                format!("{way:?} {}{}", median(stored), flushes.unwrap_or_default())
            });
            let directory = if shared { "one directory" } else { "a directory each" };
            println!("  {threads:2} threads, {directory}: {}", shown.collect::<Vec<_>>().join(" · "));
        }
    }
}

fn small_files_once(top: &Path, way: Way, threads: usize, shared: bool, time: Duration) -> f64 {
    let space = space(top);
    for thread in 0..threads {
        space.make_directory(&path(&format!("d{thread}"))).expect("made");
    }
    let content = [7; SMALL];
    let stored = AtomicU64::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (space, stored, content) = (space.clone(), &stored, &content);
            scope.spawn(move || {
                let dir = format!("d{}", if shared { 0 } else { thread });
                for n in 0u64.. {
                    if begun.elapsed() >= time {
                        break;
                    }
                    match way {
                        Way::Space => through_space(&space, &format!("{dir}/{thread}-{n}"), content),
                        _ => by_hand(&top.join(&dir), &format!("{thread}-{n}"), content, way),
                    }
                    stored.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    stored.load(Ordering::Relaxed) as f64
}

fn through_space(space: &Space, name: &str, content: &[u8]) {
    let mut upload = space.begin_upload(&path(name), Mode::Store).expect("begun");
    upload.write_all(content).expect("written");
    upload.commit().expect("stored");
}

fn by_hand(dir: &Path, name: &str, content: &[u8], way: Way) {
    let hidden = dir.join(format!(".{name}"));
    let mut file = File::create_new(&hidden).expect("made");
    file.write_all(content).expect("written");
    if way == Way::EachForHimself {
        file.sync_data().expect("synced");
    }
    fs::rename(&hidden, dir.join(name)).expect("renamed");
    if way == Way::EachForHimself {
        File::open(dir).expect("opened").sync_all().expect("synced");
    }
}

/// A large upload: how long the octets take, and the commit.
fn large_files(place: &Path, rounds: usize) {
    let space = space(&place.join("large"));
    let buffer = vec![7; 1 << 20];
    let (mut written, mut committed) = (Vec::new(), Vec::new());
    for round in 0..rounds.min(3) {
        let mut upload = space.begin_upload(&path(&format!("f{round}")), Mode::Store).expect("begun");
        let begun = Instant::now();
        for _ in 0..LARGE / buffer.len() as u64 {
            upload.write_all(&buffer).expect("written");
        }
        written.push(begun.elapsed().as_secs_f64() * 1000.0);
        let begun = Instant::now();
        upload.commit().expect("stored");
        committed.push(begun.elapsed().as_secs_f64() * 1000.0);
        space.remove(&path(&format!("f{round}"))).expect("removed");
    }
    println!("1 GiB: written in {} ms, committed in {} ms", median(written), median(committed));
}

/// What looking costs, in one thread.
fn looking(place: &Path) {
    const ENTRIES: u32 = 10_000;
    let top = place.join("looking");
    let space = space(&top);
    fs::create_dir_all(top.join("a/b")).expect("made");
    for n in 0..ENTRIES {
        fs::write(top.join(format!("a/b/file-{n:05}")), [7; SMALL]).expect("written");
    }
    std::os::unix::fs::symlink("a/b", top.join("link")).expect("linked");
    let each = |what: &str, count: u32, act: &mut dyn FnMut(u32)| {
        let begun = Instant::now();
        (0..count).for_each(act);
        println!("{what}: {:.2} µs", begun.elapsed().as_secs_f64() * 1e6 / f64::from(count));
    };
    for detail in [Detail::Facts, Detail::Names] {
        let begun = Instant::now();
        let listed = space.list(&path("a/b"), detail).expect("listed").count();
        let each = begun.elapsed().as_secs_f64() * 1e6 / listed as f64;
        println!("list {detail:?}: {each:.2} µs an entry");
    }
    let file = |n: u32| path(&format!("a/b/file-{:05}", n % ENTRIES));
    each("stat", 100_000, &mut |n| drop(space.stat(&file(n)).expect("there")));
    each("open to read", 100_000, &mut |n| drop(space.open_read(&file(n)).expect("there")));
    each("open to read, by a link", 100_000, &mut |n| {
        drop(space.open_read(&path(&format!("link/file-{:05}", n % ENTRIES))).expect("there"));
    });
    let never = Arc::new(AtomicBool::new(false));
    fs::write(top.join("big"), vec![7; 256 << 20]).expect("written");
    for algorithm in [Algorithm::Crc32, Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
        let begun = Instant::now();
        let big = space.open_to_sum(&path("big")).expect("there");
        big.sum(algorithm, 0..big.size, &never).expect("summed");
        println!("{algorithm:?}: {:.0} MB/s", 256.0 * 1.048_576 / begun.elapsed().as_secs_f64());
    }
}

fn median(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (figures.first(), figures.last()) else { return "nothing".into() };
    format!("{:.0} ({least:.0}–{most:.0})", figures[figures.len() / 2])
}
