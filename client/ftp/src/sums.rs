//! Sums, ours and the server's, to see whether two stretches are the same.
//!
//! draft-bryan-ftpext-hash-02 §3 (HASH, with RANG before it for a stretch); the X verbs, which were never written down.
//!
//! Invariants: a sum that cannot be had is no reason to fail, and no proof either.
//! Not here: what follows from a difference.

use crate::connection::Connection;
use crate::error::Error;
use aws_lc_rs::digest::{self, Context};
use ftp::command::{Options, Stretch};
use ftp::{Command, HashKind, WirePath};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

const BUFFER: usize = 256 * 1024;

/// A sum being made.
pub(crate) enum Summing {
    Crc32(crc32fast::Hasher),
    Sha(Box<Context>),
}

impl Summing {
    /// What we can count ourselves: MD5 proves nothing that CRC-32 does not.
    pub(crate) fn of(kind: HashKind) -> Option<Self> {
        Some(match kind {
            HashKind::Crc32 => Summing::Crc32(crc32fast::Hasher::new()),
            HashKind::Sha1 => Summing::Sha(Box::new(Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY))),
            HashKind::Sha256 => Summing::Sha(Box::new(Context::new(&digest::SHA256))),
            HashKind::Sha512 => Summing::Sha(Box::new(Context::new(&digest::SHA512))),
            HashKind::Md5 => return None,
        })
    }

    /// Counts more octets.
    pub(crate) fn take(&mut self, octets: &[u8]) {
        match self {
            Summing::Crc32(hasher) => hasher.update(octets),
            Summing::Sha(context) => context.update(octets),
        }
    }

    /// The sum, as hexadecimal digits.
    pub(crate) fn digits(self) -> String {
        match self {
            Summing::Crc32(hasher) => ftp::hash::hex(&hasher.finalize().to_be_bytes()),
            Summing::Sha(context) => ftp::hash::hex(context.finish().as_ref()),
        }
    }
}

/// The sum of a stretch of a file here, as hexadecimal digits.
pub async fn local(file: Arc<File>, kind: HashKind, stretch: Range<u64>) -> io::Result<Option<String>> {
    let Some(mut summing) = Summing::of(kind) else { return Ok(None) };
    let counted = tokio::task::spawn_blocking(move || {
        let (mut buffer, Range { start: mut at, end: until }) = (vec![0; BUFFER], stretch);
        while at < until {
            let want = usize::try_from(until - at).unwrap_or(BUFFER).min(BUFFER);
            let read = file.read_at(&mut buffer[..want], at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            summing.take(&buffer[..read]);
            at += read as u64;
        }
        Ok(summing.digits())
    });
    counted.await.map_err(io::Error::other)?.map(Some)
}

impl Connection {
    /// Whether the first octets of a file there are the same as this stretch of one here. `None` if the server cannot tell.
    pub(crate) async fn same_sum(
        &mut self,
        path: &WirePath,
        file: &Arc<File>,
        stretch: &Range<u64>,
    ) -> Result<Option<bool>, Error> {
        let Some((kind, told)) = self.remote_sum(path, stretch.end - stretch.start).await? else { return Ok(None) };
        let counted = local(file.clone(), kind, stretch.clone())
            .await
            .map_err(|why| Error::local("the file to be compared", why))?;
        Ok(counted.map(|counted| told.eq_ignore_ascii_case(&counted)))
    }

    /// Whether the first `until` octets of a file there are the same as those of one on another server. `None` if they have no
    /// kind of sum in common.
    pub(crate) async fn same_sum_there(
        &mut self,
        path: &WirePath,
        other: &mut Connection,
        other_path: &WirePath,
        until: u64,
    ) -> Result<Option<bool>, Error> {
        let kinds = [HashKind::Sha256, HashKind::Sha512, HashKind::Sha1, HashKind::Md5, HashKind::Crc32];
        let common = kinds.into_iter().find(|kind| self.tells(*kind) && other.tells(*kind));
        let Some(kind) = common else { return Ok(None) };
        let (one, two) = tokio::join!(self.sum_by(kind, path, until), other.sum_by(kind, other_path, until));
        Ok(one?.zip(two?).map(|(one, two)| one.eq_ignore_ascii_case(&two)))
    }

    fn tells(&self, kind: HashKind) -> bool {
        self.features().hash.contains(&kind) || self.features().digests.contains(&kind)
    }

    async fn remote_sum(&mut self, path: &WirePath, until: u64) -> Result<Option<(HashKind, String)>, Error> {
        let Some(kind) = self.kind_of_sum() else { return Ok(None) };
        Ok(self.sum_by(kind, path, until).await?.map(|sum| (kind, sum)))
    }

    /// Which of the sums that the server tells we count, too.
    pub(crate) fn kind_of_sum(&self) -> Option<HashKind> {
        let ours = |kind: &&HashKind| Summing::of(**kind).is_some();
        let best = [HashKind::Sha256, HashKind::Sha512, HashKind::Sha1, HashKind::Crc32];
        let selected = self.features().hash.iter().find(ours).copied();
        selected.or_else(|| best.into_iter().find(|kind| self.tells(*kind)))
    }

    /// The sum of the first octets of a file there, by one of the ways that the server has.
    pub(crate) async fn sum_by(
        &mut self,
        kind: HashKind,
        path: &WirePath,
        until: u64,
    ) -> Result<Option<String>, Error> {
        let hash = self.features().hash.contains(&kind);
        let stretches = self.features().rang || until == 0;
        if !(hash && stretches) && self.features().digests.contains(&kind) {
            let stretch = Stretch { path: path.clone(), from: 0, until: Some(until) };
            let reply = self.say(vec![Command::Digest(kind, stretch).into()]).await?.swap_remove(0);
            return Ok(digits_in(&reply, kind).filter(|_| reply.is_positive()));
        }
        // Without RANG, HASH tells of whole files only: good enough where the stretch is all of it.
        if !hash || !stretches && self.measure(path).await?.0 != Some(until) {
            return Ok(None);
        }
        let mut words = Vec::new();
        if self.features().hash.len() > 1 {
            words.push(Command::Opts(Options::Hash(Some(kind))).into());
        }
        if stretches && until > 0 {
            words.push(Command::Rang(0, until - 1).into());
        }
        words.push(Command::Hash(path.clone()).into());
        let replies = self.say(words).await?;
        Ok(replies.last().filter(|reply| reply.is_positive()).and_then(|reply| digits_in(reply, kind)))
    }
}

/// The only word of hexadecimal digits that is as long as the sum.
fn digits_in(reply: &ftp::Reply, kind: HashKind) -> Option<String> {
    let text = reply.to_string();
    let is_sum =
        |word: &&str| word.len() == kind.digest_octets() * 2 && word.bytes().all(|octet| octet.is_ascii_hexdigit());
    text.split_whitespace().skip(1).find(is_sum).map(Into::into)
}
