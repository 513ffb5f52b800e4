//! Tests of stores; what servers do wrong is tested with transfers, in the crate fetcher.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod oidc;
mod stores;
