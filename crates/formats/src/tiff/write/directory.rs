//! Directories and the order of the file: header, directories from the image to the smallest overview, then tiles from
//! the smallest overview to the image.

use super::{GeoTiffWriter, Level, Picture, Place, metadata, size};
use crate::array::{AttrValue, DType};
use crate::part_file::PartFile;
use crate::tiff::image::tag;
use crate::{Error, Result};

/// What tells GDAL that it may trust the layout, and read a tile and its length with one request.
const LAYOUT: &str = "LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n\
                      BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n ";
/// Bytes before and behind each tile.
const AROUND: u64 = EDGE as u64;
/// Bytes that are copied at once, if more than one tile is.
const BATCH: usize = 4 << 20;

/// Bytes before and behind each tile, in memory.
const EDGE: usize = 4;

/// Width of offsets and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// 32 bits.
    Classic,
    /// 64 bits: BigTIFF.
    Big,
}

impl Form {
    /// Bytes of an offset.
    fn word(self) -> usize {
        if self == Self::Big { 8 } else { 4 }
    }
}

/// Values of a tag.
enum Values {
    Ascii(String),
    Short(Vec<u16>),
    Long(Vec<u32>),
    /// 64 bits in a BigTIFF, else 32.
    Offsets(Vec<u64>),
    Double(Vec<f64>),
}

impl Values {
    fn count(&self) -> usize {
        match self {
            Self::Ascii(text) => text.len() + 1,
            Self::Short(values) => values.len(),
            Self::Long(values) => values.len(),
            Self::Offsets(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }

    /// Type and bytes.
    fn encode(&self, form: Form) -> (u16, Vec<u8>) {
        match self {
            Self::Ascii(text) => (2, text.bytes().chain([0]).collect()),
            Self::Short(values) => (3, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            Self::Long(values) => (4, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            Self::Offsets(values) if form == Form::Big => (16, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            // What does not fit is a BigTIFF.
            Self::Offsets(values) => {
                (4, values.iter().flat_map(|v| u32::try_from(*v).unwrap_or(u32::MAX).to_le_bytes()).collect())
            }
            Self::Double(values) => (12, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        }
    }
}

/// Writes the file.
pub(super) fn assemble(writer: &GeoTiffWriter, pictures: &[Picture<'_>]) -> Result<()> {
    let places: Vec<Vec<Place>> = pictures.iter().map(|picture| picture.level.places()).collect();
    let tiles = places.iter().flatten().filter(|place| place.length > 0);
    let data = tiles.fold(0, |sum: u64, place| sum.saturating_add(u64::from(place.length) + 2 * AROUND));
    let none: Vec<Vec<u64>> = places.iter().map(|places| vec![0; places.len()]).collect();
    let head = |form: Form, offsets: &[Vec<u64>]| head(writer, (pictures, &places), offsets, form);
    // The length of the head does not depend on the offsets.
    let mut form = Form::Classic;
    let mut start = head(form, &none)?.len() as u64;
    if start.saturating_add(data) > u64::from(u32::MAX) {
        form = Form::Big;
        start = head(form, &none)?.len() as u64;
    }
    let file = PartFile::create(&writer.target, start)?;
    let mut offsets = none;
    let mut copier = Copier { from: &writer.scratch, to: &file, held: Vec::new() };
    let mut at = start;
    let mut order: Vec<usize> = (0..pictures.len()).collect();
    // Of each level the image before its mask.
    order.sort_by_key(|at| (std::cmp::Reverse(pictures[*at].overview), pictures[*at].is_mask));
    for picture in order {
        let (places, offsets) = (&places[picture], &mut offsets[picture]);
        for (place, offset) in places.iter().zip(offsets).filter(|(place, _)| place.length > 0) {
            *offset = at + AROUND;
            at = *offset + u64::from(place.length) + AROUND;
            copier.copy(*place)?;
        }
    }
    copier.flush()?;
    file.put(0, &head(form, &offsets)?)?;
    file.finish()
}

/// Copies tiles with what is around them.
struct Copier<'a> {
    from: &'a PartFile,
    to: &'a PartFile,
    held: Vec<u8>,
}

impl Copier<'_> {
    fn copy(&mut self, place: Place) -> Result<()> {
        let start = self.held.len();
        self.held.extend_from_slice(&place.length.to_le_bytes());
        let first = self.held.len();
        self.held.resize(first + size(u64::from(place.length)), 0);
        self.from.get(place.offset, &mut self.held[first..])?;
        // The last four bytes again; of a shorter tile, zeros before it.
        let mut trailer = [0; EDGE];
        let tile = &self.held[first..];
        let last = &tile[tile.len().saturating_sub(trailer.len())..];
        trailer[EDGE - last.len()..].copy_from_slice(last);
        self.held.extend_from_slice(&trailer);
        debug_assert_eq!(self.held.len() - start, size(u64::from(place.length) + 2 * AROUND));
        if self.held.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.to.append(&self.held)?;
        self.held.clear();
        Ok(())
    }
}

/// Header, layout and directories.
fn head(
    writer: &GeoTiffWriter,
    (pictures, places): (&[Picture<'_>], &[Vec<Place>]),
    offsets: &[Vec<u64>],
    form: Form,
) -> Result<Vec<u8>> {
    let mut out = if form == Form::Big { b"II\x2b\0\x08\0\0\0".to_vec() } else { b"II\x2a\0".to_vec() };
    let word = form.word();
    let first = out.len();
    out.resize(first + word, 0);
    out.extend_from_slice(format!("GDAL_STRUCTURAL_METADATA_SIZE={:06} bytes\n{LAYOUT}", LAYOUT.len()).as_bytes());
    let mut link = first;
    for (at, picture) in pictures.iter().enumerate() {
        out.resize(out.len().next_multiple_of(2), 0);
        let here = out.len();
        put(&mut out, link, here, word)?;
        let lengths: Vec<u32> = places[at].iter().map(|place| place.length).collect();
        let mut tags =
            if picture.is_mask { mask_tags(writer, *picture) } else { tags(writer, picture.level, picture.overview) };
        tags.push((tag::TILE_OFFSETS, Values::Offsets(offsets[at].clone())));
        tags.push((tag::TILE_LENGTHS, Values::Long(lengths)));
        tags.sort_by_key(|(tag, _)| *tag);
        link = directory(&mut out, &tags, form)?;
    }
    Ok(out)
}

fn put(out: &mut [u8], at: usize, value: usize, word: usize) -> Result<()> {
    if word == 4 && u32::try_from(value).is_err() {
        return Err(Error::Limit { what: "size of the directories".into(), value: value as u64, limit: 1 << 32 });
    }
    out[at..at + word].copy_from_slice(&(value as u64).to_le_bytes()[..word]);
    Ok(())
}

/// Appends a directory and the values that do not fit into it; says where the offset of the next one belongs.
fn directory(out: &mut Vec<u8>, tags: &[(u16, Values)], form: Form) -> Result<usize> {
    let word = form.word();
    let counts = if form == Form::Big { 8 } else { 2 };
    let entry = 4 + 2 * word;
    out.extend_from_slice(&(tags.len() as u64).to_le_bytes()[..counts]);
    let start = out.len();
    let link = start + entry * tags.len();
    out.resize(link + word, 0);
    for (i, (tag, values)) in tags.iter().enumerate() {
        let at = start + entry * i;
        let (kind, bytes) = values.encode(form);
        out[at..at + 2].copy_from_slice(&tag.to_le_bytes());
        out[at + 2..at + 4].copy_from_slice(&kind.to_le_bytes());
        put(out, at + 4, values.count(), word)?;
        if bytes.len() <= word {
            out[at + 4 + word..at + 4 + word + bytes.len()].copy_from_slice(&bytes);
            continue;
        }
        out.resize(out.len().next_multiple_of(2), 0);
        let here = out.len();
        put(out, at + 4 + word, here, word)?;
        out.extend_from_slice(&bytes);
    }
    Ok(link)
}

/// The tags of an image but for the places of its tiles; `overview` is 0 for the image itself.
fn tags(writer: &GeoTiffWriter, level: &Level, overview: usize) -> Vec<(u16, Values)> {
    let (spec, encoder) = (&writer.spec, &writer.encoder);
    let short = |value: u64| Values::Short(vec![u16::try_from(value).unwrap_or(u16::MAX)]);
    let long = |value: u64| Values::Long(vec![u32::try_from(value).unwrap_or(u32::MAX)]);
    let bands = size(spec.bands);
    let each = |value: u16| Values::Short(vec![value; bands]);
    let (photometric, base) = colours(writer);
    let mut tags = vec![
        (tag::WIDTH, long(level.width)),
        (tag::HEIGHT, long(level.height)),
        (tag::BITS, each(u16::try_from(8 * spec.dtype.size()).unwrap_or(0))),
        (tag::COMPRESSION, short(u64::from(encoder.compression.id()))),
        (tag::PHOTOMETRIC, short(photometric)),
        (tag::SAMPLES, short(spec.bands)),
        (tag::PLANAR, short(if encoder.samples > 1 || bands == 1 { 1 } else { 2 })),
        (tag::TILE_WIDTH, long(encoder.tile as u64)),
        (tag::TILE_HEIGHT, long(encoder.tile as u64)),
        (tag::SAMPLE_FORMAT, each(sample_format(spec.dtype))),
    ];
    if overview > 0 {
        tags.push((tag::SUBFILE, long(1)));
    }
    if encoder.predictor.id() != 1 {
        tags.push((tag::PREDICTOR, short(u64::from(encoder.predictor.id()))));
    }
    if bands > base {
        tags.push((tag::EXTRA_SAMPLES, Values::Short(extra(writer, base))));
    }
    if photometric == 3 {
        let map = spec.attrs.get("color_map").map(AttrValue::numbers).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a colour has 16 bits")]
        let mut map: Vec<u16> = map.iter().map(|n| n.clamp(0.0, 65535.0) as u16).collect();
        map.resize(3 << (8 * spec.dtype.size()), 0);
        tags.push((tag::COLOUR_MAP, Values::Short(map)));
    }
    if let Some(nodata) = spec.nodata.as_deref().and_then(|value| metadata::nodata(value, spec.dtype)) {
        tags.push((tag::GDAL_NODATA, Values::Ascii(nodata)));
    }
    if overview == 0 {
        place(writer, &mut tags);
        described(writer, &mut tags);
    }
    tags
}

/// The tags of a mask: bits, 1 where there is data (TIFF 6.0, tag 262).
fn mask_tags(writer: &GeoTiffWriter, picture: Picture<'_>) -> Vec<(u16, Values)> {
    let short = |value: u16| Values::Short(vec![value]);
    let long = |value: u64| Values::Long(vec![u32::try_from(value).unwrap_or(u32::MAX)]);
    let compression = writer.mask.as_ref().map_or(1, |mask| mask.encoder.compression.id());
    let tile = writer.encoder.tile as u64;
    vec![
        (tag::SUBFILE, long(if picture.overview > 0 { 5 } else { 4 })),
        (tag::WIDTH, long(picture.level.width)),
        (tag::HEIGHT, long(picture.level.height)),
        (tag::BITS, short(1)),
        (tag::COMPRESSION, short(compression)),
        (tag::PHOTOMETRIC, short(4)),
        (tag::SAMPLES, short(1)),
        (tag::PLANAR, short(1)),
        (tag::TILE_WIDTH, long(tile)),
        (tag::TILE_HEIGHT, long(tile)),
        (tag::SAMPLE_FORMAT, short(1)),
    ]
}

/// Texts of the file.
fn described(writer: &GeoTiffWriter, tags: &mut Vec<(u16, Values)>) {
    for (tag, name) in [
        (tag::DESCRIPTION, "TIFFTAG_IMAGEDESCRIPTION"),
        (tag::SOFTWARE, "TIFFTAG_SOFTWARE"),
        (tag::DATETIME, "TIFFTAG_DATETIME"),
    ] {
        if let Some(text) = writer.spec.file_attrs.get(name).and_then(AttrValue::text) {
            tags.push((tag, Values::Ascii(text.replace('\0', ""))));
        }
    }
    if let Some(xml) = metadata::document(&writer.spec) {
        tags.push((tag::GDAL_METADATA, Values::Ascii(xml)));
    }
}

/// Transform and CRS.
fn place(writer: &GeoTiffWriter, tags: &mut Vec<(u16, Values)>) {
    let keys = writer.spec.keys.as_ref();
    if let Some(mut transform) = writer.spec.transform {
        if keys.is_some_and(outcrop_grid::GeoKeys::is_pixel_point) {
            let [x, dx, rx, y, ry, dy] = transform;
            transform = [x + 0.5 * dx + 0.5 * rx, dx, rx, y + 0.5 * ry + 0.5 * dy, ry, dy];
        }
        let [x, dx, rx, y, ry, dy] = transform;
        if rx == 0.0 && ry == 0.0 && dx > 0.0 && dy < 0.0 {
            tags.push((tag::PIXEL_SCALE, Values::Double(vec![dx, -dy, 0.0])));
            tags.push((tag::TIEPOINTS, Values::Double(vec![0.0, 0.0, 0.0, x, y, 0.0])));
        } else {
            let matrix = vec![dx, rx, 0.0, x, ry, dy, 0.0, y, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
            tags.push((tag::TRANSFORMATION, Values::Double(matrix)));
        }
    }
    if writer.spec.transform.is_none() && !writer.spec.control_points.is_empty() {
        let ties = writer.spec.control_points.iter().flat_map(|[column, row, x, y]| [*column, *row, 0.0, *x, *y, 0.0]);
        tags.push((tag::TIEPOINTS, Values::Double(ties.collect())));
    }
    if let Some(keys) = keys {
        let geo = keys.tags();
        tags.push((tag::GEO_KEYS, Values::Short(geo.directory)));
        if !geo.doubles.is_empty() {
            tags.push((tag::GEO_DOUBLES, Values::Double(geo.doubles)));
        }
        if !geo.texts.is_empty() {
            tags.push((tag::GEO_TEXTS, Values::Ascii(geo.texts)));
        }
    }
}

/// The value of tag 262, and how many bands it gives a meaning.
fn colours(writer: &GeoTiffWriter) -> (u64, usize) {
    let spec = &writer.spec;
    let is_byte = matches!(spec.dtype, DType::UInt8 | DType::UInt16);
    match spec.attrs.get("photometric").and_then(AttrValue::text) {
        Some("rgb") if spec.bands >= 3 && is_byte => (2, 3),
        Some("palette") if spec.bands == 1 && spec.attrs.contains_key("color_map") => (3, 1),
        Some("minimum is white") => (0, 1),
        Some("cmyk") if spec.bands >= 4 && is_byte => (5, 4),
        _ => (1, 1),
    }
}

/// Values of tag 338: 2 is alpha that the colours are not multiplied by, 0 has no meaning.
fn extra(writer: &GeoTiffWriter, base: usize) -> Vec<u16> {
    let named = match writer.spec.attrs.get("color_interpretation") {
        Some(AttrValue::Texts(texts)) => texts.as_slice(),
        _ => &[],
    };
    let is_alpha = |band: usize| named.get(band).is_some_and(|name| name == "alpha");
    (base..size(writer.spec.bands)).map(|band| if is_alpha(band) { 2 } else { 0 }).collect()
}

fn sample_format(dtype: DType) -> u16 {
    match dtype {
        DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => 2,
        DType::Float16 | DType::Float32 | DType::Float64 => 3,
        DType::Complex64 | DType::Complex128 => 6,
        _ => 1,
    }
}
