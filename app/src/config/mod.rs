//! The configuration: read once, here, into the settings that the server is started with.
//!
//! Read in this order: [`keys`] declares, [`read`] reads, [`sample`] writes, [`settings`] builds what the server wants.

pub mod keys;
pub mod read;
pub mod sample;
pub mod settings;
