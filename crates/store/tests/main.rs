//! Tests of stores; what servers do wrong is tested with transfers, in the crate fetcher.

mod oidc;
mod stores;
