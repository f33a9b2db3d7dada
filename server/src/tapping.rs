//! Listening in: every dialogue, printed as it goes over the wire, for learning and for finding out.
//!
//! Not here: how lines look and what is hidden (net).

use crate::house::SessionId;
use net::tap::{Label, Printer, Side, Tap, Tapped};
use std::io::IsTerminal;
use std::sync::Arc;

/// Whether dialogues are printed, and where.
#[derive(Clone, Default)]
pub struct Tapping(Option<Arc<dyn Tap>>);

impl Tapping {
    /// Prints to standard output.
    pub fn printing() -> Self {
        let colourless = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let out = std::io::stdout();
        let colours = out.is_terminal() && !colourless;
        Tapping(Some(Arc::new(Printer::new(out, colours))))
    }

    /// A tap on one conversation, if dialogues are printed.
    pub fn on(&self, session: SessionId, protocol: &'static str, port: u16, side: Side) -> Option<Tapped> {
        let tap = self.0.as_ref()?;
        Some(Tapped::new(Arc::clone(tap), Label { session: session.to_string(), protocol, port, side }))
    }
}
