//! About the server, the client, and what surrounds the mail: capabilities, ID, ENABLE, namespaces, quota, annotations,
//! rights.
//!
//! RFC 9051 §6.1.1, §6.3.1 (ENABLE), §6.3.10 (NAMESPACE); RFC 2971 (ID); RFC 7162 §3.2.3; RFC 9755 §3; RFC 9208 (QUOTA);
//! RFC 5464 (METADATA); RFC 4314 (ACL); RFC 5530.
//!
//! Not here: whose quota, annotations and rights they are (house).

use super::Server;
use super::ask::{Answer, Ask, Change, Namespaces, QuotaRoot, RightsChange};
use super::stage::{Member, Pending, Stage, Turn};
use crate::capability::Capability as C;
use crate::command::{Command, GetMetadata};
use crate::name::MailboxName;
use crate::reply::{Code, Pen, Reply};
use crate::server::ask::Resource;

impl Server {
    /// What is offered now, each with a blank before it.
    pub(super) fn write_capabilities(&mut self, member: bool) {
        let (mut offered, limit) = (self.settings.capabilities, self.settings.message_max);
        if self.compressed {
            // There is no way back from it, and none to have it twice.
            offered = offered.without(C::CompressDeflate).without(C::Unauthenticate);
        }
        let mut pen = Pen(&mut self.said);
        for capability in offered.iter().filter(|capability| member || capability.before_login()) {
            pen.word(" ").word(capability.name());
            match capability {
                C::Appendlimit => {
                    pen.word("=").number(limit);
                }
                // RFC 4314 §2.2: all rights beyond those of RFC 2086.
                C::Acl => {
                    pen.word(" RIGHTS=texk");
                }
                _ => {}
            }
        }
        if member {
            return;
        }
        if self.securable() {
            self.pen().word(" STARTTLS");
        }
        if !self.may_show_password() {
            self.pen().word(" LOGINDISABLED");
        }
        for mechanism in self.mechanisms() {
            self.pen().word(" AUTH=").word(mechanism.name());
        }
    }

    pub(super) fn capability(&mut self, stage: Stage, tag: Vec<u8>) -> Stage {
        let member = matches!(stage, Stage::Member(_));
        self.pen().word("* CAPABILITY");
        self.write_capabilities(member);
        self.pen().end();
        let reply = Reply::ok("that is what can be done");
        match stage {
            Stage::Member(member) => {
                let turn = Turn { tag, uid: false, expunges: true };
                self.finish(member, turn, reply)
            }
            stage => self.reply(stage, &tag, &reply),
        }
    }

    fn write_identity(&mut self) {
        let identity = self.settings.identity.clone();
        if identity.is_empty() {
            return self.pen().word("* ID NIL").end();
        }
        let mut pen = self.pen();
        pen.word("* ID (");
        let mut first = true;
        for (name, value) in &identity {
            pen.gap(&mut first).string(name.as_bytes()).word(" ").string(value.as_bytes());
        }
        pen.word(")").end();
    }

    pub(super) fn id(&mut self, member: Box<Member>, turn: Turn, fields: Vec<(String, Option<String>)>) -> Stage {
        self.write_identity();
        let reply = Reply::ok("pleased to meet you");
        if fields.is_empty() {
            return self.finish(member, turn, reply);
        }
        self.await_answer(member, turn, Ask::Id(fields), Pending::Done(reply))
    }

    pub(super) fn id_of_stranger(
        &mut self,
        stage: Stage,
        tag: Vec<u8>,
        fields: Vec<(String, Option<String>)>,
    ) -> Stage {
        self.write_identity();
        if fields.is_empty() {
            return self.reply(stage, &tag, &Reply::ok("pleased to meet you"));
        }
        self.ask(Ask::Id(fields));
        Stage::AwaitingNote { tag }
    }

    pub(super) fn noted(&mut self, tag: &[u8]) -> Stage {
        self.reply(Stage::Stranger, tag, &Reply::ok("pleased to meet you"))
    }

    /// RFC 4978 §3: behind the OK, both ways. Only after login, so that no password is ever compressed.
    pub(super) fn compress(&mut self, member: Box<Member>, turn: &Turn, algorithm: &str) -> Stage {
        let reply = match algorithm.eq_ignore_ascii_case("DEFLATE") {
            _ if self.compressed => Reply::no("compression is active already").coded("COMPRESSIONACTIVE"),
            false => Reply::no("by DEFLATE only").coded("CANNOT"),
            true => {
                self.compressed = true;
                return self.reply(Stage::Deflating(member), &turn.tag, &Reply::ok("begin compression"));
            }
        };
        self.reply(Stage::Member(member), &turn.tag, &reply)
    }

    /// RFC 5161 §3.1: what is not known, or not offered, is passed over in silence.
    pub(super) fn enable(&mut self, mut member: Box<Member>, turn: Turn, words: &[String]) -> Stage {
        let before = member.enabled;
        let enabled = &mut member.enabled;
        let mut told = Vec::new();
        for capability in [C::Condstore, C::Qresync, C::Imap4rev2, C::Utf8Accept, C::Uidonly] {
            let named = words.iter().any(|word| word.eq_ignore_ascii_case(capability.name()));
            if !named || !self.offers(capability) {
                continue;
            }
            match capability {
                C::Condstore => enabled.condstore = true,
                // RFC 7162 §3.2.3: with change numbers, whether or not that was said.
                C::Qresync => (enabled.qresync, enabled.condstore) = (true, true),
                C::Imap4rev2 => enabled.rev2 = true,
                C::Utf8Accept => enabled.utf8 = true,
                _ => enabled.uid_only = true,
            }
            told.push(capability.name());
        }
        let mut pen = self.pen();
        pen.word("* ENABLED");
        for name in told {
            pen.word(" ").word(name);
        }
        pen.end();
        if member.enabled.condstore && !before.condstore {
            self.tell_highest(&member);
        }
        self.finish(member, turn, Reply::ok("enabled"))
    }

    pub(super) fn namespaces(&mut self, member: Box<Member>, turn: Turn, namespaces: &Namespaces) -> Stage {
        let utf8 = member.enabled.names_in_utf8();
        let mut pen = self.pen();
        pen.word("* NAMESPACE");
        for prefixes in [&namespaces.personal, &namespaces.others, &namespaces.shared] {
            if prefixes.is_empty() {
                pen.word(" NIL");
                continue;
            }
            pen.word(" (");
            for prefix in prefixes {
                let wire = if utf8 { prefix.clone() } else { crate::name::pattern_to_wire(prefix) };
                pen.word("(").string(wire.as_bytes()).word(" \"/\")");
            }
            pen.word(")");
        }
        pen.end();
        self.finish(member, turn, Reply::ok("these are the namespaces"))
    }

    /// Quota, annotations, rights.
    pub(super) fn obey_about(&mut self, member: Box<Member>, turn: Turn, command: Command) -> Stage {
        let (ask, pending) = match command {
            Command::GetQuota(root) => (Ask::Quota { root }, Pending::Quota),
            Command::GetQuotaRoot(mailbox) => {
                (Ask::QuotaRoots { mailbox: mailbox.clone() }, Pending::QuotaRoots(mailbox))
            }
            Command::SetQuota(root, limits) => (Ask::SetQuota { root, limits }, Pending::Quota),
            Command::GetMetadata(get) => {
                if get.mailbox.is_some() && !self.offers(C::Metadata) {
                    return self.finish(member, turn, Reply::no("annotations are of the server only").coded("CANNOT"));
                }
                let ask =
                    Ask::Metadata { mailbox: get.mailbox.clone(), entries: get.entries.clone(), depth: get.depth };
                (ask, Pending::Metadata(get))
            }
            Command::SetMetadata(mailbox, entries) => {
                if mailbox.is_some() && !self.offers(C::Metadata) {
                    return self.finish(member, turn, Reply::no("annotations are of the server only").coded("CANNOT"));
                }
                (Ask::SetMetadata { mailbox, entries }, Pending::Done(Reply::ok("noted")))
            }
            Command::GetAcl(mailbox) => (Ask::Acl(mailbox.clone()), Pending::Acl(mailbox)),
            Command::SetAcl { mailbox, identifier, how, rights } => {
                let change = match how {
                    Change::Replace => RightsChange::Replace(rights),
                    Change::Add => RightsChange::Add(rights),
                    Change::Remove => RightsChange::Remove(rights),
                };
                (Ask::SetAcl { mailbox, identifier, change }, Pending::Done(Reply::ok("granted")))
            }
            Command::DeleteAcl(mailbox, identifier) => {
                let change = RightsChange::Delete;
                (Ask::SetAcl { mailbox, identifier, change }, Pending::Done(Reply::ok("taken back")))
            }
            Command::ListRights(mailbox, identifier) => {
                let ask = Ask::GrantableRights { mailbox: mailbox.clone(), identifier: identifier.clone() };
                (ask, Pending::GrantableRights(mailbox, identifier))
            }
            Command::MyRights(mailbox) => (Ask::MyRights(mailbox.clone()), Pending::MyRights(mailbox)),
            // All others are obeyed elsewhere, or were refused by the table.
            _ => return self.finish(member, turn, Reply::bad("not now")),
        };
        self.await_answer(member, turn, ask, pending)
    }

    pub(super) fn answered_about(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        pending: Pending,
        answer: Answer,
    ) -> Stage {
        let reply = match (pending, answer) {
            (Pending::Quota, Answer::Quotas(roots)) => {
                self.write_quotas(&roots);
                Reply::ok("that is the quota")
            }
            (Pending::QuotaRoots(mailbox), Answer::Quotas(roots)) => {
                let mut pen = self.pen();
                pen.word("* QUOTAROOT ").mailbox(&mailbox, member.enabled.names_in_utf8());
                for root in &roots {
                    pen.word(" ").astring(&root.name);
                }
                pen.end();
                self.write_quotas(&roots);
                Reply::ok("these are the quotas")
            }
            (Pending::Metadata(get), Answer::Metadata(entries)) => self.metadata(&member, &get, entries),
            (Pending::Acl(mailbox), Answer::Acl(entries)) => {
                let mut pen = self.pen();
                pen.word("* ACL ").mailbox(&mailbox, member.enabled.names_in_utf8());
                for (identifier, rights) in &entries {
                    pen.word(" ").astring(identifier).word(" ").astring(&with_old_rights(rights));
                }
                pen.end();
                Reply::ok("these are the rights")
            }
            (Pending::GrantableRights(mailbox, identifier), Answer::GrantableRights { always, others }) => {
                let mut pen = self.pen();
                pen.word("* LISTRIGHTS ").mailbox(&mailbox, member.enabled.names_in_utf8());
                pen.word(" ").astring(&identifier).word(" ").astring(&always);
                for rights in &others {
                    pen.word(" ").astring(rights);
                }
                pen.end();
                Reply::ok("these can be granted")
            }
            (Pending::MyRights(mailbox), Answer::MyRights(rights)) => {
                write_rights(&mut self.said, &member, &mailbox, &rights);
                Reply::ok("these are yours")
            }
            // `Sync` that is refused ends no session: there is always a next one.
            (Pending::End(reply), _) => return self.reply(Stage::Member(member), &turn.tag, &reply),
            (Pending::Idle, _) => return Stage::Idling { member, turn },
            (Pending::Done(_), answer) | (_, answer) => self.refusal_of(answer),
        };
        self.finish(member, turn, reply)
    }

    fn write_quotas(&mut self, roots: &[QuotaRoot]) {
        for root in roots {
            let mut pen = self.pen();
            pen.word("* QUOTA ").astring(&root.name).word(" (");
            let mut first = true;
            for (resource, usage, limit) in &root.resources {
                let name = match resource {
                    Resource::Storage => "STORAGE ",
                    Resource::Message => "MESSAGE ",
                    Resource::Mailbox => "MAILBOX ",
                    Resource::AnnotationStorage => "ANNOTATION-STORAGE ",
                };
                pen.gap(&mut first).word(name).number(*usage).word(" ").number(*limit);
            }
            pen.word(")").end();
        }
    }

    /// RFC 5464 §4.2.1: values that are too large are left out, and the largest of them is told.
    fn metadata(&mut self, member: &Member, get: &GetMetadata, entries: Vec<(String, Option<Vec<u8>>)>) -> Reply {
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len) as u64;
        let (told, left_out): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(_, value)| get.size_max.is_none_or(|max| size(value) <= max));
        if !told.is_empty() {
            write_metadata(&mut self.said, member, get.mailbox.as_ref(), &told);
        }
        match left_out.iter().map(|(_, value)| size(value)).max() {
            Some(longest) => Reply::ok("not all of them").with(Code::LongEntries(longest)),
            None => Reply::ok("these are the annotations"),
        }
    }
}

pub(super) fn write_metadata(
    out: &mut Vec<u8>,
    member: &Member,
    mailbox: Option<&MailboxName>,
    entries: &[(String, Option<Vec<u8>>)],
) {
    let mut pen = Pen(out);
    pen.word("* METADATA ");
    match mailbox {
        Some(mailbox) => pen.mailbox(mailbox, member.enabled.names_in_utf8()),
        None => pen.word("\"\""),
    };
    pen.word(" (");
    let mut first = true;
    for (name, value) in entries {
        pen.gap(&mut first).astring(name).word(" ");
        match value {
            Some(value) if value.contains(&0) => pen.literal8_head(value.len() as u64).formed(value),
            value => pen.nstring(value.as_deref()),
        };
    }
    pen.word(")").end();
}

pub(super) fn write_rights(out: &mut Vec<u8>, member: &Member, mailbox: &MailboxName, rights: &str) {
    let mut pen = Pen(out);
    pen.word("* MYRIGHTS ").mailbox(mailbox, member.enabled.names_in_utf8());
    pen.word(" ").astring(&with_old_rights(rights)).end();
}

/// RFC 4314 §2.1.1: clients of RFC 2086 look for c and d, which are parted in k, x and t, e now.
fn with_old_rights(rights: &str) -> String {
    let mut all = rights.to_owned();
    for (old, new) in [('c', "kx"), ('d', "te")] {
        if rights.contains(|right| new.contains(right)) && !rights.contains(old) {
            all.push(old);
        }
    }
    all
}
