//! `packetboat ftp …`: words for what the client library does.

mod access;
mod change;
mod known;
mod log;
mod pipe;
mod places;
mod plan;
mod rehearsal;
mod shell;
mod show;
mod targets;
mod ways;

use crate::cli::ftp::{Cat, Ftp, FtpCommand, Get, Ls, Making, Mirror, Put, Stat, Trees, Which};
use crate::failure::Failure;
use crate::output;
use access::{Place, place};
use ftp_client::directory::{About, Listing, above, parted};
use ftp_client::mirror::{Compare, Far, Only, Surplus};
use ftp_client::{Connection, Crew, Direction, Error, Event, Fetch, Found, Kind, Links, Plan, RemoteName, Send, Url};
use rehearsal::{Coming, Intent, Rehearsal};
use show::{Show, entry_json, entry_line};
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use targets::Targets;

/// Does it. Programs are told in an object what keeps it from being done, and its exit code.
pub fn run(ftp: Ftp) -> Result<(), Failure> {
    let json = ftp.access().json;
    // An object would be a part of the file.
    let aside = matches!(ftp.command, Some(FtpCommand::Cat(_)));
    let done = run_one(ftp);
    match done.as_ref().err().filter(|_| json).and_then(show::error_json) {
        Some(error) if aside => output::json_aside(&error)?,
        Some(error) => output::json(&error)?,
        None => {}
    }
    done
}

fn run_one(ftp: Ftp) -> Result<(), Failure> {
    let Some(command) = ftp.command else { return shell::run(ftp.shell) };
    // What takes long has threads of its own; dialogues and small files are faster without changing threads.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            FtpCommand::Get(get) => fetch(get).await,
            FtpCommand::Put(put) => send(put).await,
            FtpCommand::Ls(ls) => list(ls).await,
            FtpCommand::Cat(cat) => print(cat).await,
            FtpCommand::Stat(stat) => look(stat).await,
            FtpCommand::Mkdir(mkdir) => change::make(mkdir).await,
            FtpCommand::Rm(rm) => change::remove(rm).await,
            FtpCommand::Mv(mv) => change::rename(mv).await,
            FtpCommand::Mirror(Mirror { trees, delete }) => mirror(trees, delete).await,
            FtpCommand::Sync(sync) => mirror(sync.trees, true).await,
        }
    })
}

/// What somebody might want where a directory is missing.
pub const MAKE_DIRS: &str = "--make-dirs makes the directories that are not there";

async fn open(place: &Place) -> Result<Connection, Failure> {
    Ok(Connection::open(&place.site).await?)
}

async fn fetch(get: Get) -> Result<(), Failure> {
    let (show, output) = (Show::new(&get.access), get.output.as_deref());
    let rehearsal = get.dry_run.then(|| Rehearsal::new(&show, &output::say));
    let places = get.urls.iter().map(|url| place(url, &get.access)).collect::<Result<Vec<_>, _>>()?;
    let is_pattern = |place: &Place| place.url.name().and_then(ftp_client::select::pattern).is_some();
    let many = places.len() > 1;
    let missing = missing_for(output, many || places.iter().any(is_pattern), get.make_dirs)?;
    let (mut targets, mut orders) = (Targets::default(), Vec::new());
    for place in places {
        let files = sources(&place, output, many).await?;
        let named = |file: &Coming| (place.url.with_path(&file.remote[..]).to_string().into_bytes(), file.ends().1);
        let files = targets.taken_by(files, named)?;
        orders.push((place, files));
    }
    orders.retain(|(_, files)| !files.is_empty());
    prepare_here(&missing, &show, rehearsal.as_ref())?;
    for (place, files) in orders {
        match &rehearsal {
            Some(rehearsal) => {
                let mut connection = open(&place).await?;
                rehearsal.would_fetch_all(&mut connection, &files).await?;
                connection.quit().await;
            }
            None => fetch_from(place, files, &get, &show).await?,
        }
    }
    show.end()
}

/// Each URL may name another server, so each has a crew of its own.
async fn fetch_from(place: Place, files: Vec<Coming>, get: &Get, show: &Show) -> Result<(), Failure> {
    let wishes = Fetch { resume: get.moving.resume, verify: get.moving.verify, keep_time: true, ..Fetch::default() };
    let crew = Crew::new(place.site, get.access.parallel.into(), show.watcher());
    show.expect(files.len() as u64, 0);
    let files = files.into_iter().map(|file| (file.remote, file.local)).collect();
    show.add(&crew.fetch_all(files, &wishes).await?);
    Ok(())
}

/// Which directories are missing for what is to be this, or in it.
fn missing_for(output: Option<&Path>, inside: bool, make_dirs: bool) -> Result<Vec<PathBuf>, Failure> {
    let Some(output) = output else { return Ok(Vec::new()) };
    if output == Path::new("-") {
        return Err(Failure::Misused("`cat` writes to standard output; ./- is a file of that name".into()));
    }
    let itself = inside || output.as_os_str().as_bytes().ends_with(b"/");
    let folder = if itself { Some(output) } else { output.parent() };
    let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(Vec::new()) };
    if !make_dirs && !folder.is_dir() {
        let why = format!("{}: there is no such directory", folder.display());
        return Err(Failure::Failed(why).with_hint(MAKE_DIRS));
    }
    missing_here(folder)
}

/// Makes directories that files are to go into, or says how they would be made.
fn prepare_here(missing: &[PathBuf], show: &Show, rehearsal: Option<&Rehearsal<'_>>) -> Result<(), Failure> {
    missing.iter().try_for_each(|folder| match rehearsal {
        Some(rehearsal) => rehearsal.would(Intent::Make(folder.as_os_str().as_bytes())),
        None => make_here(folder, show),
    })
}

/// Which of a directory and those that it stands in are not here.
fn missing_here(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    // Without a slash at its end.
    let folder: PathBuf = folder.components().collect();
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.is_dir();
    let mut missing: Vec<PathBuf> = folder.ancestors().take_while(is_missing).map(Path::to_path_buf).collect();
    missing.reverse();
    match missing.first().filter(|highest| highest.symlink_metadata().is_ok()) {
        Some(taken) => Err(Failure::Failed(format!("{}: that is no directory", taken.display()))),
        None => Ok(missing),
    }
}

fn make_here(folder: &Path, show: &Show) -> Result<(), Failure> {
    // Somebody else may have made it meanwhile.
    std::fs::create_dir_all(folder).map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))?;
    show.watcher()(&Event::Made { name: folder.as_os_str().as_bytes() });
    Ok(())
}

/// What a URL means: one file, or all whose names fit.
async fn sources(place: &Place, output: Option<&Path>, many: bool) -> Result<Vec<Coming>, Failure> {
    let url = &place.url;
    let name = url.name().filter(|_| !url.path.ends_with(b"/"));
    let name = name.ok_or_else(|| Failure::Failed(format!("{url}: that is a directory; `mirror` fetches those")))?;
    let directory = output.filter(|output| many || output.is_dir() || output.as_os_str().as_bytes().ends_with(b"/"));
    let Some(pattern) = ftp_client::select::pattern(name) else {
        let named = ftp_client::directory::local_name(name)?;
        let local = match (directory, output) {
            (Some(directory), _) => directory.join(named),
            (None, Some(file)) => file.to_path_buf(),
            (None, None) => named,
        };
        return Ok(vec![Coming { remote: url.path.clone(), local, octets: None, listed: false }]);
    };
    let (above, _) = parted(&url.path);
    let mut connection = open(place).await?;
    let listing = connection.list(above).await?;
    connection.quit().await;
    let files = listing.entries.iter().filter(|found| found.kind != ftp_client::Kind::Directory);
    let fitting = files.filter(|found| pattern.matches(found.name.as_bytes()));
    let found = fitting.map(|found| {
        let name = found.name.as_bytes();
        let local = output.unwrap_or(Path::new("")).join(ftp_client::directory::local_name(name)?);
        let remote = ftp_client::directory::join(above, name);
        Ok(Coming { remote, local, octets: found.size, listed: true })
    });
    let found = found.collect::<Result<Vec<_>, Error>>()?;
    if found.is_empty() { Err(Failure::Missing(format!("{url}: nothing of such a name"))) } else { Ok(found) }
}

async fn send(put: Put) -> Result<(), Failure> {
    if pipe::is_meant(&put) {
        return pipe::send(put).await;
    }
    let place = place(&put.url, &put.access)?;
    let show = Show::new(&put.access);
    let path = &place.url.path;
    let directory = path.is_empty() || path.ends_with(b"/");
    if !directory && put.files.len() > 1 {
        return Err(Failure::Misused(format!("{}: several files go into a directory; end it with /", place.url)));
    }
    let mut files = Vec::new();
    for file in &put.files {
        let name = file.file_name().ok_or_else(|| Failure::Failed(format!("{}: no name of a file", file.display())))?;
        let target = if directory { ftp_client::directory::join(path, name.as_bytes()) } else { path.clone() };
        files.push((file.clone(), target));
    }
    let files = Targets::default().taken_by(files, targets::ends)?;
    if put.dry_run {
        let mut connection = open(&place).await?;
        let rehearsal = Rehearsal::new(&show, &output::say);
        rehearsal.would_send(&mut connection, &files, above(path), put.make_dirs).await?;
        connection.quit().await;
        return show.end();
    }
    if put.make_dirs && !above(path).is_empty() {
        let mut connection = open(&place).await?;
        make_above(&mut connection, path, &show).await?;
        connection.quit().await;
    }
    let octets = files.iter().filter_map(|(file, _)| file.metadata().ok()).map(|about| about.len()).sum();
    show.expect(files.len() as u64, octets);
    let wishes = Send {
        resume: put.moving.resume,
        verify: put.moving.verify,
        keep_time: true,
        in_place: put.in_place,
        in_pieces: put.in_pieces,
        ..Send::default()
    };
    let crew = Crew::new(place.site, put.access.parallel.into(), show.watcher());
    show.add(&crew.send_all(files, &wishes).await?);
    show.end()
}

async fn make_above(connection: &mut Connection, path: &[u8], show: &Show) -> Result<(), Failure> {
    let watcher = show.watcher();
    let made = |made: &[u8]| watcher(&Event::Made { name: made });
    Ok(connection.make_directories(above(path), made).await?)
}

async fn list(ls: Ls) -> Result<(), Failure> {
    let place = place(&ls.url, &ls.access)?;
    let mut connection = open(&place).await?;
    let listed = match connection.list(&place.url.path).await {
        // A file, perhaps: servers with MLSD do not list those.
        Err(error @ Error::Refused { .. }) => one_file(&mut connection, &place.url).await.ok_or(error),
        listed => listed,
    };
    connection.quit().await;
    let mut listing = listed?;
    listing.entries.sort_by(|one, two| one.name.cmp(&two.name));
    let narrow = show::is_narrow(show::columns()) && std::io::stdout().is_terminal();
    let lines: Vec<String> = match ls.access.json {
        true => listing.entries.iter().map(|found| entry_json(found).to_string()).collect(),
        false if ls.long && narrow => {
            let entries = listing.entries.iter().map(|found| (found.name.as_bytes(), found));
            show::prompt_lines(entries, false, Some(show::columns()), output::colours(&std::io::stdout()))
        }
        false => listing.entries.iter().map(|found| entry_line(found, ls.long)).collect(),
    };
    lines.iter().try_for_each(|line| output::say(line))?;
    if listing.flawed > 0 {
        eprintln!("packetboat: {} names that lead elsewhere were passed over", listing.flawed);
    }
    Ok(())
}

/// A listing of what is no directory.
async fn one_file(connection: &mut Connection, url: &Url) -> Option<Listing> {
    let name = RemoteName::new(url.name()?).ok()?;
    let About { kind, size, modified, mode } = connection.stat(&url.path).await.ok()?;
    let found = Found { name, kind, size, modified, mode, owner: None, group: None, unique: None };
    (found.kind != Kind::Directory).then(|| Listing { entries: vec![found], flawed: 0 })
}

async fn print(cat: Cat) -> Result<(), Failure> {
    let place = place(&cat.url, &cat.access)?;
    let mut connection = open(&place).await?;
    let gone = Arc::new(AtomicBool::new(false));
    let hands = {
        let gone = gone.clone();
        move |octets: &[u8]| {
            let written = std::io::stdout().write_all(octets);
            let broken = written.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
            gone.fetch_or(broken, Ordering::Relaxed);
            written
        }
    };
    let read = connection.read_file(&place.url.path, hands).await;
    connection.quit().await;
    match read {
        // Whoever reads no more, such as `head`, has what he wants.
        Err(_) if gone.load(Ordering::Relaxed) => Ok(()),
        read => {
            read?;
            Ok(std::io::stdout().flush()?)
        }
    }
}

async fn look(stat: Stat) -> Result<(), Failure> {
    let place = place(&stat.url, &stat.access)?;
    let mut connection = open(&place).await?;
    let about = connection.stat(&place.url.path).await?;
    connection.quit().await;
    show::about(&place.url.to_string(), &about, stat.access.json)
}

async fn mirror(trees: Trees, delete: bool) -> Result<(), Failure> {
    let saved = trees.apply.as_deref().map(plan::read).transpose()?;
    let (source, target) = match (&saved, &trees.source, &trees.target) {
        (Some(saved), ..) => (saved.source.clone(), saved.target.clone()),
        (None, Some(source), Some(target)) => (source.clone(), target.clone()),
        _ => return Err(Failure::Misused("two trees are wanted, or --apply".into())),
    };
    let (crew_place, mirror) = ends(&source, &target, &trees, delete)?;
    let show = Show::new(&trees.access);
    let crew = Crew::new(crew_place.site, trees.access.parallel.into(), show.watcher());
    let plan = match saved {
        Some(saved) => saved.plan,
        None if trees.making.dry_run || trees.plan.is_some() => mirror.plan(&crew).await?,
        None => {
            let (plan, report) = mirror.make(&crew).await?;
            tell_passed_over(&plan, &mirror);
            show.pass_over(&plan);
            show.add(&report);
            return show.end();
        }
    };
    tell_passed_over(&plan, &mirror);
    if trees.making.dry_run {
        plan::show(&plan, &trees.access)?;
        return show.end_plan(&plan);
    }
    if let Some(file) = &trees.plan {
        plan::write(file, &source, &target, &plan)?;
        return plan::completeness(&plan);
    }
    let (files, octets) = plan.to_move();
    show.expect(files, octets);
    show.add(&mirror.apply(&plan, &crew).await?);
    show.end()
}

fn tell_passed_over(plan: &Plan, mirror: &ftp_client::Mirror) {
    for line in plan::passed_over(plan, mirror) {
        eprintln!("packetboat: {line}");
    }
}

/// Where the crew works, and what it does there.
fn ends(source: &str, target: &str, trees: &Trees, delete: bool) -> Result<(Place, ftp_client::Mirror), Failure> {
    let is_url = |text: &str| text.contains("://");
    let tree = |place: &Place| place.url.path.strip_suffix(b"/").unwrap_or(&place.url.path).to_vec();
    let (place, direction, local) = match (is_url(source), is_url(target)) {
        (true, false) => (place(source, &trees.access)?, Direction::Here, target),
        (false, true) => (place(target, &trees.access)?, Direction::There, source),
        (true, true) => {
            let far = place(target, &trees.access)?;
            let far = Far { path: tree(&far), site: Box::new(far.site) };
            (place(source, &trees.access)?, Direction::Across(far), "")
        }
        (false, false) => return Err(Failure::Misused("one of the two has to be a URL".into())),
    };
    let Making { delete_first, keep_modes, in_pieces, moving, .. } = &trees.making;
    let mirror = ftp_client::Mirror {
        surplus: surplus(delete, *delete_first),
        keep_modes: *keep_modes,
        resume: moving.resume,
        verify: moving.verify,
        in_pieces: *in_pieces,
        ..alike(direction, tree(&place), local.into(), &trees.which)
    };
    Ok((place, mirror))
}

fn surplus(delete: bool, first: bool) -> Surplus {
    match (delete, first) {
        (_, true) => Surplus::RemovedFirst,
        (true, false) => Surplus::Removed,
        (false, false) => Surplus::Kept,
    }
}

/// Two trees, of which nothing is said but what is to be looked at.
fn alike(direction: Direction, remote: Vec<u8>, local: PathBuf, which: &Which) -> ftp_client::Mirror {
    ftp_client::Mirror {
        direction,
        remote,
        local,
        selection: which.patterns.0.clone(),
        surplus: Surplus::Kept,
        compare: match which.compare {
            crate::cli::ftp::Compare::Time => Compare::Time,
            crate::cli::ftp::Compare::Size => Compare::Size,
            crate::cli::ftp::Compare::Checksum => Compare::Sum,
        },
        only: match (which.only_missing, which.only_existing, which.only_newer) {
            (true, ..) => Only::Missing,
            (_, true, _) => Only::Existing,
            (_, _, true) => Only::Newer,
            _ => Only::All,
        },
        links: links(which.follow_links, which.make_links),
        keep_modes: false,
        resume: false,
        verify: false,
        in_pieces: false,
        entries_max: which.max_entries,
    }
}

fn links(follow: bool, make: bool) -> Links {
    match (follow, make) {
        (true, _) => Links::Followed,
        (_, true) => Links::Made,
        _ => Links::PassedOver,
    }
}
