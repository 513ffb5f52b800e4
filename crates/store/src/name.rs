//! Names from outside that become file names.

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization;

use crate::{Error, Result};

const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Checks that a name (item id, asset key, last part of an href) is one portable path component.
///
/// The strictest system decides on every system: no separators, drive letters, control characters or Windows device
/// names, no dot or space at the end, at most 255 bytes; `%2e%2e`-like escapes are looked through once.
///
/// # Errors
/// [`Error::UnsafeName`] with the rule that the name breaks.
pub fn safe_name(name: &str) -> Result<&str> {
    let escaped = || if name.contains('%') { broken_rule(&percent_decode_str(name).decode_utf8_lossy()) } else { None };
    match broken_rule(name).or_else(escaped) {
        Some(why) => Err(Error::UnsafeName { name: name.escape_debug().take(120).collect(), why }),
        None => Ok(name),
    }
}

/// What names have alike that are one name on some system: where names know no case, or only one form of an accent.
pub fn twin_key(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    // An accent can be alone again in lower case.
    name.nfc().collect::<String>().to_lowercase().nfc().collect()
}

fn broken_rule(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name == "." || name == ".." {
        return Some("it names a folder above");
    }
    if name.len() > 255 {
        return Some("it is longer than 255 bytes");
    }
    if name.contains(['/', '\\']) {
        return Some("it holds a path separator");
    }
    if name.chars().any(|c| c.is_control() || "<>:\"|?*".contains(c)) {
        return Some("it holds a character that is not portable");
    }
    if name.ends_with(['.', ' ']) {
        return Some("it ends with a dot or a space");
    }
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    RESERVED.contains(&stem.as_str()).then_some("it is a device name on Windows")
}

#[cfg(test)]
mod tests {
    use super::{safe_name, twin_key};

    #[test]
    fn twins_are_told_whatever_their_case_and_accents() {
        for (one, other) in
            [("A.nc", "a.nc"), ("\u{e9}.nc", "e\u{301}.nc"), ("\u{c9}", "e\u{301}"), ("\u{212b}", "\u{e5}")]
        {
            assert_eq!(twin_key(one), twin_key(other), "{one} {other}");
        }
        assert_ne!(twin_key("e"), twin_key("\u{e9}"));
    }

    #[test]
    fn only_portable_components_pass() {
        for good in ["na-1980", "daymet_v4.nc", "é", "a b", ".hidden", "100%"] {
            assert!(safe_name(good).is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        for bad in
            ["", ".", "..", "a/b", "..\\x", "%2e%2e", "..%5cx", "a%2Fb", "CON", "aux.tif", "x.", "a:b", "a\0", &long]
        {
            assert!(safe_name(bad).is_err(), "{bad}");
        }
    }
}
