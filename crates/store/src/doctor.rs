//! What a host can do, as far as one object of it tells: ranges, ETags, digests, speed, clock, credentials.

use std::time::{Duration, Instant, SystemTime};

use reqwest::header::DATE;

use crate::bucket::Ask;
use crate::{Error, Href, Result, Store};

/// Most bytes that are read to tell the speed.
const SAMPLE: u64 = 8 << 20;
/// Longest time for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What one object tells of its host.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// Where the request went: of an alias its URL.
    pub located: Href,
    /// True if the first request carried credentials.
    pub has_credentials: bool,
    /// Protocol of the answer, such as `HTTP/2.0`; `file` of a local file.
    pub protocol: String,
    /// Time from the request to the headers of the answer.
    pub first_byte: Duration,
    /// Size of the object in bytes, where it is told.
    pub size: Option<u64>,
    /// A part can be asked for.
    pub has_ranges: bool,
    /// Its ETag, where there is one.
    pub etag: Option<String>,
    /// The headers in which digests are told.
    pub digests: Vec<String>,
    /// Bytes that were read to tell the speed, and in what time.
    pub sample: (u64, Duration),
    /// How far the clock of the host is ahead of ours, in seconds.
    pub clock_ahead_s: Option<i64>,
}

impl Diagnosis {
    /// True if its ETag tells versions apart to the byte, so that unfinished copies can be gone on with.
    pub fn has_strong_etag(&self) -> bool {
        self.etag.as_ref().is_some_and(|etag| !etag.starts_with("W/"))
    }
}

impl Store {
    /// Asks an object for what its host can do: two requests, of which the second reads at most 8 MiB.
    ///
    /// # Errors
    /// Those of [`Store::stream`].
    pub async fn diagnose(&self, href: &Href) -> Result<Diagnosis> {
        let located = self.located(href)?;
        let mut found = Diagnosis {
            has_credentials: false,
            protocol: "file".to_owned(),
            first_byte: Duration::ZERO,
            size: None,
            has_ranges: true,
            etag: None,
            digests: Vec::new(),
            sample: (0, Duration::ZERO),
            clock_ahead_s: None,
            located,
        };
        if self.is_remote(href)? {
            self.ask_for_a_byte(href, &mut found).await?;
        }
        let start = Instant::now();
        let mut stream = self.stream(href).await?;
        found.size = found.size.or(stream.size);
        found.etag = found.etag.or_else(|| stream.etag.clone()).filter(|_| !href.is_local());
        let is_digest = |name: &&(String, String)| name.0 != "etag" && !name.0.starts_with("x-amz-server");
        found.digests = stream.digests.iter().filter(is_digest).map(|(name, _)| name.clone()).collect();
        while let Some(part) = stream.next().await? {
            found.sample.0 += part.len() as u64;
            if found.sample.0 >= SAMPLE || start.elapsed() > PATIENCE {
                break;
            }
        }
        found.sample.1 = start.elapsed();
        Ok(found)
    }

    /// The first byte alone: whether ranges are obeyed, and what the headers say.
    async fn ask_for_a_byte(&self, href: &Href, found: &mut Diagnosis) -> Result<()> {
        found.has_credentials = self.http.has_credentials(href)?;
        let _permit = self.permit(href).await;
        let start = Instant::now();
        let answer = match self.http.open(None, &Ask::range(href, &(0..1), None)).await {
            // An object of no bytes has no first one.
            Err(Error::Status { status: 416, .. }) => return Ok(()),
            other => other?,
        };
        found.first_byte = start.elapsed();
        found.has_ranges = answer.is_partial;
        found.size = answer.size;
        found.etag.clone_from(&answer.etag);
        found.protocol = format!("{:?}", answer.response.version());
        let date = answer.response.headers().get(DATE).and_then(|value| value.to_str().ok());
        let date = date.and_then(|text| httpdate::parse_http_date(text).ok());
        found.clock_ahead_s = date.map(|there| seconds_ahead(there, SystemTime::now()));
        Ok(())
    }
}

fn seconds_ahead(there: SystemTime, here: SystemTime) -> i64 {
    let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match there.duration_since(here) {
        Ok(ahead) => whole(ahead),
        Err(behind) => -whole(behind.duration()),
    }
}
