//! Recipes: TOML files that say how an archive becomes a catalog.
//!
//! A recipe names the variables that tell the files of the archive apart (`region`, `year`), the item that each
//! combination makes, and the assets of an item. An asset comes from an `href` template (no request is sent) or from a
//! listing of the archive and a file name `pattern` that yields the variables. Beyond that, `[headers]` lists what is
//! to be read from the headers of the files. All keys are in `docs/reference/recipe.md`.

mod check;
mod names;
mod plan;
mod rows;
mod stac;
mod table;
mod template;
mod values;

use indexmap::IndexMap;
use outcrop_stac::{Layout, Published};
use outcrop_store::{Href, Store};
use serde::Deserialize;

use crate::{Error, Result};

pub use names::{FileRegex, Glob};
pub(crate) use plan::{AssetPlan, ItemPlan, count, from_listing, from_templates, item_variables};
pub(crate) use stac::from_stac;
pub(crate) use table::from_table;
pub use template::Template;
pub(crate) use template::Vars;
pub use values::{BoxList, Boxes, Choice, Values};

/// How an archive becomes a catalog.
///
/// - Every variable of a template has values, or a pattern of an asset of the same item yields it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Id of the catalog.
    pub id: String,
    /// Title of the catalog.
    pub title: Option<String>,
    /// What the catalog holds.
    pub description: String,
    /// Template of the sub-catalogs, parts divided by `/`, such as `${region}/${year}`; by default all items are below the root.
    #[serde(default, deserialize_with = "layout")]
    pub layout: Layout,
    /// Form of the links: `self-contained` (default), `relative` or `absolute`.
    #[serde(default, deserialize_with = "published")]
    pub published: Published,
    /// Items lie beside the catalog that lists them (`ID.json`), not each in a folder of its own (`ID/ID.json`); a build takes
    /// half the time. By default false.
    #[serde(default)]
    pub flat: bool,
    /// The folder under which the catalog will be found, for absolute links, if it is not the one it is written to.
    pub root_href: Option<String>,
    /// Makes the root a collection; by default it is a catalog.
    pub collection: Option<CollectionRecipe>,
    /// Links of the root beside those of the catalog itself.
    #[serde(default)]
    pub links: Vec<Link>,
    /// Values of the variables (see below); the order of items is that of this table.
    #[serde(default)]
    pub variables: IndexMap<String, Values>,
    /// The archive to list, for assets with a `pattern` or a `regex`.
    pub listing: Option<Listing>,
    /// A table of the files, whose columns are variables; instead of a listing.
    pub table: Option<TableOfFiles>,
    /// An API, a catalog or a file of items, whose assets are the files; instead of a listing.
    pub stac: Option<StacSource>,
    /// The item of each combination.
    pub item: ItemRecipe,
    /// Assets by template of their key.
    pub assets: IndexMap<String, AssetRecipe>,
    /// What is read from the headers of the files.
    #[serde(default)]
    pub headers: Headers,
}

/// Fields of a collection. Extents that are not given are those of the items.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionRecipe {
    /// SPDX id or expression, or `other`.
    pub license: String,
    /// Words that describe it.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Who made and hosts it.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// West, south, east, north in degrees, or several such boxes, before which the one around all is put; six numbers have
    /// heights in metres. By default that of the items.
    pub bbox: Option<BoxList>,
    /// Start and end, RFC 3339; an empty text is open. By default that of the items.
    pub interval: Option<[String; 2]>,
    /// Properties whose values are summed up: texts as a list (at most 100), numbers as a range.
    #[serde(default)]
    pub summaries: Vec<String>,
    /// What the assets of all items have alike is told by key (`item_assets`).
    #[serde(default)]
    pub item_assets: bool,
}

/// A link to a document elsewhere.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What the target is: `license`, `about`, `via`, `cite-as` …
    pub rel: String,
    /// Where it is; of an item a template.
    #[serde(deserialize_with = "template")]
    pub href: Template,
    /// Media type.
    #[serde(rename = "type")]
    pub media_type: Option<String>,
    /// Title; of an item a template.
    #[serde(default, deserialize_with = "some_template")]
    pub title: Option<Template>,
}

/// An organisation.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `licensor`, `producer`, `processor`, `host`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Its home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// An archive that can be listed: a local folder, index pages, a THREDDS `catalog.xml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// The folder, prefix of a bucket or page; a relative path is one from the recipe's folder.
    pub href: String,
    /// Levels of folders below it (default 8).
    #[serde(default = "eight")]
    pub depth: usize,
    /// Globs of which a file must fit one, such as `**/daily/*.nc` or `f[0-9]?.nc`; one without a slash is of file names. Folders
    /// in which none can fit are not listed. By default all files.
    #[serde(default)]
    pub include: Vec<Glob>,
    /// Globs of which a file must fit none.
    #[serde(default)]
    pub exclude: Vec<Glob>,
}

/// Items of an API, of a catalog or of a file of items. What an item says beside links and assets, and the fields of its
/// assets, are those of the new item unless the recipe gives others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StacSource {
    /// Where they are; a relative path is one from the recipe's folder.
    pub href: String,
    /// Ids of items; by default all.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Ids of collections; by default all.
    #[serde(default)]
    pub collections: Vec<String>,
    /// West, south, east, north in degrees that items must meet.
    pub bbox: Option<Vec<f64>>,
    /// Time that items must meet, such as `2000/2010`.
    pub datetime: Option<String>,
    /// CQL2 that must hold for items, such as `eo:cloud_cover < 10`.
    pub filter: Option<String>,
}

/// A table with a row for each file: CSV with names of columns in its first line, or Parquet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableOfFiles {
    /// The file; a relative path is one from the recipe's folder.
    pub href: String,
    /// What stands between the cells of CSV (default a comma).
    #[serde(default = "comma")]
    pub separator: char,
}

fn comma() -> char {
    ','
}

fn eight() -> usize {
    8
}

/// The item of each combination of the variables that its id names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemRecipe {
    /// Its id; its variables make the items.
    #[serde(deserialize_with = "template")]
    pub id: Template,
    /// Its time, RFC 3339; by default from the headers.
    #[serde(default, deserialize_with = "some_template")]
    pub datetime: Option<Template>,
    /// First moment; together with `end` or `length`.
    #[serde(default, deserialize_with = "some_template")]
    pub start: Option<Template>,
    /// Last moment; together with `start`.
    #[serde(default, deserialize_with = "some_template")]
    pub end: Option<Template>,
    /// How much later than `start` it ends, a duration of ISO 8601 such as `PT30S`, `P1D` or `P1M`; instead of `end`.
    #[serde(default, deserialize_with = "some_template")]
    pub length: Option<Template>,
    /// West, south, east, north in degrees; the geometry is this box. By default from the headers, else none.
    pub bbox: Option<Boxes>,
    /// Further properties; texts are templates, and a table of `by` and `values` is the value for that variable.
    #[serde(default)]
    pub properties: toml::Table,
    /// Links beside those of the catalog itself.
    #[serde(default)]
    pub links: Vec<Link>,
}

/// An asset of each combination of the variables that its key names and the item's id does not.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetRecipe {
    /// Where it is; instead of `pattern` and `regex`. With a table or items a relative one is seen from there.
    #[serde(default, deserialize_with = "some_template")]
    pub href: Option<Template>,
    /// File name, or path below the listing if it has a slash; instead of `href`.
    #[serde(default, deserialize_with = "some_template")]
    pub pattern: Option<Template>,
    /// A regular expression of the whole file name, or of the path if it has a slash; its named groups are variables.
    pub regex: Option<FileRegex>,
    /// Media type; by default that of the header, if `type` is read.
    #[serde(rename = "type")]
    pub media_type: Option<String>,
    /// Title; a template.
    #[serde(default, deserialize_with = "some_template")]
    pub title: Option<Template>,
    /// Description; a template.
    #[serde(default, deserialize_with = "some_template")]
    pub description: Option<Template>,
    /// What it is for: `data`, `metadata`, `thumbnail` …
    #[serde(default)]
    pub roles: Vec<String>,
    /// Further fields, as `properties`. Those of `bands`, one table for each, are joined with what the header says of each band.
    #[serde(default)]
    pub fields: toml::Table,
}

/// What is read from the headers of the files.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headers {
    /// What is read (see below); by default nothing. With no properties either no file is opened.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// Properties of the item, and which attribute of its files says each (see below).
    #[serde(default)]
    pub properties: IndexMap<String, String>,
}

/// A field, or a group of fields, that a header gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Field {
    /// `file:size` of the asset: the size of the object, from the listing where it says it.
    #[serde(rename = "file:size")]
    Size,
    /// Media type of the asset, by the format.
    #[serde(rename = "type")]
    Type,
    /// `proj:code` (null, and `proj:wkt2`, for a CRS without one), `proj:shape`, `proj:transform`, `proj:bbox` of the asset, from x, y
    /// and the grid mapping.
    #[serde(rename = "proj")]
    Proj,
    /// `cube:dimensions` and `cube:variables` of the asset, from dimensions, coordinates and attributes.
    #[serde(rename = "cube")]
    Cube,
    /// `bands` of the asset with name, description, unit, data type, nodata, scale and offset: the variables of data, or the bands
    /// of an image.
    #[serde(rename = "bands")]
    Bands,
    /// `bbox` and `geometry` of the item: x and y through the CRS, with points along the edges, or latitudes and longitudes.
    #[serde(rename = "bbox")]
    Bbox,
    /// `datetime`, or null with `start_datetime` and `end_datetime`, of the item, from the CF time axis. Where that has `bounds` they
    /// are the start and the end; of one time both are told, and `datetime` is that time.
    #[serde(rename = "datetime")]
    Datetime,
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// [`Error::ReadRecipe`]; [`Error::Recipe`] with line and key.
    pub async fn read(store: &Store, href: &Href) -> Result<Self> {
        let bytes = store.get(href).await.map_err(|source| Error::ReadRecipe { href: href.clone(), source })?;
        let mut recipe = Self::parse(&href.to_string(), &String::from_utf8_lossy(&bytes))?;
        if let Some(place) = recipe.source_mut() {
            let joined = href.join(place).map_err(|source| Error::ReadRecipe { href: href.clone(), source })?;
            joined.as_str().clone_into(place);
        }
        Ok(recipe)
    }

    /// Puts another archive in place of the one that the recipe names: a copy of it, or a part. False if it names none.
    pub fn take_from(&mut self, href: &Href) -> bool {
        self.source_mut().map(|place| href.as_str().clone_into(place)).is_some()
    }

    /// Where the files come from, if they are listed.
    fn source_mut(&mut self) -> Option<&mut String> {
        let listing = self.listing.as_mut().map(|listing| &mut listing.href);
        let table = self.table.as_mut().map(|table| &mut table.href);
        listing.or(table).or(self.stac.as_mut().map(|stac| &mut stac.href))
    }

    /// True if the files are rows, whose columns are variables that are known when they are read.
    pub(crate) fn has_rows(&self) -> bool {
        self.table.is_some() || self.stac.is_some()
    }

    /// Parses the text of a recipe; `file` is its name for messages.
    ///
    /// # Errors
    /// [`Error::Recipe`] with line and key.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        check::parse(file, text)
    }

    /// True if the recipe asks for this field of the headers.
    pub fn wants(&self, field: Field) -> bool {
        self.headers.fields.contains(&field)
    }
}

fn template<'de, D: serde::Deserializer<'de>>(input: D) -> std::result::Result<Template, D::Error> {
    Template::parse(&String::deserialize(input)?).map_err(serde::de::Error::custom)
}

fn some_template<'de, D: serde::Deserializer<'de>>(input: D) -> std::result::Result<Option<Template>, D::Error> {
    template(input).map(Some)
}

fn layout<'de, D: serde::Deserializer<'de>>(input: D) -> std::result::Result<Layout, D::Error> {
    Layout::parse(&String::deserialize(input)?).map_err(serde::de::Error::custom)
}

fn published<'de, D: serde::Deserializer<'de>>(input: D) -> std::result::Result<Published, D::Error> {
    match String::deserialize(input)?.as_str() {
        "self-contained" => Ok(Published::SelfContained),
        "relative" => Ok(Published::Relative),
        "absolute" => Ok(Published::Absolute),
        other => {
            let why = format!("`{other}` is not a form; write \"self-contained\", \"relative\" or \"absolute\"");
            Err(serde::de::Error::custom(why))
        }
    }
}
