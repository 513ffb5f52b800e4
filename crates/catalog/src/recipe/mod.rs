//! Recipes: TOML files that say how an archive becomes a catalog.
//!
//! A recipe names the variables that tell the files of the archive apart (`region`, `year`), the item that each
//! combination makes, and the assets of an item. An asset comes from an `href` template (no request is sent) or from a
//! listing of the archive and a file name `pattern` that yields the variables. Beyond that, `[headers]` lists what is
//! to be read from the headers of the files. All keys are in `docs/reference/recipe.md`.

mod check;
mod names;
mod plan;
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
    /// Template of the sub-catalogs, such as `${region}`; by default none.
    #[serde(default, deserialize_with = "layout")]
    pub layout: Layout,
    /// `self-contained` (default), `relative` or `absolute`.
    #[serde(default, deserialize_with = "published")]
    pub published: Published,
    /// Items lie beside the catalog that lists them (`ID.json`), not each in a folder of its own (`ID/ID.json`).
    #[serde(default)]
    pub flat: bool,
    /// The folder under which the catalog will be found, if it is not the one it is written to.
    pub root_href: Option<String>,
    /// Makes the root a collection.
    pub collection: Option<CollectionRecipe>,
    /// Values of the variables; the order of items is that of this table.
    #[serde(default)]
    pub variables: IndexMap<String, Values>,
    /// The archive to list, for assets with a pattern.
    pub listing: Option<Listing>,
    /// A table of the files, whose columns are variables; instead of a listing.
    pub table: Option<TableOfFiles>,
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
    /// West, south, east, north in degrees, or several such boxes; six numbers have heights in metres.
    pub bbox: Option<BoxList>,
    /// Start and end, RFC 3339; an empty text is open.
    pub interval: Option<[String; 2]>,
    /// Properties whose values are summed up: texts as a list, numbers as a range.
    #[serde(default)]
    pub summaries: Vec<String>,
    /// What the assets of all items have alike is told by key (`item_assets`).
    #[serde(default)]
    pub item_assets: bool,
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
    /// The folder or page; a relative path is one from the recipe's folder.
    pub href: String,
    /// Levels of folders below it (default 8).
    #[serde(default = "eight")]
    pub depth: usize,
    /// Globs of which a file must fit one, such as `**/daily/*.nc`; all files by default.
    #[serde(default)]
    pub include: Vec<Glob>,
    /// Globs of which a file must fit none.
    #[serde(default)]
    pub exclude: Vec<Glob>,
}

/// A table with a line for each file and names of columns in its first line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableOfFiles {
    /// The CSV file; a relative path is one from the recipe's folder.
    pub href: String,
    /// What stands between the cells (default a comma).
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
    /// Its id.
    #[serde(deserialize_with = "template")]
    pub id: Template,
    /// Its time, RFC 3339.
    #[serde(default, deserialize_with = "some_template")]
    pub datetime: Option<Template>,
    /// First moment.
    #[serde(default, deserialize_with = "some_template")]
    pub start: Option<Template>,
    /// Last moment.
    #[serde(default, deserialize_with = "some_template")]
    pub end: Option<Template>,
    /// West, south, east, north in degrees; the geometry is this box.
    pub bbox: Option<Boxes>,
    /// Further properties; texts are templates.
    #[serde(default)]
    pub properties: toml::Table,
}

/// An asset of each combination of the variables that its key names and the item's id does not.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetRecipe {
    /// Where it is; instead of `pattern` and `regex`. With a table a relative one is seen from there.
    #[serde(default, deserialize_with = "some_template")]
    pub href: Option<Template>,
    /// File name, or path below the listing if it has a slash; instead of `href`.
    #[serde(default, deserialize_with = "some_template")]
    pub pattern: Option<Template>,
    /// A regular expression of the whole file name, or of the path if it has a slash; its named groups are variables.
    pub regex: Option<FileRegex>,
    /// Media type.
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
    /// Further fields; texts are templates.
    #[serde(default)]
    pub fields: toml::Table,
}

/// What is read from the headers of the files.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headers {
    /// The fields; none means that no file is opened.
    pub fields: Vec<Field>,
}

/// A field, or a group of fields, that a header gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Field {
    /// `file:size` of the asset.
    #[serde(rename = "file:size")]
    Size,
    /// Media type of the asset.
    #[serde(rename = "type")]
    Type,
    /// `proj:code`, `proj:wkt2`, `proj:shape`, `proj:transform`, `proj:bbox` of the asset.
    #[serde(rename = "proj")]
    Proj,
    /// `cube:dimensions` and `cube:variables` of the asset.
    #[serde(rename = "cube")]
    Cube,
    /// `bands` of the asset with data type, unit and nodata.
    #[serde(rename = "bands")]
    Bands,
    /// `bbox` and `geometry` of the item.
    #[serde(rename = "bbox")]
    Bbox,
    /// `datetime`, or `start_datetime` and `end_datetime`, of the item.
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
        let listing = recipe.listing.as_mut().map(|listing| &mut listing.href);
        for place in listing.into_iter().chain(recipe.table.as_mut().map(|table| &mut table.href)) {
            let joined = href.join(place).map_err(|source| Error::ReadRecipe { href: href.clone(), source })?;
            joined.as_str().clone_into(place);
        }
        Ok(recipe)
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
