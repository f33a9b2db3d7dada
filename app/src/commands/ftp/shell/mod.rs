//! The prompt of the FTP client, and the same commands from a pipe, a file, or the command line.
//!
//! ```text
//! line ─language→ orders ─words→ Here: done by the prompt itself
//!                               There: done over the seat's connection ─or apart→ a job with a seat of its own
//! ```
//!
//! Read in this order: [`language`] takes lines apart, [`words`] is what can be said, [`seat`] where we are, [`there`], [`trees`]
//! and [`edit`] what is done with the server, [`here`] what the prompt does itself, [`jobs`] what is done while it lives,
//! [`complete`] what Tab offers.
//!
//! Invariants: Ctrl-C ends what is being done, never the prompt; what a server says cannot move the cursor; no password is
//! written down or shown.

mod bookmarks;
mod complete;
mod dialogue;
mod edit;
mod here;
mod history;
mod jobs;
mod language;
mod out;
mod seat;
mod settings;
mod there;
mod trees;
mod words;

use super::places;
use super::show::{Screen, Show};
use crate::cli::ftp;
use crate::failure::{Failure, INTERRUPTED};
use crate::output;
use crate::terminal::Unechoed;
use complete::Guide;
use dialogue::Dialogue;
use here::Flow;
use jobs::Jobs;
use language::{Order, To, plain};
use out::Out;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{CompletionType, Config, Editor, ExternalPrinter};
use seat::Seat;
use settings::Settings;
use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr, stdin};
use std::sync::{Arc, PoisonError};
use there::Work;
use tokio::signal::unix::{Signal, SignalKind, signal};
use words::{There, Word};

/// An alias may stand for another one so often.
const ALIASES_MAX: usize = 16;

/// What was typed for longer.
type Aliases = Arc<std::sync::Mutex<BTreeMap<String, String>>>;

/// Runs the shell, or what it is told to.
pub fn run(said: ftp::Shell) -> Result<(), Failure> {
    if said.access.json {
        return Err(Failure::Misused("--json is for single commands, such as `packetboat ftp ls --json URL`".into()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if said.execute.is_empty() && stdin().is_terminal() {
            at_the_prompt(said).await
        } else {
            from_elsewhere(said).await
        }
    })
}

/// Somebody types.
async fn at_the_prompt(said: ftp::Shell) -> Result<(), Failure> {
    let place = said.place.clone();
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(false).build();
    let mut editor: Editor<Guide, MemHistory> =
        Editor::with_history(config.clone(), MemHistory::with_config(&config)).map_err(unusable)?;
    // Where a terminal can do nothing, lines are written between what is typed.
    let printer = editor.create_external_printer().ok().map(std::sync::Mutex::new);
    let say = move |text: &str| match &printer {
        Some(printer) => {
            let mut printer = printer.lock().unwrap_or_else(PoisonError::into_inner);
            drop(printer.print(format!("{text}\n")));
        }
        None => eprintln!("{text}"),
    };
    let mut shell = Shell::new(said, true, Arc::new(say))?;
    for line in history::read() {
        editor.add_history_entry(line).map_err(unusable)?;
    }
    let guide = Guide {
        seat: shell.seat.clone(),
        aliases: shell.aliases.clone(),
        dialogue: shell.dialogue.clone(),
        runtime: tokio::runtime::Handle::current(),
    };
    editor.set_helper(Some(guide));
    let done = obey_typed(&mut shell, &mut editor, place).await;
    shell.end(done).await
}

fn unusable(error: ReadlineError) -> Failure {
    Failure::Failed(format!("the terminal cannot be used: {error}"))
}

/// Does what is typed, until somebody leaves with an exit code.
async fn obey_typed(
    shell: &mut Shell,
    editor: &mut Editor<Guide, MemHistory>,
    place: Option<String>,
) -> Result<u8, Failure> {
    shell.begin(place).await?;
    loop {
        shell.jobs.forget_ended();
        let prompt = shell.prompt().await;
        match tokio::task::block_in_place(|| editor.readline(&prompt)) {
            Ok(line) => {
                if history::may_keep(&line) && editor.add_history_entry(&line).map_err(unusable)? {
                    history::add(&line);
                }
                if let Flow::Leave(code) = shell.obey(&line).await?
                    && shell.may_leave().await?
                {
                    return Ok(code);
                }
            }
            Err(ReadlineError::Interrupted) => {}
            // Nobody is there to be asked.
            Err(error @ ReadlineError::Eof) if !stdin().is_terminal() => return Err(unusable(error)),
            Err(ReadlineError::Eof) => {
                if shell.may_leave().await? {
                    return Ok(0);
                }
            }
            Err(error) => return Err(unusable(error)),
        }
    }
}

/// Commands come from the command line, a pipe or a file.
async fn from_elsewhere(said: ftp::Shell) -> Result<(), Failure> {
    let (place, texts) = (said.place.clone(), said.execute.clone());
    let mut shell = Shell::new(said, false, Arc::new(|text| eprintln!("{text}")))?;
    let done = obey_all(&mut shell, place, &texts).await;
    shell.end(done).await
}

/// Does what these texts say, or standard input where there are none. The exit code that is left with.
async fn obey_all(shell: &mut Shell, place: Option<String>, texts: &[String]) -> Result<u8, Failure> {
    shell.begin(place).await?;
    for text in texts {
        if let Flow::Leave(code) = shell.obey(text).await? {
            return Ok(code);
        }
    }
    if texts.is_empty() {
        let mut line = String::new();
        while tokio::task::block_in_place(|| stdin().read_line(&mut line))? > 0 {
            if let Flow::Leave(code) = shell.obey(&line).await? {
                return Ok(code);
            }
            line.clear();
        }
    }
    Ok(0)
}

/// Who obeys.
struct Shell {
    seat: Arc<tokio::sync::Mutex<Option<Seat>>>,
    settings: Settings,
    aliases: Aliases,
    jobs: Jobs,
    screen: Screen,
    dialogue: Arc<Dialogue>,
    /// Whether somebody types; then what fails is told, and that is all.
    prompted: bool,
    /// The exit code of the last that failed where we went on.
    failed: Option<u8>,
    _interrupts: Interrupt,
}

impl Shell {
    fn new(said: ftp::Shell, prompted: bool, say: super::show::Say) -> Result<Self, Failure> {
        let screen = Screen::new(&said.access, say);
        let dialogue = Dialogue::new(said.access.show_dialogue, screen.clone(), output::colours(&stderr()));
        Ok(Shell {
            seat: Arc::default(),
            settings: Settings { access: said.access, keep_going: said.keep_going, verify: false },
            aliases: Aliases::default(),
            jobs: Jobs::default(),
            screen,
            dialogue,
            prompted,
            failed: None,
            // From here on Ctrl-C does not end us; whoever does something listens for it.
            _interrupts: Interrupt::new()?,
        })
    }

    /// What somebody wants to be done at every start, and the place that was named.
    async fn begin(&mut self, place: Option<String>) -> Result<(), Failure> {
        if let Some(file) = places::configuration("ftprc")
            && let Ok(text) = std::fs::read_to_string(&file)
        {
            self.obey(&text).await.inspect_err(|_| {
                self.screen.line(&format!("packetboat: that stands in {}", file.display()));
            })?;
        }
        let Some(place) = place else { return Ok(()) };
        let opened = self.open(&place, &self.settings.access.clone()).await;
        self.heed(opened)
    }

    /// Does what a line says.
    async fn obey(&mut self, line: &str) -> Result<Flow, Failure> {
        let (mut rest, mut aliases) = (line.to_owned(), 0);
        loop {
            let (order, used) = match language::next(&rest) {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(Flow::Stay),
                Err(why) => return self.heed(Err(Failure::Misused(why))).map(|()| Flow::Stay),
            };
            if let Some(text) = self.meaning(&order, &rest)
                && aliases < ALIASES_MAX
            {
                (rest, aliases) = (text, aliases + 1);
                continue;
            }
            let done = match order {
                Order::Local(command) => out::run_locally(&command).map(|()| Flow::Stay),
                Order::Ours { words, to, apart, .. } => self.one(&words, to, apart, rest[..used].trim()).await,
            };
            match done {
                Ok(Flow::Stay) => {}
                Ok(leave) => return Ok(leave),
                // Whoever presses Ctrl-C means all of it.
                Err(Failure::Told(INTERRUPTED)) if self.prompted => return Ok(Flow::Stay),
                failed => drop(self.heed(failed.map(drop))?),
            }
            rest.drain(..used);
            aliases = 0;
        }
    }

    /// The text with an alias replaced by what it stands for, if it begins with one.
    fn meaning(&self, order: &Order, text: &str) -> Option<String> {
        let Order::Ours { words, behind: Some(behind), .. } = order else { return None };
        let aliases = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        let meaning = aliases.get(&words[0])?;
        // `alias ls ls -t` is not meant to go round for ever.
        let itself = language::next(meaning).ok().flatten();
        let itself = matches!(itself, Some((Order::Ours { words: first, .. }, _)) if first[0] == words[0]);
        let rest = &text[*behind..];
        Some(if itself { format!("\\{}{rest}", meaning.trim_start()) } else { format!("{meaning}{rest}") })
    }

    /// What failed is told at the prompt, and ends a script that does not want to go on.
    fn heed(&mut self, done: Result<(), Failure>) -> Result<(), Failure> {
        let Err(failure) = done else { return Ok(()) };
        if !(self.prompted || self.settings.keep_going) || failure.code() == INTERRUPTED {
            return Err(failure);
        }
        if let Some(sentence) = failure.sentence() {
            self.screen.line(&sentence);
        }
        if !self.prompted {
            self.failed = Some(failure.code());
        }
        Ok(())
    }

    async fn one(&mut self, words: &[String], to: To, apart: bool, text: &str) -> Result<Flow, Failure> {
        let word = match words::read(words) {
            Ok(word) => word,
            Err(error) if !error.use_stderr() => {
                let out = Out::open(&to, false)?;
                out.line(words::one_blank(&error.to_string()).trim_end())?;
                return out.close().map(|_| Flow::Stay);
            }
            Err(error) => return Err(Failure::Misused(complaint(&error, &plain(&words[0])))),
        };
        match word {
            Word::There(word) => self.there(word, to, apart, text).await.map(|()| Flow::Stay),
            Word::Here(_) if apart => Err(Failure::Misused(format!("{}: that is no job", plain(&words[0])))),
            Word::Here(word) => {
                let out = Out::open(&to, false)?;
                let done = self.here(word, &out).await;
                let closed = out.close();
                done.and_then(|flow| closed.map(|_| flow))
            }
        }
    }

    async fn there(&mut self, word: There, to: To, apart: bool, text: &str) -> Result<(), Failure> {
        let pages = (to == To::Screen && !apart && std::io::stdout().is_terminal()).then(|| pager(&word)).flatten();
        let to = pages.map_or(to, To::Command);
        let seat = self.seat.clone();
        let mut seat = seat.lock().await;
        let seat = seat.as_mut().ok_or_else(|| Failure::Unconnected("there is no connection; open one".into()))?;
        let work = Work {
            out: Out::open(&to, apart)?,
            show: Arc::new(Show::unseen(&self.settings.access, &self.screen)),
            screen: self.screen.clone(),
            access: self.settings.access.clone(),
            verify: self.settings.verify,
        };
        if apart {
            return self.jobs.begin(text.trim_end_matches('&').trim(), word, seat.apart(), work);
        }
        if !self.settings.access.quiet {
            work.show.reveal();
        }
        let unechoed = has_bars(&word).then(Unechoed::begin);
        let mut interrupt = Interrupt::new()?;
        let done = tokio::select! {
            done = there::run(word, seat, &work) => done,
            () = interrupt.pressed() => Err(Failure::Told(INTERRUPTED)),
        };
        work.show.hide();
        drop(unechoed);
        if let Err(Failure::Told(INTERRUPTED)) = done {
            self.screen.line("interrupted");
        }
        let closed = work.out.close();
        done.and(closed.map(drop))
    }

    async fn prompt(&self) -> String {
        let seat = self.seat.lock().await;
        let Some(seat) = &*seat else { return "ftp> ".into() };
        prompt(seat.user(), &seat.url.host, &String::from_utf8_lossy(seat.directory()), super::show::columns())
    }

    /// Whether somebody wants to leave in spite of what is running.
    async fn may_leave(&mut self) -> Result<bool, Failure> {
        let running = self.jobs.running();
        if running == 0 {
            return Ok(true);
        }
        for line in self.jobs.lines() {
            self.screen.line(&line);
        }
        let said = crate::terminal::ask("Wait for these jobs, stop them, or stay here? [wait/stop/stay] ");
        match said.unwrap_or_default().trim() {
            "wait" | "w" => {
                let mut interrupt = Interrupt::new()?;
                let waited = self.jobs.wait(None, !self.settings.access.quiet, interrupt.pressed());
                Ok(!matches!(waited.await, Err(Failure::Told(INTERRUPTED))))
            }
            "stop" => {
                self.jobs.kill("all")?;
                // How they ended has been told.
                let _ = self.jobs.wait(None, false, std::future::pending()).await;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Ends the jobs, says goodbye, and gives the exit code. No job is left working: what it stands on ends with us.
    async fn end(mut self, done: Result<u8, Failure>) -> Result<(), Failure> {
        let code = match done {
            Ok(code) => code,
            Err(failure) => {
                if self.prompted || failure.code() == INTERRUPTED {
                    self.jobs.kill("all")?;
                }
                // Who looks on while jobs are waited for wants to know why nothing else is done.
                failure.tell();
                // How they ended has been told.
                let _ = self.end_jobs().await;
                return Err(Failure::Told(failure.code()));
            }
        };
        let waited = self.end_jobs().await;
        if let Some(seat) = self.seat.lock().await.take() {
            seat.leave().await;
        }
        match (code, self.failed, waited) {
            (0, Some(code), _) => Err(Failure::Told(code)),
            (0, None, waited) => waited,
            (code, ..) => Err(Failure::Told(code)),
        }
    }

    /// Waits for the jobs; Ctrl-C stops them.
    async fn end_jobs(&mut self) -> Result<(), Failure> {
        let mut interrupt = Interrupt::new()?;
        let waited = self.jobs.wait(None, false, interrupt.pressed()).await;
        if let Err(Failure::Told(INTERRUPTED)) = waited {
            self.jobs.kill("all")?;
            let _ = self.jobs.wait(None, false, std::future::pending()).await;
        }
        waited
    }
}

/// Hears of Ctrl-C from now on.
struct Interrupt(Signal);

impl Interrupt {
    fn new() -> Result<Self, Failure> {
        Ok(Interrupt(signal(SignalKind::interrupt())?))
    }

    async fn pressed(&mut self) {
        self.0.recv().await;
    }
}

/// Whether it moves files, and needs nothing of the keyboard.
fn has_bars(word: &There) -> bool {
    use There::{Get, Mget, Mirror, Mput, Put, Reget, Reput, Sync};
    matches!(word, Get(_) | Mget(_) | Reget(_) | Put(_) | Mput(_) | Reput(_) | Mirror(_) | Sync(_))
}

/// What shows these files page by page.
fn pager(word: &There) -> Option<String> {
    match word {
        There::More(_) => Some("more".into()),
        There::Less(_) => Some(std::env::var("PAGER").ok().filter(|pager| !pager.is_empty()).unwrap_or("less".into())),
        _ => None,
    }
}

/// What clap has to say, in one or two lines.
fn complaint(error: &clap::Error, word: &str) -> String {
    use clap::error::ErrorKind;
    if error.kind() == ErrorKind::InvalidSubcommand && words::help(Some(word)).is_none() {
        if let Some(instead) = words::of_other_clients(word) {
            return format!("{word}: {instead}");
        }
        return format!("{word}: no such command; `help` shows what can be said");
    }
    let text = words::one_blank(&error.to_string());
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("For more information"));
    lines.collect::<Vec<_>>().join("\n  ")
}

/// Who, where, and in which directory; the end of a long one, so that half of the line is free.
fn prompt(user: &str, host: &str, directory: &str, columns: usize) -> String {
    let shown = |text: &str| ftp_client::error::printable(text);
    let (user, host, directory) = (shown(user), shown(host), shown(directory));
    let whole = format!("{user}@{host}:{directory}> ");
    if whole.chars().count() * 2 <= columns {
        return whole;
    }
    let room = (columns / 2).saturating_sub(3).max(8);
    let long = directory.chars().count().saturating_sub(room);
    let end: String = directory.chars().skip(long).collect();
    if long > 0 { format!("…{end}> ") } else { format!("{end}> ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_leaves_room_to_type() {
        assert_eq!(prompt("bob", "host", "/menus", 80), "bob@host:/menus> ");
        assert_eq!(prompt("bob", "ftp.hamburger.test", "/menus", 40), "/menus> ");
        assert_eq!(prompt("bob", "ftp.hamburger.test", "/menus/of/the/year/2026", 40), "…/of/the/year/2026> ");
        assert!(!prompt("b\x1b[2J", "h", "/\x07", 80).contains(char::is_control));
    }
}
