//! Golden cases of the reference libraries.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test cannot go on without its data")]

mod signal;
