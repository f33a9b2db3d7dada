//! What is done with the server.
//!
//! Invariants: names that a server tells become files in the directory that somebody has named, or none; nothing here changes
//! where the prompt is, so that each of these can be a job.
//! Not here: trees that are made alike (trees), files that are edited (edit).

use super::super::change::{EMPTY_ONLY, remove_directory};
use super::super::pipe::STANDARD_INPUT;
use super::super::rehearsal::{Coming, Rehearsal};
use super::super::show::{self, Screen, Show, passed_over};
use super::super::targets::{self, Targets};
use super::super::{missing_for, prepare_here};
use super::out::{Out, local};
use super::seat::{Meant, Seat, Wanted};
use super::words::{Chmod, Du, Find, Get, Ls, Mv, Put, Rm, There};
use super::{edit, trees};
use crate::cli::ftp::{Access, Moving};
use crate::failure::{DIFFERENT, Failure};
use crate::output;
use ftp_client::directory::{About, DEPTH_MAX, above, join, local_name, parted, shown, without_slash};
use ftp_client::error::{Said, printable};
use ftp_client::lineage::{Lineage, Mark, ROUND};
use ftp_client::{Connection, Error, Fetch, Found, Kind, Send};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a command needs besides the server.
pub struct Work {
    pub out: Out,
    pub show: Arc<Show>,
    pub screen: Screen,
    pub access: Access,
    /// Whether sums are compared, asked for or not.
    pub verify: bool,
}

/// Does it.
pub async fn run(word: There, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let changes =
        !matches!(word, There::Ls(_) | There::Cls(_) | There::Find(_) | There::Du(_) | There::Stat(_) | There::Cat(_));
    let done = run_one(word, seat, work).await;
    if changes {
        seat.forget_listed();
    }
    match done {
        Err(Failure::Told(DIFFERENT)) => done,
        Err(_) if work.out.is_gone() => Ok(()),
        done => done,
    }
}

async fn run_one(word: There, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    match word {
        There::Ls(ls) => list(ls, true, seat, work).await,
        There::Cls(ls) => list(ls, false, seat, work).await,
        There::Find(find) => walk(find, seat, work).await,
        There::Du(du) => sum_up(du, seat, work).await,
        There::Stat(names) => look(&names.names, seat, work).await,
        There::Get(get) | There::Mget(get) => fetch(get, false, seat, work).await,
        There::Reget(get) => fetch(get, true, seat, work).await,
        There::Put(put) | There::Mput(put) => send(put, false, seat, work).await,
        There::Reput(put) => send(put, true, seat, work).await,
        There::Cat(names) | There::Less(names) | There::More(names) => print(&names.names, seat, work).await,
        There::Mkdir(names) => {
            each(&names.names, seat, work, async |seat, path| {
                Ok(seat.connection().await?.make_directories(without_slash(path), |_| ()).await?)
            })
            .await
        }
        There::Rm(rm) => remove(rm, seat, work).await,
        There::Rmdir(names) => {
            each(&names.names, seat, work, async |seat, path| {
                seat.stays(path)?;
                remove_directory(seat.connection().await?, without_slash(path)).await
            })
            .await
        }
        There::Mv(mv) => rename(mv, seat, work).await,
        There::Chmod(Chmod { mode, names }) => {
            each(&names.names, seat, work, async |seat, path| Ok(seat.connection().await?.set_mode(path, mode).await?))
                .await
        }
        There::Mirror(mirror) => trees::mirror(mirror.trees, mirror.delete, seat, work).await,
        There::Sync(sync) => trees::mirror(sync, true, seat, work).await,
        There::Diff(diff) => trees::diff(diff, seat, work).await,
        There::Edit(edit) => edit::edit(&edit.name, seat, work).await,
        There::Site(raw) => quote(format!("SITE {}", raw.words.join(" ")), seat, work).await,
        There::Quote(raw) => quote(raw.words.join(" "), seat, work).await,
    }
}

/// Does something with each of the names; one that fails does not keep the others from being done.
async fn each(
    names: &[String],
    seat: &mut Seat,
    work: &Work,
    one: impl AsyncFn(&mut Seat, &[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut done = Ok(());
    for Meant { path, .. } in seat.meant(names).await? {
        match one(seat, &path).await {
            Ok(()) => {}
            Err(failure @ Failure::Unconnected(_)) => return Err(failure),
            Err(failure) => {
                if let Some(sentence) = failure.sentence() {
                    work.screen.line(&sentence);
                }
                done = Err(Failure::Told(failure.code()));
            }
        }
    }
    done
}

async fn list(ls: Ls, long: bool, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let long = long || ls.long;
    let names = if ls.names.is_empty() { vec![String::new()] } else { ls.names.clone() };
    let (mut alone, mut directories) = (Vec::new(), Vec::new());
    for Meant { path, found } in seat.meant(&names).await? {
        match found {
            Some(found) => alone.push((path, found)),
            None if ls.directory => alone.push(looked_at(seat, path).await?),
            None => match seat.connection().await?.list(&path).await {
                Ok(listing) => directories.push((path, listing)),
                // A file, perhaps: servers with MLSD do not list those.
                Err(error @ Error::Refused { .. }) => match looked_at(seat, path).await {
                    Ok((_, found)) if found.kind == Kind::Directory => return Err(error.into()),
                    Ok(found) => alone.push(found),
                    Err(_) => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            },
        }
    }
    let headed = names.len() > 1 && !directories.is_empty();
    write_entries(alone, &ls, long, work)?;
    for (path, mut listing) in directories {
        if headed {
            work.out.line(&format!("\n{}:", shown(&path)))?;
        }
        // One file, listed by its name, is what was asked for, dot or not.
        let dots = ls.all || listing.entries.len() == 1 && listing.entries[0].name.as_bytes() == path;
        listing.entries.retain(|found| dots || !found.name.as_bytes().starts_with(b"."));
        let entries = listing.entries.into_iter().map(|found| (found.name.as_bytes().to_vec(), found));
        write_entries(entries.collect(), &ls, long, work)?;
        if listing.flawed > 0 {
            work.screen.line(&format!("{} names that lead elsewhere were passed over", listing.flawed));
        }
    }
    Ok(())
}

/// One thing as a listing would tell it.
async fn looked_at(seat: &mut Seat, path: Vec<u8>) -> Result<(Vec<u8>, Found), Failure> {
    let path = if path.is_empty() { b".".to_vec() } else { path };
    let About { kind, size, modified, mode } = seat.connection().await?.stat(&path).await?;
    let name = ftp_client::RemoteName::new(b"-").map_err(|_| Failure::Failed("no name".into()))?;
    Ok((path, Found { name, kind, size, modified, mode, owner: None, group: None, unique: None }))
}

fn write_entries(mut entries: Vec<(Vec<u8>, Found)>, ls: &Ls, long: bool, work: &Work) -> Result<(), Failure> {
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    if ls.by_size {
        entries.sort_by_key(|(_, found)| std::cmp::Reverse(found.size));
    }
    if ls.by_time {
        entries.sort_by_key(|(_, found)| std::cmp::Reverse(found.modified.map(|stamp| stamp.moment.unix_secs())));
    }
    if ls.reverse {
        entries.reverse();
    }
    let (screen, columns) = (work.out.is_screen(), show::columns());
    let colours = screen && output::colours(&std::io::stdout());
    if long {
        let seen = entries.iter().map(|(name, found)| (name.as_slice(), found));
        let lines = show::prompt_lines(seen, ls.bytes, screen.then_some(columns), colours);
        return lines.iter().try_for_each(|line| Ok(work.out.line(line)?));
    }
    let names: Vec<String> = entries.iter().map(|(name, found)| show::prompt_name(name, &found.kind)).collect();
    let kinds: Vec<&Kind> = entries.iter().map(|(_, found)| &found.kind).collect();
    for line in show::in_columns(&names, &kinds, if screen { columns } else { 0 }, colours) {
        work.out.line(&line)?;
    }
    Ok(())
}

/// Tells of everything below a directory; links are not followed, nor what leads back up though the server shows no link.
async fn below(
    seat: &mut Seat,
    work: &Work,
    root: &[u8],
    mut tell: impl FnMut(&[u8], &Found) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut left = vec![(root.to_vec(), 0, Lineage::default())];
    while let Some((directory, depth, mut lineage)) = left.pop() {
        let connection = seat.connection().await?;
        let mut entries = connection.list(&directory).await?.entries;
        if depth == 0 {
            lineage = lineage.with(connection.mark(&directory).await?);
        }
        entries.sort_by(|one, two| one.name.cmp(&two.name));
        let first = left.len();
        for found in &entries {
            let path = join(&directory, found.name.as_bytes());
            tell(&path, found)?;
            let mark = Mark::of(found);
            if found.kind == Kind::Directory && lineage.has(mark.as_ref(), false) {
                work.screen.line(&passed_over(&path, ROUND));
            } else if found.kind == Kind::Directory {
                if depth >= DEPTH_MAX {
                    return Err(Failure::Failed(format!("{}: more than {DEPTH_MAX} deep", shown(&path))));
                }
                left.push((path, depth + 1, lineage.with(mark)));
            }
        }
        left[first..].reverse();
    }
    Ok(())
}

async fn walk(find: Find, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let wanted = find.name.as_deref().map(Wanted::with_dots);
    let colours = work.out.is_screen() && output::colours(&std::io::stdout());
    for Meant { path: root, .. } in seat.meant(&or_here(&find.names)).await? {
        below(seat, work, &root, |path, found| {
            if wanted.as_ref().is_some_and(|wanted| !wanted.fits(found.name.as_bytes())) {
                return Ok(());
            }
            let line = match find.long {
                true => show::found_line(path, found, colours),
                false => show::prompt_name(path, &found.kind),
            };
            Ok(work.out.line(&line)?)
        })
        .await?;
    }
    Ok(())
}

async fn sum_up(du: Du, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    for Meant { path: root, .. } in seat.meant(&or_here(&du.names)).await? {
        let mut sums = BTreeMap::from([(root.clone(), 0)]);
        below(seat, work, &root, |path, found| {
            let size = found.size.filter(|_| found.kind == Kind::File).unwrap_or(0);
            if found.kind == Kind::Directory && !du.summarize {
                sums.insert(path.to_vec(), 0);
            }
            let ends = path.iter().enumerate().filter(|(_, octet)| **octet == b'/').map(|(at, _)| at);
            // The root itself may end in a slash, or be no prefix because it is empty.
            for above in ends.map(|end| &path[..end]).filter(|above| above.len() > root.len()) {
                sums.entry(above.to_vec()).and_modify(|sum| *sum += size);
            }
            sums.entry(root.clone()).and_modify(|sum| *sum += size);
            Ok(())
        })
        .await?;
        for (path, sum) in sums.iter().rev() {
            let sum = if du.bytes { sum.to_string() } else { output::size(*sum) };
            let path = if path.is_empty() { ".".into() } else { shown(path) };
            work.out.line(&format!("{sum:>12}  {path}"))?;
        }
    }
    Ok(())
}

fn or_here(names: &[String]) -> Vec<String> {
    if names.is_empty() { vec![String::new()] } else { names.to_vec() }
}

async fn look(names: &[String], seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    each(names, seat, work, async |seat, path| {
        let about = seat.connection().await?.stat(path).await?;
        for line in show::about_lines(&shown(path), &about) {
            work.out.line(&line)?;
        }
        Ok(())
    })
    .await
}

async fn fetch(get: Get, resume: bool, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let meant = seat.meant(&get.names).await?;
    let output = get.output.as_deref().map(|output| PathBuf::from(local(output)));
    let many = meant.len() > 1;
    let say = |line: &str| Ok(work.out.line(line)?);
    let rehearsal = get.dry_run.then(|| Rehearsal::new(&work.show, &say));
    let missing = missing_for(output.as_deref(), many, get.make_dirs)?;
    let folder =
        output.clone().filter(|output| many || output.is_dir() || output.as_os_str().as_bytes().ends_with(b"/"));
    let mut files = Vec::new();
    for Meant { path, found } in meant {
        let listed = found.is_some();
        let octets = found.as_ref().and_then(|found| found.size);
        if path.ends_with(b"/") || found.is_some_and(|found| found.kind == Kind::Directory) {
            work.screen.line(&format!("{} is a directory; mirror fetches those", shown(&path)));
            continue;
        }
        let name = local_name(parted(&path).1)?;
        let local = match (&folder, &output) {
            (Some(folder), _) => folder.join(name),
            (None, Some(file)) => file.clone(),
            (None, None) => name,
        };
        files.push(Coming { remote: path, local, octets, listed });
    }
    if files.is_empty() {
        return Err(Failure::Told(1));
    }
    let files = Targets::default().taken_by(files, Coming::ends)?;
    prepare_here(&missing, &work.show, rehearsal.as_ref())?;
    if let Some(rehearsal) = rehearsal {
        rehearsal.would_fetch_all(seat.connection().await?, &files).await?;
        return work.show.end();
    }
    let wishes = Fetch {
        resume: resume || get.moving.resume,
        verify: work.verify || get.moving.verify,
        keep_time: true,
        ..Fetch::default()
    };
    let octets = files.iter().try_fold(0, |sum, file| Some(sum + file.octets?));
    work.show.expect(files.len() as u64, octets.unwrap_or(0));
    let files = files.into_iter().map(|file| Ok((file.remote, absolute(file.local)?)));
    let files = files.collect::<Result<_, Failure>>()?;
    let crew = seat.crew(work.access.parallel.into(), work.show.watcher()).await?;
    let report = crew.fetch_all(files, &wishes).await;
    seat.take_back(&crew);
    work.show.add(&report?);
    work.show.end()
}

async fn send(put: Put, resume: bool, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let sources = local_files(&put.files, work)?;
    let target = put.output.unwrap_or_default().into_bytes();
    let folder = sources.len() > 1
        || target.is_empty()
        || target.ends_with(b"/")
        || seat.connection().await?.is_directory(&target).await;
    let above = without_slash(if folder { &target } else { above(&target) });
    let named = |source: PathBuf| {
        let name = source.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
        let target = if folder { join(&target, name) } else { target.clone() };
        (source, target)
    };
    let files = Targets::default().taken_by(sources.into_iter().map(named), targets::ends)?;
    if put.dry_run {
        let say = |line: &str| Ok(work.out.line(line)?);
        let rehearsal = Rehearsal::new(&work.show, &say);
        rehearsal.would_send(seat.connection().await?, &files, above, put.make_dirs).await?;
        return work.show.end();
    }
    if put.make_dirs && !above.is_empty() {
        seat.connection().await?.make_directories(above, |_| ()).await?;
    }
    let octets = files.iter().map(|(source, _)| source.metadata().map_or(0, |about| about.len())).sum();
    let files = files.into_iter().map(|(source, target)| Ok((absolute(source)?, target)));
    let files: Vec<_> = files.collect::<Result<_, Failure>>()?;
    let Moving { resume: said, verify } = put.moving;
    let wishes = Send {
        resume: resume || said,
        verify: work.verify || verify,
        keep_time: true,
        in_place: put.in_place,
        in_pieces: put.in_pieces,
        ..Send::default()
    };
    work.show.expect(files.len() as u64, octets);
    let crew = seat.crew(work.access.parallel.into(), work.show.watcher()).await?;
    let report = crew.send_all(files, &wishes).await;
    seat.take_back(&crew);
    work.show.add(&report?);
    work.show.end()
}

/// What names and patterns stand for here; directories are passed over.
fn local_files(names: &[String], work: &Work) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for marked in names {
        let found = super::complete::matching_here(marked)?;
        // Standard input is that of the prompt: - is a file.
        let named = |file: PathBuf| if file == Path::new(STANDARD_INPUT) { Path::new(".").join(file) } else { file };
        files.extend(found.into_iter().map(named).filter(|file| {
            if file.is_dir() {
                work.screen.line(&format!("{} is a directory; mirror -R sends those", file.display()));
            }
            !file.is_dir()
        }));
    }
    if files.is_empty() { Err(Failure::Told(1)) } else { Ok(files) }
}

async fn print(names: &[String], seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    for Meant { path, .. } in seat.meant(names).await? {
        let mut plain = work.out.is_screen().then(Plain::default);
        let out = work.out.clone();
        let hands = move |octets: &[u8]| match &mut plain {
            Some(plain) => out.octets(&plain.made_of(octets)),
            None => out.octets(octets),
        };
        seat.connection().await?.read_file(&path, hands).await?;
    }
    Ok(())
}

/// Makes of a file what a terminal does not obey; line ends and tabs are obeyed.
#[derive(Default)]
struct Plain {
    /// Whether the last octet may have begun a control character in UTF-8: U+0080 to U+009F begin with it.
    begun: bool,
}

impl Plain {
    fn made_of(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut seen = Vec::with_capacity(octets.len());
        for &octet in octets {
            match octet {
                0x80..0xa0 if std::mem::take(&mut self.begun) => {
                    seen.pop();
                    seen.extend(format!("\\u{{{octet:x}}}").bytes());
                }
                b'\n' | b'\t' | b'\r' => seen.push(octet),
                0..0x20 => seen.extend([b'^', octet + 0x40]),
                0x7f => seen.extend(b"^?"),
                _ => seen.push(octet),
            }
            self.begun = octet == 0xc2;
        }
        seen
    }
}

async fn remove(rm: Rm, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    if let Some(nothing) = rm.names.iter().find(|name| matches!(name.as_str(), "" | "." | ".." | "/")) {
        return Err(Failure::Failed(format!("{nothing:?} is not removed; name something in it")));
    }
    each(&rm.names, seat, work, async |seat, path| {
        let path = without_slash(path);
        seat.stays(path)?;
        let connection = seat.connection().await?;
        if rm.dry_run {
            return rehearse_removal(path, &rm, connection, work).await;
        }
        let removed = match rm.recursive {
            true => connection.remove_tree(path, |_| ()).await.map(|()| true),
            false => connection.remove_unless_directory(path).await,
        };
        match removed {
            Ok(false) => Err(is_a_directory(path)),
            Err(error) if rm.force && error.is_missing() && connection.stat(path).await.is_err() => Ok(()),
            other => Ok(other.map(drop)?),
        }
    })
    .await
}

fn is_a_directory(path: &[u8]) -> Failure {
    Failure::Missing(format!("{} is a directory", shown(path))).with_hint(EMPTY_ONLY)
}

async fn rehearse_removal(path: &[u8], rm: &Rm, connection: &mut Connection, work: &Work) -> Result<(), Failure> {
    match connection.kind_itself(path).await {
        Err(error) if rm.force && error.is_missing() => Ok(()),
        Ok(Kind::Directory) if !rm.recursive => Err(is_a_directory(path)),
        kind => {
            kind?;
            let say = |line: &str| Ok(work.out.line(line)?);
            Rehearsal::new(&work.show, &say).would_remove(connection, path, rm.recursive).await
        }
    }
}

async fn rename(mv: Mv, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let from = seat.meant(&mv.from).await?;
    let to = mv.to.as_bytes();
    let connection = seat.connection().await?;
    let into = to.ends_with(b"/") || from.len() > 1 || connection.is_directory(to).await;
    let say = |line: &str| Ok(work.out.line(line)?);
    let rehearsal = mv.dry_run.then(|| Rehearsal::new(&work.show, &say));
    let named = |meant: Meant| {
        let path = without_slash(&meant.path).to_vec();
        let target = if into { join(to, parted(&path).1) } else { to.to_vec() };
        (path, target)
    };
    for (path, target) in Targets::default().taken_by(from.into_iter().map(named), Clone::clone)? {
        match &rehearsal {
            Some(rehearsal) => rehearsal.would_rename(connection, &path, &target).await?,
            None => connection.rename(&path, &target).await?,
        }
    }
    Ok(())
}

async fn quote(line: String, seat: &mut Seat, work: &Work) -> Result<(), Failure> {
    let refused = || Failure::Failed(format!("{}: that cannot be said; commands of ours do it", printable(&line)));
    let reply = match seat.connection().await?.quote(line.as_bytes()).await {
        Err(Error::Name(_)) => return Err(refused()),
        other => other?,
    };
    for text in reply.lines() {
        work.out.line(&format!("{} {}", reply.code(), printable(&String::from_utf8_lossy(text))))?;
    }
    if reply.is_permanent() || reply.is_transient() {
        return Err(Failure::Failed(format!("the server says {}", Said(&reply))));
    }
    Ok(())
}

/// A path here, such that it means the same when somebody goes elsewhere.
pub fn absolute(path: impl AsRef<Path>) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(path)?)
}
