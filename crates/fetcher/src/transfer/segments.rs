//! The parts of an object that are on their way at once, each by a request of its own.
//!
//! A file begins with one request. When another costs no wait, the longest part that is missing is halved.

use std::ops::Range;
use std::task::Poll;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::poll_fn;
use outcrop_store::{Error, ObjectMeta, Result, Streamed};

use super::part::PIECE;
use super::{Patience, Transfer, io};

/// Fewest bytes that a further request is made for.
const LEAST: u64 = 16 << 20;

/// A part that is missing: from `at` to `end`.
struct Segment {
    at: u64,
    end: u64,
    stream: Option<Streamed>,
    /// Start of the piece that is being written, and its digest so far.
    piece: (u64, blake3::Hasher),
}

/// All parts that are missing.
pub(super) struct Segments {
    open: Vec<Segment>,
    /// Bytes since a further request was last thought of.
    since: u64,
}

impl Segment {
    fn new(range: Range<u64>, stream: Option<Streamed>) -> Self {
        Self { at: range.start, end: range.end, stream, piece: (range.start, blake3::Hasher::new()) }
    }
}

impl Segments {
    /// The gaps between the pieces that are there; a stream is of the whole object.
    pub(super) fn new(size: u64, good: Vec<Range<u64>>, stream: Option<Streamed>) -> Self {
        let mut open = Vec::new();
        let mut at = 0;
        for range in good.into_iter().chain(std::iter::once(size..size)) {
            if range.start > at {
                open.push(Segment::new(at..range.start, None));
            }
            at = at.max(range.end);
        }
        match (open.first_mut(), stream) {
            (Some(first), stream) => first.stream = stream,
            // An object of no bytes still has an end to wait for.
            (None, Some(stream)) => open.push(Segment::new(0..0, Some(stream))),
            (None, None) => {}
        }
        Self { open, since: LEAST }
    }

    /// The next bytes of any of the parts that are on their way.
    async fn next(&mut self) -> (usize, Result<Option<Bytes>>) {
        let mut waits: Vec<_> = self
            .open
            .iter_mut()
            .enumerate()
            .filter_map(|(at, segment)| segment.stream.as_mut().map(|stream| (at, Box::pin(stream.next()))))
            .collect();
        poll_fn(move |context| {
            for (at, wait) in &mut waits {
                if let Poll::Ready(part) = wait.poll_unpin(context) {
                    return Poll::Ready((*at, part));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The headers of a part that speak of the whole object nevertheless.
fn of_the_whole(headers: &[(String, String)]) -> Vec<(String, String)> {
    let is_whole = |name: &str| matches!(name, "digest" | "repr-digest" | "x-goog-hash");
    headers.iter().filter(|(name, _)| is_whole(name)).cloned().collect()
}

impl Transfer<'_> {
    /// Brings all parts that are missing.
    pub(super) async fn in_segments(
        &mut self,
        mut segments: Segments,
        meta: &ObjectMeta,
        patience: &mut Patience,
    ) -> Result<u64> {
        while !segments.open.is_empty() {
            if segments.open.iter().all(|segment| segment.stream.is_none()) {
                let first = &mut segments.open[0];
                let stream = self.store.stream_range(meta, first.at..first.end).await?;
                self.is_blind |= meta.strong_etag().is_none();
                if self.promises.is_empty() {
                    self.promises = self.digests.promised(self.source, &of_the_whole(&stream.digests));
                }
                first.stream = Some(stream);
            } else if segments.since >= LEAST {
                segments.since = 0;
                self.widen(&mut segments, meta).await?;
            }
            match segments.next().await {
                (at, Ok(Some(bytes))) => {
                    segments.since += bytes.len() as u64;
                    if self.take(&mut segments.open[at], &bytes)? {
                        patience.renew();
                    }
                    if segments.open[at].at >= segments.open[at].end && meta.size > 0 {
                        segments.open.swap_remove(at);
                        segments.open.sort_by_key(|segment| segment.at);
                    }
                }
                (at, Ok(None)) => drop(segments.open.remove(at)),
                (at, Err(Error::Transport { tries: 0, href, source })) => {
                    let segment = &mut segments.open[at];
                    segment.stream = None;
                    self.close_piece(segment);
                    // The others go on meanwhile; only the last one waits.
                    if segments.open.iter().all(|segment| segment.stream.is_none()) && !patience.again(self.store).await
                    {
                        return Err(Error::Transport { href, tries: patience.tries, source });
                    }
                }
                (_, Err(error)) => return Err(error),
            }
        }
        Ok(meta.size)
    }

    /// Another request, if it costs no wait: for a part that has none, else for half of the longest.
    async fn widen(&mut self, segments: &mut Segments, meta: &ObjectMeta) -> Result<()> {
        if meta.strong_etag().is_none() || meta.href.is_local() {
            return Ok(());
        }
        loop {
            if let Some(idle) = segments.open.iter_mut().find(|segment| segment.stream.is_none()) {
                idle.stream = self.spare(meta, idle.at..idle.end).await?;
                if idle.stream.is_none() {
                    return Ok(());
                }
                continue;
            }
            let Some(longest) = segments.open.iter_mut().max_by_key(|segment| segment.end - segment.at) else {
                return Ok(());
            };
            if longest.end - longest.at < 2 * LEAST {
                return Ok(());
            }
            let middle = longest.at + (longest.end - longest.at) / 2;
            let Some(stream) = self.spare(meta, middle..longest.end).await? else { return Ok(()) };
            let end = std::mem::replace(&mut longest.end, middle);
            segments.open.push(Segment::new(middle..end, Some(stream)));
            segments.open.sort_by_key(|segment| segment.at);
        }
    }

    /// A further request that may fail without harm: another version ends the transfer, all else only this request.
    async fn spare(&self, meta: &ObjectMeta, range: Range<u64>) -> Result<Option<Streamed>> {
        match self.store.spare_stream_range(meta, range).await {
            Err(error @ Error::Changed { .. }) => Err(error),
            other => Ok(other.unwrap_or_default()),
        }
    }

    /// Writes bytes of a segment, up to its end; true if a piece was finished.
    fn take(&mut self, segment: &mut Segment, bytes: &[u8]) -> Result<bool> {
        let left = usize::try_from(segment.end - segment.at).unwrap_or(usize::MAX);
        let mut bytes = &bytes[..bytes.len().min(left)];
        let mut is_piece = false;
        while !bytes.is_empty() {
            let room = usize::try_from(segment.piece.0 + PIECE - segment.at).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(bytes.len().min(room));
            self.part.write(segment.at, now).map_err(|failed| io(self.target, failed))?;
            if self.digests.at == segment.at {
                self.digests.update_next(now);
            }
            segment.piece.1.update(now);
            segment.at += now.len() as u64;
            self.progress.advance(now.len() as u64);
            if segment.at == segment.piece.0 + PIECE {
                self.close_piece(segment);
                is_piece = true;
            }
            bytes = rest;
        }
        Ok(is_piece)
    }

    /// Notes what was written of a piece, and begins the next.
    fn close_piece(&mut self, segment: &mut Segment) {
        let (start, hasher) = std::mem::replace(&mut segment.piece, (segment.at, blake3::Hasher::new()));
        if segment.at > start {
            self.part.note(&(start..segment.at), &hasher.finalize());
        }
    }
}
