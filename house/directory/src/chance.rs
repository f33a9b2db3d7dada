//! The one place of this room where chance comes from.
//!
//! Not here: what the random octets are for (secrets, doorkeeper).

use aws_lc_rs::rand;

/// Random octets from the operating system's generator, by way of aws-lc-rs.
///
/// # Panics
/// When the system has no randomness: then nothing we could hand out would be a secret.
pub(crate) fn octets<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    rand::fill(&mut octets).expect("the system gives random octets");
    octets
}
