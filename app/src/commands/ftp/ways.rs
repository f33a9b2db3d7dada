//! Ways to data connections that have worked: what a firewall lets through is found out once, not in every run.
//!
//! Invariants: what cannot be read is passed over, what cannot be written is not missed; the file has at most [`PLACES_MAX`] lines.
//! Not here: which ways there are, and trying another one where this fails (the client library).

use super::{known, places};
use ftp_client::{ProvenWay, Url, Way};
use std::path::PathBuf;

const FILE: &str = "ftp-ways";

/// Who goes to more places than these meets the oldest as if it were for the first time.
const PLACES_MAX: usize = 200;

const WORDS: [(&str, Way); 4] =
    [("EPSV", Way::ExtendedPassive), ("PASV", Way::Passive), ("EPRT", Way::ExtendedActive), ("PORT", Way::Active)];

/// The one that has worked with this place, which will be remembered if another one does.
pub fn of(url: &Url) -> ProvenWay {
    let (place, file) = (known::place(url), places::state(FILE));
    let found = lines(file.clone()).into_iter().find(|(name, _)| *name == place).map(|(_, way)| way);
    ProvenWay::known(found, move |way| remember(file.clone(), &place, way))
}

fn lines(file: Option<PathBuf>) -> Vec<(String, Way)> {
    // Who cannot read it knows nothing, and finds out.
    let lines = places::lines(file).unwrap_or_default().into_iter();
    let read = |words: Vec<String>| match &words[..] {
        [place, word] => Some((place.clone(), WORDS.iter().find(|(name, _)| name == word)?.1)),
        _ => None,
    };
    let mut lines: Vec<_> = lines.filter_map(read).collect();
    lines.drain(..lines.len().saturating_sub(PLACES_MAX));
    lines
}

fn remember(file: Option<PathBuf>, place: &str, way: Way) {
    let Some(file) = file else { return };
    let mut lines = lines(Some(file.clone()));
    let before = lines.len();
    lines.retain(|(name, _)| name != place);
    // What everybody tries first need not be written down.
    if way != Way::ExtendedPassive {
        lines.push((place.to_owned(), way));
    } else if lines.len() == before {
        return;
    }
    lines.drain(..lines.len().saturating_sub(PLACES_MAX));
    let word = |way: Way| WORDS.iter().find(|(_, other)| *other == way).map_or("EPSV", |(word, _)| word);
    let text: String = lines.iter().map(|(place, way)| format!("{place} {}\n", word(*way))).collect();
    let _ = places::write(&file, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_worked_is_remembered_and_rubbish_does_no_harm() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("state/ftp-ways");
        let at = || Some(file.clone());
        remember(at(), "a:21", Way::ExtendedPassive);
        assert!(!file.exists(), "what is usual is not worth a file");
        remember(at(), "a:21", Way::Passive);
        remember(at(), "b:21", Way::ExtendedActive);
        assert_eq!(lines(at()), [("a:21".to_owned(), Way::Passive), ("b:21".to_owned(), Way::ExtendedActive)]);
        remember(at(), "a:21", Way::ExtendedPassive);
        assert_eq!(lines(at()), [("b:21".to_owned(), Way::ExtendedActive)]);
        std::fs::write(&file, b"b:21 PASV\nrubbish\nc:21 what\n\0\0 x y\n").expect("written");
        assert_eq!(lines(at()), [("b:21".to_owned(), Way::Passive)]);
        std::fs::write(&file, b"\xff\xfe").expect("written");
        assert_eq!(lines(at()), []);
        for number in 0..PLACES_MAX + 5 {
            remember(at(), &format!("host{number}:21"), Way::Passive);
        }
        let kept = lines(at());
        assert_eq!((kept.len(), &kept[0].0[..]), (PLACES_MAX, "host5:21"));
    }
}
