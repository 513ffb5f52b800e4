//! Tests of the compute crate.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "tests"
)]

mod basics;
mod field;
mod operations;
mod resume;
mod signal;
