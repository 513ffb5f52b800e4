//! A faulty archive for other programs: prints its URL, then serves one object a fault until it is killed.
//!
//! `tests/peers.sh` runs curl, rclone, aria2 and outcrop against it.

use std::io::Write;
use std::time::Duration;

use outcrop_testkit::{Archive, Fault, Object, Times};

const SIZE: usize = 20 << 20;

fn content(seed: u8) -> Vec<u8> {
    (0..SIZE).map(|i| u8::try_from((i / 1009) % 251).unwrap_or(0) ^ seed).collect()
}

fn main() -> std::io::Result<()> {
    let archive = Archive::start();
    let first = |fault: Fault| vec![(fault, Times::First(1))];
    let always = |fault: Fault| vec![(fault, Times::Always)];
    let half = SIZE / 2;
    let replaced = Fault::Replaced(content(1), Some("\"two\"".to_owned()));
    let busy: Vec<(Fault, Times)> = Fault::busy("2").into_iter().map(|fault| (fault, Times::First(2))).collect();
    let html = Fault::Body(b"<!DOCTYPE html><html>log in</html>".to_vec());
    let cases: Vec<(&str, Vec<(Fault, Times)>)> = vec![
        ("good", Vec::new()),
        ("cut-once", first(Fault::Cut(half))),
        ("cut-always-at-half", always(Fault::Cut(half))),
        ("cut-without-length", vec![(Fault::NoLength, Times::Always), (Fault::Cut(half), Times::First(1))]),
        ("chunked-without-end", vec![(Fault::ChunkedWithoutEnd, Times::Always), (Fault::Cut(half), Times::Always)]),
        ("replaced-in-between", vec![(replaced, Times::After(1)), (Fault::Cut(half), Times::First(1))]),
        ("no-ranges-cut-once", vec![(Fault::NoRanges, Times::Always), (Fault::Cut(half), Times::First(1))]),
        ("busy", busy),
        ("login-page", always(html)),
        ("reset-twice", vec![(Fault::Reset, Times::First(2))]),
        ("drips-in-pieces", always(Fault::Drip { piece: 4 << 20, every: Duration::from_millis(20) })),
    ];
    for (name, faults) in cases {
        let object = faults.into_iter().fold(Object::new(content(0)), |o, (fault, times)| o.with_fault(fault, times));
        archive.put(&format!("{name}.nc"), object);
    }
    // One good object of each version, to compare with.
    archive.put("want-0.bin", Object::new(content(0)));
    archive.put("want-1.bin", Object::new(content(1)));
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", archive.url(""))?;
    out.flush()?;
    loop {
        std::thread::sleep(Duration::from_hours(1));
    }
}
