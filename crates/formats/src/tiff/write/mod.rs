//! Writes cloud-optimised GeoTIFF.
//!
//! Tiles are encoded by the calling threads and appended to a scratch file that has no name; overviews are made of it,
//! level by level, and all tiles are then copied behind the directories: the overviews before the image, the smallest
//! first. So memory holds a place for each tile and a few tiles, whatever comes in which order. Layout:
//! <https://gdal.org/en/stable/drivers/raster/cog.html>.

mod directory;
mod encode;
mod metadata;
mod overview;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use outcrop_grid::GeoKeys;

use crate::array::{AttrValue, Attrs, ByteOrder, ChunkGrid, ChunkRef, Codec, DType, Variable};
use crate::decode::Decoder;
use crate::part_file::PartFile;
use crate::refs::{ChunkRefs, Table};
use crate::{Error, Result};
pub use encode::TiffCompression;
use encode::{Encoder, Predictor};
use overview::Halving;
pub use overview::Resampling;

use super::codec::TiffCodec;

/// Largest tile of all its bands, in bytes.
const MAX_TILE: u64 = 256 << 20;
/// Most tiles of an image.
const MAX_TILES: u64 = 1 << 28;
/// More bands than these are stored apart, so that reading one does not read all.
const MOST_INTERLEAVED: u64 = 4;

/// What a GeoTIFF shows and where.
#[derive(Debug, Clone)]
pub struct GeoTiffSpec {
    /// Number of columns.
    pub width: u64,
    /// Number of rows.
    pub height: u64,
    /// Number of bands, at most 65,535.
    pub bands: u64,
    /// Type of the samples: numbers, real or complex.
    pub dtype: DType,
    /// The value of cells without data: one element in native byte order.
    pub nodata: Option<Vec<u8>>,
    /// In GDAL's order: x of the outer corner, x per column, x per row, y of the corner, y per column, y per row.
    pub transform: Option<[f64; 6]>,
    /// Column, row, x and y of control points, of an image without a transform.
    pub control_points: Vec<[f64; 4]>,
    /// The coordinate reference system.
    pub keys: Option<GeoKeys>,
    /// Attributes of the values, by the names that the reader gives them: `scale_factor`, `long_name` (a text for each
    /// band), `units`, `photometric`, `color_map`, `color_interpretation`, others.
    pub attrs: Attrs,
    /// Attributes of the file.
    pub file_attrs: Attrs,
}

/// How a GeoTIFF is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeoTiffOptions {
    /// Rows and columns of a tile: a multiple of 16.
    pub tile: u64,
    /// Compression.
    pub compression: TiffCompression,
    /// Whether differences are stored where that suits the type: predictor 2 for integers, 3 for floats.
    pub predictor: bool,
    /// Most overviews; each has half the rows and columns of the one before, down to one tile.
    pub overviews: usize,
    /// How the cells of overviews are made; by default the average of floats, else the nearest.
    pub resampling: Option<Resampling>,
    /// Whether the bands of a cell are stored side by side; by default of up to four bands.
    pub pixel_interleave: Option<bool>,
}

impl Default for GeoTiffOptions {
    /// Tiles of 512 cells, deflate at level 6 of differences, all overviews.
    fn default() -> Self {
        Self {
            tile: 512,
            compression: TiffCompression::Deflate { level: 6 },
            predictor: true,
            overviews: usize::MAX,
            resampling: None,
            pixel_interleave: None,
        }
    }
}

impl GeoTiffOptions {
    /// As the image of a GeoTIFF is stored: its compression where it can be written, its tiles, its interleave. What it has
    /// not is the default.
    pub fn like(image: &Variable) -> Self {
        let mut options = Self::default();
        let has = |codec: &TiffCodec| image.codecs.iter().any(|own| matches!(own, Codec::Tiff(own) if own == codec));
        options.compression = match image.codecs.last() {
            Some(Codec::Zstd) => TiffCompression::Zstd { level: 9 },
            Some(Codec::Tiff(TiffCodec::Lzw)) => TiffCompression::Lzw,
            None | Some(Codec::Tiff(TiffCodec::PixelInterleave { .. } | TiffCodec::Strips)) => TiffCompression::None,
            _ => options.compression,
        };
        if let [.., rows, columns] = image.grid.chunk[..]
            && rows == columns
            && rows.is_multiple_of(16)
            && !has(&TiffCodec::Strips)
        {
            options.tile = rows;
        }
        if image.grid.shape.first().is_some_and(|bands| *bands > 1) {
            let pixel = image.codecs.iter().any(|c| matches!(c, Codec::Tiff(TiffCodec::PixelInterleave { .. })));
            options.pixel_interleave = Some(pixel);
        }
        options
    }
}

/// Writes one GeoTIFF.
///
/// - Chunks may come from several threads, in any order, each once; those that never come have no tile, which is nodata
///   (0 without it).
/// - The file appears whole, by [`GeoTiffWriter::finish`]; dropped before, it leaves nothing.
#[derive(Debug)]
pub struct GeoTiffWriter {
    target: std::path::PathBuf,
    scratch: PartFile,
    spec: GeoTiffSpec,
    options: GeoTiffOptions,
    encoder: Encoder,
    image: Level,
    mask: Option<Mask>,
}

/// Which cells have data.
#[derive(Debug)]
struct Mask {
    encoder: Encoder,
    image: Level,
}

/// A directory to be: the image, an overview, or the mask of one.
#[derive(Debug, Clone, Copy)]
struct Picture<'a> {
    level: &'a Level,
    /// 0 for the image itself.
    overview: usize,
    is_mask: bool,
}

/// Places of the tiles of an image or overview in the scratch file.
#[derive(Debug)]
struct Level {
    width: u64,
    height: u64,
    /// Tiles along y and x.
    down: u64,
    across: u64,
    /// By plane, row and column; a length of 0 is no tile.
    tiles: Mutex<Vec<Place>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    offset: u64,
    length: u32,
}

fn failed(why: impl Into<String>) -> Error {
    Error::GeoTiff { why: why.into() }
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Level {
    fn new(width: u64, height: u64, tile: u64, planes: u64) -> Result<Self> {
        let (down, across) = (height.div_ceil(tile), width.div_ceil(tile));
        let tiles = down.checked_mul(across).and_then(|n| n.checked_mul(planes)).unwrap_or(u64::MAX);
        if tiles > MAX_TILES {
            return Err(Error::Limit { what: "number of tiles".into(), value: tiles, limit: MAX_TILES });
        }
        Ok(Self { width, height, down, across, tiles: Mutex::new(vec![Place::default(); size(tiles)]) })
    }

    fn at(&self, plane: u64, row: u64, column: u64) -> usize {
        size((plane * self.down + row) * self.across + column)
    }

    fn places(&self) -> Vec<Place> {
        self.tiles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn place(&self, at: usize) -> Place {
        self.tiles.lock().unwrap_or_else(PoisonError::into_inner).get(at).copied().unwrap_or_default()
    }

    fn set(&self, at: usize, place: Place) -> Result<()> {
        let mut tiles = self.tiles.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = tiles.get_mut(at).ok_or_else(|| failed(format!("there is no tile {at}")))?;
        if slot.length > 0 {
            return Err(failed(format!("tile {at} was written twice")));
        }
        *slot = place;
        Ok(())
    }
}

impl GeoTiffWriter {
    /// Starts a file that will appear at `target`.
    ///
    /// # Errors
    /// [`Error::GeoTiff`] if shape, type or options do not fit; [`Error::Limit`]; [`Error::Store`] if nothing can be written
    /// there.
    pub fn create(target: &Path, spec: &GeoTiffSpec, options: GeoTiffOptions) -> Result<Self> {
        check(spec, options)?;
        let interleave = options.pixel_interleave.unwrap_or(spec.bands <= MOST_INTERLEAVED) && spec.bands > 1;
        let samples = if interleave { spec.bands } else { 1 };
        let bytes = options.tile.saturating_mul(options.tile).saturating_mul(samples);
        let bytes = bytes.saturating_mul(spec.dtype.size() as u64);
        if bytes > MAX_TILE {
            return Err(Error::Limit { what: "size of a tile in bytes".into(), value: bytes, limit: MAX_TILE });
        }
        let predictor = Predictor::of(spec.dtype, options);
        let encoder = Encoder {
            compression: options.compression,
            predictor,
            samples: size(samples),
            tile: size(options.tile),
            dtype: spec.dtype,
            is_mask: false,
        };
        let image = Level::new(spec.width, spec.height, options.tile, spec.bands / samples)?;
        let scratch = PartFile::create(target, 0)?;
        scratch.hide()?;
        Ok(Self { target: target.to_owned(), scratch, spec: spec.clone(), options, encoder, image, mask: None })
    }

    /// With a mask of the cells that have data, which comes by [`GeoTiffWriter::write_mask`].
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn with_mask(self) -> Result<Self> {
        let image = Level::new(self.spec.width, self.spec.height, self.options.tile, 1)?;
        Ok(Self { mask: Some(Mask { encoder: Encoder::of_mask(&self.encoder), image }), ..self })
    }

    /// Bands, rows and columns of a chunk.
    pub fn chunk(&self) -> [u64; 3] {
        [self.encoder.samples as u64, self.options.tile, self.options.tile]
    }

    /// Writes one whole chunk (band, y, x) in C order and native byte order; at the edge, what lies beyond the shape is
    /// not used. `index` counts chunks along bands, rows and columns.
    ///
    /// # Errors
    /// [`Error::GeoTiff`] if the position or the number of bytes does not fit, or the chunk was written before;
    /// [`Error::Store`], for example when the disk is full.
    pub fn write_chunk(&self, index: [u64; 3], raw: &[u8]) -> Result<()> {
        let [plane, row, column] = index;
        if plane >= self.planes() || row >= self.image.down || column >= self.image.across {
            return Err(failed(format!("chunk {index:?} does not lie within the image")));
        }
        if raw.len() != self.encoder.bytes() {
            return Err(failed(format!("{} bytes were given, {} are wanted", raw.len(), self.encoder.bytes())));
        }
        self.store((&self.encoder, &self.image), self.image.at(plane, row, column), raw)
    }

    /// Writes one whole tile of the mask, a byte for each cell: 0 where there is no data. What lies beyond the shape is not
    /// used. `index` counts tiles along rows and columns; those that never come have no data.
    ///
    /// # Errors
    /// As [`GeoTiffWriter::write_chunk`], and for an image without a mask.
    pub fn write_mask(&self, index: [u64; 2], raw: &[u8]) -> Result<()> {
        let [row, column] = index;
        let mask = self.mask.as_ref().ok_or_else(|| failed("it was started without a mask"))?;
        if row >= mask.image.down || column >= mask.image.across || raw.len() != mask.encoder.bytes() {
            return Err(failed(format!("tile {index:?} of {} bytes does not fit the mask", raw.len())));
        }
        self.store((&mask.encoder, &mask.image), mask.image.at(0, row, column), raw)
    }

    fn planes(&self) -> u64 {
        self.spec.bands / self.encoder.samples as u64
    }

    fn store(&self, (encoder, level): (&Encoder, &Level), at: usize, raw: &[u8]) -> Result<()> {
        let bytes = encoder.encode(raw)?;
        let length = u32::try_from(bytes.len()).map_err(|_| failed("a tile has more than 4 GiB"))?;
        level.set(at, Place { offset: self.scratch.append(&bytes)?, length })
    }

    /// Makes the overviews with so many threads, puts all together, flushes it to the disk and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn finish(self, threads: usize) -> Result<()> {
        let (images, masks) = self.overviews(threads.max(1))?;
        let mut images = std::iter::once(&self.image).chain(&images);
        let mut masks = self.mask.iter().map(|mask| &mask.image).chain(&masks);
        let mut pictures = Vec::new();
        for overview in 0.. {
            let Some(level) = images.next() else { break };
            pictures.push(Picture { level, overview, is_mask: false });
            pictures.extend(masks.next().map(|level| Picture { level, overview, is_mask: true }));
        }
        directory::assemble(&self, &pictures)
    }

    /// Overviews of the image, and of the mask where there is one.
    fn overviews(&self, threads: usize) -> Result<(Vec<Level>, Vec<Level>)> {
        let (mut levels, mut masks): (Vec<Level>, Vec<Level>) = (Vec::new(), Vec::new());
        let tile = self.options.tile;
        let resampling = self.options.resampling.unwrap_or_else(|| Resampling::of(self.spec.dtype, &self.spec.attrs));
        while levels.len() < self.options.overviews {
            let from = levels.last().unwrap_or(&self.image);
            if from.width <= tile && from.height <= tile {
                break;
            }
            let (width, height) = (from.width.div_ceil(2), from.height.div_ceil(2));
            let mask = self.mask.as_ref().map(|mask| (&mask.encoder, masks.last().unwrap_or(&mask.image)));
            let halving = Halving { encoder: &self.encoder, from, mask, resampling };
            let level = Level::new(width, height, tile, self.planes())?;
            overview::build(self, halving, &level, threads)?;
            if let Some((encoder, from)) = mask {
                let halving = Halving { encoder, from, mask: None, resampling };
                let level = Level::new(width, height, tile, 1)?;
                overview::build(self, halving, &level, threads)?;
                masks.push(level);
            }
            levels.push(level);
        }
        Ok((levels, masks))
    }

    /// Decodes tiles of the scratch file.
    fn decoder(encoder: &Encoder) -> Result<Decoder> {
        let tile = encoder.tile as u64;
        let chunk = vec![encoder.samples as u64, tile, tile];
        Decoder::new(&ChunkRefs {
            dtype: encoder.dtype,
            byte_order: ByteOrder::Little,
            grid: ChunkGrid { shape: chunk.clone(), chunk },
            codecs: encoder.codecs(),
            fill: vec![0; encoder.dtype.size()],
            table: Table::Empty,
        })
    }

    /// A tile of the scratch file as a chunk of (band, y, x); false if there is none.
    fn tile(&self, place: Place, decoder: &mut Decoder, stored: &mut Vec<u8>, out: &mut [u8]) -> Result<bool> {
        if place.length == 0 {
            return Ok(false);
        }
        stored.resize(size(u64::from(place.length)), 0);
        self.scratch.get(place.offset, stored)?;
        let reference = ChunkRef::Range { offset: place.offset, length: u64::from(place.length), filter_mask: 0 };
        decoder.decode(&reference, stored, out)?;
        Ok(true)
    }
}

fn check(spec: &GeoTiffSpec, options: GeoTiffOptions) -> Result<()> {
    let GeoTiffSpec { width, height, bands, dtype, .. } = spec;
    let most = u64::from(u32::MAX);
    if *width == 0 || *height == 0 || *width > most || *height > most {
        return Err(failed(format!("an image has 1 to {most} rows and columns, not {height} by {width}")));
    }
    if *bands == 0 || *bands > u64::from(u16::MAX) {
        return Err(failed(format!("{bands} bands; 1 to 65535 can be written")));
    }
    if matches!(
        dtype,
        DType::Char | DType::Opaque(_) | DType::Text(_) | DType::Unicode(_) | DType::VlenText(_) | DType::VlenUtf8
    ) {
        return Err(failed(format!("values of type {} are no samples of an image", dtype.name())));
    }
    if spec.nodata.as_ref().is_some_and(|nodata| nodata.len() != dtype.size()) {
        return Err(failed("the value of cells without data has another type than the samples"));
    }
    if options.tile == 0 || !options.tile.is_multiple_of(16) {
        return Err(failed(format!("tiles of {} cells; a multiple of 16 is wanted", options.tile)));
    }
    if spec.transform.is_some_and(|transform| !transform.iter().all(|n| n.is_finite())) {
        return Err(failed("the transform has a coordinate that is no number"));
    }
    if let Some(AttrValue::Text(photometric)) = spec.attrs.get("photometric")
        && photometric == "palette"
        && !matches!(dtype, DType::UInt8 | DType::UInt16)
    {
        return Err(failed(format!("a palette of {} values", dtype.name())));
    }
    Ok(())
}
