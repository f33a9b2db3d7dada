//! Writes the seeds of every target into folders for libFuzzer: `fuzz-corpus fuzz/corpus`.

use fuzz_twin::{TARGETS, seeds};
use std::path::PathBuf;
use std::{fs, io};

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: fuzz-corpus FOLDER"));
    };
    for target in TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        let seeds = seeds::of(target.name);
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:04}")), &seed.octets)?;
        }
        println!("{}: {} seeds", target.name, seeds.len());
    }
    Ok(())
}
