//! Trees made alike, and compared.

use super::super::{alike, plan, surplus};
use super::out::local;
use super::seat::Seat;
use super::there::{Work, absolute};
use super::words::{Diff, Trees};
use crate::cli::ftp::Making;
use crate::failure::{DIFFERENT, Failure};
use ftp_client::directory::{local_name, parted, shown, without_slash};
use ftp_client::mirror::{Copy, Difference, Surplus};
use ftp_client::{Action, Crew, Direction, Kind, Mirror, Plan};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub async fn mirror(trees: Trees, delete: bool, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let (direction, remote, here) = match trees.reverse {
        false => {
            let remote = remote(&trees.source);
            let here = match &trees.target {
                Some(target) => PathBuf::from(local(target)),
                None => namesake(&remote)?,
            };
            (Direction::Here, remote, here)
        }
        true => {
            let here = PathBuf::from(local(&trees.source));
            let target = match &trees.target {
                Some(target) => remote(target),
                None => here.file_name().map_or(Vec::new(), |name| name.as_bytes().to_vec()),
            };
            (Direction::There, target, here)
        }
    };
    let Making { delete_first, keep_modes, in_pieces, dry_run, moving } = trees.making;
    let mirror = Mirror {
        surplus: surplus(delete, delete_first),
        keep_modes,
        resume: moving.resume,
        verify: work.verify || moving.verify,
        in_pieces,
        ..alike(direction, remote, absolute(here)?, &trees.which)
    };
    let crew = seat.crew(work.access.parallel.into(), work.show.watcher()).await?;
    let done = make_alike(&mirror, dry_run, &crew, work).await;
    seat.take_back(&crew);
    done
}

async fn make_alike(mirror: &Mirror, dry_run: bool, crew: &Crew, work: &Work) -> Result<(), Failure> {
    let tell = |plan: &Plan| {
        for line in plan::passed_over(plan, mirror) {
            work.screen.line(&line);
        }
    };
    if dry_run {
        let plan = mirror.plan(crew).await?;
        tell(&plan);
        plan::lines(&plan).try_for_each(|line| work.out.line(&line))?;
        return plan::outcome(&plan);
    }
    let (plan, report) = mirror.make(crew).await?;
    tell(&plan);
    work.show.pass_over(&plan);
    work.show.add(&report);
    work.show.end()
}

/// Nothing for where we are: that is how the library calls it.
fn remote(name: &str) -> Vec<u8> {
    let path = without_slash(name.as_bytes());
    if matches!(path, b"." | b"./") { Vec::new() } else { path.to_vec() }
}

/// What has the same name here.
fn namesake(remote: &[u8]) -> Result<PathBuf, Failure> {
    match parted(remote).1 {
        b"" => Ok(".".into()),
        name => Ok(local_name(name)?),
    }
}

/// How what is here differs from what is there: `>` is only there, `<` only here, `!` is another one.
pub async fn diff(diff: Diff, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let remote = remote(&diff.there);
    let here = match &diff.here {
        Some(here) => PathBuf::from(local(here)),
        None => namesake(&remote)?,
    };
    if seat.connection().await?.stat(&remote).await?.kind != Kind::Directory {
        return diff_files(&remote, &here, seat, work).await;
    }
    let here = absolute(here)?;
    let down =
        Mirror { surplus: Surplus::Removed, ..alike(Direction::Here, remote.clone(), here.clone(), &diff.which) };
    let up = alike(Direction::There, remote, here, &diff.which);
    let crew = seat.crew(work.access.parallel.into(), work.show.watcher()).await?;
    let plans = match down.plan(&crew).await {
        Ok(seen) => up.plan(&crew).await.map(|newer| (seen, newer)),
        Err(error) => Err(error),
    };
    seat.take_back(&crew);
    let (seen, newer) = plans?;
    for line in plan::passed_over(&seen, &up) {
        work.screen.line(&line);
    }
    let lines = difference_lines(&seen, &newer);
    // What was not looked at may differ: that is not known, and so worse than what is.
    let looked_at = plan::completeness(&seen);
    if looked_at.is_err() && lines.is_empty() {
        return looked_at;
    }
    looked_at.and(tell_differences(&lines, work))
}

/// Tells of them, or that there are none; the exit code says the same.
fn tell_differences(lines: &[String], work: &Work) -> Result<(), Failure> {
    if lines.is_empty() {
        work.screen.line("no differences");
        return Ok(());
    }
    match lines.iter().try_for_each(|line| work.out.line(line)) {
        Err(error) if !work.out.is_gone() => Err(error.into()),
        // Who has read enough knows it, too.
        _ => Err(Failure::Told(DIFFERENT)),
    }
}

fn difference_lines(down: &Plan, up: &Plan) -> Vec<String> {
    let seen = |(path, action): &(Vec<u8>, Action)| match action {
        Action::MakeDirectory { .. } => Some((path.clone(), '>', "only there")),
        Action::Copy(Copy { why: Difference::Missing, .. }) => Some((path.clone(), '>', "only there")),
        Action::Copy(Copy { why: Difference::Size, .. }) => Some((path.clone(), '!', "another size")),
        Action::Copy(Copy { why: Difference::Sum, .. }) => Some((path.clone(), '!', "another sum")),
        Action::Copy(Copy { why: Difference::Older, .. }) => Some((path.clone(), '!', "newer there")),
        Action::Remove | Action::RemoveDirectory => Some((path.clone(), '<', "only here")),
        _ => Some((path.clone(), '!', "differs")),
    };
    let newer_here = |(path, action): &(Vec<u8>, Action)| match action {
        Action::Copy(Copy { why: Difference::Older, .. }) => Some((path.clone(), '!', "newer here")),
        _ => None,
    };
    let mut all: Vec<_> =
        down.actions.iter().filter_map(seen).chain(up.actions.iter().filter_map(newer_here)).collect();
    // A file in place of a directory is told once, not as gone and as new.
    all.sort();
    all.dedup_by(|one, other| one.0 == other.0);
    all.into_iter().map(|(path, sign, why)| format!("{sign} {}  ({why})", shown(&path))).collect()
}

/// One file: whatever the local `diff` makes of both.
async fn diff_files(remote: &[u8], here: &Path, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let folder = super::edit::Folder::new()?;
    let there = folder.file("there");
    seat.connection()
        .await?
        .fetch(remote, &there, &ftp_client::Fetch { keep_time: true, ..Default::default() })
        .await?;
    let mut diff = std::process::Command::new("diff");
    diff.args(["-u", "--label"]).arg(format!("there: {}", shown(remote))).arg("--label");
    diff.arg(format!("here: {}", here.display())).arg("--").arg(&there).arg(here);
    let output = tokio::task::block_in_place(|| diff.output());
    let output = output.map_err(|error| Failure::Failed(format!("diff: {error}")))?;
    if !matches!(output.status.code(), Some(0 | 1)) {
        return Err(Failure::Failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let shown = |line: &str| line.split('\t').map(ftp_client::error::printable).collect::<Vec<_>>().join("\t");
    tell_differences(&text.lines().map(shown).collect::<Vec<_>>(), work)
}
