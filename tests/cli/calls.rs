//! Calls of the system that fail, a few of them; `tests/torture.sh` takes each.

use std::process::Command;

use crate::bench::BIN;

#[test]
fn calls_that_fail_or_are_the_last_leave_nothing_false() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture/calls.py");
    let Ok(output) = Command::new("python3").args([script, BIN, "--every", "23"]).output() else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprintln!("{text}");
    assert!(output.status.success(), "{text}");
}
