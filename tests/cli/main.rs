//! The command as a person meets it: a black box with arguments, stdout, stderr, an exit code and files.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on has failed")]

mod bench;
mod calls;
mod catalogs;
mod converting;
mod disk;
mod fetching;
mod files;
mod help;
mod kill;
mod limits;
mod object_stores;
mod program_faults;
mod programs;
mod references;
mod saving;
mod secrets;
mod sources;
