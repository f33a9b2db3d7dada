//! The dialogue with the server, for whoever wants to see it.

use super::super::show::Screen;
use net::tap::{Heard, Label, Printer, Tap};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Listens in, and shows it while it is switched on.
pub struct Dialogue {
    on: AtomicBool,
    printer: Printer<Lines>,
}

impl Dialogue {
    pub fn new(on: bool, screen: Screen, colours: bool) -> Arc<Self> {
        Arc::new(Dialogue { on: on.into(), printer: Printer::new(Lines(screen), colours) })
    }

    /// Switches it; says what it was.
    pub fn switch(&self, on: bool) -> bool {
        self.on.swap(on, Ordering::Relaxed)
    }

    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }
}

impl Tap for Dialogue {
    fn hear(&self, label: &Label, heard: Heard<'_>) {
        if self.is_on() {
            self.printer.hear(label, heard);
        }
    }
}

struct Lines(Screen);

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(octets);
        self.0.line(text.trim_end_matches('\n'));
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
