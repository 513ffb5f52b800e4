//! The memory bound, in a program of its own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    dead_code,
    reason = "tests"
)]

#[path = "../field.rs"]
mod field;
mod memory;
