//! The settings of hosts and object stores that users have in their environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Variables of the environment; `Debug` shows their names only. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(Arc<BTreeMap<String, String>>);

impl Environment {
    /// What this process was started with.
    pub fn of_process() -> Self {
        // The config file may name any variable.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(Arc::new(std::env::vars_os().filter_map(text).collect()))
    }

    /// The first of these variables that is set and not empty.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(*name).map(|value| value.trim()).filter(|value| !value.is_empty()))
    }

    /// True if the first of these variables that is set says so.
    pub(crate) fn is_on(&self, names: &[&str]) -> bool {
        let value = self.get(names).map(str::to_ascii_lowercase);
        value.is_some_and(|value| matches!(value.as_str(), "1" | "true" | "yes" | "on"))
    }

    /// The folder for what is kept between runs: `OUTCROP_STATE`, else `outcrop` in `XDG_STATE_HOME` or `~/.local/state`,
    /// else in the folder for temporary files.
    pub fn state_folder(&self) -> PathBuf {
        if let Some(named) = self.get(&["OUTCROP_STATE"]) {
            return PathBuf::from(named);
        }
        let state = self.get(&["XDG_STATE_HOME"]).map(PathBuf::from);
        let home = || self.get(&["HOME"]).map(|home| PathBuf::from(home).join(".local/state"));
        state.or_else(home).unwrap_or_else(std::env::temp_dir).join("outcrop")
    }

    /// A file named by a variable, else one below the home folder.
    pub(crate) fn file(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        let named = self.get(&[name]).map(PathBuf::from);
        named.or_else(|| self.get(&["HOME"]).map(|home| PathBuf::from(home).join(below_home)))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(Arc::new(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_shown_and_empty_ones_are_not_set() {
        let environment: Environment =
            [("AWS_SECRET_ACCESS_KEY", "hush"), ("A", ""), ("B", " yes ")].into_iter().collect();
        assert_eq!(format!("{environment:?}"), r#"{"A", "AWS_SECRET_ACCESS_KEY", "B"}"#);
        assert_eq!((environment.get(&["A"]), environment.get(&["C", "B"])), (None, Some("yes")));
        assert!(environment.is_on(&["B"]) && !environment.is_on(&["A"]));
    }
}
