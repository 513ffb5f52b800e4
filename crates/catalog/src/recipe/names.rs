//! Names of files: globs and regular expressions.

use regex::Regex;
use serde::Deserialize;

use super::{AssetRecipe, Template, Vars};

/// A glob: `*` and `?` within a name, `**/` any folders, `[abc]` one of them. Without a slash it is one of file names.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Glob {
    text: String,
    regex: Regex,
    /// Of the folders that it names, from the top down to the first `**`; `None` where a file may be in any folder.
    folders: Option<Folders>,
}

#[derive(Debug, Clone)]
struct Folders {
    each: Vec<Regex>,
    /// Files may lie deeper than these.
    deeper: bool,
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let regex = regex_of(&text)?;
        let mut folders = None;
        if let Some((above, _)) = text.rsplit_once('/') {
            let names = above.split('/').take_while(|name| !name.contains("**"));
            let each = names.map(regex_of).collect::<Result<Vec<_>, _>>()?;
            folders = Some(Folders { deeper: text.contains("**"), each });
        }
        Ok(Self { text, regex, folders })
    }
}

fn regex_of(text: &str) -> Result<Regex, String> {
    let mut pattern = String::from("^");
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (piece, length) = match first {
            _ if rest.starts_with("**/") => ("(?:.*/)?".to_owned(), 3),
            '*' if rest.starts_with("**") => (".*".to_owned(), 2),
            '*' => ("[^/]*".to_owned(), 1),
            '?' => ("[^/]".to_owned(), 1),
            '[' => {
                let end = rest.find(']').ok_or_else(|| format!("`{text}` has a `[` without `]`"))?;
                let set = rest[1..end].replace('\\', "");
                let set = set.strip_prefix('!').map_or_else(|| set.clone(), |others| format!("^{others}"));
                (format!("[{set}]"), end + 1)
            }
            other => (regex::escape(&other.to_string()), other.len_utf8()),
        };
        pattern.push_str(&piece);
        rest = &rest[length..];
    }
    pattern.push('$');
    Regex::new(&pattern).map_err(|e| format!("`{text}` is not a glob: {}", in_short(&e)))
}

impl Glob {
    /// True if a path below the listing fits.
    pub(super) fn fits(&self, path: &str) -> bool {
        self.regex.is_match(of_name(&self.text, path))
    }

    /// False only if no file below a folder can fit; the path of the folder ends with a slash.
    pub(super) fn may_fit_below(&self, folder: &str) -> bool {
        let Some(folders) = &self.folders else { return true };
        let names: Vec<&str> = folder.trim_end_matches('/').split('/').collect();
        (folders.deeper || names.len() <= folders.each.len())
            && names.iter().zip(&folders.each).all(|(name, regex)| regex.is_match(name))
    }
}

/// A regular expression of whole file names, whose named groups are variables.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct FileRegex {
    text: String,
    regex: Regex,
}

impl TryFrom<String> for FileRegex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let regex = Regex::new(&format!("^(?:{text})$"));
        let regex = regex.map_err(|e| format!("`{text}` is not a regular expression: {}", in_short(&e)))?;
        Ok(Self { text, regex })
    }
}

impl FileRegex {
    /// Names of the groups.
    pub(super) fn variables(&self) -> Vec<&str> {
        self.regex.capture_names().flatten().collect()
    }

    fn matches(&self, path: &str) -> Option<Vars> {
        let found = self.regex.captures(of_name(&self.text, path))?;
        let group = |name: &str| Some((name.to_owned(), found.name(name)?.as_str().to_owned()));
        Some(self.variables().into_iter().filter_map(group).collect())
    }
}

/// What is wrong, without the picture of where.
fn in_short(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// What an expression is held against: the path if it has a slash, else the file name.
fn of_name<'a>(expression: &str, path: &'a str) -> &'a str {
    if expression.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) }
}

impl AssetRecipe {
    /// True if its files come out of a listing.
    pub(super) fn is_listed(&self) -> bool {
        self.pattern.is_some() || self.regex.is_some()
    }

    /// Variables that a file name yields.
    pub(super) fn yields(&self) -> Vec<&str> {
        let of_pattern = self.pattern.iter().flat_map(Template::variables);
        of_pattern.chain(self.regex.iter().flat_map(FileRegex::variables)).collect()
    }

    /// The expression of its file names as it is written.
    pub(super) fn expression(&self) -> String {
        let of_regex = || self.regex.as_ref().map(|regex| regex.text.clone()).unwrap_or_default();
        self.pattern.as_ref().map_or_else(of_regex, ToString::to_string)
    }

    /// The variables of a path below the listing that fits; `known` says which values a variable may have.
    pub(super) fn matches(&self, path: &str, known: &dyn Fn(&str, &str) -> bool) -> Option<Vars> {
        match (&self.pattern, &self.regex) {
            (Some(pattern), _) => pattern.matches(of_name(pattern.as_str(), path), known),
            (None, Some(regex)) => {
                regex.matches(path).filter(|vars| vars.iter().all(|(name, value)| known(name, value)))
            }
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_those_of_shells() {
        let fits = |glob: &str, path: &str| Glob::try_from(glob.to_owned()).unwrap().fits(path);
        assert!(fits("*.nc", "a/b.nc") && !fits("*.nc", "a/b.ncx"));
        assert!(fits("a/*.nc", "a/b.nc") && !fits("a/*.nc", "a/c/b.nc"));
        assert!(fits("**/b/*.nc", "a/x/b/c.nc") && fits("**/b/*.nc", "b/c.nc"));
        assert!(fits("f[0-3]?.nc", "f2x.nc") && !fits("f[!0-3].nc", "f2.nc"));
        assert!(fits("a+(1).nc", "a+(1).nc"));
        assert!(Glob::try_from("a[".to_owned()).is_err());
    }

    #[test]
    fn folders_without_a_file_that_fits_are_known() {
        let may = |glob: &str, folder: &str| Glob::try_from(glob.to_owned()).unwrap().may_fit_below(folder);
        assert!(may("*.nc", "a/b/") && may("**/*.nc", "a/b/c/") && may("a/**/x.nc", "a/b/c/"));
        assert!(may("36/Q/*/2020/*/*.tif", "36/") && may("36/Q/*/2020/*/*.tif", "36/Q/WD/2020/7/"));
        assert!(!may("36/Q/*/2020/*/*.tif", "37/") && !may("36/Q/*/2020/*/*.tif", "36/Q/WD/2021/"));
        assert!(!may("a/*.nc", "a/b/") && !may("a/**/x.nc", "b/"));
    }

    #[test]
    fn groups_of_an_expression_are_variables() {
        let regex = FileRegex::try_from(r"(?P<kind>t(min|max))_(?<year>\d{4})\.nc".to_owned()).unwrap();
        assert_eq!(regex.variables(), ["kind", "year"]);
        let vars = regex.matches("a/tmin_1980.nc").unwrap();
        assert_eq!((vars["kind"].as_str(), vars["year"].as_str()), ("tmin", "1980"));
        assert!(regex.matches("xtmin_1980.nc").is_none());
        assert!(FileRegex::try_from("(".to_owned()).is_err());
    }
}
