//! What an archive can do wrong.

use std::fmt::Write;
use std::time::Duration;

use crate::archive::{Object, Request};

/// Which requests a fault is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// All of them.
    Always,
    /// The first so many.
    First(usize),
    /// All after the first so many.
    After(usize),
}

impl Times {
    pub(crate) fn is_due(self) -> bool {
        !matches!(self, Self::First(0) | Self::After(1..))
    }

    pub(crate) fn next(self) -> Self {
        match self {
            Self::First(n) => Self::First(n.saturating_sub(1)),
            Self::After(n) => Self::After(n.saturating_sub(1)),
            Self::Always => Self::Always,
        }
    }
}

/// A way to misbehave.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The body ends after so many bytes, whatever the headers say.
    Cut(usize),
    /// Ranges are ignored: 200 and the whole body.
    NoRanges,
    /// No `Content-Length`; the end of the connection ends the body.
    NoLength,
    /// Chunked transfer.
    Chunked,
    /// Chunked transfer whose last chunk never comes.
    ChunkedWithoutEnd,
    /// So many bytes follow the declared body.
    Long(usize),
    /// A header is set, or removed.
    Header(&'static str, Option<String>),
    /// Another status, with no body.
    Status(u16),
    /// A redirect.
    Redirect(String),
    /// The body is this.
    Body(Vec<u8>),
    /// The object has been replaced: other bytes and ETag from here on.
    Replaced(Vec<u8>, Option<String>),
    /// The connection is closed before any answer.
    Reset,
    /// Headers and (cut) body come, then nothing, while the connection stays open.
    Stall,
    /// Nothing comes, while the connection stays open.
    Silent,
    /// The headers come byte by byte, with this pause after each.
    DripHeaders(Duration),
    /// The body comes in small pieces.
    Drip {
        /// Bytes of a piece.
        piece: usize,
        /// Pause after each.
        every: Duration,
    },
}

impl Fault {
    /// `503` with `Retry-After`.
    pub fn busy(retry_after: &str) -> [Self; 2] {
        [Self::Status(503), Self::Header("Retry-After", Some(retry_after.to_owned()))]
    }

    pub(crate) fn apply(&self, object: &mut Object, request: &Request, answer: &mut Answer) {
        match self {
            Self::Cut(at) => answer.cut = Some(*at),
            Self::NoRanges => answer.whole(object),
            Self::NoLength => answer.remove("Content-Length"),
            Self::Chunked => answer.chunked(Ending::Chunked),
            Self::ChunkedWithoutEnd => answer.chunked(Ending::ChunkedWithoutEnd),
            Self::Long(by) => answer.body.extend(std::iter::repeat_n(b'+', *by)),
            Self::Header(name, Some(value)) => answer.set(name, value),
            Self::Header(name, None) => answer.remove(name),
            Self::Status(status) => *answer = Answer::status(*status),
            Self::Redirect(to) => *answer = Answer::redirect(to),
            Self::Body(bytes) => answer.with_body(bytes.clone()),
            Self::Replaced(bytes, etag) => {
                (object.bytes, object.etag) = (bytes.clone(), etag.clone());
                *answer = Answer::of(object, request);
            }
            Self::Reset => answer.ending = Ending::BeforeHeaders,
            Self::Stall => answer.ending = Ending::Stall,
            Self::Silent => answer.ending = Ending::Silent,
            Self::DripHeaders(every) => answer.ending = Ending::DripHeaders(*every),
            Self::Drip { piece, every } => answer.ending = Ending::Drip { piece: *piece, every: *every },
        }
    }
}

/// How the sending ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Close,
    BeforeHeaders,
    Chunked,
    ChunkedWithoutEnd,
    Stall,
    Silent,
    DripHeaders(Duration),
    Drip { piece: usize, every: Duration },
}

/// What goes back.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) cut: Option<usize>,
    pub(crate) ending: Ending,
}

impl Answer {
    /// The answer of a good server: `If-Match` and a single range are obeyed.
    pub(crate) fn of(object: &Object, request: &Request) -> Self {
        if request.header("if-match").is_some_and(|tag| object.etag.as_deref() != Some(tag)) {
            return Self::status(412);
        }
        let size = object.bytes.len();
        let mut answer = Self::status(200);
        match request.range() {
            Some((from, _)) if from >= size => {
                answer = Self::status(416);
                answer.set("Content-Range", &format!("bytes */{size}"));
            }
            Some((from, to)) => {
                let to = to.unwrap_or(size).min(size);
                answer = Self::status(206);
                answer.with_body(object.bytes[from..to].to_vec());
                answer.set("Content-Range", &format!("bytes {from}-{}/{size}", to - 1));
            }
            None => answer.with_body(object.bytes.clone()),
        }
        if let Some(etag) = &object.etag {
            answer.set("ETag", etag);
        }
        answer
    }

    pub(crate) fn status(status: u16) -> Self {
        let mut answer = Self { status, headers: Vec::new(), body: Vec::new(), cut: None, ending: Ending::Close };
        answer.set("Content-Length", "0");
        answer
    }

    fn redirect(to: &str) -> Self {
        let mut answer = Self::status(302);
        answer.set("Location", to);
        answer
    }

    pub(crate) fn with_body(&mut self, body: Vec<u8>) {
        self.set("Content-Length", &body.len().to_string());
        self.body = body;
    }

    fn whole(&mut self, object: &Object) {
        self.status = 200;
        self.remove("Content-Range");
        self.with_body(object.bytes.clone());
    }

    fn chunked(&mut self, ending: Ending) {
        self.remove("Content-Length");
        self.set("Transfer-Encoding", "chunked");
        self.ending = ending;
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    pub(crate) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Answer\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            // Writing to a string cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }
}
