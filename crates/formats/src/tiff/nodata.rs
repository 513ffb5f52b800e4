//! GDAL's nodata value (tag 42113): a text that must be put into the terms of the samples.

use crate::array::{AttrValue, Attrs, DType};

/// Sets `_FillValue` and gives the fill value of chunks that were never written: 0 where the file has no value, or one
/// that its samples cannot have (which is kept as the attribute `nodata`).
pub(crate) fn fill(text: Option<&str>, dtype: DType, attrs: &mut Attrs) -> Vec<u8> {
    let zero = vec![0; dtype.size()];
    let Some(text) = text.map(str::trim) else { return zero };
    if let Some((bytes, value)) = value(text, dtype) {
        attrs.insert("_FillValue".into(), value);
        return bytes;
    }
    attrs.insert("nodata".into(), AttrValue::Text(text.to_owned()));
    zero
}

/// One element in native byte order that a text means; `None` if the type has no such value.
pub(crate) fn element(text: &str, dtype: DType) -> Option<Vec<u8>> {
    value(text, dtype).map(|(bytes, _)| bytes)
}

fn value(text: &str, dtype: DType) -> Option<(Vec<u8>, AttrValue)> {
    macro_rules! integer {
        ($int:ty) => {{
            let value = <$int>::try_from(integer(text)?).ok()?;
            (value.to_ne_bytes().to_vec(), AttrValue::Int(vec![i64::try_from(integer(text)?).ok()?]))
        }};
    }
    Some(match dtype {
        DType::Int8 => integer!(i8),
        DType::UInt8 => integer!(u8),
        DType::Int16 => integer!(i16),
        DType::UInt16 => integer!(u16),
        DType::Int32 => integer!(i32),
        DType::UInt32 => integer!(u32),
        DType::Int64 => integer!(i64),
        DType::UInt64 => {
            let value = u64::try_from(integer(text)?).ok()?;
            (value.to_ne_bytes().to_vec(), AttrValue::UInt(vec![value]))
        }
        DType::Float16 => {
            let value = half::f16::from_f64(float(text)?);
            (value.to_ne_bytes().to_vec(), AttrValue::Float32(vec![value.to_f32()]))
        }
        DType::Float32 => (single(text)?.to_ne_bytes().to_vec(), AttrValue::Float32(vec![single(text)?])),
        DType::Float64 => (float(text)?.to_ne_bytes().to_vec(), AttrValue::Float64(vec![float(text)?])),
        DType::Complex64 => {
            let bytes = [single(text)?.to_ne_bytes(), [0; 4]].concat();
            (bytes, AttrValue::Float32(vec![single(text)?]))
        }
        DType::Complex128 => {
            let bytes = [float(text)?.to_ne_bytes(), [0; 8]].concat();
            (bytes, AttrValue::Float64(vec![float(text)?]))
        }
        DType::Char | DType::Opaque(_) | DType::Text(_) | DType::Unicode(_) | DType::VlenText(_) | DType::VlenUtf8 => {
            return None;
        }
    })
}

fn float(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        "-nan" | "nan" => Some(f64::NAN),
        text => text.parse().ok(),
    }
}

/// In single precision; a value that is the largest but for rounding is the largest.
#[expect(clippy::cast_possible_truncation, reason = "single precision is what is stored")]
fn single(text: &str) -> Option<f32> {
    let value = float(text)?;
    let narrow = value as f32;
    if narrow.is_infinite() && value.is_finite() {
        let largest = f64::from(f32::MAX);
        return (value.abs() < largest * 1.000_000_1).then_some(f32::MAX.copysign(narrow));
    }
    Some(narrow)
}

/// A whole number, also one written like `-9999.0` or `1e4`.
#[expect(clippy::cast_possible_truncation, reason = "bounded before")]
fn integer(text: &str) -> Option<i128> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    float(text).filter(|value| value.fract() == 0.0 && value.abs() < 1e20).map(|value| value as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_type_of_the_samples() {
        let attr = |text: &str, dtype: DType| {
            let mut attrs = Attrs::new();
            let bytes = fill(Some(text), dtype, &mut attrs);
            (attrs.pop(), bytes)
        };
        let (found, bytes) = attr("-9999.0", DType::Int16);
        assert_eq!(found, Some(("_FillValue".into(), AttrValue::Int(vec![-9999]))));
        assert_eq!(bytes, (-9999i16).to_ne_bytes());
        assert_eq!(attr("-9999", DType::UInt8), (Some(("nodata".into(), AttrValue::Text("-9999".into()))), vec![0]));
        assert_eq!(attr("1e400", DType::Float32).1, f32::INFINITY.to_ne_bytes());
        assert_eq!(attr("-3.4028234663852886e+38", DType::Float32).1, f32::MIN.to_ne_bytes());
        assert!(f64::from_ne_bytes(attr("nan", DType::Float64).1.try_into().unwrap()).is_nan());
        assert_eq!(attr("18446744073709551615", DType::UInt64).1, u64::MAX.to_ne_bytes());
        assert_eq!(attr("abc", DType::Float32).0, Some(("nodata".into(), AttrValue::Text("abc".into()))));
    }
}
