//! What a file says, by path: attributes, shapes, and values of small datasets.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::array::{AttrValue, Attrs, DType, FileMeta, Variable};

/// Values of a small dataset.
#[derive(Debug, Clone)]
pub(super) enum Values {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Texts(Vec<String>),
    /// They cannot be read here.
    Unknown,
}

impl Values {
    pub(super) fn of(dtype: DType, bytes: &[u8]) -> Self {
        fn ints<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> i64) -> Values {
            Values::Ints(bytes.as_chunks::<N>().0.iter().map(|element| read(*element)).collect())
        }
        fn floats<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Values {
            Values::Floats(bytes.as_chunks::<N>().0.iter().map(|element| read(*element)).collect())
        }
        match dtype {
            DType::Int8 => ints(bytes, |b| i8::from_ne_bytes(b).into()),
            DType::UInt8 => ints(bytes, |b| u8::from_ne_bytes(b).into()),
            DType::Int16 => ints(bytes, |b| i16::from_ne_bytes(b).into()),
            DType::UInt16 => ints(bytes, |b| u16::from_ne_bytes(b).into()),
            DType::Int32 => ints(bytes, |b| i32::from_ne_bytes(b).into()),
            DType::UInt32 => ints(bytes, |b| u32::from_ne_bytes(b).into()),
            DType::Int64 => ints(bytes, i64::from_ne_bytes),
            DType::UInt64 => ints(bytes, |b| i64::try_from(u64::from_ne_bytes(b)).unwrap_or(i64::MAX)),
            DType::Float32 => floats(bytes, |b| exact(f32::from_ne_bytes(b))),
            DType::Float64 => floats(bytes, f64::from_ne_bytes),
            DType::Char | DType::Text(_) => {
                let size = dtype.size().max(1);
                let text = |b: &[u8]| String::from_utf8_lossy(b).trim_end_matches(['\0', ' ']).to_owned();
                Self::Texts(bytes.chunks_exact(size).map(text).collect())
            }
            _ => Self::Unknown,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ints(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Unknown => 0,
        }
    }

    pub(super) fn number(&self, at: usize) -> Option<f64> {
        match self {
            Self::Ints(values) => values.get(at).map(|value| *value as f64),
            Self::Floats(values) => values.get(at).copied(),
            Self::Texts(values) => values.get(at)?.trim().parse().ok(),
            Self::Unknown => None,
        }
    }
}

/// The decimal that a single precision number was written as: 0.001, not 0.0010000000474974513.
fn exact(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// A file to look at. Datasets whose values are wanted and not there are noted.
pub(super) struct View<'a> {
    pub(super) meta: &'a FileMeta,
    groups: &'a HashMap<String, Attrs>,
    values: &'a HashMap<String, Values>,
    missed: RefCell<Vec<String>>,
    /// Positions of variables by path.
    index: HashMap<&'a str, usize>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        meta: &'a FileMeta,
        groups: &'a HashMap<String, Attrs>,
        values: &'a HashMap<String, Values>,
    ) -> Self {
        let index = meta.variables.iter().enumerate().map(|(at, variable)| (variable.name.as_str(), at)).collect();
        Self { meta, groups, values, missed: RefCell::new(Vec::new()), index }
    }

    pub(super) fn into_missed(self) -> Vec<String> {
        self.missed.into_inner()
    }

    pub(super) fn variable(&self, path: &str) -> Option<&'a Variable> {
        self.index.get(path).and_then(|at| self.meta.variables.get(*at))
    }

    /// Attributes of the file (path ``), a group or a variable.
    fn attrs(&self, path: &str) -> Option<&'a Attrs> {
        if path.is_empty() {
            return Some(&self.meta.attrs);
        }
        self.variable(path).map(|variable| &variable.attrs).or_else(|| self.groups.get(path))
    }

    pub(super) fn attr(&self, path: &str, name: &str) -> Option<&'a AttrValue> {
        self.attrs(path)?.get(name)
    }

    pub(super) fn has(&self, path: &str, names: &[&str]) -> bool {
        names.iter().all(|name| self.attr(path, name).is_some())
    }

    /// A number, or a text that is one.
    pub(super) fn number(&self, path: &str, name: &str) -> Option<f64> {
        self.numbers(path, name).first().copied()
    }

    pub(super) fn numbers(&self, path: &str, name: &str) -> Vec<f64> {
        match self.attr(path, name) {
            Some(AttrValue::Float32(values)) => values.iter().map(|value| exact(*value)).collect(),
            Some(value) => match value.text() {
                Some(text) => text.trim().parse().into_iter().filter(|number: &f64| number.is_finite()).collect(),
                None => value.numbers(),
            },
            None => Vec::new(),
        }
    }

    pub(super) fn text(&self, path: &str, name: &str) -> Option<&'a str> {
        self.attr(path, name)?.text().map(str::trim).filter(|text| !text.is_empty())
    }

    /// The values of a small dataset.
    pub(super) fn values(&self, path: &str) -> Option<&'a Values> {
        self.variable(path)?;
        let values = self.values.get(path);
        let mut missed = self.missed.borrow_mut();
        if values.is_none() && !missed.iter().any(|other| other == path) {
            missed.push(path.to_owned());
        }
        values
    }

    /// The first value of a small dataset.
    pub(super) fn value(&self, path: &str) -> Option<f64> {
        self.values(path)?.number(0)
    }

    pub(super) fn text_value(&self, path: &str) -> Option<&'a str> {
        match self.values(path)? {
            Values::Texts(texts) => texts.first().map(String::as_str),
            _ => None,
        }
    }
}
