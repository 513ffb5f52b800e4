//! A server on loopback that takes what is put: an object store (S3, Google Cloud Storage, Azure Blob Storage) and a
//! WebDAV server at once, in memory. Which requests fail, a test says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::archive::{Object, Request};
use crate::bucket::decoded;
use crate::fault::Answer;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is answered with this status and not done.
    Status(u16),
    /// The connection is closed before it is read.
    Reset,
    /// It is done, and the connection is closed before the answer.
    LostAnswer,
    /// Of what is put, the last byte is lost.
    Short,
}

/// What a depot was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// `PUT`, `MOVE` and so on.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body.
    pub length: usize,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
    /// Parts of uploads that are not complete, by their id and number.
    parts: HashMap<String, BTreeMap<String, Vec<u8>>>,
    deeds: Vec<Deed>,
    serial: usize,
}

type Decide = dyn Fn(&Deed, usize) -> Option<Trouble> + Send + Sync;

/// The running depot; its threads end with the process.
#[derive(Clone)]
pub struct Depot {
    base: String,
    state: Arc<Mutex<State>>,
    kind: Kind,
}

/// What a depot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Buckets,
    /// A file's folder must be made before it.
    WebDav,
}

impl std::fmt::Debug for Depot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Depot({})", self.base)
    }
}

impl Depot {
    /// A depot where all goes well.
    pub fn start() -> Self {
        Self::with_trouble(|_, _| None)
    }

    /// A WebDAV server, where a file's folder must be made before it.
    pub fn webdav(decide: impl Fn(&Deed, usize) -> Option<Trouble> + Send + Sync + 'static) -> Self {
        Self::run(decide, Kind::WebDav)
    }

    /// A depot where requests fail as `decide` says, which is told how many requests came before.
    pub fn with_trouble(decide: impl Fn(&Deed, usize) -> Option<Trouble> + Send + Sync + 'static) -> Self {
        Self::run(decide, Kind::Buckets)
    }

    #[expect(clippy::expect_used, reason = "a test cannot go on without its server")]
    fn run(decide: impl Fn(&Deed, usize) -> Option<Trouble> + Send + Sync + 'static, kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("http://{}/", listener.local_addr().expect("an address"));
        let depot = Self { base, state: Arc::default(), kind };
        let (shared, decide): (Self, Arc<Decide>) = (depot.clone(), Arc::new(decide));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (depot, decide) = (shared.clone(), decide.clone());
                // A client that goes away ends its own connection only.
                std::thread::spawn(move || drop(depot.respond(stream, &*decide)));
            }
        });
        depot
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The bytes under a path, without slash at the start.
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.state().objects.get(&format!("/{path}")).cloned()
    }

    /// Puts bytes under a path.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.state().objects.insert(format!("/{path}"), bytes.into());
    }

    /// All paths, without slash at the start.
    pub fn paths(&self) -> Vec<String> {
        self.state().objects.keys().map(|path| path[1..].to_owned()).collect()
    }

    /// Uploads that were begun and neither completed nor given up.
    pub fn unfinished(&self) -> usize {
        self.state().parts.len()
    }

    /// All that was asked.
    pub fn deeds(&self) -> Vec<Deed> {
        self.state().deeds.clone()
    }

    fn respond(&self, mut stream: TcpStream, decide: &Decide) -> std::io::Result<()> {
        let mut input = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        input.read_line(&mut line)?;
        let mut first = line.split(' ').map(str::to_owned);
        let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            input.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let known = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let mut deed = Deed { method, target, headers: headers.clone(), length: 0 };
        let before = self.state().deeds.len();
        let trouble = decide(&deed, before);
        if trouble == Some(Trouble::Reset) {
            self.state().deeds.push(deed);
            return Ok(());
        }
        let mut body = if known("transfer-encoding").is_some_and(|value| value == "chunked") {
            dechunked(&mut input)?
        } else {
            let mut body = vec![0; known("content-length").and_then(|value| value.parse().ok()).unwrap_or(0)];
            input.read_exact(&mut body)?;
            body
        };
        deed.length = body.len();
        if trouble == Some(Trouble::Short) {
            body.pop();
        }
        let answer = match trouble {
            Some(Trouble::Status(status)) => Answer::status(status),
            _ => self.answer(&deed, body),
        };
        self.state().deeds.push(deed);
        if trouble == Some(Trouble::LostAnswer) {
            return Ok(());
        }
        let is_head = self.state().deeds.last().is_some_and(|deed| deed.method == "HEAD");
        stream.write_all(answer.head().as_bytes())?;
        if is_head { Ok(()) } else { stream.write_all(&answer.body) }
    }

    fn answer(&self, deed: &Deed, body: Vec<u8>) -> Answer {
        let (path, query) = deed.target.split_once('?').unwrap_or((&deed.target, ""));
        let path = decoded(path);
        let query: HashMap<String, String> = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_owned(), decoded(value)))
            .collect();
        let header = |name: &str| deed.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let mut state = self.state();
        match deed.method.as_str() {
            "GET" | "HEAD" => state.read(&path, deed),
            "PUT" if query.contains_key("partNumber") || query.get("comp").is_some_and(|comp| comp == "block") => {
                state.part(&path, &query, body)
            }
            "PUT" if query.get("comp").is_some_and(|comp| comp == "blocklist") => state.blocks(&path, &body),
            "PUT" => match header("x-amz-copy-source").or(header("x-goog-copy-source")) {
                Some(source) => state.copy(&decoded(source), &path, header("x-amz-copy-source-if-match")),
                None if self.kind == Kind::WebDav && !state.has_folder_of(&path) => Answer::status(409),
                None if !state.is_met(&path, header) => Answer::status(412),
                None => state.take(&path, body),
            },
            "POST" if query.contains_key("uploads") => state.begin(&path),
            "POST" => state.complete(&path, query.get("uploadId").map(String::as_str).unwrap_or_default(), &body),
            "DELETE" if query.contains_key("uploadId") => {
                state.parts.remove(query.get("uploadId").map(String::as_str).unwrap_or_default());
                Answer::status(204)
            }
            "DELETE" => Answer::status(if state.objects.remove(&path).is_some() { 204 } else { 404 }),
            "MKCOL" => state.make_folder(&path),
            "MOVE" | "COPY" => {
                let to = header("destination").and_then(|to| to.strip_prefix(self.base.trim_end_matches('/')));
                state.carry(&deed.method, &path, &decoded(to.unwrap_or_default()))
            }
            _ => Answer::status(405),
        }
    }
}

/// A strong ETag: of other bytes another one.
fn etag(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    format!("\"{hash:016x}-{}\"", bytes.len())
}

/// A number in the place of Google's generation: of other bytes another one, never 0.
fn generation(bytes: &[u8]) -> String {
    (1 + u64::from(adler32(bytes))).to_string()
}

impl State {
    fn read(&self, path: &str, deed: &Deed) -> Answer {
        let Some(bytes) = self.objects.get(path) else { return Answer::status(404) };
        let object = Object::new(bytes.clone()).with_etag(Some(&etag(bytes)));
        let mut answer = Answer::of(&object, &Request { target: deed.target.clone(), headers: deed.headers.clone() });
        answer.set("x-goog-generation", &generation(bytes));
        if deed.method == "HEAD" {
            answer.set("Last-Modified", "Sat, 28 Nov 2026 12:00:00 GMT");
        }
        if deed.headers.iter().any(|(name, value)| name == "want-digest" && value.contains("adler32")) {
            answer.set("Digest", &format!("adler32={:08x}", adler32(bytes)));
        }
        answer
    }

    /// True if what is there is what a request expects.
    fn is_met<'a>(&self, path: &str, header: impl Fn(&str) -> Option<&'a str>) -> bool {
        let there = self.objects.get(path).map(|bytes| etag(bytes));
        let is_free = header("if-none-match") != Some("*") || there.is_none();
        let generation = self.objects.get(path).map_or_else(|| "0".to_owned(), |bytes| generation(bytes));
        is_free
            && header("if-match").is_none_or(|tag| there.as_deref() == Some(tag))
            && header("x-goog-if-generation-match").is_none_or(|wanted| wanted == generation)
    }

    fn take(&mut self, path: &str, body: Vec<u8>) -> Answer {
        let mut answer = Answer::status(201);
        answer.set("ETag", &etag(&body));
        answer.set("x-goog-generation", &generation(&body));
        self.objects.insert(path.to_owned(), body);
        answer
    }

    fn begin(&mut self, path: &str) -> Answer {
        self.serial += 1;
        let id = format!("upload-{}", self.serial);
        self.parts.insert(id.clone(), BTreeMap::new());
        let text = format!(
            "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>{path}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        xml(&text)
    }

    fn part(&mut self, path: &str, query: &HashMap<String, String>, body: Vec<u8>) -> Answer {
        let block = query.get("blockid");
        let (id, number) = match (query.get("uploadId"), query.get("partNumber"), block) {
            (Some(id), Some(number), _) => (id.clone(), format!("{number:0>6}")),
            (_, _, Some(block)) => (path.to_owned(), block.clone()),
            _ => return Answer::status(400),
        };
        if block.is_none() && !self.parts.contains_key(&id) {
            return Answer::status(404);
        }
        let mut answer = Answer::status(if block.is_some() { 201 } else { 200 });
        answer.set("ETag", &etag(&body));
        self.parts.entry(id).or_default().insert(number, body);
        answer
    }

    fn complete(&mut self, path: &str, id: &str, body: &[u8]) -> Answer {
        let Some(parts) = self.parts.get(id) else { return Answer::status(404) };
        let wanted = String::from_utf8_lossy(body).matches("<PartNumber>").count();
        if wanted != parts.len() {
            return Answer::status(400);
        }
        let whole: Vec<u8> = self.parts.remove(id).unwrap_or_default().into_values().flatten().collect();
        let tag = etag(&whole);
        self.objects.insert(path.to_owned(), whole);
        xml(&format!(
            "<CompleteMultipartUploadResult><Location>x</Location><Bucket>b</Bucket><Key>k</Key><ETag>{tag}</ETag></CompleteMultipartUploadResult>"
        ))
    }

    /// The block list of Azure: the blocks that it names, in its order.
    fn blocks(&mut self, path: &str, body: &[u8]) -> Answer {
        let parts = self.parts.remove(path).unwrap_or_default();
        let text = String::from_utf8_lossy(body).into_owned();
        let names = text.split('<').filter_map(|piece| piece.split_once('>')).filter(|(tag, _)| !tag.starts_with('/'));
        let names = names.map(|(_, name)| name.trim()).filter(|name| !name.is_empty());
        let whole: Option<Vec<&Vec<u8>>> = names.map(|name| parts.get(name)).collect();
        match whole {
            Some(whole) if whole.len() == parts.len() => {
                let whole = whole.into_iter().flatten().copied().collect();
                self.take(path, whole)
            }
            _ => Answer::status(400),
        }
    }

    fn copy(&mut self, from: &str, to: &str, tag: Option<&str>) -> Answer {
        let Some(bytes) = self.objects.get(from).cloned() else { return Answer::status(404) };
        let found = etag(&bytes);
        if tag.is_some_and(|tag| tag != found) {
            return Answer::status(412);
        }
        self.objects.insert(to.to_owned(), bytes);
        xml(&format!("<CopyObjectResult><ETag>{found}</ETag></CopyObjectResult>"))
    }

    fn folder_of(path: &str) -> String {
        let path = path.trim_end_matches('/');
        path[..=path.rfind('/').unwrap_or(0)].to_owned()
    }

    fn has_folder_of(&self, path: &str) -> bool {
        let folder = Self::folder_of(path);
        folder == "/" || self.folders.contains(&folder)
    }

    fn make_folder(&mut self, path: &str) -> Answer {
        let folder = format!("{}/", path.trim_end_matches('/'));
        let exists = folder == "/" || self.folders.contains(&folder);
        match (exists, self.has_folder_of(&folder)) {
            (true, _) => Answer::status(405),
            (false, false) => Answer::status(409),
            (false, true) => {
                self.folders.insert(folder);
                Answer::status(201)
            }
        }
    }

    fn carry(&mut self, method: &str, from: &str, to: &str) -> Answer {
        if !self.has_folder_of(to) {
            return Answer::status(409);
        }
        let found = if method == "MOVE" { self.objects.remove(from) } else { self.objects.get(from).cloned() };
        match found {
            Some(bytes) => {
                self.objects.insert(to.to_owned(), bytes);
                Answer::status(201)
            }
            None => Answer::status(404),
        }
    }
}

fn xml(text: &str) -> Answer {
    let mut answer = Answer::status(200);
    answer.set("Content-Type", "application/xml");
    answer.with_body(text.as_bytes().to_vec());
    answer
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    (b << 16) | a
}

fn dechunked(input: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let at = all.len();
        all.resize(at + size, 0);
        input.read_exact(&mut all[at..])?;
        input.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(all);
        }
    }
}
