//! Templates of version 1 (`{{u}}`, `{{f(c='text')}}`) and the references that `gen` makes of them.
//!
//! A template is text with expressions of Jinja in double braces. Names, whole numbers, texts, `+ - * // %`, `~` and
//! calls of other templates are computed as in Python; all else of Jinja is refused, and so is a name that is not there.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Longest text that a template makes, in bytes.
const MAX_TEXT: usize = 1 << 16;
/// Most references that a document generates.
const MAX_GENERATED: u64 = 1 << 20;
/// Deepest expression.
const MAX_DEPTH: usize = 16;

/// The templates of a document, by name.
#[derive(Debug, Default)]
pub(super) struct Templates(HashMap<String, String>);

/// A value within an expression.
#[derive(Debug, Clone, PartialEq)]
enum Term {
    Int(i64),
    Text(String),
}

type Scope = HashMap<String, Term>;

/// A generated reference: key, href, and the range unless it is a whole object.
pub(super) type Generated = (String, String, Option<(u64, u64)>);

impl Templates {
    pub(super) fn new(members: &Map<String, Value>) -> Result<Self, String> {
        let text = |(name, value): (&String, &Value)| match value.as_str() {
            Some(text) => Ok((name.clone(), text.to_owned())),
            None => Err(format!("template `{name}` is no text")),
        };
        members.iter().map(text).collect::<Result<_, _>>().map(Self)
    }

    /// The text of an href, its expressions replaced.
    pub(super) fn render(&self, text: &str) -> Result<String, String> {
        self.fill(text, &Scope::new())
    }

    fn fill(&self, text: &str, scope: &Scope) -> Result<String, String> {
        self.fill_with(text, (scope, true), 0)
    }

    /// `scope` has the names beside the templates; a template that is called (not `outer`) sees only its arguments.
    fn fill_with(&self, text: &str, (scope, outer): (&Scope, bool), depth: usize) -> Result<String, String> {
        if let Some(mark) = ["{%", "{#", "{{-", "-}}"].into_iter().find(|mark| text.contains(mark)) {
            return Err(format!("`{mark}` in the template `{}` is not supported", short(text)));
        }
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find("{{") {
            out.push_str(&rest[..at]);
            let mut parser = Parser { templates: self, scope, outer, rest: &rest[at + 2..], depth };
            let value = parser.sum().map_err(|why| format!("the template `{}`: {why}", short(text)))?;
            let Some(after) = parser.rest.trim_start().strip_prefix("}}") else {
                let found: String = parser.rest.trim_start().chars().take(1).collect();
                return Err(format!("the template `{}`: `{found}` is not supported", short(text)));
            };
            out.push_str(&value.text());
            rest = after;
            if out.len() > MAX_TEXT {
                return Err(format!("the template `{}` makes more than {MAX_TEXT} bytes", short(text)));
            }
        }
        out.push_str(rest);
        if out.len() > MAX_TEXT {
            return Err(format!("the template `{}` makes more than {MAX_TEXT} bytes", short(text)));
        }
        Ok(out)
    }

    /// The references of the entries of `gen`.
    pub(super) fn generate(&self, entries: &[Value]) -> Result<Vec<Generated>, String> {
        let mut made = Vec::new();
        for entry in entries {
            let axes = dimensions(&entry["dimensions"])?;
            let total = axes.iter().try_fold(1u64, |n, (_, values)| n.checked_mul(values.len()));
            let total = total.filter(|n| *n <= MAX_GENERATED - (made.len() as u64).min(MAX_GENERATED));
            let total = total.ok_or_else(|| format!("`gen` makes more than {MAX_GENERATED} references"))?;
            let text = |name: &str| match entry.get(name) {
                None => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.clone())),
                Some(Value::Number(number)) => Ok(Some(number.to_string())),
                Some(_) => Err(format!("`{name}` of `gen` is no text")),
            };
            let (key, url) = (text("key")?.ok_or("`gen` without `key`")?, text("url")?.ok_or("`gen` without `url`")?);
            let range = match (text("offset")?, text("length")?) {
                (Some(offset), Some(length)) => Some((offset, length)),
                (None, None) => None,
                _ => return Err("`gen` with one of `offset` and `length`".to_owned()),
            };
            for i in 0..total {
                let scope = at(&axes, i);
                let number = |text: &str| {
                    let text = self.fill(text, &scope)?;
                    text.trim().parse::<u64>().map_err(|_| format!("`{}` is no place in an object", short(&text)))
                };
                let range = match &range {
                    Some((offset, length)) => Some((number(offset)?, number(length)?)),
                    None => None,
                };
                made.push((self.fill(&key, &scope)?, self.fill(&url, &scope)?, range));
            }
        }
        Ok(made)
    }
}

/// The values of a dimension.
enum Values {
    Range { start: i64, step: i64, len: u64 },
    List(Vec<Term>),
}

impl Values {
    fn len(&self) -> u64 {
        match self {
            Self::Range { len, .. } => *len,
            Self::List(values) => values.len() as u64,
        }
    }

    fn get(&self, at: u64) -> Term {
        match self {
            Self::Range { start, step, .. } => {
                Term::Int(start.saturating_add(step.saturating_mul(i64::try_from(at).unwrap_or(i64::MAX))))
            }
            Self::List(values) => {
                let found = usize::try_from(at).ok().and_then(|at| values.get(at));
                found.cloned().unwrap_or(Term::Int(0))
            }
        }
    }
}

fn dimensions(value: &Value) -> Result<Vec<(String, Values)>, String> {
    let members = value.as_object().ok_or("`gen` without `dimensions`")?;
    members.iter().map(|(name, value)| Ok((name.clone(), values(name, value)?))).collect()
}

fn values(name: &str, value: &Value) -> Result<Values, String> {
    let bad = || format!("dimension `{name}` of `gen` is neither a list nor a range");
    let term = |value: &Value| match value {
        Value::String(text) => Some(Term::Text(text.clone())),
        value => value.as_i64().map(Term::Int),
    };
    if let Some(list) = value.as_array() {
        return Ok(Values::List(list.iter().map(term).collect::<Option<_>>().ok_or_else(bad)?));
    }
    let number = |key: &str, default: Option<i64>| match value.get(key) {
        None => default.ok_or_else(bad),
        Some(number) => number.as_i64().ok_or_else(bad),
    };
    let (start, stop, step) = (number("start", Some(0))?, number("stop", None)?, number("step", Some(1))?);
    let (from, to) = (i128::from(start), i128::from(stop));
    let len = match i128::from(step) {
        0 => return Err(bad()),
        step if step > 0 => (to - from + step - 1).div_euclid(step),
        step => (from - to - step - 1).div_euclid(-step),
    };
    Ok(Values::Range { start, step, len: u64::try_from(len.max(0)).unwrap_or(u64::MAX) })
}

/// The names at a position of the product of dimensions, the last of which runs fastest.
fn at(axes: &[(String, Values)], mut position: u64) -> Scope {
    let mut scope = Scope::new();
    for (name, values) in axes.iter().rev() {
        let len = values.len().max(1);
        scope.insert(name.clone(), values.get(position % len));
        position /= len;
    }
    scope
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

impl Term {
    fn text(&self) -> String {
        match self {
            Self::Int(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Reads and computes one expression.
struct Parser<'a> {
    templates: &'a Templates,
    scope: &'a Scope,
    /// Templates have names here.
    outer: bool,
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Result<Term, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is too deep".to_owned());
        }
        let mut left = self.concat()?;
        loop {
            if self.eat("+") {
                left = match (left, self.concat()?) {
                    (Term::Int(a), Term::Int(b)) => whole(a.checked_add(b))?,
                    (Term::Text(a), Term::Text(b)) => joined(&a, &b)?,
                    _ => return Err("`+` of a number and a text".to_owned()),
                };
            } else if self.eat("-") {
                left = match (left, self.concat()?) {
                    (Term::Int(a), Term::Int(b)) => whole(a.checked_sub(b))?,
                    _ => return Err("`-` of a text".to_owned()),
                };
            } else {
                self.depth -= 1;
                return Ok(left);
            }
        }
    }

    fn concat(&mut self) -> Result<Term, String> {
        let mut left = self.product()?;
        while self.eat("~") {
            left = joined(&left.text(), &self.product()?.text())?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Term, String> {
        let mut left = self.atom()?;
        loop {
            if self.rest.trim_start().starts_with("**") {
                return Err("`**` is not supported".to_owned());
            }
            let operator = if self.eat("*") {
                '*'
            } else if self.eat("//") {
                '/'
            } else if self.eat("%") {
                '%'
            } else {
                return Ok(left);
            };
            left = match (left, operator, self.atom()?) {
                (Term::Int(a), '*', Term::Int(b)) => whole(a.checked_mul(b))?,
                (Term::Int(a), '/', Term::Int(b)) => whole(floor(a, b).map(|(quotient, _)| quotient))?,
                (Term::Int(a), '%', Term::Int(b)) => whole(floor(a, b).map(|(_, rest)| rest))?,
                (Term::Text(format), '%', value) => printed(&format, &value)?,
                _ => return Err(format!("`{operator}` of a text")),
            };
        }
    }

    fn atom(&mut self) -> Result<Term, String> {
        let rest = self.rest.trim_start();
        let first = rest.chars().next().ok_or("it ends too early")?;
        match first {
            '-' | '(' => {
                self.rest = &rest[1..];
                if first == '-' {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err("it is too deep".to_owned());
                    }
                    let value = self.atom()?;
                    self.depth -= 1;
                    return match value {
                        Term::Int(number) => whole(number.checked_neg()),
                        Term::Text(_) => Err("`-` of a text".to_owned()),
                    };
                }
                let value = self.sum()?;
                if self.eat(")") { Ok(value) } else { Err("a parenthesis is not closed".to_owned()) }
            }
            '\'' | '"' => {
                let (text, after) = rest[1..].split_once(first).ok_or("a text is not closed")?;
                if text.contains('\\') {
                    return Err("`\\` is not supported".to_owned());
                }
                self.rest = after;
                Ok(Term::Text(text.to_owned()))
            }
            '0'..='9' => {
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                self.rest = &rest[end..];
                if self.rest.starts_with(|c: char| c == '.' || c == '_' || c.is_alphanumeric()) {
                    return Err("numbers that are not whole are not supported".to_owned());
                }
                whole(rest[..end].parse().ok())
            }
            c if c.is_alphabetic() || c == '_' => self.named(rest),
            other => Err(format!("`{other}` is not supported")),
        }
    }

    /// A name, or a call.
    fn named(&mut self, rest: &'a str) -> Result<Term, String> {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = &rest[..end];
        self.rest = &rest[end..];
        let template = self.templates.0.get(name).filter(|_| self.outer && !self.scope.contains_key(name));
        let function = template.filter(|text| text.contains("{{"));
        if self.eat("(") {
            let function = function.ok_or_else(|| format!("`{name}` cannot be called"))?;
            let arguments = self.arguments()?;
            let text = self.templates.fill_with(function, (&arguments, false), self.depth)?;
            return Ok(Term::Text(text));
        }
        if function.is_some() {
            return Err(format!("`{name}` has to be called"));
        }
        let known = self.scope.get(name).cloned().or_else(|| template.map(|text| Term::Text(text.clone())));
        known.ok_or_else(|| format!("there is no `{name}`"))
    }

    fn arguments(&mut self) -> Result<Scope, String> {
        let mut arguments = Scope::new();
        while !self.eat(")") {
            let rest = self.rest.trim_start();
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let name = &rest[..end];
            self.rest = &rest[end..];
            if name.is_empty() || self.rest.trim_start().starts_with("==") || !self.eat("=") {
                return Err("arguments without names are not supported".to_owned());
            }
            let value = self.sum()?;
            arguments.insert(name.to_owned(), value);
            if !self.eat(",") && !self.rest.trim_start().starts_with(')') {
                return Err("a call is not closed".to_owned());
            }
        }
        Ok(arguments)
    }
}

fn whole(number: Option<i64>) -> Result<Term, String> {
    number.map(Term::Int).ok_or_else(|| "a number beyond 64 bits, or a division by 0".to_owned())
}

fn joined(left: &str, right: &str) -> Result<Term, String> {
    if left.len().saturating_add(right.len()) > MAX_TEXT {
        return Err(format!("it makes more than {MAX_TEXT} bytes"));
    }
    Ok(Term::Text(format!("{left}{right}")))
}

/// Quotient and remainder as Python rounds: towards minus infinity.
fn floor(a: i64, b: i64) -> Option<(i64, i64)> {
    let (quotient, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
    if rest != 0 && (rest < 0) != (b < 0) { Some((quotient.checked_sub(1)?, rest + b)) } else { Some((quotient, rest)) }
}

/// `'%03d' % n` and `'%s' % value` of Python, with one place.
fn printed(format: &str, value: &Term) -> Result<Term, String> {
    let refused = || format!("the format `{}` is not supported", short(format));
    let (before, rest) = format.split_once('%').ok_or_else(refused)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
    let (width, rest) = rest.split_at(end);
    let (kind, after) = rest.split_at_checked(1).ok_or_else(refused)?;
    let places: usize =
        if width.is_empty() { 0 } else { width.parse().ok().filter(|n| *n <= 64).ok_or_else(refused)? };
    if after.contains('%') {
        return Err(refused());
    }
    let text = match (kind, value) {
        ("d", Term::Int(number)) if width.starts_with('0') => format!("{number:0places$}"),
        ("d", Term::Int(number)) => format!("{number:places$}"),
        ("s", value) if width.is_empty() => value.text(),
        _ => return Err(refused()),
    };
    joined(&format!("{before}{text}"), after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn templates() -> Templates {
        let members = json!({"u": "host/path", "f": "{{c}}.nc", "g": "{{a}}-{{ '%02d' % n }}"});
        Templates::new(members.as_object().unwrap()).unwrap()
    }

    /// Expected texts are those of Jinja 3.1.6 through fsspec 2026.9.0 (`simple_templates=False`).
    #[test]
    fn expressions_are_those_of_jinja() {
        let templates = templates();
        for (text, want) in [
            ("http://{{u}}/a", "http://host/path/a"),
            ("{{ u }}", "host/path"),
            ("{{f(c='text')}}", "text.nc"),
            ("{{ f(c=f(c=u)) }}x", "host/path.nc.ncx"),
            ("{{g(a=\"b\", n=7)}}", "b-07"),
            ("{{ (1 + 2) * 3 - 10 // 3 }}", "6"),
            ("{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }}", "-4 2 -2"),
            ("{{ 'a' ~ 1 + 'b' }}", "a1b"),
            ("{{ '}}' }}", "}}"),
            ("{{ '%5d|' % 42 }}{{ '%s' % u }}", "   42|host/path"),
            ("plain", "plain"),
        ] {
            assert_eq!(templates.render(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        let templates = templates();
        for (text, want) in [
            ("{{ nothing }}", "there is no `nothing`"),
            ("{{ u | upper }}", "`|`"),
            ("{{ u.x }}", "`.`"),
            ("{{ u[0] }}", "`[`"),
            ("{% if 1 %}", "{%"),
            ("{{ 1 / 2 }}", "`/`"),
            ("{{ 1.5 }}", "whole"),
            ("{{ f }}", "called"),
            ("{{ u() }}", "called"),
            ("{{ f(u) }}", "without names"),
            ("{{ 1 // 0 }}", "division"),
            ("{{ 9223372036854775807 + 1 }}", "64 bits"),
            ("{{ 'a", "not closed"),
            ("{{ u", "`` is not"),
            ("{{ ((((((((((((((((((1)))))))))))))))))) }}", "deep"),
            ("{{ '%x' % 3 }}", "%x"),
        ] {
            let why = templates.render(text).unwrap_err();
            assert!(why.contains(want), "{text}: {why}");
        }
    }

    #[test]
    fn generated_references() {
        let entries = json!([
            {"key": "v/{{i}}.{{k}}", "url": "http://{{u}}_{{k}}", "offset": "{{(i + 1) * 1000}}", "length": "100",
             "dimensions": {"i": {"stop": 6, "start": 2, "step": 3}, "k": ["a", "b"]}},
            {"key": "w/{{i}}", "url": "{{f(c=i)}}", "dimensions": {"i": [7]}},
        ]);
        let made = templates().generate(entries.as_array().unwrap()).unwrap();
        let want = [
            ("v/2.a", "http://host/path_a", Some((3000, 100))),
            ("v/2.b", "http://host/path_b", Some((3000, 100))),
            ("v/5.a", "http://host/path_a", Some((6000, 100))),
            ("v/5.b", "http://host/path_b", Some((6000, 100))),
            ("w/7", "7.nc", None),
        ];
        assert_eq!(made.iter().map(|(k, u, r)| (k.as_str(), u.as_str(), *r)).collect::<Vec<_>>(), want);
        let huge = json!([{"key": "{{i}}", "url": "u", "dimensions": {"i": {"stop": 1u64 << 40}}}]);
        assert!(templates().generate(huge.as_array().unwrap()).unwrap_err().contains("more than"));
        let half = json!([{"key": "{{i}}", "url": "u", "offset": "1", "dimensions": {"i": [1]}}]);
        assert!(templates().generate(half.as_array().unwrap()).unwrap_err().contains("one of"));
    }
}
