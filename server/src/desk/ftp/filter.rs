//! What is done to octets between file and line: TYPE A's line ends, MODE Z's folding.
//!
//! RFC 959 §3.1.1.1 (ASCII); draft-preston-ftpext-deflate-04 §3 (the representation first, then deflate).
//!
//! Invariants: folding, which takes the processor's time, is done on threads that may wait.
//! Not here: how it is done (ftp), when (transfer).

use ftp::deflate::{BadStream, Deflater, Inflater};
use ftp::modes::{FromWire, ToWire};
use ftp::{Outcome, Refusal};

/// From a file, or a listing, to the line.
pub(super) struct Folding {
    lines: Option<ToWire>,
    /// Taken out while it works.
    deflater: Option<Box<Deflater>>,
}

impl Folding {
    /// For one transfer, at this level of MODE Z.
    pub(super) fn new(ascii: bool, deflate: Option<u8>) -> Self {
        let deflater = deflate.map(|level| Box::new(Deflater::new(level)));
        Folding { lines: ascii.then(ToWire::new), deflater }
    }

    /// What these octets become.
    pub(super) async fn fold(&mut self, mut octets: Vec<u8>, is_last: bool) -> Result<Vec<u8>, Outcome> {
        if let Some(lines) = &mut self.lines {
            let mut wire = Vec::with_capacity(octets.len());
            lines.put(&octets, &mut wire);
            octets = wire;
        }
        let Some(mut deflater) = self.deflater.take() else { return Ok(octets) };
        let folded = tokio::task::spawn_blocking(move || {
            let mut wire = Vec::new();
            deflater.put(&octets, &mut wire);
            if is_last {
                deflater.end(&mut wire);
            }
            (deflater, wire)
        });
        let (deflater, wire) = folded.await.map_err(|_| Outcome::Refused(Refusal::LocalError))?;
        self.deflater = Some(deflater);
        Ok(wire)
    }
}

/// From the line to a file.
pub(super) struct Unfolding {
    lines: Option<FromWire>,
    inflater: Option<Box<Inflater>>,
    text: Vec<u8>,
}

impl Unfolding {
    /// For one transfer.
    pub(super) fn new(ascii: bool, deflated: bool) -> Self {
        let inflater = deflated.then(|| Box::new(Inflater::default()));
        Unfolding { lines: ascii.then(FromWire::new), inflater, text: Vec::new() }
    }

    /// Whether octets go into the file as they come.
    pub(super) fn is_nothing(&self) -> bool {
        self.lines.is_none() && self.inflater.is_none()
    }

    /// Whether few octets may become many.
    pub(super) fn is_of_mode_z(&self) -> bool {
        self.inflater.is_some()
    }

    /// Gives away what these octets become, piece by piece. Blocks as long as `take` does.
    pub(super) fn put(
        &mut self,
        octets: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Outcome>,
    ) -> Result<(), Outcome> {
        let Unfolding { lines, inflater, text } = self;
        let mut take_lines = |octets: &[u8]| match lines {
            None => take(octets),
            Some(lines) => {
                text.clear();
                lines.put(octets, text);
                take(text)
            }
        };
        match inflater {
            None => take_lines(octets),
            Some(inflater) => inflater.put(octets, |octets| take_lines(octets).map_err(Stopped::Taken)).map_err(why),
        }
    }

    /// Gives away the rest.
    pub(super) fn end(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Outcome>) -> Result<(), Outcome> {
        if let Some(inflater) = &self.inflater {
            inflater.end().map_err(|bad| why(bad.into()))?;
        }
        let Some(lines) = &mut self.lines else { return Ok(()) };
        self.text.clear();
        lines.end(&mut self.text);
        take(&self.text)
    }
}

/// Why unfolding ended early.
enum Stopped {
    Flawed,
    Taken(Outcome),
}

impl From<BadStream> for Stopped {
    fn from(_: BadStream) -> Self {
        Stopped::Flawed
    }
}

fn why(stopped: Stopped) -> Outcome {
    match stopped {
        Stopped::Flawed => Outcome::Garbled,
        Stopped::Taken(outcome) => outcome,
    }
}
