//! The configuration: read once, here, into the settings that the server is started with.
//!
//! Read in this order: [`keys`] declares, [`read`] reads, [`sample`] writes, [`settings`] builds what the server wants,
//! [`spaces`] for files, [`advice`] says what may be meant otherwise.

pub mod advice;
pub mod keys;
pub mod read;
pub mod sample;
pub mod settings;
pub mod spaces;
