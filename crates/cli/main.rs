//! The command `outcrop`.
fn main() {}
