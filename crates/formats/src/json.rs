//! JSON as a tree of bounded size: what few bytes of text become can take fifty times as much memory.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Most memory of the tree of a document, in bytes.
pub(crate) const MAX_TREE: u64 = 160 << 20;

/// What may still be taken of the memory of a tree, in bytes.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_TREE)
    }
}

impl Budget {
    /// Parses a document.
    pub(crate) fn tree(&mut self, json: &[u8]) -> serde_json::Result<Value> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let tree = self.deserialize(&mut reader)?;
        reader.end()?;
        Ok(tree)
    }

    /// Takes memory for values or members, each with so many bytes besides what its text has.
    fn take<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        // A list grows by doubling.
        let bytes = 2 * bytes as u64;
        match self.0.checked_sub(bytes) {
            Some(left) => self.0 = left,
            None => return Err(E::custom(format!("its tree takes more than the limit of {MAX_TREE} bytes"))),
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Budget {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        self.take(size_of::<Value>())?;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Budget {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.take(text.len() / 2 + size_of::<usize>())?;
        Ok(text.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element_seed(&mut *self)? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        // The table of a map has room for four members at least.
        self.take(2 * size_of::<(String, Value, u64)>())?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.take(name.len() / 2 + size_of::<(String, u64, u64)>())?;
            let value = members.next_value_seed(&mut *self)?;
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

/// A tree with a budget of its own.
#[derive(Debug)]
pub(crate) struct Bounded(pub(crate) Value);

impl<'de> Deserialize<'de> for Bounded {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Budget::default().deserialize(json).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_those_of_serde() {
        let text = r#"{"a": [1, -2, 1.5, null, true, "größe"], "b": {"c": {}, "a": 18446744073709551615}}"#;
        assert_eq!(Budget::default().tree(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        for broken in ["", "{", "[1,]", "[1] 2", r#"{"a"}"#] {
            assert!(Budget::default().tree(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn trees_that_are_too_large_are_refused() {
        for (each, count) in [("0", 8 << 20), ("{}", 4 << 20), (r#"{"a":0}"#, 2 << 20), ("[]", 5 << 20)] {
            let text = format!("[{}0]", format!("{each},").repeat(count));
            let why = Budget::default().tree(text.as_bytes()).unwrap_err().to_string();
            assert!(why.contains("more than the limit of 167772160 bytes"), "{why}");
        }
    }
}
