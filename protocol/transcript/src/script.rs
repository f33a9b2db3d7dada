//! Reading a transcript's text into the acts it is made of.

use std::collections::HashMap;
use std::time::Duration;

/// The stage that a transcript asks for, and its settings.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The first word behind `given:`, such as `smtp-server`.
    pub stage: String,
    settings: HashMap<String, String>,
}

impl Given {
    /// The value of a setting, if the transcript has it.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// Whether a setting is `yes`.
    pub fn is(&self, key: &str) -> bool {
        self.setting(key) == Some("yes")
    }

    /// A setting as a number. Panics on anything else: a transcript that cannot be read is a failing test.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.setting(key).map(|value| value.parse().unwrap_or_else(|_| panic!("{key}={value} is not a number")))
    }
}

/// One act of a transcript, and the line it stands on.
#[derive(Debug, Clone)]
pub struct Act {
    pub line: usize,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Octets from the server or the client.
    Spoken {
        server: bool,
        words: Words,
    },
    /// Lines of ours in any order.
    Block {
        server: bool,
        lines: Vec<String>,
    },
    Kept(Words),
    Question(String),
    Answer(String),
    News(String),
    Passes(Duration),
    Tick,
    Tls(Vec<(String, String)>),
    Clear,
    Deflate,
    WeClose,
    PeerCloses,
    HouseCloses,
    SentAway,
    Exposure(String),
}

/// A line with patterns, or plain octets.
#[derive(Debug, Clone, PartialEq)]
pub enum Words {
    Line(String),
    Octets(Vec<u8>),
}

/// A transcript, read.
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub given: Given,
    /// The ways to replay it, all if empty.
    pub ways: Vec<String>,
    pub acts: Vec<Act>,
}

pub fn read(text: &str) -> Result<Script, String> {
    let mut script = Script::default();
    for (number, line) in text.lines().enumerate() {
        let line_number = number + 1;
        read_line(line, line_number, &mut script).map_err(|why| format!("line {line_number}: {why}: {line}"))?;
    }
    if script.given.stage.is_empty() {
        return Err("no `given:` line".into());
    }
    Ok(script)
}

fn read_line(line: &str, number: usize, script: &mut Script) -> Result<(), String> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let cut = line.find([':', '\\', '*']).ok_or("no mark")?;
    let (mark, rest) = line.split_at(cut + 1);
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let what = match mark {
        "given:" => {
            script.given = given(rest)?;
            return Ok(());
        }
        "replay:" => {
            script.ways = rest.split_whitespace().map(str::to_string).collect();
            return Ok(());
        }
        "S*" | "C*" => return block(mark == "S*", rest, number, script),
        "S:" | "C:" => What::Spoken { server: mark == "S:", words: Words::Line(rest.to_string()) },
        "S\\" | "C\\" => What::Spoken { server: mark == "S\\", words: Words::Octets(unescape(rest)?) },
        "K:" => What::Kept(Words::Line(rest.to_string())),
        "K\\" => What::Kept(Words::Octets(unescape(rest)?)),
        "?:" => What::Question(rest.to_string()),
        "!:" => What::Answer(rest.to_string()),
        "N:" => What::News(rest.to_string()),
        "T:" if rest == "tick" => What::Tick,
        "T:" => What::Passes(duration(rest)?),
        "TLS:" => What::Tls(pairs(rest)?),
        "CLEAR:" => What::Clear,
        "DEFLATE:" => What::Deflate,
        "X:" => match rest {
            "us" => What::WeClose,
            "peer" => What::PeerCloses,
            "house" => What::HouseCloses,
            "administrator" => What::SentAway,
            _ => return Err("`X:` wants us, peer, house or administrator".into()),
        },
        "E:" => What::Exposure(rest.to_string()),
        _ => return Err("unknown mark".into()),
    };
    script.acts.push(Act { line: number, what });
    Ok(())
}

fn block(ours: bool, rest: &str, number: usize, script: &mut Script) -> Result<(), String> {
    match script.acts.last_mut() {
        Some(Act { what: What::Block { server, lines }, .. }) if *server == ours => lines.push(rest.to_string()),
        _ => script.acts.push(Act { line: number, what: What::Block { server: ours, lines: vec![rest.to_string()] } }),
    }
    Ok(())
}

fn given(rest: &str) -> Result<Given, String> {
    let (stage, settings) = rest.split_once(' ').unwrap_or((rest, ""));
    Ok(Given { stage: stage.to_string(), settings: pairs(settings)?.into_iter().collect() })
}

fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |word: &str| {
        word.split_once('=').map(|(key, value)| (key.into(), value.into())).ok_or("settings are key=value".to_string())
    };
    text.split_whitespace().map(pair).collect()
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not like +90s, +5m, +1h or +2d");
    let text = text.strip_prefix('+').ok_or_else(wrong)?;
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(count * unit))
}

/// Octets from text with escapes.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let used = match escape.as_bytes().first() {
            Some(b'r') => push(&mut octets, b'\r'),
            Some(b'n') => push(&mut octets, b'\n'),
            Some(b't') => push(&mut octets, b'\t'),
            Some(b'0') => push(&mut octets, 0),
            Some(b'\\') => push(&mut octets, b'\\'),
            Some(b'x') => {
                let hex = escape.get(1..3).ok_or("`\\x` wants two digits")?;
                octets.push(u8::from_str_radix(hex, 16).map_err(|_| "`\\x` wants two digits")?);
                3
            }
            Some(b'{') => {
                let end = escape.find('}').ok_or("`\\{` wants a `}`")?;
                let (what, count) = escape[1..end].rsplit_once('*').ok_or("`\\{text*count}`")?;
                let count: usize = count.parse().map_err(|_| "`\\{text*count}`")?;
                octets.extend(unescape(what)?.repeat(count));
                end + 1
            }
            _ => return Err("unknown escape".into()),
        };
        rest = &escape[used..];
    }
    octets.extend_from_slice(rest.as_bytes());
    Ok(octets)
}

fn push(octets: &mut Vec<u8>, octet: u8) -> usize {
    octets.push(octet);
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\r\n\x00\\\{b\n*3}c").unwrap(), b"a\r\n\0\\b\nb\nb\nc");
        assert!(unescape(r"\q").is_err());
    }

    #[test]
    fn a_transcript_is_read() {
        let script = read("# why\ngiven: x a=b\nS: hi\nT: +2m\nS* b\nS* c\nX: us\n").unwrap();
        assert_eq!(script.given.setting("a"), Some("b"));
        assert_eq!(script.acts.len(), 4);
        assert!(read("S: hi").is_err());
    }
}
