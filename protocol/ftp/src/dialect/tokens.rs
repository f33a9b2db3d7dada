//! The words of a line, and what stands behind any of them.

/// Words with blanks between them.
#[derive(Debug)]
pub struct Tokens<'a> {
    line: &'a [u8],
    /// Start and end of each.
    places: Vec<(usize, usize)>,
}

/// More words than this before a name there are in no dialect; a name may have thousands.
const TOKENS_MAX: usize = 24;

impl<'a> Tokens<'a> {
    pub fn of(line: &'a [u8]) -> Self {
        let (mut places, mut start) = (Vec::new(), None);
        for (at, octet) in line.iter().enumerate() {
            match (start, matches!(octet, b' ' | b'\t')) {
                (None, false) => start = Some(at),
                (Some(begun), true) => {
                    places.push((begun, at));
                    start = None;
                }
                _ => {}
            }
            if places.len() == TOKENS_MAX {
                return Tokens { line, places };
            }
        }
        places.extend(start.map(|begun| (begun, line.len())));
        Tokens { line, places }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The word at this place; nothing if there is none.
    pub fn word(&self, at: usize) -> &'a [u8] {
        self.places.get(at).map_or(b"", |&(start, end)| &self.line[start..end])
    }

    /// As text; nothing if it is none.
    pub fn text(&self, at: usize) -> &'a str {
        std::str::from_utf8(self.word(at)).unwrap_or("")
    }

    /// As a number, perhaps with separators of thousands.
    pub fn number(&self, at: usize) -> Option<u64> {
        number(self.word(at))
    }

    /// Everything from this word on.
    pub fn from(&self, at: usize) -> &'a [u8] {
        self.places.get(at).map_or(b"", |&(start, _)| &self.line[start..])
    }

    /// Everything behind this word and the one blank that follows it: blanks at the start of a name belong to it.
    pub fn behind(&self, at: usize) -> &'a [u8] {
        self.places.get(at).and_then(|&(_, end)| self.line.get(end + 1..)).unwrap_or_default()
    }
}

/// Digits, with commas, points or apostrophes between thousands.
pub fn number(word: &[u8]) -> Option<u64> {
    if !word.first()?.is_ascii_digit() || !word.last()?.is_ascii_digit() {
        return None;
    }
    word.iter().try_fold(0u64, |sum, octet| match octet {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(octet - b'0')),
        b',' | b'.' | b'\'' => Some(sum),
        _ => None,
    })
}

/// Digits and nothing else.
pub fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())).then(|| text.parse().ok())?
}
