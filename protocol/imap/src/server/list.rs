//! LIST and LSUB: which mailboxes fit, and what is told of each.
//!
//! RFC 9051 §6.3.9 (patterns, selection, return options, CHILDINFO); RFC 5258; RFC 5819 (STATUS); RFC 6154 §2
//! (SPECIAL-USE); RFC 8440 (MYRIGHTS); RFC 9590 (METADATA); RFC 3501 §6.3.9 (LSUB).
//!
//! The house gives all that there is; what fits is found here. A level that is no mailbox but has some below it is listed,
//! too, as \NonExistent, or \Noselect for those who do not know that word.
//!
//! Invariants: each name is listed once, in order.
//! Not here: patterns (pattern), who may see what (house).

use super::Server;
use super::about::{write_metadata, write_rights};
use super::ask::{Answer, Ask, Depth, Listed, SpecialUse};
use super::mailbox::wants_size;
use super::stage::{Flow, Member, Pending, Stage, Turn};
use crate::capability::Capability;
use crate::command::{List, Returned, StatusItem};
use crate::name::{MailboxName, SEPARATOR};
use crate::pattern::Pattern;
use crate::reply::{Pen, Reply};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A LIST or LSUB under way.
#[derive(Debug)]
pub(super) struct ListWork {
    wish: Wish,
    lines: VecDeque<Line>,
    /// What is still to be told of the mailbox that was listed last.
    extras: VecDeque<Extra>,
    /// That mailbox.
    current: Option<MailboxName>,
}

#[derive(Debug)]
enum Wish {
    List(List),
    Lsub(Pattern),
}

/// A mailbox that fits.
#[derive(Debug)]
struct Line {
    name: MailboxName,
    attributes: Vec<&'static str>,
    /// The criteria that something below it meets.
    child_info: Vec<&'static str>,
    /// It is a mailbox that meets the criteria, so that more is told of it.
    tells_more: bool,
}

#[derive(Debug, Clone, Copy)]
enum Extra {
    Status,
    Rights,
    Metadata,
}

impl Server {
    pub(super) fn list(&mut self, mut member: Box<Member>, turn: Turn, list: List) -> Stage {
        if let Some(reply) = self.list_unknown(&list) {
            return self.finish(member, turn, reply);
        }
        if list.root.is_some() {
            // RFC 9051 §6.3.9: the root of a reference, which is empty where no name begins with the separator.
            self.pen().word("* LIST (\\Noselect) \"/\" \"\"").end();
            return self.finish(member, turn, Reply::ok("that is the separator"));
        }
        member.enabled.condstore |= list.returned.status.contains(&StatusItem::HighestModSeq);
        self.list_begin(member, turn, Wish::List(list))
    }

    pub(super) fn lsub(&mut self, member: Box<Member>, turn: Turn, pattern: Pattern) -> Stage {
        self.list_begin(member, turn, Wish::Lsub(pattern))
    }

    fn list_begin(&mut self, member: Box<Member>, turn: Turn, wish: Wish) -> Stage {
        let work = ListWork { wish, lines: VecDeque::new(), extras: VecDeque::new(), current: None };
        self.await_answer(member, turn, Ask::Mailboxes, Pending::Mailboxes(work))
    }

    /// An option that belongs to what is not offered.
    fn list_unknown(&self, list: &List) -> Option<Reply> {
        use Capability as C;
        let returned = &list.returned;
        let needs = [
            (is_extended(list), C::ListExtended),
            (list.special_use || returned.special_use, C::SpecialUse),
            (!returned.status.is_empty(), C::ListStatus),
            (!returned.metadata.is_empty(), C::ListMetadata),
            (returned.myrights, C::ListMyrights),
        ];
        let unknown = needs.into_iter().any(|(needed, capability)| needed && !self.offers(capability));
        if unknown {
            return Some(Reply::bad("LIST has no such option here"));
        }
        self.status_unknown(&returned.status)
    }

    pub(super) fn listed(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        mut work: ListWork,
        mailboxes: Vec<Listed>,
    ) -> Stage {
        let tells = Tells {
            uses: self.offers(Capability::SpecialUse),
            children: self.offers(Capability::Children),
            // \NonExistent is a word of LIST-EXTENDED and IMAP4rev2.
            non_existent: member.enabled.rev2 || matches!(&work.wish, Wish::List(list) if is_extended(list)),
        };
        work.lines = match &work.wish {
            Wish::List(list) => Tree::new(mailboxes).list(list, tells),
            Wish::Lsub(pattern) => Tree::new(mailboxes).lsub(pattern),
        };
        self.list_on(member, turn, work)
    }

    /// Says what there is to say of the next mailboxes.
    pub(super) fn list_on(&mut self, member: Box<Member>, turn: Turn, mut work: ListWork) -> Stage {
        loop {
            if let (Some(extra), Some(name)) = (work.extras.pop_front(), work.current.clone()) {
                return self.list_extra(member, turn, work, extra, name);
            }
            if self.piece_is_full() {
                return Stage::Flowing { member, turn, flow: Box::new(Flow::List(work)) };
            }
            let Some(line) = work.lines.pop_front() else {
                return self.finish(member, turn, Reply::ok("these are all"));
            };
            self.write_line(&member, &work.wish, &line);
            if let (true, Wish::List(list)) = (line.tells_more, &work.wish) {
                work.extras = extras(&list.returned);
            }
            work.current = Some(line.name);
        }
    }

    fn list_extra(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        work: ListWork,
        extra: Extra,
        mailbox: MailboxName,
    ) -> Stage {
        let Wish::List(List { returned, .. }) = &work.wish else { return self.list_on(member, turn, work) };
        match extra {
            Extra::Status => {
                let ask = Ask::Status { mailbox, size: wants_size(&returned.status) };
                self.await_answer(member, turn, ask, Pending::ListStatus(work))
            }
            Extra::Rights => self.await_answer(member, turn, Ask::MyRights(mailbox), Pending::ListRights(work)),
            Extra::Metadata => {
                let entries = returned.metadata.clone();
                let ask = Ask::Metadata { mailbox: Some(mailbox), entries, depth: Depth::Zero };
                self.await_answer(member, turn, ask, Pending::ListMetadata(work))
            }
        }
    }

    /// RFC 5819 §2: a status that cannot be had is left out.
    pub(super) fn list_status(&mut self, member: Box<Member>, turn: Turn, work: ListWork, answer: Answer) -> Stage {
        if let (Answer::Status(status), Some(name), Wish::List(list)) = (answer, &work.current, &work.wish) {
            self.write_status(&member, name, &list.returned.status, &status);
        }
        self.list_on(member, turn, work)
    }

    pub(super) fn list_rights(&mut self, member: Box<Member>, turn: Turn, work: ListWork, answer: Answer) -> Stage {
        if let (Answer::MyRights(rights), Some(name)) = (answer, &work.current) {
            write_rights(&mut self.said, &member, name, &rights);
        }
        self.list_on(member, turn, work)
    }

    pub(super) fn list_metadata(&mut self, member: Box<Member>, turn: Turn, work: ListWork, answer: Answer) -> Stage {
        if let (Answer::Metadata(entries), Some(name)) = (answer, &work.current) {
            write_metadata(&mut self.said, &member, Some(name), &entries);
        }
        self.list_on(member, turn, work)
    }

    fn write_line(&mut self, member: &Member, wish: &Wish, line: &Line) {
        let mut pen = Pen(&mut self.said);
        pen.word(if matches!(wish, Wish::Lsub(_)) { "* LSUB (" } else { "* LIST (" });
        let mut first = true;
        for attribute in &line.attributes {
            pen.gap(&mut first).word(attribute);
        }
        pen.word(") \"/\" ").mailbox(&line.name, member.enabled.names_in_utf8());
        if !line.child_info.is_empty() {
            pen.word(" (\"CHILDINFO\" (");
            let mut first = true;
            for criterion in &line.child_info {
                pen.gap(&mut first).word("\"").word(criterion).word("\"");
            }
            pen.word("))");
        }
        pen.end();
    }
}

/// Whether it says more than LIST of RFC 3501 could.
fn is_extended(list: &List) -> bool {
    let selects = list.subscribed || list.remote || list.recursive || list.special_use;
    selects || list.patterns.len() > 1 || list.returned.said
}

fn extras(returned: &Returned) -> VecDeque<Extra> {
    let wanted = [
        (!returned.status.is_empty(), Extra::Status),
        (returned.myrights, Extra::Rights),
        (!returned.metadata.is_empty(), Extra::Metadata),
    ];
    wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, extra)| extra).collect()
}

/// Which attributes are told at all.
#[derive(Debug, Clone, Copy)]
struct Tells {
    uses: bool,
    children: bool,
    non_existent: bool,
}

/// All names, with the levels between.
struct Tree {
    names: BTreeMap<MailboxName, Listed>,
    /// Names with something below them that exists.
    parents: BTreeSet<MailboxName>,
}

impl Tree {
    fn new(mailboxes: Vec<Listed>) -> Self {
        let mut tree = Tree { names: BTreeMap::new(), parents: BTreeSet::new() };
        for listed in mailboxes {
            let mut above = listed.name.parent();
            while let Some(parent) = above {
                above = parent.parent();
                if listed.exists {
                    tree.parents.insert(parent.clone());
                }
                tree.names.entry(parent).or_insert_with_key(level);
            }
            tree.names.insert(listed.name.clone(), listed);
        }
        tree
    }

    fn list(&self, list: &List, tells: Tells) -> VecDeque<Line> {
        let meets = |listed: &Listed| match (list.subscribed, list.special_use) {
            (false, false) => listed.exists || self.parents.contains(&listed.name),
            (subscribed, special) => (!subscribed || listed.subscribed) && (!special || !listed.uses.is_empty()),
        };
        let fits = |listed: &Listed| list.patterns.iter().any(|pattern| pattern.fits(&listed.name));
        let below = if list.recursive { self.with_something_below(&meets, &fits) } else { Below::default() };
        let child_info = |listed: &Listed| -> Vec<&'static str> {
            let told =
                if meets(listed) { below.any.contains(&listed.name) } else { below.unlisted.contains(&listed.name) };
            let criteria = [(list.subscribed, "SUBSCRIBED"), (list.special_use, "SPECIAL-USE")];
            criteria.into_iter().filter(|(set, _)| *set && told).map(|(_, name)| name).collect()
        };
        let line = |listed: &Listed| {
            let child_info = child_info(listed);
            (fits(listed) && (meets(listed) || !child_info.is_empty())).then(|| Line {
                name: listed.name.clone(),
                attributes: self.attributes(listed, list, tells),
                child_info,
                tells_more: listed.selectable && meets(listed),
            })
        };
        self.names.values().filter_map(line).collect()
    }

    fn attributes(&self, listed: &Listed, list: &List, tells: Tells) -> Vec<&'static str> {
        let has_children = self.parents.contains(&listed.name);
        let missing = if tells.non_existent { "\\NonExistent" } else { "\\Noselect" };
        let attributes = [
            (!listed.exists, missing),
            (listed.exists && !listed.selectable, "\\Noselect"),
            (listed.no_inferiors, "\\Noinferiors"),
            (tells.children && has_children, "\\HasChildren"),
            (tells.children && !has_children && listed.exists, "\\HasNoChildren"),
            (listed.marked == Some(true), "\\Marked"),
            (listed.marked == Some(false), "\\Unmarked"),
            (listed.subscribed && (list.subscribed || list.returned.subscribed), "\\Subscribed"),
        ];
        let uses = listed.uses.iter().filter(|_| tells.uses).map(|it: &SpecialUse| it.name());
        attributes.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).chain(uses).collect()
    }

    /// Names below which something meets the criteria: at all, and without being listed itself.
    fn with_something_below(&self, meets: &impl Fn(&Listed) -> bool, fits: &impl Fn(&Listed) -> bool) -> Below {
        let mut below = Below::default();
        for listed in self.names.values().filter(|listed| meets(listed)) {
            let is_listed = fits(listed);
            let mut above = listed.name.parent();
            while let Some(parent) = above {
                above = parent.parent();
                if !is_listed {
                    below.unlisted.insert(parent.clone());
                }
                below.any.insert(parent);
            }
        }
        below
    }

    /// RFC 3501 §6.3.9: names that are subscribed to; and for a pattern that ends in `%`, the levels above those that it
    /// does not reach.
    fn lsub(&self, pattern: &Pattern) -> VecDeque<Line> {
        let mut lines = BTreeMap::new();
        for listed in self.names.values().filter(|listed| listed.subscribed) {
            if pattern.fits(&listed.name) {
                let attributes = if listed.selectable { vec![] } else { vec!["\\Noselect"] };
                lines.insert(listed.name.clone(), attributes);
                continue;
            }
            let mut above = listed.name.parent().filter(|_| pattern.as_str().ends_with('%'));
            while let Some(parent) = above {
                above = parent.parent();
                if pattern.fits(&parent) && !self.names.get(&parent).is_some_and(|parent| parent.subscribed) {
                    lines.insert(parent, vec!["\\Noselect"]);
                }
            }
        }
        let line = |(name, attributes)| Line { name, attributes, child_info: Vec::new(), tells_more: false };
        lines.into_iter().map(line).collect()
    }
}

#[derive(Default)]
struct Below {
    any: BTreeSet<MailboxName>,
    unlisted: BTreeSet<MailboxName>,
}

/// A level between that is no mailbox.
fn level(name: &MailboxName) -> Listed {
    debug_assert!(!name.as_str().ends_with(SEPARATOR));
    Listed {
        name: name.clone(),
        selectable: false,
        exists: false,
        subscribed: false,
        uses: Vec::new(),
        marked: None,
        no_inferiors: false,
    }
}
