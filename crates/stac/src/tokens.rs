//! JSON as text: white space changes, tokens stay as they are.

/// Appends JSON without the white space between its tokens; a piece begins and ends between them.
pub(crate) fn push_compact(out: &mut Vec<u8>, json: &[u8]) {
    let mut rest = json;
    while !rest.is_empty() {
        let (between, text) = rest.split_at(memchr::memchr(b'"', rest).unwrap_or(rest.len()));
        if between.iter().any(u8::is_ascii_whitespace) {
            out.extend(between.iter().filter(|byte| !byte.is_ascii_whitespace()));
        } else {
            out.extend_from_slice(between);
        }
        let (text, behind) = text.split_at(end_of_text(text));
        out.extend_from_slice(text);
        rest = behind;
    }
}

/// JSON in lines, two spaces a level, its tokens as they are: what `serde_json` writes, but for numbers and texts that it would
/// write otherwise. It begins so many levels deep.
pub(crate) fn in_lines(json: &[u8], mut depth: usize) -> Vec<u8> {
    let mut compact = Vec::with_capacity(json.len());
    push_compact(&mut compact, json);
    let mut out = Vec::with_capacity(compact.len() * 2);
    let mut at = 0;
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    while let Some(byte) = compact.get(at).copied() {
        let is_empty = matches!((byte, compact.get(at + 1)), (b'{', Some(b'}')) | (b'[', Some(b']')));
        match byte {
            b'"' => {
                let end = at + end_of_text(&compact[at..]);
                out.extend_from_slice(&compact[at..end]);
                at = end;
                continue;
            }
            b'{' | b'[' if is_empty => {
                out.extend_from_slice(&compact[at..at + 2]);
                at += 1;
            }
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                line(&mut out, depth);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            other => out.push(other),
        }
        at += 1;
    }
    out
}

/// Where a text that begins here ends, behind its second quote; all of it where it has none.
fn end_of_text(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}
