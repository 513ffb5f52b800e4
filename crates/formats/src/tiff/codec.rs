//! How TIFF stores the chunks of an image, step by step.

/// One step of storing a chunk of a TIFF image, in the order of encoding.
///
/// - A chunk is (band, y, x), or (y, x) of a mask; the stored samples are in C order and the file's byte order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum TiffCodec {
    /// Strips: the last chunk along y is stored with the rows that the image has.
    Strips,
    /// The samples of a cell are side by side: (y, x, band).
    PixelInterleave {
        /// Number of bands.
        bands: usize,
    },
    /// Samples of a number of bits that is no type's, most significant first; rows begin at whole bytes.
    PackedBits {
        /// Bits of a sample.
        bits: u16,
    },
    /// Complex numbers of two integers become complex floats.
    ComplexInt {
        /// Bits of one part: 16 or 32.
        bits: u16,
    },
    /// Predictor 2: each sample is stored as the difference to that of the cell before.
    HorizontalDifference,
    /// Predictor 3: bytes of equal significance side by side, each as the difference to the one before.
    FloatDifference,
    /// Compression 32773.
    PackBits,
    /// Compression 5.
    Lzw,
    /// Compression 7.
    Jpeg {
        /// Tables that the streams of all chunks share.
        tables: Vec<u8>,
        /// True if luminance and chrominance are stored; they come out as red, green and blue.
        ycbcr: bool,
    },
    /// Compression 50001.
    WebP,
    /// A compression without a decoder here; reading a chunk that uses it is an error that names it.
    Unsupported {
        /// Value of the tag.
        id: u64,
        /// Its name.
        name: String,
    },
    /// Fill order 2: the bits of every stored byte, the least significant first.
    ReversedBits,
    /// Compression 34925: a stream of xz.
    Lzma,
    /// Compression 34887.
    Lerc {
        /// How the blob is compressed.
        packing: LercPacking,
    },
}

/// How the LERC blob of a chunk is compressed once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum LercPacking {
    /// Not at all.
    None,
    /// By zlib.
    Deflate,
    /// By zstd.
    Zstd,
}

impl std::fmt::Display for TiffCodec {
    /// The name people use: `lzw`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Strips => f.write_str("strips"),
            Self::PixelInterleave { .. } => f.write_str("pixel interleave"),
            Self::PackedBits { bits } => write!(f, "{bits} bits packed"),
            Self::ComplexInt { bits } => write!(f, "complex int{bits}"),
            Self::HorizontalDifference => f.write_str("predictor 2"),
            Self::FloatDifference => f.write_str("predictor 3"),
            Self::PackBits => f.write_str("packbits"),
            Self::Lzw => f.write_str("lzw"),
            Self::Jpeg { .. } => f.write_str("jpeg"),
            Self::WebP => f.write_str("webp"),
            Self::ReversedBits => f.write_str("reversed bits"),
            Self::Lzma => f.write_str("lzma"),
            Self::Lerc { packing: LercPacking::None } => f.write_str("lerc"),
            Self::Lerc { packing: LercPacking::Deflate } => f.write_str("lerc+deflate"),
            Self::Lerc { packing: LercPacking::Zstd } => f.write_str("lerc+zstd"),
            Self::Unsupported { id, name } => write!(f, "{name} (TIFF compression {id}, cannot be decoded)"),
        }
    }
}
