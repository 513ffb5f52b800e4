//! The body of an answer, part by part, with a limit on how slow it may be.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use reqwest::Response;

use super::answer::plain;
use crate::store::StoreOptions;
use crate::{Error, Href, Result};

/// A body that is being read. Its failures are [`Error::Transport`] with `tries: 0`, which callers may try again.
#[derive(Debug)]
pub(crate) struct Body {
    href: Href,
    response: Response,
    connect_timeout: Duration,
    read_timeout: Duration,
    pace: Pace,
    /// Since when the next part is waited for, perhaps by several calls.
    since: Option<Instant>,
}

impl Body {
    pub(crate) fn new(href: &Href, response: Response, options: &StoreOptions) -> Self {
        let pace = Pace { least: options.min_speed, window: options.speed_window, waited: Duration::ZERO, came: 0 };
        let StoreOptions { connect_timeout, read_timeout, .. } = *options;
        Self { href: href.clone(), response, connect_timeout, read_timeout, pace, since: None }
    }

    /// The next part; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let start = *self.since.get_or_insert_with(Instant::now);
        let part =
            self.response.chunk().await.map_err(|e| self.broken(plain(&e, self.connect_timeout, self.read_timeout)))?;
        self.since = None;
        if let Some(part) = &part
            && !self.pace.keeps(part.len(), start.elapsed())
        {
            let (least, window) = (self.pace.least, self.pace.window);
            let why = format!("fewer than {least} bytes a second came for {window:?}");
            return Err(self.broken(std::io::Error::new(ErrorKind::TimedOut, why)));
        }
        Ok(part)
    }

    /// The whole body; `None` if it is longer than `limit` bytes.
    pub(super) async fn read(mut self, limit: u64) -> Result<Option<Bytes>> {
        let mut all = BytesMut::new();
        while let Some(part) = self.next().await? {
            if all.len() as u64 + part.len() as u64 > limit {
                return Ok(None);
            }
            all.extend_from_slice(&part);
        }
        Ok(Some(all.freeze()))
    }

    /// The whole body unpacked, and how many bytes came; `None` if it is longer than `limit` bytes.
    pub(super) async fn unpack(mut self, limit: u64) -> Result<Option<(Bytes, u64)>> {
        let mut gzip = MultiGzDecoder::new(Vec::new());
        let mut came = 0;
        while let Some(part) = self.next().await? {
            came += part.len() as u64;
            // A piece of 16 KiB is at most 16 MiB.
            for piece in part.chunks(1 << 14) {
                gzip.write_all(piece).map_err(|e| self.broken(e))?;
                if gzip.get_ref().len() as u64 > limit {
                    return Ok(None);
                }
            }
        }
        let all = gzip.finish().map_err(|e| self.broken(e))?;
        Ok((all.len() as u64 <= limit).then(|| (all.into(), came)))
    }

    /// The first `len` bytes, or all if there are fewer.
    pub(super) async fn read_prefix(mut self, len: usize) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while all.len() < len {
            let Some(part) = self.next().await? else { break };
            all.extend_from_slice(&part);
        }
        Ok(all.freeze())
    }

    /// The failure of a body that is known to be longer.
    pub(crate) fn ended_early(&self, got: u64, want: u64) -> Error {
        let why = format!("the body ended after {got} of {want} bytes");
        self.broken(std::io::Error::new(ErrorKind::UnexpectedEof, why))
    }

    fn broken(&self, source: std::io::Error) -> Error {
        Error::Transport { href: self.href.clone(), tries: 0, source: Box::new(source) }
    }
}

/// Judges the speed of a body window by window; only waiting for the server counts, a slow disk does not.
#[derive(Debug)]
struct Pace {
    least: u64,
    window: Duration,
    waited: Duration,
    came: u64,
}

impl Pace {
    fn keeps(&mut self, came: usize, after: Duration) -> bool {
        self.came += came as u64;
        self.waited += after;
        if self.waited < self.window {
            return true;
        }
        let enough = self.came as f64 >= self.least as f64 * self.waited.as_secs_f64();
        (self.waited, self.came) = (Duration::ZERO, 0);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_slow_body_keeps_the_pace_and_a_dripping_one_does_not() {
        let pace = || Pace { least: 1024, window: Duration::from_secs(30), waited: Duration::ZERO, came: 0 };
        let second = Duration::from_secs(1);
        let mut steady = pace();
        assert!((1..300).all(|_| steady.keeps(2048, second)));
        let mut dripping = pace();
        assert!((1..30).all(|_| dripping.keeps(1, second)));
        assert!(!dripping.keeps(1, second));
    }
}
