//! What was found out about servers: what a firewall lets through, and who loses what is said while files move, is found out once,
//! not in every run.
//!
//! Invariants: what cannot be read is passed over, what cannot be written is not missed; the file has at most [`PLACES_MAX`] lines.
//! Not here: which ways there are, and trying another one where this fails (the client library).

use super::{known, places};
use ftp_client::{Experience, Learnt, Url, Way};
use std::path::PathBuf;

const FILE: &str = "ftp-ways";

/// Who goes to more places than these meets the oldest as if it were for the first time.
const PLACES_MAX: usize = 200;

const WORDS: [(&str, Way); 4] =
    [("EPSV", Way::ExtendedPassive), ("PASV", Way::Passive), ("EPRT", Way::ExtendedActive), ("PORT", Way::Active)];

/// Stands behind the way of a server that is told one command at a time.
const ONE_BY_ONE: &str = "one-by-one";

/// What was found out about this place, and will be remembered if it changes.
pub fn of(url: &Url) -> Experience {
    let (place, file) = (known::place(url), places::state(FILE));
    let found = lines(file.clone()).into_iter().find(|(name, _)| *name == place).map(|(_, learnt)| learnt);
    Experience::of(found.unwrap_or_default(), move |learnt| remember(file.clone(), &place, learnt))
}

fn lines(file: Option<PathBuf>) -> Vec<(String, Learnt)> {
    // Who cannot read it knows nothing, and finds out.
    let lines = places::lines(file).unwrap_or_default().into_iter();
    let mut lines: Vec<_> = lines.filter_map(|words| Some((words.first()?.clone(), read(&words[1..])?))).collect();
    lines.drain(..lines.len().saturating_sub(PLACES_MAX));
    lines
}

fn read(words: &[String]) -> Option<Learnt> {
    let (word, one_by_one) = match words {
        [word] => (word, false),
        [word, more] if more == ONE_BY_ONE => (word, true),
        _ => return None,
    };
    let way = WORDS.iter().find(|(name, _)| name == word)?.1;
    Some(Learnt { way: Some(way), one_by_one })
}

fn remember(file: Option<PathBuf>, place: &str, learnt: Learnt) {
    let Some(file) = file else { return };
    let mut lines = lines(Some(file.clone()));
    let before = lines.len();
    lines.retain(|(name, _)| name != place);
    let way = learnt.way.unwrap_or(Way::ExtendedPassive);
    // What is usual need not be written down.
    if way != Way::ExtendedPassive || learnt.one_by_one {
        lines.push((place.to_owned(), Learnt { way: Some(way), ..learnt }));
    } else if lines.len() == before {
        return;
    }
    lines.drain(..lines.len().saturating_sub(PLACES_MAX));
    let text: String = lines.iter().map(|(place, learnt)| format!("{place} {}\n", write(*learnt))).collect();
    let _ = places::write(&file, &text);
}

fn write(learnt: Learnt) -> String {
    let word = WORDS.iter().find(|(_, way)| Some(*way) == learnt.way).map_or("EPSV", |(word, _)| word);
    if learnt.one_by_one { format!("{word} {ONE_BY_ONE}") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_worked_is_remembered_and_rubbish_does_no_harm() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("state/ftp-ways");
        let at = || Some(file.clone());
        let by = |way| Learnt { way: Some(way), one_by_one: false };
        remember(at(), "a:21", by(Way::ExtendedPassive));
        assert!(!file.exists(), "what is usual is not worth a file");
        remember(at(), "a:21", by(Way::Passive));
        remember(at(), "b:21", by(Way::ExtendedActive));
        assert_eq!(lines(at()), [("a:21".into(), by(Way::Passive)), ("b:21".into(), by(Way::ExtendedActive))]);
        remember(at(), "a:21", by(Way::ExtendedPassive));
        assert_eq!(lines(at()), [("b:21".into(), by(Way::ExtendedActive))]);
        remember(at(), "c:21", Learnt { way: None, one_by_one: true });
        let slow = Learnt { one_by_one: true, ..by(Way::ExtendedPassive) };
        assert_eq!(lines(at()), [("b:21".into(), by(Way::ExtendedActive)), ("c:21".into(), slow)]);
        std::fs::write(&file, b"b:21 PASV\nrubbish\nc:21 what\n\0\0 x y\nd:21 PASV often\n").expect("written");
        assert_eq!(lines(at()), [("b:21".into(), by(Way::Passive))]);
        std::fs::write(&file, b"\xff\xfe").expect("written");
        assert_eq!(lines(at()), []);
        for number in 0..PLACES_MAX + 5 {
            remember(at(), &format!("host{number}:21"), by(Way::Passive));
        }
        let kept = lines(at());
        assert_eq!((kept.len(), &kept[0].0[..]), (PLACES_MAX, "host5:21"));
    }
}
