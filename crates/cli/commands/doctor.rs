//! `outcrop doctor`.

use outcrop_compute::human;
use outcrop_store::{Diagnosis, Href};
use serde_json::json;

use crate::args::DoctorArgs;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::print;

/// A clock that is further off than this is refused by signatures of S3 (15 minutes); the half is worth a word.
const OFF_S: i64 = 450;

pub(crate) fn run(context: &Context, args: &DoctorArgs) -> Result<Outcome, Failure> {
    let href = Href::parse(&args.href)?;
    let found = context.wait(context.store.diagnose(&href))?;
    let (bytes, time) = found.sample;
    let speed = bytes as f64 / time.as_secs_f64().max(1e-6);
    if context.json {
        print::json(&json!({
            "href": href.to_string(), "located": found.located.to_string(), "credentials": found.has_credentials,
            "protocol": found.protocol, "first_byte_seconds": found.first_byte.as_secs_f64(), "size": found.size,
            "ranges": found.has_ranges, "etag": found.etag, "strong_etag": found.has_strong_etag(),
            "digests": found.digests, "bytes_per_second": speed, "sampled_bytes": bytes,
            "clock_ahead_seconds": found.clock_ahead_s,
        }));
        return Ok(Outcome::Done);
    }
    let lines = lines(&href, &found, speed);
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("  {name:<12} {value}\n")).collect();
    print::data(&format!("{href}\n{}", lines.concat()));
    Ok(Outcome::Done)
}

fn lines(href: &Href, found: &Diagnosis, speed: f64) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if found.located != *href {
        lines.push(("located", found.located.to_string()));
    }
    if !href.is_local() {
        let sent = if found.has_credentials { "sent with the first request" } else { "none for this origin" };
        lines.push(("credentials", sent.to_owned()));
        lines.push(("answer", format!("{}, {} ms to its headers", found.protocol, found.first_byte.as_millis())));
    }
    let size = found.size.map_or("not told: copies are unverified unless the catalog knows more".to_owned(), human);
    lines.push(("size", size));
    if !href.is_local() {
        let ranges = if found.has_ranges { "yes" } else { "no: files are read whole, parts cannot be opened" };
        lines.push(("ranges", ranges.to_owned()));
        let etag = match (&found.etag, found.has_strong_etag()) {
            (Some(_), true) => "strong: unfinished copies are gone on with",
            (Some(_), false) => "weak: unfinished copies start over, unless the catalog has a checksum",
            (None, _) => "none: unfinished copies start over, unless the catalog has a checksum",
        };
        lines.push(("ETag", etag.to_owned()));
        let digests = if found.digests.is_empty() { "none".to_owned() } else { found.digests.join(", ") };
        lines.push(("digests", digests));
    }
    let bytes = found.sample.0;
    // A few bytes tell of the latency, not of the speed.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is shown, and not negative")]
    let rate = if bytes < 1 << 16 {
        "too small to tell".to_owned()
    } else {
        format!("{}/s over {}", human(speed as u64), human(bytes))
    };
    lines.push(("speed", rate));
    if let Some(ahead) = found.clock_ahead_s {
        let word = if ahead < 0 { "behind" } else { "ahead" };
        let off = if ahead.abs() > OFF_S { ": signatures may be refused, set the clock of this machine" } else { "" };
        lines.push(("clock", format!("the host is {} s {word}{off}", ahead.abs())));
    }
    lines
}
