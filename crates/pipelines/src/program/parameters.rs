//! The parameters of a step: each is taken once, and what nobody takes is an error.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::{Step, at};
use crate::{Error, Result};

pub(super) struct Parameters<'a> {
    step: &'a Step,
    used: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Parameters<'a> {
    pub(super) fn new(step: &'a Step) -> Self {
        Self { step, used: RefCell::default() }
    }

    pub(super) fn wrong(&self, why: impl Into<String>) -> Error {
        at(&self.step.name, why)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        let (key, value) = self.step.parameters.get_key_value(name)?;
        self.used.borrow_mut().insert(key);
        Some(value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.step.parameters.contains_key(name)
    }

    pub(super) fn check_all_used(&self) -> Result<()> {
        let used = self.used.borrow();
        match self.step.parameters.keys().find(|key| !used.contains(key.as_str())) {
            Some(key) => Err(self.wrong(format!("`{}` has no parameter `{key}`", self.step.op))),
            None => Ok(()),
        }
    }

    fn needed<T>(&self, name: &str, what: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.wrong(format!("`{}` needs `{name}`, {what}", self.step.op)))
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str> {
        self.needed(name, "a text", self.get(name).and_then(Value::as_str))
    }

    pub(super) fn text_or(&self, name: &str, default: &'a str) -> Result<&'a str> {
        if self.step.parameters.contains_key(name) { self.text(name) } else { Ok(default) }
    }

    pub(super) fn number(&self, name: &str) -> Result<f64> {
        self.needed(name, "a number", self.get(name).and_then(Value::as_f64))
    }

    /// A number as it is written: whole or not.
    pub(super) fn scalar(&self, name: &str) -> Result<outcrop_compute::Scalar> {
        match self.get(name).and_then(Value::as_i64) {
            Some(whole) => Ok(outcrop_compute::Scalar::Int(whole)),
            None => self.number(name).map(outcrop_compute::Scalar::Float),
        }
    }

    pub(super) fn whole(&self, name: &str) -> Result<u64> {
        self.needed(name, "a whole number", self.get(name).and_then(Value::as_u64))
    }

    pub(super) fn whole_or(&self, name: &str, default: u64) -> Result<u64> {
        if self.step.parameters.contains_key(name) { self.whole(name) } else { Ok(default) }
    }

    pub(super) fn signed(&self, name: &str) -> Result<i64> {
        self.needed(name, "a whole number", self.get(name).and_then(Value::as_i64))
    }

    pub(super) fn is_set(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(set)) => Ok(*set),
            Some(_) => Err(self.wrong(format!("`{name}` is true or false"))),
        }
    }

    /// A text, or a list of texts; none is an empty list.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&'a str>> {
        let wrong = || self.wrong(format!("`{name}` is a text or a list of texts"));
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(all)) => all.iter().map(|text| text.as_str().ok_or_else(wrong)).collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// Lengths by dimension: `{y = 4, x = 4}`.
    pub(super) fn lengths(&self, name: &str) -> Result<Vec<(&'a str, u64)>> {
        let wrong = || self.wrong(format!("`{name}` tells whole numbers by dimension: {{y = 4, x = 4}}"));
        let all = self.get(name).and_then(Value::as_object).ok_or_else(wrong)?;
        all.iter().map(|(dim, len)| Some((dim.as_str(), len.as_u64()?))).collect::<Option<_>>().ok_or_else(wrong)
    }

    /// Anything by dimension; none is an empty list.
    pub(super) fn by_dim(&self, name: &str) -> Result<Vec<(&'a str, &'a Value)>> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(all)) => Ok(all.iter().map(|(dim, value)| (dim.as_str(), value)).collect()),
            Some(_) => Err(self.wrong(format!("`{name}` tells something by dimension: {{x = ...}}"))),
        }
    }

    /// A list of numbers; none is an empty list.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let wrong = || self.wrong(format!("`{name}` is a list of numbers"));
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(all)) => all.iter().map(|n| n.as_f64().ok_or_else(wrong)).collect(),
            Some(number) => number.as_f64().map(|number| vec![number]).ok_or_else(wrong),
        }
    }
}

/// One of the names that a serialised enum has.
pub(super) fn named<T: serde::de::DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(Value::String(name.to_owned())).ok()
}
