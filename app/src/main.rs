//! The `packetboat` binary.
fn main() {}
