//! Maildir: a file for each message, its state in the file's name.
//!
//! `1700000000.M1P2.host,S=1234:2,FSab` is a message that is flagged and read and has the first two keywords of the folder's
//! `dovecot-keywords`. What stands before `:2,` never changes; sizes in it (`S=`, `W=`) are hints that nobody here needs.
//!
//! Invariants: writing a name and reading it gives the same marks; letters that nobody knows are passed over.
//! Not here: what folders are called ([`crate::names`]).

use crate::Marks;

/// How many keywords a folder can tell: `a` to `z`.
pub const KEYWORDS_MAX: usize = 26;

/// The keyword that `P` stands for: the message was passed on.
const PASSED: &str = "$Forwarded";

/// A file's name without its state: it is the same as long as the message is there.
pub fn base(name: &str) -> &str {
    name.split_once(":2,").map_or(name, |(base, _)| base)
}

/// The state in a file's name.
pub fn marks(name: &str, keywords: &Keywords) -> Marks {
    let mut marks = Marks::default();
    for letter in name.split_once(":2,").map_or("", |(_, letters)| letters).chars() {
        match letter {
            'S' => marks.seen = true,
            'R' => marks.answered = true,
            'F' => marks.flagged = true,
            'T' => marks.deleted = true,
            'D' => marks.draft = true,
            'P' => marks.add_keyword(PASSED),
            letter => keywords.of_letter(letter).into_iter().for_each(|keyword| marks.add_keyword(keyword)),
        }
    }
    marks
}

/// A file's name with its state, and how many keywords found no letter.
pub fn name(base: &str, marks: &Marks, keywords: &mut Keywords) -> (String, usize) {
    let system =
        [('D', marks.draft), ('F', marks.flagged), ('R', marks.answered), ('S', marks.seen), ('T', marks.deleted)];
    let mut letters: Vec<char> = system.iter().filter(|(_, is_set)| *is_set).map(|(letter, _)| *letter).collect();
    let mut without_letter = 0;
    for keyword in &marks.keywords {
        match keyword.eq_ignore_ascii_case(PASSED) {
            true => letters.push('P'),
            false => match keywords.letter_of(keyword) {
                Some(letter) => letters.push(letter),
                None => without_letter += 1,
            },
        }
    }
    letters.sort_unstable();
    (format!("{base}:2,{}", letters.into_iter().collect::<String>()), without_letter)
}

/// Which keyword which letter is, in one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keywords {
    names: [Option<String>; KEYWORDS_MAX],
    is_changed: bool,
}

impl Keywords {
    /// The name of the file.
    pub const FILE: &'static str = "dovecot-keywords";

    /// Reads the file: a number and a keyword on each line.
    pub fn parse(text: &str) -> Keywords {
        let mut keywords = Keywords::default();
        for line in text.lines() {
            let Some((number, keyword)) = line.split_once(' ') else { continue };
            let slot = number.parse().ok().and_then(|number: usize| keywords.names.get_mut(number));
            if let Some(slot) = slot.filter(|_| !keyword.is_empty()) {
                *slot = Some(keyword.to_owned());
            }
        }
        keywords
    }

    /// The file's text.
    pub fn write(&self) -> String {
        let lines = self.names.iter().enumerate();
        lines.filter_map(|(number, name)| name.as_ref().map(|name| format!("{number} {name}\n"))).collect()
    }

    /// Whether a keyword got a letter that had none before.
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    fn of_letter(&self, letter: char) -> Option<&str> {
        let number = u32::from(letter).checked_sub(u32::from('a'))?;
        self.names.get(usize::try_from(number).ok()?)?.as_deref()
    }

    fn letter_of(&mut self, keyword: &str) -> Option<char> {
        let known = |name: &Option<String>| name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(keyword));
        let number = self.names.iter().position(known).or_else(|| {
            let free = self.names.iter().position(Option::is_none)?;
            self.names[free] = Some(keyword.to_owned());
            self.is_changed = true;
            Some(free)
        })?;
        Some(char::from(b'a' + u8::try_from(number).ok()?))
    }
}

/// The mailboxes that Dovecot's `subscriptions` names; both of its forms.
pub fn subscriptions(text: &str) -> Vec<String> {
    let mut lines = text.lines().peekable();
    let by_tabs = lines.next_if(|line| line.starts_with("V\t")).is_some();
    let read = |line: &str| match by_tabs {
        true => crate::names::from_dotted(&line.replace('\t', ".")),
        false => crate::names::from_dotted(line),
    };
    lines.filter_map(read).collect()
}

/// The mailboxes that Courier's `courierimapsubscribed` names: all of them are below its INBOX.
pub fn courier_subscriptions(text: &str) -> Vec<String> {
    let below_inbox = |line: &str| match line.strip_prefix("INBOX.") {
        Some(name) => crate::names::from_dotted(name),
        None => crate::names::from_dotted(line),
    };
    text.lines().filter_map(below_inbox).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_tells_the_state() {
        let keywords = Keywords::parse("0 $Label1\n2 Junk\n99 far\nx y\n");
        let marks = marks("1700000000.M1P2.host,S=12,W=13:2,FPSacz", &keywords);
        assert!(marks.flagged && marks.seen && !marks.answered && !marks.deleted && !marks.draft);
        assert_eq!(marks.keywords, ["$Forwarded", "$Label1", "Junk"]);
        assert_eq!(base("1.a,S=3:2,S"), "1.a,S=3");
        assert_eq!((base("1.a"), super::marks("1.a", &keywords)), ("1.a", Marks::default()));
    }

    #[test]
    fn the_twenty_seventh_keyword_has_no_letter() {
        let marks = Marks { keywords: (0..28).map(|number| format!("k{number}")).collect(), ..Marks::default() };
        let (name, without) = name("1", &marks, &mut Keywords::default());
        assert_eq!((name.as_str(), without), ("1:2,abcdefghijklmnopqrstuvwxyz", 2));
    }

    #[test]
    fn subscriptions_of_three_kinds() {
        assert_eq!(subscriptions("INBOX\nWork.Bills\n\n"), ["INBOX", "Work/Bills"]);
        assert_eq!(subscriptions("V\t2\n\nWork\tBills\n"), ["Work/Bills"]);
        assert_eq!(courier_subscriptions("INBOX\nINBOX.Work.Bills\n"), ["INBOX", "Work/Bills"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            flags in any::<[bool; 5]>(),
            words in prop::collection::btree_set("[a-c]{1,2}|\\$Forwarded", 0..8),
        ) {
            let [seen, answered, flagged, deleted, draft] = flags;
            let marks = Marks { seen, answered, flagged, deleted, draft, keywords: words.into_iter().collect() };
            let mut keywords = Keywords::default();
            let (name, without) = name("1.x", &marks, &mut keywords);
            let mut read = super::marks(&name, &Keywords::parse(&keywords.write()));
            read.keywords.sort();
            prop_assert_eq!((read, without), (marks, 0));
        }
    }
}
