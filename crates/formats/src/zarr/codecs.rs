//! Codec chains of Zarr 2 and 3, by the names of numcodecs and of the specification.

use serde_json::Value;

use crate::array::{ByteOrder, Codec, DType, LzmaFormat, NumberFilter, Sum, SumPlace};
use crate::codec::numbers::Rule;

/// A filter that sets bits to zero and does nothing else.
const NOTHING_TO_UNDO: &str = "bitround";

/// A codec chain while it is read.
pub(super) struct Chain {
    pub(super) codecs: Vec<Codec>,
    pub(super) byte_order: ByteOrder,
    /// Configuration of `sharding_indexed`.
    pub(super) sharding: Option<Value>,
}

impl Chain {
    pub(super) fn read_v2(&mut self, document: &Value, chunk: &[u64], dtype: DType) {
        if document["dtype"].as_str().is_some_and(|text| text.starts_with('>')) {
            self.byte_order = ByteOrder::Big;
        } else {
            self.byte_order = ByteOrder::Little;
        }
        if document["order"] == "F" && chunk.len() > 1 {
            let shape = chunk.iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX)).collect();
            self.codecs.push(Codec::Transpose { order: (0..chunk.len()).rev().collect(), shape });
        }
        let filters = document["filters"].as_array().map(Vec::as_slice).unwrap_or_default();
        for codec in filters.iter().chain(std::iter::once(&document["compressor"])).filter(|codec| !codec.is_null()) {
            let name = codec["id"].as_str().unwrap_or("without a name");
            if name != NOTHING_TO_UNDO {
                self.codecs.push(bytes_codec(name, codec, dtype));
            }
        }
    }

    /// Codecs that are not known, and their parameters, are named when a chunk is to be decoded.
    pub(super) fn read_v3(&mut self, codecs: &Value, chunk: &[u64], dtype: DType) {
        for codec in codecs.as_array().map(Vec::as_slice).unwrap_or_default() {
            let name = codec["name"].as_str().or(codec.as_str()).unwrap_or("without a name");
            let configuration = &codec["configuration"];
            match name {
                "bytes" | "endian" => {
                    let big = configuration["endian"] == "big";
                    self.byte_order = if big { ByteOrder::Big } else { ByteOrder::Little };
                }
                "sharding_indexed" if self.sharding.is_none() => self.sharding = Some(configuration.clone()),
                "transpose" => self.codecs.push(transpose(&configuration["order"], chunk)),
                name => {
                    let name = name.strip_prefix("numcodecs.").unwrap_or(name);
                    if name != NOTHING_TO_UNDO {
                        self.codecs.push(bytes_codec(name, configuration, dtype));
                    }
                }
            }
        }
        // Filters of Zarr 3 work on numbers: how these become bytes is the matter of `bytes`.
        for codec in &mut self.codecs {
            if let Codec::Numbers(filter) = codec {
                (filter.stored.1, filter.decoded.1) = (self.byte_order, self.byte_order);
            }
        }
    }
}

/// True for codecs that turn bytes into bytes, or numbers into numbers.
pub(super) fn is_known(name: &str) -> bool {
    let name = name.strip_prefix("numcodecs.").unwrap_or(name);
    let plain = [
        "blosc",
        "zstd",
        "gzip",
        "zlib",
        "lz4",
        "bz2",
        "lzma",
        "fletcher32",
        "crc32c",
        "crc32",
        "adler32",
        "shuffle",
        "delta",
        "fixedscaleoffset",
        "astype",
        "quantize",
        "packbits",
        "transpose",
        NOTHING_TO_UNDO,
    ];
    plain.contains(&name)
}

fn transpose(order: &Value, chunk: &[u64]) -> Codec {
    let shape: Vec<usize> = chunk.iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX)).collect();
    let order: Option<Vec<usize>> = match order {
        Value::Array(axes) => axes.iter().map(|axis| axis.as_u64().and_then(|n| usize::try_from(n).ok())).collect(),
        Value::String(text) if text == "F" => Some((0..chunk.len()).rev().collect()),
        Value::String(text) if text == "C" => Some((0..chunk.len()).collect()),
        _ => None,
    };
    let sorted = order.clone().map(|mut order| {
        order.sort_unstable();
        order
    });
    match order {
        Some(order) if sorted.is_some_and(|axes| axes.iter().copied().eq(0..chunk.len())) => {
            Codec::Transpose { order, shape }
        }
        _ => Codec::Unsupported { id: 0, name: "transpose with an order that is no permutation".to_owned() },
    }
}

fn bytes_codec(name: &str, configuration: &Value, dtype: DType) -> Codec {
    let size = || configuration["elementsize"].as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let unsupported = |name: &str| Codec::Unsupported { id: 0, name: name.to_owned() };
    match name {
        "blosc" => Codec::Blosc,
        "vlen-utf8" => Codec::VlenUtf8,
        "zstd" => Codec::Zstd,
        "gzip" => Codec::Gzip,
        "zlib" => Codec::Deflate,
        "lz4" => Codec::Lz4Sized,
        "bz2" => Codec::Bz2,
        "lzma" => match configuration["format"].as_u64() {
            None | Some(1) => Codec::Lzma { format: LzmaFormat::Xz },
            Some(2) => Codec::Lzma { format: LzmaFormat::Alone },
            _ => unsupported("lzma without container"),
        },
        "fletcher32" => Codec::Fletcher32,
        "crc32c" | "crc32" | "adler32" => checksum(name, &configuration["location"]),
        "shuffle" => Codec::Shuffle { element: size().unwrap_or(dtype.size()) },
        "delta" | "fixedscaleoffset" | "astype" | "quantize" | "packbits" => {
            numbers(name, configuration, dtype).map_or_else(|| unsupported(name), Codec::Numbers)
        }
        other => unsupported(other),
    }
}

fn checksum(name: &str, location: &Value) -> Codec {
    let (sum, usual) = match name {
        "crc32c" => (Sum::Crc32c, SumPlace::End),
        "crc32" => (Sum::Crc32, SumPlace::Start),
        _ => (Sum::Adler32, SumPlace::Start),
    };
    match location.as_str() {
        None => Codec::Checksum { sum, place: usual },
        Some("start") => Codec::Checksum { sum, place: SumPlace::Start },
        Some("end") => Codec::Checksum { sum, place: SumPlace::End },
        Some(other) => Codec::Unsupported { id: 0, name: format!("{name} at `{other}`") },
    }
}

/// A filter of numbers; `None` if its configuration is not understood.
fn numbers(name: &str, configuration: &Value, dtype: DType) -> Option<NumberFilter> {
    let kind = |name: &str| {
        let text = configuration[name].as_str()?;
        let (order, kind) = text.split_at_checked(1)?;
        let order = if order == ">" { ByteOrder::Big } else { ByteOrder::Little };
        DType::from_numpy(kind).map(|dtype| (dtype, order))
    };
    let either = |name: &str, other: &str| match &configuration[name] {
        Value::Null => kind(other),
        _ => kind(name),
    };
    let number = |name: &str| configuration[name].as_f64().map(f64::to_bits);
    match name {
        "delta" => NumberFilter::new(Rule::Delta, either("astype", "dtype")?, kind("dtype")?),
        "quantize" => NumberFilter::new(Rule::Cast, either("astype", "dtype")?, kind("dtype")?),
        "astype" => NumberFilter::new(Rule::Cast, kind("encode_dtype")?, kind("decode_dtype")?),
        "fixedscaleoffset" => {
            let rule = Rule::ScaleOffset { scale: number("scale")?, offset: number("offset")? };
            NumberFilter::new(rule, either("astype", "dtype")?, kind("dtype")?)
        }
        _ => {
            let byte = (DType::UInt8, native());
            (dtype == DType::UInt8).then(|| NumberFilter::new(Rule::PackBits, byte, byte)).flatten()
        }
    }
}

pub(super) fn native() -> ByteOrder {
    if cfg!(target_endian = "little") { ByteOrder::Little } else { ByteOrder::Big }
}
