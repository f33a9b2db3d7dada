//! A load generator that checks every answer.
fn main() {}
