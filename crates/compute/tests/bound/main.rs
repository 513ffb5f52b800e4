//! The memory bound, in a program of its own.
#![expect(clippy::unwrap_used, clippy::panic, dead_code, reason = "tests")]

#[path = "../field.rs"]
mod field;
mod memory;
