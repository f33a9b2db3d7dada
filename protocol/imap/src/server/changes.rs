//! What has changed in the selected mailbox, and how it is told.
//!
//! RFC 9051 §5.2 and §7.5.1 (EXPUNGE only where numbers may change), §7.5.2 (FETCH with UID); RFC 7162 §3.1 and §3.2.10
//! (MODSEQ, VANISHED); RFC 9586 §3.4 (UIDFETCH); RFC 2180 §3 (a mailbox that goes away).
//!
//! ```text
//! Sync ─Changes→ (what they mean to searches, context) → those gone, piece by piece → EXISTS → flags ─more→ Sync …
//!                                                            ─→ the tagged reply, or IDLE goes on
//! ```
//!
//! Invariants: a number changes its message only by an EXPUNGE that was said; none is said where the client may have
//! sent numbers ahead; what is told is told in commit order.
//! Not here: what the house remembers for the session (desk).

use super::ask::{Ask, Changes, Flagged};
use super::stage::{Flow, Mailbox, Member, Pending, Stage, Then, Turn};
use super::{PIECE, Server};
use crate::capability::Capability;
use crate::flag::{Keyword, SystemFlags};
use crate::reply::{Pen, Reply};
use crate::server::ask::Permanent;

/// So many EXPUNGE are said in one piece.
const EXPUNGES_AT_ONCE: usize = 4_096;

impl Server {
    /// `Sync` was answered.
    pub(super) fn changed(&mut self, mut member: Box<Member>, turn: Turn, changes: Changes, then: Then) -> Stage {
        if changes.lost {
            return self.bye(&Reply::bye("the mailbox is gone"));
        }
        if let Some(mailbox) = &mut member.mailbox {
            mailbox.view.lose(&changes.expunged);
            mailbox.untold = mailbox.untold.difference(&changes.expunged).union(&changes.added);
            mailbox.new = mailbox.new.difference(&changes.expunged);
            let mut touched = changes.touched;
            if member.attention.new {
                let (before, new) = (mailbox.view.count(), std::mem::take(&mut mailbox.untold));
                mailbox.view.add(&new);
                mailbox.exists_due |= mailbox.view.count() != before;
                mailbox.new = mailbox.new.union(&new);
                touched = touched.union(&new);
            }
            if let Some(contexts) = &mut mailbox.contexts {
                contexts.touch(&mailbox.view.known(&touched));
            }
            mailbox.highestmodseq = mailbox.highestmodseq.max(changes.highestmodseq);
            if let Some(keywords) = changes.keywords {
                self.keywords_changed(mailbox, keywords);
            }
        }
        if changes.url_key_reset && self.offers(Capability::Urlauth) {
            self.write_url_mechanisms();
        }
        let flags = if member.attention.flags { changes.flags } else { Vec::new() };
        self.recheck(member, turn, flags, changes.more, then)
    }

    pub(super) fn keywords_changed(&mut self, mailbox: &mut Mailbox, keywords: Vec<Keyword>) {
        mailbox.keywords = keywords;
        self.write_flags(mailbox);
        self.write_permanent_flags(mailbox);
    }

    /// Says what there is to say, one piece at a call.
    pub(super) fn announce(
        &mut self,
        mut member: Box<Member>,
        turn: Turn,
        flags: Vec<Flagged>,
        more: bool,
        then: Then,
    ) -> Stage {
        if turn.expunges && self.announce_gone(&mut member) {
            let flow = Box::new(Flow::Changes { flags, more, then });
            return Stage::Flowing { member, turn, flow };
        }
        self.announce_rest(&mut member, &flags);
        if more {
            let pending = match then {
                Then::Reply(reply) => Pending::End(reply),
                Then::Idle => Pending::Idle,
                Then::Nothing => Pending::Unasked,
            };
            return self.await_answer(member, turn, Ask::Sync, pending);
        }
        self.fetch_new(member, turn, then)
    }

    /// Tells who is gone; says whether some are left to be told.
    fn announce_gone(&mut self, member: &mut Member) -> bool {
        let Some(mailbox) = &mut member.mailbox else { return false };
        if mailbox.view.gone().is_empty() {
            return false;
        }
        mailbox.saved = mailbox.saved.difference(mailbox.view.gone());
        let mut pen = Pen(&mut self.said);
        if member.enabled.tells_vanished() {
            pen.word("* VANISHED ").set(&mailbox.view.forget_gone()).end();
            return false;
        }
        for number in mailbox.view.announce(EXPUNGES_AT_ONCE) {
            pen.word("* ").number(number).word(" EXPUNGE").end();
        }
        !mailbox.view.gone().is_empty()
    }

    fn announce_rest(&mut self, member: &mut Member, flags: &[Flagged]) {
        let Some(mailbox) = &mut member.mailbox else { return };
        if std::mem::take(&mut mailbox.exists_due) {
            Pen(&mut self.said).word("* ").number(mailbox.view.count()).word(" EXISTS").end();
        }
        for flagged in flags {
            let told = Told { uid: true, flags: true };
            write_flagged(&mut self.said, member, flagged, told);
        }
    }

    pub(super) fn write_flags(&mut self, mailbox: &Mailbox) {
        let mut pen = Pen(&mut self.said);
        pen.word("* FLAGS (");
        let mut first = true;
        for flag in SystemFlags::ALL.iter() {
            pen.gap(&mut first).flag(flag);
        }
        for keyword in &mailbox.keywords {
            pen.gap(&mut first).keyword(keyword);
        }
        pen.word(")").end();
    }

    pub(super) fn write_permanent_flags(&mut self, mailbox: &Mailbox) {
        let mut pen = Pen(&mut self.said);
        pen.word("* OK [PERMANENTFLAGS (");
        let mut first = true;
        let (system, keywords) = match mailbox.permanent {
            _ if mailbox.read_only => (SystemFlags::NONE, false),
            Permanent::Everything => (SystemFlags::ALL, true),
            Permanent::Only { system, keywords } => (system, keywords),
        };
        for flag in system.iter() {
            pen.gap(&mut first).flag(flag);
        }
        if keywords {
            for keyword in &mailbox.keywords {
                pen.gap(&mut first).keyword(keyword);
            }
            pen.gap(&mut first).word("\\*");
        }
        pen.word(")] these can be kept").end();
    }

    /// Whether enough was said for one piece.
    pub(super) fn piece_is_full(&self) -> bool {
        self.said.len() >= PIECE
    }
}

/// What is told of a message whose flags are others now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub uid: bool,
    pub flags: bool,
}

/// The untagged FETCH about flags. Nothing for a message that the client does not know, or that is gone.
pub(super) fn write_flagged(out: &mut Vec<u8>, member: &Member, flagged: &Flagged, told: Told) {
    let Some(mailbox) = &member.mailbox else { return };
    if mailbox.view.gone().contains(flagged.uid) {
        return;
    }
    let Some(number) = mailbox.view.number_of(flagged.uid) else { return };
    let mut pen = Pen(out);
    let mut first = true;
    match member.enabled.uid_only {
        true => pen.word("* ").number(flagged.uid).word(" UIDFETCH ("),
        false => pen.word("* ").number(number).word(" FETCH ("),
    };
    if told.uid && !member.enabled.uid_only {
        pen.gap(&mut first).word("UID ").number(flagged.uid);
    }
    if member.enabled.condstore {
        pen.gap(&mut first).word("MODSEQ (").number(flagged.modseq).word(")");
    }
    if told.flags {
        pen.gap(&mut first).word("FLAGS ").flags(&flagged.flags);
    }
    pen.word(")").end();
}
