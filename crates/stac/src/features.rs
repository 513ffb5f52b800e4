//! The items of a file as its bytes come: lines of JSON, a collection of items, one item, or several behind each other.
//!
//! Only the item that is being read is held. Structure is followed here, by braces and quotes; whether an item is JSON its
//! own parser says.

use bytes::{Bytes, BytesMut};

/// Bytes of a text that are compared.
const MOST_TEXT: usize = 32;

/// Cuts the bytes of a file of items into items.
///
/// - Of a collection of items the members come, of anything else each top-level object.
/// - What is held is one item, at most the limit.
#[derive(Debug)]
pub struct Splitter {
    held: BytesMut,
    /// What of `held` was looked at.
    seen: usize,
    /// Where the item begins that is being read.
    start: Option<usize>,
    state: State,
    limit: usize,
    line: usize,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of the place in the text")]
struct State {
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// Within the array of `features` of the collection at depth 1.
    in_features: bool,
    /// The text that was read last at depth 1, and whether it is a key whose value comes next.
    text: Vec<u8>,
    key: Vec<u8>,
    after_colon: bool,
    is_feature: bool,
    /// A collection, which is no item itself.
    is_collection: bool,
}

/// Why a file cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitError {
    /// An item is longer than the limit in bytes.
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// Something stands where an object should begin.
    NotAnObject {
        /// Line, from 1.
        line: usize,
    },
    /// The file ends within an object.
    Cut {
        /// Line, from 1.
        line: usize,
    },
}

impl std::fmt::Display for SplitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "an item is longer than the limit of {limit} bytes"),
            Self::NotAnObject { line } => write!(f, "line {line} is not a JSON object"),
            Self::Cut { line } => write!(f, "it ends within an object, on line {line}: it is truncated"),
        }
    }
}

impl Splitter {
    /// A splitter for items of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { held: BytesMut::new(), seen: 0, start: None, state: State::default(), limit, line: 1 }
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next item that is there whole.
    ///
    /// # Errors
    /// [`SplitError::TooLong`], [`SplitError::NotAnObject`].
    pub fn item(&mut self) -> Result<Option<Bytes>, SplitError> {
        while self.seen < self.held.len() {
            self.seen += self.state.skip(&self.held[self.seen..]);
            self.pass_inner();
            let Some(byte) = self.held.get(self.seen).copied() else { break };
            self.seen += 1;
            if byte == b'\n' {
                self.line += 1;
            }
            if self.step(byte)? {
                let item = self.take();
                if let Some(item) = item {
                    return Ok(Some(item));
                }
            }
        }
        if self.start.is_none() {
            // Nothing that is needed is held.
            self.held.clear();
            self.seen = 0;
        } else if self.held.len() > self.limit && !self.state.is_collection {
            return Err(SplitError::TooLong { limit: self.limit });
        }
        Ok(None)
    }

    /// The end of the file.
    ///
    /// # Errors
    /// [`SplitError::Cut`] within an object.
    pub fn finish(&self) -> Result<(), SplitError> {
        if self.state.depth > 0 { Err(SplitError::Cut { line: self.line }) } else { Ok(()) }
    }

    /// Passes what lies too deep to mean anything: brackets are counted, texts that are whole are skipped.
    fn pass_inner(&mut self) {
        let state = &mut self.state;
        let floor = if state.in_features { 3 } else { 2 };
        if state.in_text || state.depth < floor {
            return;
        }
        while let Some(byte) = self.held.get(self.seen).copied() {
            match byte {
                b'"' => match end_of_text(&self.held[self.seen..]) {
                    Some(end) => self.seen += end,
                    None => return,
                },
                b'{' | b'[' => state.depth += 1,
                b'}' | b']' if state.depth == floor => return,
                b'}' | b']' => state.depth -= 1,
                b'\n' => self.line += 1,
                _ => {}
            }
            self.seen += usize::from(byte != b'"');
        }
    }

    /// Looks at one byte; true at the end of an object that was begun.
    fn step(&mut self, byte: u8) -> Result<bool, SplitError> {
        let state = &mut self.state;
        if state.in_text {
            return Ok(state.text_byte(byte));
        }
        match byte {
            b'"' => state.begin_text(),
            b'{' => {
                if state.depth == 0 || state.is_member_start() {
                    self.start = Some(self.seen - 1);
                }
                state.depth += 1;
            }
            b'[' => {
                if state.depth == 1 && state.after_colon && state.key == b"features" && !state.is_feature {
                    (state.in_features, state.is_collection) = (true, true);
                    // What came before the members is of no use.
                    self.start = None;
                }
                state.depth += 1;
            }
            b'}' | b']' => {
                if state.depth == 0 {
                    return Err(SplitError::NotAnObject { line: self.line });
                }
                state.depth -= 1;
                return Ok(self.closed(byte));
            }
            b':' if state.depth == 1 => {
                state.key = std::mem::take(&mut state.text);
                state.after_colon = true;
            }
            b',' if state.depth == 1 => state.after_colon = false,
            b' ' | b'\t' | b'\r' | b'\n' | 0x1e => {}
            // A byte order mark.
            0xef | 0xbb | 0xbf if state.depth == 0 => {}
            _ if state.depth == 0 => return Err(SplitError::NotAnObject { line: self.line }),
            _ => {}
        }
        if state.depth == 0 && byte == b'"' {
            return Err(SplitError::NotAnObject { line: self.line });
        }
        Ok(false)
    }

    /// A bracket was closed; true if an item ends with it.
    fn closed(&mut self, byte: u8) -> bool {
        let state = &mut self.state;
        if state.in_features && state.depth == 1 {
            state.in_features = false;
            state.after_colon = false;
        }
        let is_member = state.in_features && state.depth == 2 && byte == b'}';
        let is_whole = state.depth == 0;
        if is_whole {
            let was_collection = state.is_collection;
            *state = State::default();
            if was_collection {
                self.start = None;
            }
        }
        (is_member || is_whole) && self.start.is_some()
    }

    /// Takes the item out of what is held.
    fn take(&mut self) -> Option<Bytes> {
        let start = self.start.take()?;
        let mut whole = self.held.split_to(self.seen);
        self.seen = 0;
        Some(whole.split_off(start).freeze())
    }
}

/// Where a text that begins here ends, behind its second quote; `None` where it is not there whole.
fn end_of_text(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let rest = bytes.get(at..)?;
        at += memchr::memchr2(b'"', b'\\', rest)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

impl State {
    /// How many of the next bytes change nothing: plain ones within a text.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        if !self.in_text || self.escaped {
            return 0;
        }
        let plain = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
        if self.depth == 1 {
            let room = MOST_TEXT.saturating_sub(self.text.len());
            self.text.extend_from_slice(&bytes[..plain.min(room)]);
        }
        plain
    }

    fn begin_text(&mut self) {
        self.in_text = true;
        self.text.clear();
    }

    fn text_byte(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_text = false;
            if self.depth == 1 && self.after_colon && self.key == b"type" {
                self.is_feature = self.text == b"Feature";
            }
            return false;
        }
        if self.depth == 1 && self.text.len() < MOST_TEXT {
            self.text.push(byte);
        }
        false
    }

    fn is_member_start(&self) -> bool {
        self.in_features && self.depth == 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, piece: usize) -> Result<Vec<String>, SplitError> {
        let mut splitter = Splitter::new(1000);
        let mut items = Vec::new();
        for part in text.as_bytes().chunks(piece) {
            splitter.push(part);
            while let Some(item) = splitter.item()? {
                items.push(String::from_utf8(item.to_vec()).unwrap());
            }
        }
        splitter.finish()?;
        Ok(items)
    }

    #[test]
    fn lines_collections_and_single_items_are_cut_alike() {
        let (a, b) = (
            r#"{"type":"Feature","id":"a}\"{","x":[{"y":"]","z":["\\","{\""]}]}"#,
            r#"{"type": "Feature", "id": "b"}"#,
        );
        let all = [
            format!("{a}\n{b}\n"),
            format!("\u{feff}{a}\n\n {b}"),
            format!(r#"{{"type":"FeatureCollection","features":[{a}, {b}],"links":[{{"rel":"next"}}]}}"#),
            format!(r#"{{"links":[{{"rel":"features"}}],"features":[{a},{b}],"type":"FeatureCollection"}}"#),
            format!("\x1e{a}\n\x1e{b}\n"),
            format!("{a}{b}"),
        ];
        for text in all {
            for piece in [1, 7, 1000] {
                assert_eq!(split(&text, piece).unwrap(), [a, b], "{text}");
            }
        }
        assert_eq!(split(a, 3).unwrap(), [a]);
        let feature = r#"{"type":"Feature","id":"c","features":[{"type":"Feature","id":"no"}]}"#;
        assert_eq!(split(feature, 5).unwrap(), [feature]);
        assert_eq!(split(r#"{"type":"FeatureCollection","features":[]}"#, 5).unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_cut_or_no_object_is_named() {
        assert_eq!(split("{\"a\":\n{}", 4), Err(SplitError::Cut { line: 2 }));
        assert_eq!(split("{\"a\":\n{\"b\":[\n\n[\"]\"]", 100), Err(SplitError::Cut { line: 4 }));
        assert_eq!(split("{\"type\":\"FeatureCollection\",\"features\":[{}", 4), Err(SplitError::Cut { line: 1 }));
        assert_eq!(split("{}\n7\n", 4), Err(SplitError::NotAnObject { line: 2 }));
        assert_eq!(split("\"a\"", 4), Err(SplitError::NotAnObject { line: 1 }));
        assert_eq!(split("}", 4), Err(SplitError::NotAnObject { line: 1 }));
        assert!(matches!(split(&format!("{{\"a\":\"{}\"}}", "x".repeat(3000)), 100), Err(SplitError::TooLong { .. })));
    }
}
