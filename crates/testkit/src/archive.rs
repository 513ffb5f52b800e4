//! An HTTP archive on loopback that can misbehave: bytes by path, with faults that polite servers cannot produce.
//!
//! One request per connection, a thread for each; what was asked is kept. Not here: what the faults are (`fault`), the
//! listings of object stores (`bucket`).

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bucket;
use crate::fault::{Answer, Ending, Fault, Times};

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Path and query.
    pub target: String,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// First byte and end of the range that is asked for.
    pub fn range(&self) -> Option<(usize, Option<usize>)> {
        let (from, to) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse().ok()?, to.parse::<usize>().ok().map(|to| to + 1)))
    }
}

/// Bytes under a path, and what is wrong with them.
#[derive(Debug, Clone)]
pub struct Object {
    pub(crate) bytes: Vec<u8>,
    pub(crate) etag: Option<String>,
    media: String,
    faults: Vec<(Fault, Times)>,
}

impl Object {
    /// Bytes served well: with length, strong ETag and ranges.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let media = "application/octet-stream".to_owned();
        Self { bytes: bytes.into(), etag: Some("\"one\"".into()), media, faults: Vec::new() }
    }

    /// With this ETag, or none.
    #[must_use]
    pub fn with_etag(mut self, etag: Option<&str>) -> Self {
        self.etag = etag.map(str::to_owned);
        self
    }

    /// With this media type.
    #[must_use]
    pub fn with_media(mut self, media: &str) -> Self {
        media.clone_into(&mut self.media);
        self
    }

    /// With a fault in these requests. Of several, all that still have times left apply, in this order.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault, times: Times) -> Self {
        self.faults.push((fault, times));
        self
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let mut answer = Answer::of(self, request);
        answer.set("Content-Type", &self.media.clone());
        for at in 0..self.faults.len() {
            let (fault, times) = self.faults[at].clone();
            self.faults[at].1 = times.next();
            if times.is_due() {
                fault.apply(self, request, &mut answer);
            }
        }
        answer
    }
}

#[derive(Debug, Default)]
struct State {
    objects: HashMap<String, Object>,
    log: Vec<Request>,
}

/// The running archive; its threads end with the process.
#[derive(Debug, Clone)]
pub struct Archive {
    base: String,
    state: Arc<Mutex<State>>,
}

impl Archive {
    /// Starts an empty archive on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If no port can be had.
    #[expect(clippy::expect_used, reason = "a test cannot go on without its archive")]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("http://{}/", listener.local_addr().expect("an address"));
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                // A client that goes away ends its own connection only.
                std::thread::spawn(move || drop(respond(stream, &state)));
            }
        });
        Self { base, state }
    }

    /// Puts an object under a path (without slash at the start), in place of the one before.
    pub fn put(&self, path: &str, object: Object) {
        lock(&self.state).objects.insert(format!("/{path}"), object);
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Request> {
        lock(&self.state).log.clone()
    }

    /// How often a path was asked for.
    pub fn requests(&self, path: &str) -> usize {
        lock(&self.state).log.iter().filter(|request| without_query(&request.target) == format!("/{path}")).count()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn without_query(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

fn respond(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut headers = Vec::new();
    while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let request = Request { target: first.split(' ').nth(1).unwrap_or("/").to_owned(), headers };
    let answer = {
        let mut state = lock(state);
        state.log.push(request.clone());
        let listing = bucket::Listing::of(&request.target);
        let page = listing.map(|listing| listing.page(state.objects.iter()));
        match (state.objects.get_mut(without_query(&request.target)), page) {
            // An object in place of the bucket has the faults of its listings.
            (Some(object), Some(page)) => {
                object.bytes = page;
                object.answer(&request)
            }
            (None, Some(page)) => Object::new(page).answer(&request),
            (Some(object), None) => object.answer(&request),
            (None, None) => Answer::status(404),
        }
    };
    send(&mut stream, &answer)
}

fn send(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    const NEVER: Duration = Duration::from_hours(1);
    let body = &answer.body[..answer.cut.unwrap_or(answer.body.len()).min(answer.body.len())];
    if answer.ending == Ending::BeforeHeaders {
        return Ok(());
    }
    let head = answer.head();
    match answer.ending {
        Ending::Silent => std::thread::sleep(NEVER),
        Ending::DripHeaders(every) => drip(stream, head.as_bytes(), (1, every))?,
        _ => stream.write_all(head.as_bytes())?,
    }
    match answer.ending {
        Ending::Chunked | Ending::ChunkedWithoutEnd => {
            stream.write_all(format!("{:x}\r\n", body.len()).as_bytes())?;
            stream.write_all(body)?;
            let end: &[u8] = if answer.ending == Ending::Chunked { b"\r\n0\r\n\r\n" } else { b"\r\n" };
            stream.write_all(end)
        }
        Ending::Drip { piece, every } => drip(stream, body, (piece, every)),
        Ending::Stall => {
            stream.write_all(body)?;
            std::thread::sleep(NEVER);
            Ok(())
        }
        Ending::Close | Ending::BeforeHeaders | Ending::Silent | Ending::DripHeaders(_) => stream.write_all(body),
    }
}

fn drip(stream: &mut TcpStream, bytes: &[u8], (piece, every): (usize, Duration)) -> std::io::Result<()> {
    bytes.chunks(piece.max(1)).try_for_each(|part| {
        stream.write_all(part)?;
        std::thread::sleep(every);
        Ok(())
    })
}
