//! What we tell of ourselves: FEAT, HELP, STAT.
//!
//! RFC 2389 §3 (FEAT: one space before each line); RFC 959 §4.1.3 (HELP, STAT); RFC 3659 §7.8 (stars); RFC 4217 §6;
//! draft-bryan-ftpext-hash-02 §3.1.
//!
//! Invariants: FEAT tells of nothing that would be refused on principle.
//! Not here: what is told (table).

use super::Server;
use super::settings::Tls;
use super::stage::{Member, Stage};
use crate::command::{Mode, Protection, Representation};
use crate::hash::HashKind;
use crate::reply::Reply;
use crate::table::{Feature, OTHER_FEATURES, TABLE, Word, look_up};
use crate::words;

/// So many verbs stand on a line of HELP.
const HELP_VERBS_A_LINE: usize = 8;

impl Server {
    pub(super) fn feat(&mut self, stage: Stage) -> Stage {
        let mut text = String::from("Extensions supported:\n");
        for line in TABLE.iter().filter_map(|row| self.feature(row.feature)) {
            text += &line;
            text.push('\n');
        }
        for line in OTHER_FEATURES {
            text += line;
            text.push('\n');
        }
        text += "End";
        self.stay(stage, &Reply::new(211, text))
    }

    fn feature(&self, feature: Feature) -> Option<String> {
        match feature {
            Feature::Silent => None,
            Feature::Line(line) => Some(line.into()),
            Feature::Tls(line) => (self.settings.tls != Tls::Absent).then(|| line.into()),
            Feature::Ccc => (self.settings.tls != Tls::Absent && self.settings.clear_control).then(|| "CCC".into()),
            Feature::Deflate => self.settings.deflate.then(|| "MODE Z".into()),
            Feature::CreationTimes => self.settings.creation_times.then(|| "MFCT".into()),
            Feature::ChangeableFacts if self.settings.creation_times => Some("MFF modify;create;UNIX.mode;".into()),
            Feature::ChangeableFacts => Some("MFF modify;UNIX.mode;".into()),
            Feature::Facts => Some(format!("MLST {}", self.link.wishes.facts.starred(self.facts_known()))),
            Feature::Hashes => {
                let star = |kind: &HashKind| if *kind == self.link.wishes.hash { "*" } else { "" };
                let names: Vec<_> = HashKind::ALL.iter().map(|kind| format!("{}{}", kind.name(), star(kind))).collect();
                Some(format!("HASH {}", names.join(";")))
            }
        }
    }

    pub(super) fn help(&mut self, stage: Stage, topic: Option<&str>) -> Stage {
        let word = topic.and_then(|topic| topic.split_whitespace().next());
        let reply = match word.map(|word| look_up(word.as_bytes())) {
            None => self.verbs(),
            Some(Word::Known(row)) if !self.has(row.feature) => words::NOT_HERE.clone(),
            Some(Word::Known(row)) if row.name == "SITE" => words::SITE_HELP.clone(),
            Some(Word::Known(row)) => Reply::new(214, format!("Syntax: {} {}", row.name, row.syntax).trim_end()),
            Some(Word::NotHere) => words::NOT_HERE.clone(),
            Some(Word::Foreign | Word::Unknown) => words::UNKNOWN.clone(),
        };
        self.stay(stage, &reply)
    }

    /// Whether a verb that FEAT would tell of is here at all; MODE is, with or without Z.
    fn has(&self, feature: Feature) -> bool {
        matches!(feature, Feature::Silent | Feature::Deflate) || self.feature(feature).is_some()
    }

    fn verbs(&self) -> Reply {
        let names: Vec<_> = TABLE.iter().filter(|row| self.has(row.feature)).map(|row| row.name).collect();
        let mut text = String::from("Commands:");
        for names in names.chunks(HELP_VERBS_A_LINE) {
            text.push('\n');
            text += &names.iter().map(|name| format!("{name:<8}")).collect::<String>();
            text.truncate(text.trim_end().len());
        }
        Reply::new(214, text + "\nHELP and a command tell more. End.")
    }

    pub(super) fn status(&mut self, member: Member) -> Stage {
        let representation = match member.representation {
            Representation::Ascii => "ASCII",
            Representation::Image => "image",
        };
        let mode = match member.mode {
            Mode::Stream => "stream",
            Mode::Deflate => "deflate",
        };
        let control = match &self.link.tls {
            None => "clear",
            Some(_) if self.link.cleared => "cleared",
            Some(tls) => &tls.version,
        };
        let data = if self.link.protection == Protection::Private { "private" } else { "clear" };
        let line = if member.data_line { "ready" } else { "none" };
        let text = format!(
            "Status:\nConnected from {}\nLogged in as {}\nType: {representation}; structure: file; mode: {mode}\n\
             Control connection: {control}; data connections: {data}\nData connection: {line}; no transfer\nEnd.",
            self.ends.peer(),
            member.user,
        );
        self.stay(Stage::Member(member), &Reply::new(211, text))
    }
}
