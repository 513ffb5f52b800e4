//! Tests of fetches and of single transfers; one program, since each costs its linking.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod cut;
mod destinations;
mod faults;
mod fetch;
mod many;
mod origins;
mod raced;
mod resume;
mod slow;
