//! Writes items as rows. The types of columns follow from the first items; where a later item does not fit, types are widened
//! and what was written is written again, out of a temporary file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use outcrop_store::publish;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value, json};

use super::infer::{Kind, moment};
use super::read::Group;
use super::{FOREIGN, GROUPS, OWN};
use crate::{Error, RawItem, Result, Shape};

/// Rows of a group.
const ROWS: usize = 5000;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Rows.
    pub items: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
}

/// Writes a stac-geoparquet file.
///
/// - The file appears whole, by [`TableWriter::finish`]; dropped before, it leaves nothing.
pub struct TableWriter {
    path: PathBuf,
    part: PathBuf,
    kinds: IndexMap<String, Kind>,
    foreign: Vec<String>,
    rows: Vec<Value>,
    groups: Vec<Group>,
    file: Option<SerializedFileWriter<BufWriter<File>>>,
    spool: BufWriter<File>,
    collections: Map<String, Value>,
    shapes: std::collections::BTreeSet<u32>,
    items: u64,
}

impl std::fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter").field("path", &self.path).field("items", &self.items).finish_non_exhaustive()
    }
}

impl TableWriter {
    /// Starts a file.
    ///
    /// # Errors
    /// [`Error::Table`] if the folder cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| Error::table(path, &e);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let part = publish::part_path(path);
        File::create_new(&part).map_err(failed)?;
        let spool = BufWriter::new(tempfile::tempfile().map_err(failed)?);
        Ok(Self {
            path: path.to_owned(),
            part,
            kinds: IndexMap::new(),
            foreign: Vec::new(),
            rows: Vec::with_capacity(ROWS),
            groups: Vec::new(),
            file: None,
            spool,
            collections: Map::new(),
            shapes: std::collections::BTreeSet::new(),
            items: 0,
        })
    }

    /// A collection whose items are among the rows; it is kept in the file.
    pub fn add_collection(&mut self, id: &str, body: Value) {
        self.collections.insert(id.to_owned(), body);
    }

    /// Adds an item, with further columns.
    ///
    /// # Errors
    /// [`Error::Table`] where the disk fails, or a property has the name of a field of items; [`Error::Json`].
    pub fn add(&mut self, item: &RawItem, more: &[(&str, Value)]) -> Result<()> {
        let mut row = self.row(item)?;
        for (name, value) in more {
            row.insert((*name).to_owned(), value.clone());
            if !self.foreign.iter().any(|known| known == name) {
                self.foreign.push((*name).to_owned());
            }
        }
        let row = Value::Object(row);
        let line = row.to_string();
        let failed = |e: std::io::Error| Error::table(&self.path, &e);
        self.spool.write_all(line.as_bytes()).and_then(|()| self.spool.write_all(b"\n")).map_err(failed)?;
        self.rows.push(row);
        self.items += 1;
        if self.rows.len() >= ROWS { self.group() } else { Ok(()) }
    }

    /// The item as columns: its properties beside its fields.
    fn row(&mut self, item: &RawItem) -> Result<Map<String, Value>> {
        let Value::Object(fields) = item.to_value()? else { return Ok(Map::new()) };
        let mut row = Map::new();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    for (name, value) in properties {
                        if OWN.contains(&name.as_str()) {
                            let why = format!(
                                "item `{}` has a property `{name}`, which has no place among the columns",
                                item.id()
                            );
                            return Err(Error::Table { path: self.path.clone(), why });
                        }
                        row.insert(name, value);
                    }
                }
                ("type" | "properties", _) => {}
                ("geometry", value) => {
                    if !value.is_null() && Shape::of_value(&value).is_none() {
                        let why = format!("item `{}` has a geometry that is none of GeoJSON", item.id());
                        return Err(Error::Table { path: self.path.clone(), why });
                    }
                    row.insert(name, value);
                }
                ("bbox", value) => drop(row.insert("bbox".to_owned(), box_fields(&value))),
                (_, value) => {
                    if !OWN.contains(&name.as_str()) && !self.foreign.contains(&name) {
                        self.foreign.push(name.clone());
                    }
                    row.insert(name, value);
                }
            }
        }
        Ok(row)
    }

    /// Writes the rows that are held as a group, after types were widened where they must be.
    fn group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut widened = false;
        for row in rows.iter().filter_map(Value::as_object) {
            for (name, value) in row {
                let kind = Kind::of(value, name, 0);
                let known = self.kinds.get(name);
                if known.is_none_or(|known| !known.holds(&kind)) {
                    let joined = known.cloned().unwrap_or(Kind::Null).join(kind);
                    self.kinds.insert(name.clone(), joined);
                    widened = true;
                }
            }
        }
        if widened && !self.groups.is_empty() {
            return self.again();
        }
        self.write_group(&rows)
    }

    /// Writes all rows anew, out of the temporary file, with the types that hold them all.
    fn again(&mut self) -> Result<()> {
        let path = self.path.clone();
        let failed = |e: std::io::Error| Error::table(&path, &e);
        (self.file, self.groups) = (None, Vec::new());
        self.spool.flush().map_err(failed)?;
        let mut input = self.spool.get_ref().try_clone().map_err(failed)?;
        let end = input.stream_position().map_err(failed)?;
        input.rewind().map_err(failed)?;
        let mut lines = serde_json::Deserializer::from_reader(BufReader::new((&input).take(end))).into_iter::<Value>();
        loop {
            let rows: Vec<Value> =
                lines.by_ref().take(ROWS).collect::<serde_json::Result<_>>().map_err(|e| failed(e.into()))?;
            if rows.is_empty() {
                break;
            }
            self.write_group(&rows)?;
        }
        drop(lines);
        input.seek(std::io::SeekFrom::Start(end)).map_err(failed)?;
        Ok(())
    }

    fn write_group(&mut self, rows: &[Value]) -> Result<()> {
        let path = self.path.clone();
        let failed = |e: parquet::errors::ParquetError| Error::Table { path: path.clone(), why: e.to_string() };
        if self.file.is_none() {
            self.file = Some(self.open()?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut group = file.next_row_group().map_err(failed)?;
        let columns = self.kinds.iter().filter(|(_, kind)| kind.has_column());
        for (name, kind) in columns {
            let mut leaves = Vec::new();
            leaves_of(kind, &mut leaves);
            for row in rows {
                let mut next = 0;
                shred(kind, row.get(name), (0, 0, 0), &mut leaves, &mut next);
            }
            for leaf in &leaves {
                let Some(mut column) = group.next_column().map_err(failed)? else { break };
                let (def, rep) = (Some(leaf.def.as_slice()), Some(leaf.rep.as_slice()));
                match &leaf.values {
                    Values::Bool(values) => column.typed::<BoolType>().write_batch(values, def, rep),
                    Values::Int(values) => column.typed::<Int64Type>().write_batch(values, def, rep),
                    Values::Float(values) => column.typed::<DoubleType>().write_batch(values, def, rep),
                    Values::Bytes(values) => column.typed::<ByteArrayType>().write_batch(values, def, rep),
                }
                .map_err(failed)?;
                column.close().map_err(failed)?;
            }
        }
        group.close().map_err(failed)?;
        self.groups.push(Group::of(rows));
        self.shapes.extend(rows.iter().filter_map(|row| Some(Shape::of_value(row.get("geometry")?)?.wkb_kind())));
        Ok(())
    }

    fn open(&self) -> Result<SerializedFileWriter<BufWriter<File>>> {
        let columns: Vec<TypePtr> = self.kinds.iter().filter_map(|(name, kind)| kind.column(name)).collect();
        let schema = Type::group_type_builder("schema").with_fields(columns).build();
        let level = ZstdLevel::try_new(1).unwrap_or_default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(format!("outcrop {}", env!("CARGO_PKG_VERSION")))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        let file = File::create(&self.part).map_err(|e| Error::table(&self.path, &e))?;
        let open = schema
            .and_then(|schema| SerializedFileWriter::new(BufWriter::new(file), Arc::new(schema), Arc::new(properties)));
        open.map_err(|e| Error::Table { path: self.path.clone(), why: e.to_string() })
    }

    /// Writes what is held and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Table`]; an old file then stays.
    pub fn finish(mut self) -> Result<Written> {
        if !self.rows.is_empty() || self.groups.is_empty() {
            self.group()?;
        }
        let metadata = self.metadata();
        let path = self.path.clone();
        let failed = |e: parquet::errors::ParquetError| Error::Table { path: path.clone(), why: e.to_string() };
        let Some(mut file) = self.file.take() else { return Ok(Written::default()) };
        for (key, value) in metadata {
            file.append_key_value_metadata(KeyValue::new(key.to_owned(), value.to_string()));
        }
        file.close().map_err(failed)?;
        let rename = || {
            let part = File::open(&self.part)?;
            part.sync_all()?;
            let bytes = part.metadata()?.len();
            std::fs::rename(&self.part, &self.path)?;
            Ok(bytes)
        };
        let bytes = rename().map_err(|e: std::io::Error| Error::table(&self.path, &e))?;
        Ok(Written { items: self.items, bytes })
    }

    fn metadata(&self) -> [(&'static str, Value); 4] {
        let names =
            ["Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"];
        let name = |code: &u32| {
            let at = usize::try_from(code % 1000).unwrap_or_default().saturating_sub(1);
            format!("{}{}", names.get(at).unwrap_or(&""), if *code > 1000 { " Z" } else { "" })
        };
        let has_z = matches!(self.kinds.get("bbox"), Some(Kind::Struct(fields)) if fields.contains_key("zmin"));
        let ends: &[&str] =
            if has_z { &["xmin", "ymin", "zmin", "xmax", "ymax", "zmax"] } else { &["xmin", "ymin", "xmax", "ymax"] };
        let covering: Map<String, Value> = ends.iter().map(|end| ((*end).to_owned(), json!(["bbox", end]))).collect();
        let mut column = json!({"encoding": "WKB", "geometry_types": self.shapes.iter().map(name).collect::<Vec<_>>()});
        if self.kinds.contains_key("bbox") {
            column["covering"] = json!({"bbox": covering});
        }
        let geo = json!({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}});
        let stac = json!({"version": "1.1.0", "collections": self.collections});
        [("geo", geo), ("stac-geoparquet", stac), (GROUPS, json!(self.groups)), (FOREIGN, json!(self.foreign))]
    }
}

impl Drop for TableWriter {
    fn drop(&mut self) {
        self.file = None;
        // After finish there is nothing to remove.
        let _ = std::fs::remove_file(&self.part);
    }
}

/// The numbers of a box as fields; what is no box is none.
fn box_fields(value: &Value) -> Value {
    let numbers: Option<Vec<f64>> = value.as_array().and_then(|all| all.iter().map(Value::as_f64).collect());
    match numbers.as_deref() {
        Some([w, s, e, n]) => json!({"xmin": w, "ymin": s, "xmax": e, "ymax": n}),
        Some([w, s, low, e, n, high]) => {
            json!({"xmin": w, "ymin": s, "zmin": low, "xmax": e, "ymax": n, "zmax": high})
        }
        _ => Value::Null,
    }
}

/// The values of one column, and at which depths they stand.
struct Leaf {
    values: Values,
    def: Vec<i16>,
    rep: Vec<i16>,
}

enum Values {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bytes(Vec<ByteArray>),
}

fn leaves_of(kind: &Kind, leaves: &mut Vec<Leaf>) {
    let values = match kind {
        Kind::Struct(fields) => {
            fields.iter().filter(|(_, kind)| kind.has_column()).for_each(|(_, kind)| leaves_of(kind, leaves));
            return;
        }
        Kind::List(element) if element.has_column() => return leaves_of(element, leaves),
        Kind::Bool => Values::Bool(Vec::new()),
        Kind::Int | Kind::Time => Values::Int(Vec::new()),
        Kind::Float => Values::Float(Vec::new()),
        Kind::Null | Kind::Text | Kind::Json | Kind::Wkb | Kind::List(_) => Values::Bytes(Vec::new()),
    };
    leaves.push(Leaf { values, def: Vec::new(), rep: Vec::new() });
}

/// Puts a value into the columns of its type. `at` are the depth of what is there, the repetition, and the lists around.
fn shred(kind: &Kind, value: Option<&Value>, at: (i16, i16, i16), leaves: &mut [Leaf], next: &mut usize) {
    let (def, rep, lists) = at;
    let value = value.filter(|value| !value.is_null());
    match (kind, value) {
        (Kind::Struct(fields), value) => {
            let inner = value.and_then(Value::as_object);
            let def = if inner.is_some() { def + 1 } else { def };
            for (name, kind) in fields.iter().filter(|(_, kind)| kind.has_column()) {
                match inner {
                    Some(inner) => shred(kind, inner.get(name), (def, rep, lists), leaves, next),
                    None => absent(kind, (def, rep), leaves, next),
                }
            }
        }
        (Kind::List(element), Some(Value::Array(values))) if !values.is_empty() => {
            let first = *next;
            let empty = Kind::Null;
            let element = if element.has_column() { element } else { &empty };
            for (i, value) in values.iter().enumerate() {
                *next = first;
                let rep = if i == 0 { rep } else { lists + 1 };
                shred(element, Some(value), (def + 2, rep, lists + 1), leaves, next);
            }
        }
        (Kind::List(_), Some(Value::Array(_))) => absent(kind, (def + 1, rep), leaves, next),
        (kind, Some(value)) => {
            if let Some(leaf) = leaves.get_mut(*next) {
                let there = leaf.push(kind, value);
                leaf.def.push(if there { def + 1 } else { def });
                leaf.rep.push(rep);
            }
            *next += 1;
        }
        (kind, None) => absent(kind, (def, rep), leaves, next),
    }
}

/// Nothing, in all columns of a type.
fn absent(kind: &Kind, (def, rep): (i16, i16), leaves: &mut [Leaf], next: &mut usize) {
    match kind {
        Kind::Struct(fields) => {
            let columns = fields.iter().filter(|(_, kind)| kind.has_column());
            columns.for_each(|(_, kind)| absent(kind, (def, rep), leaves, next));
        }
        Kind::List(element) if element.has_column() => absent(element, (def, rep), leaves, next),
        _ => {
            if let Some(leaf) = leaves.get_mut(*next) {
                leaf.def.push(def);
                leaf.rep.push(rep);
            }
            *next += 1;
        }
    }
}

impl Leaf {
    /// Takes a value; false if it is none of the column's type.
    fn push(&mut self, kind: &Kind, value: &Value) -> bool {
        let text = |text: &str| ByteArray::from(Bytes::copy_from_slice(text.as_bytes()));
        match (&mut self.values, kind, value) {
            (Values::Bool(values), _, Value::Bool(truth)) => values.push(*truth),
            (Values::Int(values), Kind::Time, Value::String(time)) => match moment(time) {
                Some(micros) => values.push(micros),
                None => return false,
            },
            (Values::Int(values), _, Value::Number(number)) => match number.as_i64() {
                Some(whole) => values.push(whole),
                None => return false,
            },
            (Values::Float(values), _, Value::Number(number)) => values.push(number.as_f64().unwrap_or(f64::NAN)),
            (Values::Bytes(values), Kind::Wkb, value) => {
                let Some(shape) = Shape::of_value(value) else { return false };
                let mut wkb = Vec::new();
                shape.write_wkb(&mut wkb);
                values.push(ByteArray::from(wkb));
            }
            (Values::Bytes(values), Kind::Json, value) => values.push(text(&value.to_string())),
            (Values::Bytes(values), _, Value::String(string)) => values.push(text(string)),
            _ => return false,
        }
        true
    }
}
