//! Tests of stores, and what servers do wrong; one program, since each costs its linking.

mod faults;
mod stores;
