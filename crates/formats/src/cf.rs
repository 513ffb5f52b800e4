//! CF attributes: missing values, scale and offset.
//!
//! Rules of section 2.5 and 8.1 of the CF conventions, with the result types of xarray's `mask_and_scale`.

use std::collections::BTreeSet;

use crate::array::{AttrValue, Attrs, DType, Variable};
use crate::{Error, Result};

/// What becomes of stored values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// They stay as they are stored.
    #[default]
    Raw,
    /// Those that are missing become NaN, in the smallest float type that xarray would take; scale and offset stay in the
    /// attributes.
    Masked,
    /// Those that are missing become NaN, all others physical values in the type that xarray gives them.
    Scaled,
}

/// How stored values become physical values.
///
/// - A stored value that is missing becomes NaN.
/// - Limits and fill values are compared in the stored type, before scaling.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoding {
    stored: DType,
    missing: Vec<f64>,
    missing_wide: BTreeSet<i128>,
    nan_is_missing: bool,
    min: Option<f64>,
    max: Option<f64>,
    scale: Option<f64>,
    offset: Option<f64>,
    result: DType,
}

impl Decoding {
    /// The rules that the attributes of a variable give.
    pub fn of(variable: &Variable) -> Self {
        Self::from_attrs(variable.dtype, &variable.attrs)
    }

    /// The rules that these attributes give to values stored as `dtype`.
    pub fn from_attrs(dtype: DType, attrs: &Attrs) -> Self {
        let stored = view(dtype, attrs);
        let mut missing = Vec::new();
        let mut wide = BTreeSet::new();
        for name in ["_FillValue", "missing_value"] {
            if let Some(value) = attrs.get(name) {
                missing.extend(value.numbers().into_iter().map(|v| as_stored(v, stored)));
                wide.extend(value.integers().into_iter().map(|v| wrap(v, stored)));
            }
        }
        let (min, max) = limits(attrs, stored);
        let scale = attrs.get("scale_factor");
        let offset = attrs.get("add_offset");
        let result = result_dtype(stored, scale, offset, &missing);
        Self {
            stored,
            nan_is_missing: missing.iter().any(|v| v.is_nan()),
            missing: missing.into_iter().filter(|v| !v.is_nan()).collect(),
            missing_wide: wide,
            min,
            max,
            scale: scale.and_then(AttrValue::number),
            offset: offset.and_then(AttrValue::number),
            result,
        }
    }

    /// The same rules without `valid_min`, `valid_max` and `valid_range`, which xarray does not apply.
    #[must_use]
    pub fn without_limits(self) -> Self {
        Self { min: None, max: None, ..self }
    }

    /// The rules by which a variable is decoded under a policy; `None` where its values stay as they are stored: numbers
    /// that nothing is said of, texts, complex numbers, and times (CF, section 4.4), whose values xarray decodes by itself.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for bands of unlike scale or offset, which one rule does not decode.
    pub fn under(policy: Policy, variable: &Variable) -> Result<Option<Self>> {
        Ok(Self::with_holes(policy, variable)?.filter(|rules| !rules.is_identity()))
    }

    /// As [`Decoding::under`], also of numbers that nothing is said of: something else makes holes in them, such as a mask.
    pub(crate) fn with_holes(policy: Policy, variable: &Variable) -> Result<Option<Self>> {
        let attrs = &variable.attrs;
        let of_time = attrs.get("units").and_then(AttrValue::text).is_some_and(|units| units.contains(" since "));
        if policy == Policy::Raw || !variable.dtype.is_real() || of_time {
            return Ok(None);
        }
        if policy == Policy::Scaled && (attrs.contains_key("scales") || attrs.contains_key("offsets")) {
            return Err(Error::unsupported(&variable.name, "scaling bands that have scales or offsets of their own"));
        }
        let all = Self::of(variable);
        let rules = if policy == Policy::Masked { Self { scale: None, offset: None, ..all } } else { all };
        let scaled = policy == Policy::Scaled;
        if scaled && (rules.nan_is_missing || !rules.missing.is_empty()) {
            return Ok(Some(rules));
        }
        // Limits make holes too, which whole numbers cannot show.
        let of = |name: &str| attrs.get(name).filter(|_| scaled);
        let result = result_dtype(rules.stored, of("scale_factor"), of("add_offset"), &[0.0]);
        Ok(Some(Self { result, ..rules }))
    }

    /// The attributes of the decoded values: what was applied is gone, and told by `decoded`.
    pub fn decoded_attrs(&self, attrs: &Attrs) -> Attrs {
        self.attrs_after(attrs, Vec::new())
    }

    /// As [`Decoding::decoded_attrs`], where a mask was applied too.
    pub(crate) fn masked_attrs(&self, attrs: &Attrs) -> Attrs {
        self.attrs_after(attrs, vec!["mask".to_owned()])
    }

    fn attrs_after(&self, attrs: &Attrs, mut said: Vec<String>) -> Attrs {
        let scaled = self.scale.is_some() || self.offset.is_some();
        let applied = |name: &str| match name {
            "_FillValue" | "missing_value" | "valid_min" | "valid_max" | "valid_range" | "_Unsigned" => true,
            "scale_factor" | "add_offset" => scaled,
            _ => false,
        };
        let (gone, mut kept): (Attrs, Attrs) = attrs.clone().into_iter().partition(|(name, _)| applied(name));
        let nan = if self.result == DType::Float32 {
            AttrValue::Float32(vec![f32::NAN])
        } else {
            AttrValue::Float64(vec![f64::NAN])
        };
        kept.insert("_FillValue".into(), nan);
        let number = |value: &AttrValue| value.numbers().iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        let text = |value: &AttrValue| value.text().map_or_else(|| number(value), str::to_owned);
        said.extend(gone.iter().map(|(name, value)| format!("{name} {}", text(value))));
        kept.insert("decoded".into(), AttrValue::Text(format!("{} from {}", said.join(", "), self.stored.name())));
        kept
    }

    /// The decoded values of elements in native byte order, as elements of [`Decoding::result_dtype`] in native byte order.
    pub fn decode(&self, raw: &[u8]) -> Vec<u8> {
        if self.result != DType::Float32 {
            return self.to_f64(raw).iter().flat_map(|value| value.to_ne_bytes()).collect();
        }
        let mut out = vec![0f32; raw.len() / self.stored.size().max(1)];
        self.to_f32(raw, &mut out);
        out.iter().flat_map(|value| value.to_ne_bytes()).collect()
    }

    /// The type of the values in memory: of the file, with the sign that `_Unsigned` gives.
    pub fn stored_dtype(&self) -> DType {
        self.stored
    }

    /// The type of the physical values, by xarray's rules.
    pub fn result_dtype(&self) -> DType {
        self.result
    }

    /// True if stored values are the physical values and none is missing.
    pub fn is_identity(&self) -> bool {
        let masks =
            !self.missing.is_empty() || !self.missing_wide.is_empty() || self.min.is_some() || self.max.is_some();
        !masks && self.scale.is_none() && self.offset.is_none()
    }

    /// True if the stored value says that there is none. NaN in floats counts as missing.
    pub fn is_missing(&self, stored: f64) -> bool {
        stored.is_nan()
            || self.missing.contains(&stored)
            || self.min.is_some_and(|min| stored < min)
            || self.max.is_some_and(|max| stored > max)
    }

    /// The physical value of one stored value; NaN where it is missing.
    pub fn apply(&self, stored: f64) -> f64 {
        if self.is_missing(stored) { f64::NAN } else { self.scaled(stored) }
    }

    /// Computed in the type of the result, as xarray does.
    fn scaled(&self, stored: f64) -> f64 {
        let (scale, offset) = (self.scale.unwrap_or(1.0), self.offset.unwrap_or(0.0));
        if self.result == DType::Float32 {
            // Rounded after each step; of single factors the product and the sum in double are those in single.
            f64::from(narrow(f64::from(narrow(stored * scale)) + offset))
        } else {
            stored * scale + offset
        }
    }

    /// The physical values of elements in native byte order; NaN where they are missing.
    ///
    /// 64-bit integers beyond 2^53 lose their last digits; they are compared with fill values before.
    /// Complex, text and opaque elements are no real numbers: NaN.
    pub fn to_f64(&self, raw: &[u8]) -> Vec<f64> {
        let wide = |v: i128, f: f64| {
            if self.missing_wide.contains(&v) { f64::NAN } else { self.limited(f) }
        };
        match self.stored {
            DType::Int8 => raw.iter().map(|b| self.apply(f64::from(b.cast_signed()))).collect(),
            DType::UInt8 => raw.iter().map(|b| self.apply(f64::from(*b))).collect(),
            DType::Int16 => map(raw, |b| self.apply(f64::from(i16::from_ne_bytes(b)))),
            DType::UInt16 => map(raw, |b| self.apply(f64::from(u16::from_ne_bytes(b)))),
            DType::Int32 => map(raw, |b| self.apply(f64::from(i32::from_ne_bytes(b)))),
            DType::UInt32 => map(raw, |b| self.apply(f64::from(u32::from_ne_bytes(b)))),
            DType::Int64 => map(raw, |b| wide(i128::from(i64::from_ne_bytes(b)), i64::from_ne_bytes(b) as f64)),
            DType::UInt64 => map(raw, |b| wide(i128::from(u64::from_ne_bytes(b)), u64::from_ne_bytes(b) as f64)),
            DType::Float16 => map(raw, |b| self.apply(half::f16::from_ne_bytes(b).to_f64())),
            DType::Float32 => map(raw, |b| self.apply(f64::from(f32::from_ne_bytes(b)))),
            DType::Float64 => map(raw, |b| self.apply(f64::from_ne_bytes(b))),
            other => vec![f64::NAN; raw.len() / other.size().max(1)],
        }
    }

    fn limited(&self, stored: f64) -> f64 {
        let outside = self.min.is_some_and(|min| stored < min) || self.max.is_some_and(|max| stored > max);
        if outside { f64::NAN } else { self.scaled(stored) }
    }

    /// Like [`Decoding::to_f64`] in single precision, without allocation; `out` has as many members as `raw` elements.
    ///
    /// Values stored as `float32` take a fast path. Nothing beyond the shorter of both is touched.
    pub fn to_f32(&self, raw: &[u8], out: &mut [f32]) {
        if self.stored == DType::Float32 {
            self.floats(raw, out);
            return;
        }
        // In pieces, so that the values in double precision stay in the cache.
        let size = self.stored.size().max(1);
        for (piece, out) in raw.chunks(4096 * size).zip(out.chunks_mut(4096)) {
            for (value, out) in self.to_f64(piece).into_iter().zip(out) {
                *out = narrow(value);
            }
        }
    }

    #[expect(clippy::float_cmp, reason = "a fill value is meant to the bit")]
    #[expect(clippy::needless_bitwise_bool, reason = "without branches the loop becomes vector code")]
    fn floats(&self, raw: &[u8], out: &mut [f32]) {
        let stored = raw.as_chunks::<4>().0.iter().map(|b| f32::from_ne_bytes(*b));
        let missing: Vec<f32> = self.missing.iter().map(|v| narrow(*v)).collect();
        let (min, max) = (self.min.map_or(f32::NEG_INFINITY, narrow), self.max.map_or(f32::INFINITY, narrow));
        let plain = self.scale.is_none() && self.offset.is_none();
        // A comparison with NaN is never true, so absent fill values do no harm.
        let first = missing.first().copied().unwrap_or(f32::NAN);
        let second = missing.get(1).copied().unwrap_or(first);
        if missing.len() <= 2 && plain {
            for (value, out) in stored.zip(out) {
                let absent = (value == first) | (value == second) | (value < min) | (value > max);
                *out = if absent { f32::NAN } else { value };
            }
            return;
        }
        for (value, out) in stored.zip(out) {
            let absent = missing.contains(&value) || value < min || value > max;
            *out = if absent { f32::NAN } else { narrow(self.scaled(f64::from(value))) };
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "single precision is what was asked for")]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn map<const N: usize>(raw: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    raw.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)).collect()
}

/// The stored type with the sign that `_Unsigned` gives (NUG, "Unsigned data").
fn view(dtype: DType, attrs: &Attrs) -> DType {
    let flag = attrs.get("_Unsigned").and_then(AttrValue::text).map(str::to_ascii_lowercase);
    match (flag.as_deref(), dtype) {
        (Some("true"), DType::Int8) => DType::UInt8,
        (Some("true"), DType::Int16) => DType::UInt16,
        (Some("true"), DType::Int32) => DType::UInt32,
        (Some("true"), DType::Int64) => DType::UInt64,
        (Some("false"), DType::UInt8) => DType::Int8,
        (Some("false"), DType::UInt16) => DType::Int16,
        (Some("false"), DType::UInt32) => DType::Int32,
        (Some("false"), DType::UInt64) => DType::Int64,
        (_, dtype) => dtype,
    }
}

/// A value of an attribute as the stored type sees it: -1 of an `_Unsigned` byte is 255, 0.1 of a float is 0.1f32.
fn as_stored(value: f64, stored: DType) -> f64 {
    let wrapped = |bits: i32| if value < 0.0 { value + 2f64.powi(bits) } else { value };
    let signed = |bits: i32| if value >= 2f64.powi(bits - 1) { value - 2f64.powi(bits) } else { value };
    match stored {
        DType::UInt8 => wrapped(8),
        DType::UInt16 => wrapped(16),
        DType::UInt32 => wrapped(32),
        DType::UInt64 => wrapped(64),
        DType::Int8 => signed(8),
        DType::Int16 => signed(16),
        DType::Int32 => signed(32),
        DType::Float32 => f64::from(narrow(value)),
        _ => value,
    }
}

fn wrap(value: i128, stored: DType) -> i128 {
    match stored {
        DType::UInt64 if value < 0 => value + (1 << 64),
        _ => value,
    }
}

/// `valid_range`, or `valid_min` and `valid_max`.
fn limits(attrs: &Attrs, stored: DType) -> (Option<f64>, Option<f64>) {
    let one = |name: &str| attrs.get(name).and_then(AttrValue::number).map(|v| as_stored(v, stored));
    match attrs.get("valid_range").map(AttrValue::numbers).as_deref() {
        Some([min, max]) => (Some(as_stored(*min, stored)), Some(as_stored(*max, stored))),
        _ => (one("valid_min"), one("valid_max")),
    }
}

/// The float type xarray chooses (`_choose_float_dtype`).
fn result_dtype(stored: DType, scale: Option<&AttrValue>, offset: Option<&AttrValue>, missing: &[f64]) -> DType {
    let single = |value: &AttrValue| matches!(value, AttrValue::Float32(_));
    let small =
        matches!(stored, DType::Int8 | DType::UInt8 | DType::Int16 | DType::UInt16 | DType::Float16 | DType::Float32);
    let wide = matches!(stored, DType::Int32 | DType::UInt32);
    let float = matches!(stored, DType::Float16 | DType::Float32 | DType::Float64);
    // Where fill values are there and all of them are NaN, xarray masks nothing and keeps the type.
    let kept = float && !missing.is_empty() && missing.iter().all(|v| v.is_nan());
    match (scale, offset) {
        _ if !stored.is_real() => stored,
        _ if kept => {
            if small {
                DType::Float32
            } else {
                DType::Float64
            }
        }
        (None, None) if missing.is_empty() => stored,
        (None, None) if small => DType::Float32,
        (Some(scale), Some(offset)) if single(scale) && single(offset) && !wide => DType::Float32,
        (Some(scale), None) if single(scale) => DType::Float32,
        _ => DType::Float64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a> = (DType, &'a [(&'a str, AttrValue)], DType);

    fn attrs(pairs: &[(&str, AttrValue)]) -> Attrs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn single(value: f32) -> AttrValue {
        AttrValue::Float32(vec![value])
    }

    fn double(value: f64) -> AttrValue {
        AttrValue::Float64(vec![value])
    }

    /// xarray 2026.9, `_choose_float_dtype`.
    #[test]
    fn result_types_are_those_of_xarray() {
        let fill = ("_FillValue", AttrValue::Int(vec![-1]));
        let cases: [Case<'_>; 13] = [
            (DType::Int16, &[], DType::Int16),
            (DType::Int16, std::slice::from_ref(&fill), DType::Float32),
            (DType::Int32, std::slice::from_ref(&fill), DType::Float64),
            (DType::Float32, std::slice::from_ref(&fill), DType::Float32),
            (DType::Float64, std::slice::from_ref(&fill), DType::Float64),
            (DType::Int16, &[("scale_factor", single(0.5)), ("add_offset", single(1.0))], DType::Float32),
            (DType::Int32, &[("scale_factor", single(0.5)), ("add_offset", single(1.0))], DType::Float64),
            (DType::Int16, &[("scale_factor", double(0.5)), ("add_offset", double(1.0))], DType::Float64),
            (DType::Int16, &[("scale_factor", single(0.5)), ("add_offset", double(1.0))], DType::Float64),
            (DType::Int16, &[("scale_factor", single(0.5))], DType::Float32),
            (DType::Int16, &[("scale_factor", double(0.5))], DType::Float64),
            (DType::Int16, &[("add_offset", single(0.5))], DType::Float64),
            (DType::UInt8, &[("scale_factor", AttrValue::Int(vec![2]))], DType::Float64),
        ];
        for (stored, pairs, want) in cases {
            assert_eq!(Decoding::from_attrs(stored, &attrs(pairs)).result_dtype(), want, "{stored:?} {pairs:?}");
        }
    }

    #[test]
    fn missing_values_and_limits_become_nan() {
        let rules = attrs(&[
            ("_FillValue", AttrValue::Int(vec![-9])),
            ("missing_value", AttrValue::Int(vec![7, 8])),
            ("valid_min", AttrValue::Int(vec![0])),
            ("scale_factor", double(0.5)),
            ("add_offset", double(10.0)),
        ]);
        let decoding = Decoding::from_attrs(DType::Int16, &rules);
        let raw: Vec<u8> = [-9i16, 7, 8, -1, 0, 6].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let got = decoding.to_f64(&raw);
        assert!(got[..4].iter().all(|v| v.is_nan()));
        assert_eq!(got[4..], [10.0, 13.0]);
        let mut singles = [0f32; 6];
        decoding.to_f32(&raw, &mut singles);
        assert!(singles[..4].iter().all(|v| v.is_nan()) && singles[4..] == [10.0, 13.0]);
        assert_eq!(decoding.without_limits().to_f64(&raw)[3].to_bits(), 9.5f64.to_bits());
    }

    #[test]
    fn unsigned_bytes_and_wide_integers() {
        let rules = attrs(&[("_Unsigned", AttrValue::Text("true".into())), ("_FillValue", AttrValue::Int(vec![-1]))]);
        let decoding = Decoding::from_attrs(DType::Int8, &rules);
        assert_eq!(decoding.stored_dtype(), DType::UInt8);
        let got = decoding.to_f64(&[255, 200, 1]);
        assert!(got[0].is_nan() && got[1..] == [200.0, 1.0]);
        // 2^53 and 2^53 + 1 are one number in double precision, but not the same fill value.
        let fill = attrs(&[("_FillValue", AttrValue::Int(vec![(1 << 53) + 1]))]);
        let raw: Vec<u8> = [1i64 << 53, (1 << 53) + 1].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let got = Decoding::from_attrs(DType::Int64, &fill).to_f64(&raw);
        assert!(!got[0].is_nan() && got[1].is_nan());
    }

    #[test]
    fn floats_take_the_fast_path_with_the_same_result() {
        for pairs in [
            vec![("_FillValue", single(-9999.0))],
            vec![("_FillValue", single(-9999.0)), ("valid_range", AttrValue::Float32(vec![0.0, 5.0]))],
            vec![("missing_value", AttrValue::Float32(vec![-9999.0, 1.0, 2.0])), ("scale_factor", single(0.1))],
            vec![("_FillValue", single(f32::NAN))],
            vec![],
        ] {
            let decoding = Decoding::from_attrs(DType::Float32, &attrs(&pairs));
            let values = [-9999f32, 1.0, 2.0, 3.25, f32::NAN, 1e30, 0.1];
            let raw: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
            let mut fast = [0f32; 7];
            decoding.to_f32(&raw, &mut fast);
            for (fast, slow) in fast.iter().zip(decoding.to_f64(&raw)) {
                assert!(
                    fast.is_nan() == slow.is_nan() && (fast.is_nan() || fast.to_bits() == narrow(slow).to_bits()),
                    "{pairs:?}"
                );
            }
        }
    }
}
