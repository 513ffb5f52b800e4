//! Elements of bands, from GDAL's types to ours.

use std::ops::Range;

use gdal::Dataset;
use gdal::errors::Result;
use gdal::raster::GdalType;

use crate::array::DType;

/// The type that values are asked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// Unsigned bytes, or signed ones under the name of unsigned ones (before GDAL 3.7).
    Byte(DType),
    /// Whatever has a type of its own.
    Plain(DType),
}

/// Types that the bindings do not have, by their numbers in `gdal.h`.
macro_rules! own {
    ($name:ident, $inner:ty, $number:literal) => {
        #[derive(Clone, Copy, Default)]
        #[repr(transparent)]
        struct $name($inner);

        impl GdalType for $name {
            fn gdal_ordinal() -> u32 {
                $number
            }
        }
    };
}

own!(Signed, i8, 14);
own!(Single, [f32; 2], 10);
own!(Double, [f64; 2], 11);

impl Single {
    fn bytes(self) -> [u8; 8] {
        let [re, im] = self.0.map(|part| u64::from(part.to_bits()));
        if cfg!(target_endian = "little") { (re | im << 32).to_ne_bytes() } else { (re << 32 | im).to_ne_bytes() }
    }
}

impl Double {
    fn bytes(self) -> [u8; 16] {
        let [re, im] = self.0.map(|part| u128::from(part.to_bits()));
        if cfg!(target_endian = "little") { (re | im << 64).to_ne_bytes() } else { (re << 64 | im).to_ne_bytes() }
    }
}

impl Element {
    /// Of GDAL's name; `SignedByte` is a byte that has a sign. Complex integers become complex floats that hold them
    /// exactly. `None` for types that are not known.
    pub(super) fn of(kind: &str) -> Option<Self> {
        Some(Self::Plain(match kind {
            "SignedByte" => return Some(Self::Byte(DType::Int8)),
            "Byte" => return Some(Self::Byte(DType::UInt8)),
            "Int8" => DType::Int8,
            "UInt16" => DType::UInt16,
            "Int16" => DType::Int16,
            "UInt32" => DType::UInt32,
            "Int32" => DType::Int32,
            "UInt64" => DType::UInt64,
            "Int64" => DType::Int64,
            "Float16" | "Float32" => DType::Float32,
            "Float64" => DType::Float64,
            "CInt16" | "CFloat16" | "CFloat32" => DType::Complex64,
            "CInt32" | "CFloat64" => DType::Complex128,
            _ => return None,
        }))
    }

    pub(super) fn dtype(self) -> DType {
        match self {
            Self::Byte(dtype) | Self::Plain(dtype) => dtype,
        }
    }

    /// The values of bands, rows and columns, in C order and native byte order.
    pub(super) fn read(self, dataset: &Dataset, window: &[Range<usize>; 3]) -> Result<Vec<u8>> {
        match self {
            Self::Byte(_) => values(dataset, window, |v: u8| [v]),
            Self::Plain(DType::Int8) => values(dataset, window, |v: Signed| v.0.to_ne_bytes()),
            Self::Plain(DType::UInt16) => values(dataset, window, u16::to_ne_bytes),
            Self::Plain(DType::Int16) => values(dataset, window, i16::to_ne_bytes),
            Self::Plain(DType::UInt32) => values(dataset, window, u32::to_ne_bytes),
            Self::Plain(DType::Int32) => values(dataset, window, i32::to_ne_bytes),
            Self::Plain(DType::UInt64) => values(dataset, window, u64::to_ne_bytes),
            Self::Plain(DType::Int64) => values(dataset, window, i64::to_ne_bytes),
            Self::Plain(DType::Float32) => values(dataset, window, f32::to_ne_bytes),
            Self::Plain(DType::Complex64) => values(dataset, window, Single::bytes),
            Self::Plain(DType::Complex128) => values(dataset, window, Double::bytes),
            Self::Plain(_) => values(dataset, window, f64::to_ne_bytes),
        }
    }
}

/// Band by band; windows are a few blocks, never a whole image.
fn values<T: Copy + Default + GdalType, const N: usize>(
    dataset: &Dataset,
    [bands, rows, columns]: &[Range<usize>; 3],
    bytes: fn(T) -> [u8; N],
) -> Result<Vec<u8>> {
    let size = (columns.len(), rows.len());
    let mut band = vec![T::default(); size.0 * size.1];
    let mut out = Vec::with_capacity(bands.len() * band.len() * size_of::<T>());
    let corner = (isize::try_from(columns.start)?, isize::try_from(rows.start)?);
    for number in bands.clone() {
        dataset.rasterband(number + 1)?.read_into_slice(corner, size, size, &mut band, None)?;
        out.extend(band.iter().flat_map(|value| bytes(*value)));
    }
    Ok(out)
}
