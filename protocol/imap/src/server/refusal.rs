//! How the house's no is said.
//!
//! RFC 9051 §7.1 and RFC 5530 §3 (response codes); RFC 9208 §4.3 (OVERQUOTA); RFC 5464 §4.2.1 (METADATA).
//!
//! Not here: when it says no (desk).

use super::ask::{Answer, Refusal};
use super::stage::{Pending, Stage, Turn};
use super::{Ask, Member, Server};
use crate::capability::Capability;
use crate::reply::{Code, Reply};

/// It may be otherwise later.
pub(super) fn write_refusal(text: &'static str) -> Reply {
    Reply::no(text).coded("UNAVAILABLE")
}

/// The reply to a refusal.
pub(super) fn reply_to(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::NoSuchMailbox => Reply::no("no such mailbox").coded("NONEXISTENT"),
        Refusal::TryCreate => Reply::no("no such mailbox, create it first").coded("TRYCREATE"),
        Refusal::AlreadyExists => Reply::no("there is one of this name").coded("ALREADYEXISTS"),
        Refusal::NoSelect => Reply::no("this is a level without messages").coded("CANNOT"),
        Refusal::HasChildren => Reply::no("there are mailboxes below it").coded("HASCHILDREN"),
        Refusal::Cannot => Reply::no("that cannot be").coded("CANNOT"),
        Refusal::NoPermission => Reply::no("you may not").coded("NOPERM"),
        Refusal::OverQuota => Reply::no("there is no room left").coded("OVERQUOTA"),
        Refusal::TooLarge => Reply::no("the message is too large").coded("TOOBIG"),
        Refusal::Limit => Reply::no("there are too many already").coded("LIMIT"),
        Refusal::UseAttr => Reply::no("this use cannot be had").coded("USEATTR"),
        Refusal::ExpungeIssued => Reply::no("some of the messages are gone").coded("EXPUNGEISSUED"),
        Refusal::UnknownEncoding => Reply::no("the encoding of a part is not known").coded("UNKNOWN-CTE"),
        Refusal::Unavailable => write_refusal("not now, try again later"),
        Refusal::Corrupted => Reply::no("it is damaged, tell the administrator").coded("CORRUPTION"),
        Refusal::NoSuchRoot => Reply::no("no such quota root").coded("NONEXISTENT"),
        Refusal::MetadataTooLarge(octets) => Reply::no("the value is too large").with(Code::MaxSize(octets)),
        Refusal::MetadataTooMany => Reply::no("there are too many entries").coded("METADATA TOOMANY"),
        Refusal::MetadataNoPrivate => Reply::no("no private entries here").coded("METADATA NOPRIVATE"),
        Refusal::Policy(text) => Reply::no(text),
    }
}

impl Server {
    /// What an answer that was not hoped for means.
    pub(super) fn refusal_of(&self, answer: Answer) -> Reply {
        match answer {
            Answer::Refused(refusal) => reply_to(refusal),
            _ => reply_to(Refusal::Unavailable),
        }
    }

    /// The house works longer. RFC 9585 §3.
    pub(super) fn working(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        pending: Pending,
        done: Option<u32>,
        goal: Option<u32>,
    ) -> Stage {
        if self.offers(Capability::Inprogress) && !turn.tag.is_empty() {
            // A goal of nothing, or one that is reached, is not said; without a count a goal means nothing.
            let goal = goal.filter(|goal| done.is_some_and(|done| done < *goal));
            let code = Code::InProgress { tag: turn.tag.clone(), done, goal };
            Reply::ok("still at it").with(code).write(None, &mut self.said);
        }
        self.await_answer(member, turn, Ask::GoOn, pending)
    }
}
