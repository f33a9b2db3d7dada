//! What a server costs: CPU time and memory of a process and all its children, from `/proc`.
//!
//! Not here: what the client costs.

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::{HashMap, HashSet};
use std::fs;

/// Linux gives `/proc` times in hundredths of a second on every architecture (USER_HZ).
const TICK_MS: f64 = 10.0;

/// Memory of a process tree.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Processes in the tree.
    pub processes: usize,
    /// Resident set, summed: shared pages count once for each process. KiB.
    pub rss_kib: f64,
    /// Proportional set: shared pages are divided among those who share them. KiB.
    pub pss_kib: f64,
}

/// User and system time so far of the tree below `pid`, with the children it has waited for. Milliseconds.
pub fn cpu_ms(pid: u32) -> Result<f64> {
    let stats = stats();
    let ticks: u64 = tree(pid, &stats)?.iter().filter_map(|pid| stats.get(pid)).map(|stat| stat.ticks).sum();
    Ok(ticks as f64 * TICK_MS)
}

/// How many processes the tree below `pid` has.
pub fn processes(pid: u32) -> usize {
    tree(pid, &stats()).map_or(0, |tree| tree.len())
}

/// Memory of the tree below `pid`.
pub fn memory(pid: u32) -> Result<Memory> {
    let mut memory = Memory::default();
    for pid in tree(pid, &stats())? {
        // A child that has ended meanwhile weighs nothing.
        let Ok(rollup) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        memory.processes += 1;
        memory.rss_kib += field_kib(&rollup, "Rss:");
        memory.pss_kib += field_kib(&rollup, "Pss:");
    }
    if memory.processes == 0 {
        bail!("no memory of process {pid} can be read");
    }
    Ok(memory)
}

/// Lifts the limit of open files as far as we may: an idler is a file.
pub fn raise_file_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("the limit of open files cannot be raised")
}

struct Stat {
    parent: u32,
    ticks: u64,
}

fn stats() -> HashMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// `4711 (name with ) in it) S PARENT … utime stime cutime cstime …`
fn stat(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat { parent: number(1)? as u32, ticks: number(11)? + number(12)? + number(13)? + number(14)? })
}

fn tree(root: u32, stats: &HashMap<u32, Stat>) -> Result<HashSet<u32>> {
    if !stats.contains_key(&root) {
        bail!("there is no process {root}");
    }
    let mut tree = HashSet::from([root]);
    loop {
        let known = tree.len();
        tree.extend(
            stats.iter().filter(|(_, stat)| tree.contains(&stat.parent)).map(|(pid, _)| *pid).collect::<Vec<_>>(),
        );
        if tree.len() == known {
            return Ok(tree);
        }
    }
}

fn field_kib(rollup: &str, name: &str) -> f64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_an_odd_name_is_read() {
        let stat = stat("12 (a) b) S 7 12 12 0 -1 4194560 0 0 0 0 1 2 3 4 20 0").unwrap();
        assert_eq!((stat.parent, stat.ticks), (7, 10));
    }

    #[test]
    fn this_process_has_memory() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.processes >= 1 && memory.pss_kib > 0.0 && memory.rss_kib >= memory.pss_kib);
        assert!(cpu_ms(std::process::id()).is_ok());
    }
}
