//! What a server says it can do.
//!
//! RFC 2389 §3.2 (FEAT); RFC 3659 §7.8 (MLST), §5.4 (REST STREAM); draft-bryan-ftpext-hash-02 §3.2 (HASH).
//!
//! Invariants: words that nobody knows are passed over; a feature is not taken for granted because others have it.
//! Not here: using them.

use crate::hash::HashKind;
use crate::reply::Reply;

/// What a server says it can do, as far as it matters to us.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    /// MLST and MLSD, and what stands behind them: `type*;size*;…`.
    pub facts: Option<String>,
    /// Names are UTF-8.
    pub utf8: bool,
    /// SIZE.
    pub size: bool,
    /// MDTM.
    pub mdtm: bool,
    /// MFMT.
    pub mfmt: bool,
    /// MFF, and which facts it changes.
    pub mff: Option<String>,
    /// REST in stream mode.
    pub rest: bool,
    /// RANG in stream mode.
    pub rang: bool,
    /// HOST.
    pub host: bool,
    /// CLNT.
    pub clnt: bool,
    /// CSID.
    pub csid: bool,
    /// HASH with these functions, the selected one first.
    pub hash: Vec<HashKind>,
    /// XCRC, XMD5, XSHA… for these functions.
    pub digests: Vec<HashKind>,
    /// COMB.
    pub comb: bool,
    /// SITE SYMLINK.
    pub symlink: bool,
    /// AVBL.
    pub avbl: bool,
}

impl Features {
    /// What a reply to FEAT says.
    pub fn read(reply: &Reply) -> Self {
        let mut features = Features::default();
        if reply.is_positive() {
            reply.lines().for_each(|line| features.line(line));
        }
        features
    }

    /// Whether MLST and MLSD tell files from one another (RFC 3659 §7.5.2).
    pub fn tells_unique(&self) -> bool {
        self.facts.as_deref().is_some_and(|facts| facts.to_ascii_lowercase().contains("unique"))
    }

    fn line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line.trim_ascii());
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let stream = rest.eq_ignore_ascii_case("STREAM");
        match word.to_ascii_uppercase().as_str() {
            "MLST" => self.facts = Some(rest.into()),
            // RFC 3659 §7.8: MLST stands for both, but some name only the one that they have.
            "MLSD" => drop(self.facts.get_or_insert_default()),
            "UTF8" | "UTF-8" => self.utf8 = true,
            "SIZE" => self.size = true,
            "MDTM" => self.mdtm = true,
            "MFMT" => self.mfmt = true,
            "MFF" => self.mff = Some(rest.to_ascii_lowercase()),
            "REST" => self.rest |= stream || rest.is_empty(),
            "RANG" => self.rang |= stream,
            "HOST" => self.host = true,
            "CLNT" => self.clnt = true,
            "CSID" => self.csid = true,
            "HASH" => self.hash = functions(rest),
            "XCRC" => self.digests.push(HashKind::Crc32),
            "XMD5" => self.digests.push(HashKind::Md5),
            "XSHA1" => self.digests.push(HashKind::Sha1),
            "XSHA256" => self.digests.push(HashKind::Sha256),
            "XSHA512" => self.digests.push(HashKind::Sha512),
            "COMB" => self.comb = true,
            "AVBL" => self.avbl = true,
            "SITE" => self.symlink |= rest.split(';').any(|word| word.eq_ignore_ascii_case("SYMLINK")),
            _ => {}
        }
    }
}

/// `SHA-256;SHA-512*;MD5`, the one with the star first.
fn functions(list: &str) -> Vec<HashKind> {
    let mut found = Vec::new();
    for name in list.split(';') {
        let (name, selected) = name.strip_suffix('*').map_or((name, false), |name| (name, true));
        if let Some(kind) = HashKind::parse(name.trim().as_bytes()) {
            found.insert(if selected { 0 } else { found.len() }, kind);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_of_several_servers() {
        let text = "Extensions supported:\nEPRT\n MDTM\nMFMT\nMLST type*;size*;modify*;\nHASH SHA-256;SHA-1*;MD4\nREST STREAM\n\
                    RANG STREAM\nSITE COPY;SYMLINK\nUTF8\nXCRC \"file\"\nEnd";
        let features = Features::read(&Reply::new(211, text));
        let expected = Features {
            facts: Some("type*;size*;modify*;".into()),
            utf8: true,
            mdtm: true,
            mfmt: true,
            rest: true,
            rang: true,
            hash: vec![HashKind::Sha1, HashKind::Sha256],
            digests: vec![HashKind::Crc32],
            symlink: true,
            ..Features::default()
        };
        assert_eq!(features, expected);
        assert_eq!(Features::read(&Reply::new(502, "UTF8\nMLST")), Features::default());
    }
}
