//! A session of IMAP: logged in, one command at a time, every response looked at.
//!
//! RFC 9051 §2.2 (commands, responses), §6.2–6.4; RFC 7888 (LITERAL+).
//!
//! Invariants: a command ends with its own tag and OK, or the run ends; nothing unasked for is passed over in silence.
//! Not here: what is done with it (`imap`).

use crate::wire::{Door, Wire};
use anyhow::{Context, Result, bail, ensure};

/// A session that is logged in.
pub struct Reader {
    wire: Wire,
    tag: u32,
}

impl Reader {
    /// Connects and logs in.
    pub async fn open(door: &Door, nth: usize, user: &str, pass: &str) -> Result<Reader> {
        let mut wire = door.open(nth).await?;
        let greeting = wire.line().await.context("awaiting the greeting")?;
        ensure!(greeting.starts_with(b"* OK"), "greeted by {:?}", String::from_utf8_lossy(greeting));
        let mut reader = Reader { wire, tag: 0 };
        if door.starttls() {
            reader.command("STARTTLS").await?;
            reader.wire.secure().await?;
        }
        reader.command(&format!("LOGIN \"{user}\" \"{pass}\"")).await.with_context(|| format!("user {user}"))?;
        Ok(reader)
    }

    /// A command whose untagged responses do not matter.
    pub async fn command(&mut self, command: &str) -> Result<()> {
        self.asked(command, |_| Ok(())).await
    }

    /// A command; `look` gets each untagged response, behind its `* `.
    pub async fn asked(&mut self, command: &str, look: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.say(format!("{command}\r\n").as_bytes()).await?;
        self.end_of(command, look).await
    }

    /// Sends a command, or its beginning, under a new tag.
    pub async fn say(&mut self, command: &[u8]) -> Result<()> {
        self.tag += 1;
        let tagged = [format!("b{} ", self.tag).as_bytes(), command].concat();
        self.wire.send(&tagged).await
    }

    /// The responses up to the OK of the last command.
    pub async fn end_of(&mut self, command: &str, mut look: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let tag = format!("b{} ", self.tag);
        loop {
            let response = self.wire.response().await.with_context(|| format!("awaiting the end of {command}"))?;
            if let Some(untagged) = response.strip_prefix(b"* ") {
                look(untagged).with_context(|| format!("the answer to {command}"))?;
            } else if let Some(status) = response.strip_prefix(tag.as_bytes()) {
                ensure!(status.starts_with(b"OK"), "{command} was answered {:?}", String::from_utf8_lossy(status));
                return Ok(());
            } else {
                bail!("{command} was answered {:?}", String::from_utf8_lossy(response));
            }
        }
    }

    /// SELECT; how many messages there are.
    pub async fn select(&mut self, mailbox: &str) -> Result<u32> {
        let mut exists = None;
        let note = |untagged: &[u8]| {
            exists = number_before(untagged, b" EXISTS").or(exists);
            Ok(())
        };
        self.asked(&format!("SELECT \"{mailbox}\""), note).await?;
        exists.context("SELECT says nothing of EXISTS")
    }

    /// One message, with its OK.
    pub async fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<()> {
        let begin = format!("APPEND \"{mailbox}\" {{{}+}}\r\n", message.len());
        self.say(&[begin.as_bytes(), message, b"\r\n"].concat()).await?;
        self.end_of("APPEND", |_| Ok(())).await
    }

    /// Begins to idle.
    pub async fn idle(&mut self) -> Result<()> {
        self.say(b"IDLE\r\n").await?;
        loop {
            let response = self.wire.response().await.context("awaiting IDLE's continuation")?;
            if response.starts_with(b"+") {
                return Ok(());
            }
            ensure!(response.starts_with(b"* "), "IDLE was answered {:?}", String::from_utf8_lossy(response));
        }
    }

    /// The next word that more messages exist, while idling.
    pub async fn noticed(&mut self) -> Result<u32> {
        loop {
            let response = self.wire.response().await.context("idling")?;
            let untagged = response.strip_prefix(b"* ").context("a session in IDLE is told something else")?;
            if let Some(exists) = number_before(untagged, b" EXISTS") {
                return Ok(exists);
            }
        }
    }

    /// Ends IDLE.
    pub async fn done(&mut self) -> Result<()> {
        self.wire.send(b"DONE\r\n").await?;
        self.end_of("IDLE", |_| Ok(())).await
    }

    /// The connection alone.
    pub fn into_wire(self) -> Wire {
        self.wire
    }

    /// The farewell, and nothing after it.
    pub async fn logout(mut self) -> Result<()> {
        self.command("LOGOUT").await?;
        self.wire.end().await
    }
}

/// `172` of `172 EXISTS`.
pub fn number_before(untagged: &[u8], word: &[u8]) -> Option<u32> {
    std::str::from_utf8(untagged.strip_suffix(word)?).ok()?.parse().ok()
}
