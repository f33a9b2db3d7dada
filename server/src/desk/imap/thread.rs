//! THREAD: discussions, from what messages say of each other.
//!
//! RFC 5256 §3 (ORDEREDSUBJECT, REFERENCES); draft-ietf-morg-inthread-01 §3.1 (REFS: by references alone, the liveliest last).
//!
//! ```text
//! messages ─texts become numbers→ Kin ─Message-ID, References→ a forest, some of its nodes without a message ─pruned→ roots
//!                                                                                             ─same subject→ joined ─dates→ in order
//! ```
//!
//! What was found of a whole mailbox is kept with it: whoever wants its discussions again is spared all outlines.
//!
//! Invariants: each message stands in the forest once; nothing is below itself; a walk upwards is bounded by [`DEPTH_MAX`].
//! Not here: which messages (search).

use super::order::{folded, gathered};
use imap::server::ask::{ThreadAlgorithm, ThreadNode};
use std::collections::HashMap;
use store::{Kin, Letter, ReadError, Snapshot, Store, Uid};

/// No discussion is deeper; what would be below begins another one. Without it a forged chain would cost its square.
const DEPTH_MAX: usize = 1_000;

/// What a message says.
#[derive(Debug)]
struct Said {
    uid: u32,
    sent: i64,
    /// Without case; empty if there is none.
    subject: Box<str>,
    is_reply: bool,
    id: Option<String>,
    /// Oldest first.
    ancestors: Vec<String>,
}

/// A message, and whom it names.
type Named<'a> = (Letter, &'a [u32]);

/// Puts messages in threads. Blocks.
pub(super) fn threads(
    store: &Store,
    snapshot: &Snapshot,
    uids: &[Uid],
    algorithm: ThreadAlgorithm,
) -> Result<Vec<ThreadNode>, ReadError> {
    if let Some(kin) = snapshot.kin()
        && let Some(letters) = kin.each(uids)
    {
        return Ok(threaded(&letters, algorithm));
    }
    let said = gathered(store, snapshot, uids, |row, glance| Said {
        uid: row.uid.0,
        sent: glance.sent.unwrap_or(row.received_at),
        subject: folded(glance.base_subject),
        is_reply: glance.is_reply,
        id: glance.message_id(),
        ancestors: glance.ancestors(),
    })?;
    let is_whole = said.len() == snapshot.len();
    let kin = kin(said);
    let found: Vec<Uid> = kin.uids().collect();
    let threads = threaded(&kin.each(&found).unwrap_or_default(), algorithm);
    if is_whole {
        snapshot.keep_kin(kin);
    }
    Ok(threads)
}

/// Numbers in place of texts.
fn kin(mut said: Vec<Said>) -> Kin {
    said.sort_unstable_by_key(|said| said.uid);
    let (mut kin, mut subjects, mut ids) = (Kin::default(), Numbers::default(), Numbers::default());
    for Said { uid, sent, subject, is_reply, id, ancestors } in said {
        let subject = if subject.is_empty() { 0 } else { subjects.number(subject.into()) };
        let id = id.map_or(0, |id| ids.number(id));
        kin.push(Letter { uid, sent, subject, is_reply, id }, ancestors.into_iter().map(|id| ids.number(id)));
    }
    kin
}

/// The numbers of texts, from 1.
#[derive(Debug, Default)]
struct Numbers(HashMap<String, u32>);

impl Numbers {
    fn number(&mut self, text: String) -> u32 {
        // There are as many as messages and what they name: memory would end before numbers.
        let next = self.0.len() as u32 + 1;
        *self.0.entry(text).or_insert(next)
    }
}

/// By ascending UIDs.
fn threaded(letters: &[Named<'_>], algorithm: ThreadAlgorithm) -> Vec<ThreadNode> {
    match algorithm {
        ThreadAlgorithm::OrderedSubject => ordered_subject(letters),
        ThreadAlgorithm::References => Forest::grow(letters).by_subject().in_order(Rank::First),
        ThreadAlgorithm::Refs => Forest::grow(letters).in_order(Rank::Latest),
    }
}

/// RFC 5256 §3: subjects are threads; the first message of each has all others below it.
fn ordered_subject(letters: &[Named<'_>]) -> Vec<ThreadNode> {
    let mut letters: Vec<Letter> = letters.iter().map(|(letter, _)| *letter).collect();
    letters.sort_unstable_by_key(|letter| (letter.subject, letter.sent, letter.uid));
    let mut threads: Vec<&[Letter]> = letters.chunk_by(|one, two| one.subject == two.subject).collect();
    threads.sort_by_key(|thread| thread.first().map(|letter| (letter.sent, letter.uid)));
    let node = |(at, letter): (usize, &Letter)| ThreadNode { depth: u32::from(at > 0), uid: Some(letter.uid) };
    threads.into_iter().flat_map(|thread| thread.iter().enumerate().map(node)).collect()
}

/// By which date discussions stand one behind the other.
#[derive(Clone, Copy)]
enum Rank {
    /// That of the message at the top.
    First,
    /// That of the last one in it.
    Latest,
}

/// One message, or one that is only spoken of.
#[derive(Debug, Default)]
struct Node {
    letter: Option<Letter>,
    parent: Option<usize>,
    children: Vec<usize>,
}

#[derive(Debug, Default)]
struct Forest {
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

impl Forest {
    /// Steps 1 to 3 of RFC 5256 §3.
    fn grow(letters: &[Named<'_>]) -> Forest {
        let mut forest = Forest { nodes: Vec::with_capacity(letters.len()), roots: Vec::new() };
        // Of each id its node.
        let mut known: Vec<Option<usize>> = Vec::with_capacity(letters.len());
        let mut node_of = |id: u32, forest: &mut Forest| {
            let id = id as usize;
            if id >= known.len() {
                known.resize(id + 1, None);
            }
            *known[id].get_or_insert_with(|| forest.add())
        };
        for (letter, ancestors) in letters {
            // Step 1: a second message of the same id counts as one without.
            let at = match letter.id {
                0 => forest.add(),
                id => match node_of(id, &mut forest) {
                    at if forest.nodes[at].letter.is_none() => at,
                    _ => forest.add(),
                },
            };
            forest.nodes[at].letter = Some(*letter);
            let mut above = None;
            for ancestor in *ancestors {
                let here = node_of(*ancestor, &mut forest);
                if let Some(above) = above
                    && forest.nodes[here].parent.is_none()
                {
                    forest.put_below(here, above);
                }
                above = Some(here);
            }
            // Step 1.B: the message's own word counts more than what others have said of it.
            forest.nodes[at].parent = None;
            if let Some(above) = above {
                forest.put_below(at, above);
            }
        }
        forest.hang();
        forest.prune();
        forest
    }

    fn add(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// Unless it would be below itself, or too deep.
    fn put_below(&mut self, child: usize, parent: usize) {
        let mut above = Some(parent);
        for _ in 0..DEPTH_MAX {
            match above {
                None => {
                    self.nodes[child].parent = Some(parent);
                    return;
                }
                Some(at) if at == child => return,
                Some(at) => above = self.nodes[at].parent,
            }
        }
    }

    /// Step 2, and children from parents.
    fn hang(&mut self) {
        for at in 0..self.nodes.len() {
            match self.nodes[at].parent {
                None => self.roots.push(at),
                Some(parent) => self.nodes[parent].children.push(at),
            }
        }
    }

    /// Step 3: nodes without a message go where they hold nothing together.
    fn prune(&mut self) {
        for at in self.downwards().into_iter().rev() {
            let children = std::mem::take(&mut self.nodes[at].children);
            self.nodes[at].children = self.without_empty(children);
        }
        let roots = std::mem::take(&mut self.roots);
        for root in roots {
            let node = &mut self.nodes[root];
            match (&node.letter, node.children.len()) {
                (None, 0) => {}
                (None, 1) => self.roots.extend(std::mem::take(&mut node.children)),
                _ => self.roots.push(root),
            }
        }
    }

    fn without_empty(&mut self, children: Vec<usize>) -> Vec<usize> {
        let mut kept = Vec::with_capacity(children.len());
        for child in children {
            match self.nodes[child].letter {
                Some(_) => kept.push(child),
                None => kept.append(&mut self.nodes[child].children),
            }
        }
        kept
    }

    /// All nodes, each before those below it.
    fn downwards(&self) -> Vec<usize> {
        let mut order = self.roots.clone();
        let mut next = 0;
        while let Some(at) = order.get(next).copied() {
            order.extend(&self.nodes[at].children);
            next += 1;
        }
        order
    }

    /// The message that speaks for a root: its own, or that of its first child.
    fn spokesman(&self, root: usize) -> Option<&Letter> {
        let node = &self.nodes[root];
        let of = |at: usize| self.nodes[at].letter.as_ref();
        node.letter
            .as_ref()
            .or_else(|| node.children.iter().filter_map(|at| of(*at)).min_by_key(|letter| (letter.sent, letter.uid)))
    }

    fn is_dummy(&self, root: usize) -> bool {
        self.nodes[root].letter.is_none()
    }

    fn is_reply(&self, root: usize) -> bool {
        self.spokesman(root).is_some_and(|letter| letter.is_reply)
    }

    fn subject(&self, root: usize) -> u32 {
        self.spokesman(root).map_or(0, |letter| letter.subject)
    }

    /// Step 5: roots with the same subject belong together.
    fn by_subject(mut self) -> Forest {
        // Step 4.
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_key(|root| self.spokesman(*root).map(|letter| (letter.sent, letter.uid)));
        let mut table: HashMap<u32, usize> = HashMap::new();
        for root in &roots {
            let subject = self.subject(*root);
            if subject == 0 {
                continue;
            }
            let better = |known: usize| {
                (!self.is_dummy(known) && self.is_dummy(*root)) || (self.is_reply(known) && !self.is_reply(*root))
            };
            match table.get(&subject) {
                Some(known) if !better(*known) => {}
                _ => _ = table.insert(subject, *root),
            }
        }
        for root in roots {
            let subject = self.subject(root);
            match table.get(&subject).copied() {
                Some(first) if first != root => {
                    if let Some(joined) = self.join(first, root) {
                        table.insert(subject, joined);
                    }
                }
                _ => self.roots.push(root),
            }
        }
        self
    }

    /// Joins a root to the one that has its subject; a new one that holds both, if none can hold the other.
    fn join(&mut self, first: usize, root: usize) -> Option<usize> {
        match (self.is_dummy(first), self.is_dummy(root)) {
            (true, true) => {
                let mut children = std::mem::take(&mut self.nodes[root].children);
                self.nodes[first].children.append(&mut children);
            }
            (true, false) => self.nodes[first].children.push(root),
            (false, _) if self.is_reply(root) && !self.is_reply(first) => self.nodes[first].children.push(root),
            (false, _) => {
                let both = self.add();
                self.nodes[both].children = vec![first, root];
                match self.roots.iter_mut().find(|at| **at == first) {
                    Some(place) => *place = both,
                    None => self.roots.push(both),
                }
                return Some(both);
            }
        }
        None
    }

    /// Step 6: siblings by date, and a walk through all.
    fn in_order(mut self, rank: Rank) -> Vec<ThreadNode> {
        let order = self.downwards();
        // Of each node: its own date, or that of its first child; and the last date at or below it.
        let mut dates = vec![((i64::MAX, u32::MAX), (i64::MIN, 0)); self.nodes.len()];
        for at in order.iter().rev().copied() {
            let mut children = std::mem::take(&mut self.nodes[at].children);
            children.sort_by_key(|child| dates[*child].0);
            let own = self.nodes[at].letter.as_ref().map(|letter| (letter.sent, letter.uid));
            let first = own.or_else(|| children.first().map(|child| dates[*child].0)).unwrap_or((i64::MAX, u32::MAX));
            let latest = children.iter().map(|child| dates[*child].1).chain(own).max().unwrap_or((i64::MIN, 0));
            dates[at] = (first, latest);
            self.nodes[at].children = children;
        }
        self.roots.sort_by_key(|root| match rank {
            Rank::First => dates[*root].0,
            Rank::Latest => dates[*root].1,
        });
        let mut stack: Vec<(usize, u32)> = self.roots.iter().rev().map(|root| (*root, 0)).collect();
        let mut walk = Vec::with_capacity(order.len());
        while let Some((at, depth)) = stack.pop() {
            let node = &self.nodes[at];
            walk.push(ThreadNode { depth, uid: node.letter.as_ref().map(|letter| letter.uid) });
            stack.extend(node.children.iter().rev().map(|child| (*child, depth + 1)));
        }
        walk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `uid id subject < ancestors`
    fn said(line: &str) -> Said {
        let (own, ancestors) = line.split_once('<').unwrap_or((line, ""));
        let mut words = own.split_whitespace();
        let uid = words.next().and_then(|word| word.parse().ok()).expect("a UID");
        let id = words.next().filter(|id| *id != "-").map(str::to_owned);
        let subject = words.collect::<Vec<_>>().join(" ");
        let base = subject.trim_start_matches("re: ");
        Said {
            uid,
            sent: i64::from(uid),
            is_reply: base.len() < subject.len(),
            subject: base.into(),
            id,
            ancestors: ancestors.split_whitespace().map(str::to_owned).collect(),
        }
    }

    fn shown(walk: &[ThreadNode]) -> String {
        let node = |node: &ThreadNode| {
            format!("{}{}", ".".repeat(node.depth as usize), node.uid.map_or("-".into(), |uid| uid.to_string()))
        };
        walk.iter().map(node).collect::<Vec<_>>().join(" ")
    }

    fn references(lines: &[&str]) -> String {
        by(ThreadAlgorithm::References, lines)
    }

    fn by(algorithm: ThreadAlgorithm, lines: &[&str]) -> String {
        let kin = kin(lines.iter().map(|line| said(line)).collect());
        let uids: Vec<Uid> = kin.uids().collect();
        shown(&threaded(&kin.each(&uids).expect("all of them"), algorithm))
    }

    #[test]
    fn answers_stand_below_what_they_answer() {
        assert_eq!(references(&["1 a tea", "2 b re: tea < a", "3 c re: tea < a b", "4 d re: tea < a"]), "1 .2 ..3 .4");
    }

    #[test]
    fn a_message_that_is_missing_holds_its_answers_together() {
        assert_eq!(references(&["1 b x < a", "2 c y < a"]), "- .1 .2");
        assert_eq!(references(&["1 b x < a"]), "1", "one answer needs nobody above it");
        assert_eq!(references(&["1 a x", "2 d x < a b c"]), "1 .2", "nor does one in the middle");
    }

    #[test]
    fn subjects_join_what_references_do_not() {
        assert_eq!(references(&["1 a tea", "2 b re: tea"]), "1 .2");
        assert_eq!(references(&["1 a tea", "2 b tea"]), "- .1 .2");
        assert_eq!(references(&["1 a tea", "2 b tea", "3 c tea"]), "- .1 .2 .3");
        assert_eq!(references(&["1 a", "2 b"]), "1 2", "no subject is no subject in common");
    }

    #[test]
    fn nothing_is_below_itself_and_ids_may_be_missing_or_twice() {
        assert_eq!(references(&["1 a x < b", "2 b x < a", "3 a y", "4 - z"]), "2 .1 3 4");
        assert_eq!(references(&["1 a x < a"]), "1");
    }

    #[test]
    fn a_forged_chain_costs_no_stack_and_no_square() {
        let lines: Vec<String> = (1..5000).map(|uid| format!("{uid} m{uid} s < m{}", uid - 1)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let walk = references(&lines);
        assert_eq!(walk.split(' ').filter(|node| !node.ends_with('-')).count(), 4999);
    }

    #[test]
    fn refs_looks_at_no_subject_and_puts_the_liveliest_last() {
        assert_eq!(by(ThreadAlgorithm::Refs, &["1 a tea", "2 b tea", "3 c re: tea < a"]), "2 1 .3");
    }

    #[test]
    fn ordered_subject_is_flat() {
        let lines = ["1 a tea", "2 b ham", "3 c re: tea", "4 d tea"];
        assert_eq!(by(ThreadAlgorithm::OrderedSubject, &lines), "1 .3 .4 2");
    }
}
