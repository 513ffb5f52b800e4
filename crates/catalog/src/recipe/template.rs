//! Texts with variables in braces, and their inverse: file names that yield variables.

use std::collections::BTreeMap;
use std::fmt;

/// Values of variables by name.
pub(crate) type Vars = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

/// A text such as `{region}-{year}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

impl Template {
    /// Parses a text; `{{` and `}}` stand for single braces.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut fixed) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            fixed.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            if rest[at..].starts_with("{{") || rest[at..].starts_with("}}") {
                fixed.push_str(brace);
                rest = &rest[at + 2..];
                continue;
            }
            let end = rest[at..].find('}').filter(|_| brace == "{");
            let end =
                end.ok_or_else(|| format!("`{text}` has a brace without its partner; write `{brace}{brace}` for one"))?;
            let name = &rest[at + 1..at + end];
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("`{text}` has `{{{name}}}`; a variable is letters, digits and `_`"));
            }
            if !fixed.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut fixed)));
            }
            pieces.push(Piece::Variable(name.to_owned()));
            rest = &rest[at + end + 1..];
        }
        fixed.push_str(rest);
        if !fixed.is_empty() {
            pieces.push(Piece::Text(fixed));
        }
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Names of the variables, in order, each once.
    pub fn variables(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for piece in &self.pieces {
            if let Piece::Variable(name) = piece
                && !names.contains(&name.as_str())
            {
                names.push(name.as_str());
            }
        }
        names
    }

    /// The text with its variables filled in; `Err` names one that has no value.
    pub(crate) fn fill(&self, vars: &Vars) -> Result<String, String> {
        let mut out = String::with_capacity(self.text.len() + 16);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(name) => out.push_str(vars.get(name).ok_or_else(|| name.clone())?),
            }
        }
        Ok(out)
    }

    /// The values with which the template makes `text`; a variable is at least one character without `/` and takes
    /// as few as it can; `known` says which values a variable may have.
    pub(crate) fn matches(&self, text: &str, known: &dyn Fn(&str, &str) -> bool) -> Option<Vars> {
        let mut vars = Vars::new();
        fits(&self.pieces, text, &mut vars, known).then_some(vars)
    }
}

/// Backtracking over at most a file name's length; the depth is the number of pieces of the recipe's own pattern.
fn fits(pieces: &[Piece], text: &str, vars: &mut Vars, known: &dyn Fn(&str, &str) -> bool) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return text.is_empty() };
    match first {
        Piece::Text(fixed) => text.strip_prefix(fixed.as_str()).is_some_and(|text| fits(rest, text, vars, known)),
        Piece::Variable(name) => {
            if let Some(value) = vars.get(name).cloned() {
                return text.strip_prefix(value.as_str()).is_some_and(|text| fits(rest, text, vars, known));
            }
            let ends = text.char_indices().skip(1).map(|(at, _)| at).chain([text.len()]).take(255);
            for end in ends.filter(|end| *end > 0) {
                let value = &text[..end];
                if value.contains('/') {
                    break;
                }
                if !known(name, value) {
                    continue;
                }
                vars.insert(name.clone(), value.to_owned());
                if fits(rest, &text[end..], vars, known) {
                    return true;
                }
                vars.remove(name);
            }
            false
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_yields_the_variables_that_make_it() {
        let pattern = Template::parse("daymet_v4_daily_{region}_{param}_{year}.nc").unwrap();
        let any = |_: &str, _: &str| true;
        let vars = pattern.matches("daymet_v4_daily_na_tmin_1980.nc", &any).unwrap();
        assert_eq!(
            vars.into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
            ["param=tmin", "region=na", "year=1980"]
        );
        assert!(pattern.matches("daymet_v4_daily_na_tmin_1980.nc.xml", &any).is_none());
        let known = |name: &str, value: &str| name != "param" || value == "a_b";
        assert_eq!(pattern.matches("daymet_v4_daily_na_a_b_1980.nc", &known).unwrap()["param"], "a_b");
        let twice = Template::parse("{a}/{a}.nc").unwrap();
        assert!(twice.matches("x/x.nc", &any).is_some() && twice.matches("x/y.nc", &any).is_none());
    }

    #[test]
    fn braces_are_checked() {
        for bad in ["{a", "a}", "{}", "{a b}", "{{a}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Template::parse("{{x}}").unwrap().fill(&Vars::new()).unwrap(), "{x}");
        assert_eq!(Template::parse("{x}").unwrap().fill(&Vars::new()).unwrap_err(), "x");
    }
}
