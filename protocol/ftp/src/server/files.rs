//! Files and directories, one question each.
//!
//! RFC 959 §4.1.3 and §5.4 (257 with quotation marks); RFC 1123 §4.1.3.1; RFC 3659 §3 (MDTM), §4 (SIZE), §7 (MLST);
//! draft-somers-ftp-mfxx-03 (MFMT, MFCT, MFF); draft-peterson-streamlined-ftp-command-extensions-09 (AVBL).
//!
//! `CWD ~` leads home, as shells have taught people; `./~` is a directory of that name.
//! `MDTM 20260101000000 name` tells the time of a file with that whole name, if there is one; if there is none, it sets the time of
//! `name`, as many clients mean it.
//! `SIZE` of a name that is free tells how far an upload to it has come that broke off: it is what clients ask before they go on.
//!
//! Invariants: RNTO follows RNFR with nothing in between; a path is resolved before the house sees it.
//! Not here: whether it may be done, and doing it (house/files).

use super::Server;
use super::ask::{Answer, Ask, Overview};
use super::stage::{Member, Question, Stage};
use crate::command::{Change, ListWish, Representation, Site, time_and_path};
use crate::listing::{Entry, EntryKind, Rights, fact_text};
use crate::path::{PathFlaw, VirtualPath, WirePath};
use crate::permissions::Permissions;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::words;

/// STAT of a directory tells no more than so many entries; LIST is there for all of them.
pub const OVERVIEW_ENTRIES_MAX: usize = 1000;

impl Server {
    /// Where a path leads from the working directory.
    pub(super) fn resolve(&self, member: &Member, path: &WirePath) -> Result<VirtualPath, Reply> {
        member.here.resolve(path).map_err(|flaw| match flaw {
            PathFlaw::LongName | PathFlaw::LongPath => words::LONG_NAME.clone(),
        })
    }

    /// Asks about a path, if it leads anywhere.
    fn ask_about(
        &mut self,
        member: Member,
        path: &WirePath,
        ask: impl FnOnce(VirtualPath) -> Ask,
        question: impl FnOnce(VirtualPath) -> Question,
    ) -> Stage {
        match self.resolve(&member, path) {
            Ok(path) => {
                self.ask(ask(path.clone()));
                Stage::Awaiting { member, question: question(path) }
            }
            Err(reply) => self.stay(Stage::Member(member), &reply),
        }
    }

    pub(super) fn pwd(&mut self, member: Member) -> Stage {
        let reply = Reply::new(257, [&member.here.quoted()[..], b" is the current directory."].concat());
        self.stay(Stage::Member(member), &reply)
    }

    pub(super) fn cwd(&mut self, member: Member, path: &WirePath) -> Stage {
        let rest = path.as_bytes().strip_prefix(b"~").filter(|rest| rest.is_empty() || rest.starts_with(b"/"));
        match rest.map(|rest| [b".", rest].concat()).and_then(WirePath::new) {
            Some(below) => match member.home.resolve(&below) {
                Ok(path) => self.enter(member, path),
                Err(_) => self.stay(Stage::Member(member), &words::LONG_NAME),
            },
            None => self.ask_about(member, path, Ask::Enter, Question::Enter),
        }
    }

    pub(super) fn cdup(&mut self, member: Member) -> Stage {
        let parent = member.here.parent();
        self.enter(member, parent)
    }

    fn enter(&mut self, member: Member, path: VirtualPath) -> Stage {
        self.ask(Ask::Enter(path.clone()));
        Stage::Awaiting { member, question: Question::Enter(path) }
    }

    pub(super) fn mkd(&mut self, member: Member, path: &WirePath) -> Stage {
        let created = |path: VirtualPath| Reply::new(257, [&path.quoted()[..], b" created."].concat());
        self.ask_about(member, path, Ask::MakeDirectory, |path| Question::Plain(created(path)))
    }

    pub(super) fn rmd(&mut self, member: Member, path: &WirePath) -> Stage {
        self.ask_about(member, path, Ask::RemoveDirectory, |_| Question::Plain(words::REMOVED.clone()))
    }

    pub(super) fn dele(&mut self, member: Member, path: &WirePath) -> Stage {
        self.ask_about(member, path, Ask::Delete, |_| Question::Plain(words::DELETED.clone()))
    }

    pub(super) fn rnfr(&mut self, member: Member, path: &WirePath) -> Stage {
        self.ask_about(member, path, Ask::Stat, Question::RenameFrom)
    }

    pub(super) fn rnto(&mut self, mut member: Member, path: &WirePath) -> Stage {
        let Some(from) = member.renaming.take() else { return self.stay(Stage::Member(member), &words::RNFR_FIRST) };
        self.ask_about(member, path, |to| Ask::Rename { from, to }, |_| Question::Plain(words::RENAMED.clone()))
    }

    pub(super) fn size(&mut self, member: Member, path: &WirePath) -> Stage {
        // RFC 3659 §4 wants the octets of the transfer; counting line ends of a large file is a way to keep us busy.
        if member.representation == Representation::Ascii {
            return self.stay(Stage::Member(member), &words::SIZE_IN_ASCII);
        }
        self.ask_about(member, path, Ask::Stat, Question::Size)
    }

    pub(super) fn mdtm(&mut self, member: Member, path: &WirePath) -> Stage {
        let may = member.permissions.satisfy(Permissions::CHANGE.and(Permissions::WRITE));
        let time_and_path = time_and_path(path.as_bytes()).filter(|_| may);
        let or_set = time_and_path.and_then(|(time, path)| Some((time, self.resolve(&member, &path).ok()?)));
        self.ask_about(member, path, Ask::Stat, |_| Question::Modified { or_set })
    }

    pub(super) fn mlst(&mut self, member: Member, path: Option<&WirePath>) -> Stage {
        let facts = self.link.wishes.facts;
        let question = |path| Question::Facts { path, facts };
        match path {
            Some(path) => self.ask_about(member, path, Ask::Stat, question),
            None => {
                let here = member.here.clone();
                self.ask(Ask::Stat(here.clone()));
                Stage::Awaiting { member, question: question(here) }
            }
        }
    }

    pub(super) fn overview(&mut self, member: Member, wish: ListWish) -> Stage {
        if !member.permissions.satisfy(Permissions::LIST) {
            return self.stay(Stage::Member(member), &words::NOT_PERMITTED);
        }
        let path = wish.path.as_ref().map_or(Ok(member.here.clone()), |path| self.resolve(&member, path));
        match path {
            Ok(path) => {
                self.ask(Ask::Overview { path, itself: wish.itself, entries_max: OVERVIEW_ENTRIES_MAX });
                Stage::Awaiting { member, question: Question::Overview }
            }
            Err(reply) => self.stay(Stage::Member(member), &reply),
        }
    }

    pub(super) fn change(&mut self, member: Member, path: WirePath, change: Change) -> Stage {
        if change.created.is_some() && !self.settings.creation_times {
            return self.stay(Stage::Member(member), &words::NO_CREATION_TIMES);
        }
        // Who may write may set times; mode bits are another matter.
        if change.mode.is_some() && !member.permissions.satisfy(Permissions::CHANGE) {
            return self.stay(Stage::Member(member), &words::NOT_PERMITTED);
        }
        let asked = path.clone();
        self.ask_about(member, &path, |path| Ask::Change { path, change }, |_| Question::Changed(asked))
    }

    fn change_quietly(&mut self, member: Member, path: &WirePath, change: Change, reply: &'static Reply) -> Stage {
        self.ask_about(member, path, |path| Ask::Change { path, change }, |_| Question::ChangedQuietly(reply))
    }

    pub(super) fn site(&mut self, member: Member, site: Site) -> Stage {
        let needs = match site {
            Site::Help => Permissions::NONE,
            Site::Chmod(..) => Permissions::CHANGE,
            Site::Utime(..) => Permissions::CHANGE.and(Permissions::WRITE),
            Site::Symlink(..) => Permissions::CREATE,
        };
        if !member.permissions.satisfy(needs) {
            return self.stay(Stage::Member(member), &words::NOT_PERMITTED);
        }
        match site {
            Site::Help => self.stay(Stage::Member(member), &words::SITE_HELP),
            Site::Chmod(mode, path) => self.change_quietly(member, &path, Change::mode(mode), &words::MODE_CHANGED),
            Site::Utime(moment, path) => {
                self.change_quietly(member, &path, Change::modified(moment), &words::TIMES_CHANGED)
            }
            Site::Symlink(target, link) => match self.resolve(&member, &target) {
                Ok(target) => {
                    let question = |_| Question::Plain(words::LINKED.clone());
                    self.ask_about(member, &link, |link| Ask::Link { target, link }, question)
                }
                Err(reply) => self.stay(Stage::Member(member), &reply),
            },
        }
    }

    pub(super) fn avbl(&mut self, member: Member, path: Option<&WirePath>) -> Stage {
        match path {
            Some(path) => self.ask_about(member, path, Ask::Space, |_| Question::Space),
            None => {
                self.ask(Ask::Space(member.here.clone()));
                Stage::Awaiting { member, question: Question::Space }
            }
        }
    }

    /// The house has answered what a member's command waited for.
    pub(super) fn member_answered(&mut self, mut member: Member, question: Question, answer: Answer) -> Stage {
        let reply = match (question, answer) {
            (Question::Passive, answer) => return self.listening(member, false, answer),
            (Question::ExtendedPassive, answer) => return self.listening(member, true, answer),
            (Question::Active, answer) => return self.active(member, answer),
            (Question::Begin(work), answer) => return self.begun(member, work, answer),
            (Question::Fits(octets), answer) => return self.fits(member, octets, answer),
            (Question::HangUp, _) => words::DATA_LINE_CLOSED.clone(),
            (Question::Modified { or_set: Some((moment, path)) }, Answer::Refused(Refusal::NotFound)) => {
                self.ask(Ask::Change { path, change: Change::modified(moment) });
                return Stage::Awaiting { member, question: Question::ModifiedSet };
            }
            // In a drop box one may not know what is there, but what one has begun oneself.
            (Question::Size(path), Answer::Refused(Refusal::NotFound | Refusal::NotPermitted)) => {
                self.ask(Ask::Kept(path));
                return Stage::Awaiting { member, question: Question::Kept };
            }
            (_, Answer::Refused(refusal)) => refusal.reply(),
            (Question::Enter(path), Answer::Done) => {
                member.here = path;
                words::DIRECTORY_CHANGED.clone()
            }
            (Question::RenameFrom(_), Answer::Entry(entry)) if !entry.rights.has(Rights::RENAME) => {
                words::NOT_PERMITTED.clone()
            }
            (Question::RenameFrom(path), Answer::Entry(_)) => {
                member.rename_from = Some(path);
                words::RENAME_TO.clone()
            }
            (Question::Plain(reply), Answer::Done) => reply,
            (Question::Size(_), Answer::Entry(entry)) => size(&entry),
            (Question::Kept, Answer::Kept(octets)) => Reply::new(213, octets.to_string()),
            (Question::Modified { .. }, Answer::Entry(entry)) => modified(&entry),
            (Question::ModifiedSet, Answer::Changed(_)) => Reply::new(213, "Modification time set."),
            (Question::Facts { path, facts }, Answer::Entry(entry)) => {
                let mut text = b"Listing:\n".to_vec();
                fact_text(&entry, facts, &mut text);
                text.push(b' ');
                text.extend_from_slice(path.as_bytes());
                text.extend_from_slice(b"\nEnd.");
                Reply::new(250, text)
            }
            (Question::Overview, Answer::Overview(overview)) => told(&overview),
            (Question::Changed(path), Answer::Changed(change)) => {
                let mut text = Vec::new();
                change.write(&mut text);
                text.push(b' ');
                text.extend_from_slice(path.as_bytes());
                Reply::new(213, text)
            }
            (Question::ChangedQuietly(reply), Answer::Changed(_)) => reply.clone(),
            (Question::Space, Answer::Space(octets)) => Reply::new(213, octets.to_string()),
            _ => words::CONFUSED.clone(),
        };
        self.stay(Stage::Member(member), &reply)
    }
}

fn size(entry: &Entry) -> Reply {
    match entry.kind {
        EntryKind::File => Reply::new(213, entry.size.to_string()),
        _ => words::NOT_A_FILE.clone(),
    }
}

/// RFC 3659 §3.1: nothing but the time.
fn modified(entry: &Entry) -> Reply {
    let mut text = Vec::new();
    entry.modified.write(&mut text);
    Reply::new(213, text)
}

fn told(overview: &Overview) -> Reply {
    let mut text = b"Status:".to_vec();
    for line in &overview.lines {
        text.push(b'\n');
        text.extend_from_slice(line);
    }
    text.extend_from_slice(if overview.more { b"\nThere is more. Say LIST." } else { b"\nEnd." });
    Reply::new(if overview.directory { 212 } else { 213 }, text)
}
