//! A service over HTTP on loopback whose answers a test decides.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What a service was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header lines.
    pub headers: Vec<String>,
    /// What was posted.
    pub body: String,
}

/// What a service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status code.
    pub status: u16,
    /// Further header lines.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Status 200 with JSON.
    pub fn json(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            headers: vec!["Content-Type: application/geo+json".to_owned()],
            body: body.into().into_bytes(),
        }
    }

    /// A failure.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }
}

type Decide = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A running service; it ends with the process.
#[derive(Debug, Clone)]
pub struct Service {
    base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Service {
    /// Starts a service that answers as `decide` says; it is given the requests with its own address in reach.
    ///
    /// # Panics
    /// If no port can be had.
    #[expect(clippy::expect_used, reason = "a test cannot go on without its server")]
    pub fn start(decide: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("no port on loopback");
        let base = format!("http://{}", listener.local_addr().expect("no address"));
        let (asked, decide): (Arc<Mutex<Vec<Asked>>>, Arc<Decide>) = (Arc::default(), Arc::new(decide));
        let service = Self { base, asked };
        let all = service.asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, decide) = (all.clone(), decide.clone());
                std::thread::spawn(move || serve(stream, &all, &*decide));
            }
        });
        service
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One request, then the connection is closed.
fn serve(mut stream: TcpStream, all: &Mutex<Vec<Asked>>, decide: &Decide) {
    let Ok(input) = stream.try_clone() else { return };
    let mut input = BufReader::new(input);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).is_err() || line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut first = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
    let length = lines.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    if input.read_exact(&mut body).is_err() {
        return;
    }
    let asked = Asked {
        method,
        target,
        headers: lines.split_off(1.min(lines.len())),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let Answer { status, headers, body } = decide(&asked);
    all.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    let headers = headers.iter().fold(String::new(), |all, line| all + line + "\r\n");
    let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // Who has gone away does not want it.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
