//! Arguments of the commands that make and search catalogs.

use clap::{Args, ValueEnum};

#[derive(Debug, Args, Default)]
#[command(after_help = "Examples:\n  \
    outcrop build catalogs/daymet-daily-v4/recipe.toml --to daymet\n  \
    outcrop build catalogs/daymet-daily-v4/recipe.toml --to daymet --update --index")]
#[expect(clippy::struct_excessive_bools, reason = "they are flags of a command line")]
pub(crate) struct BuildArgs {
    /// Recipe: a TOML file or URL.
    pub(crate) recipe: String,
    /// Folder of the catalog [default: the id of the recipe].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<String>,
    /// Take the files from here, not from where the recipe says: a copy of the archive, or a part.
    #[arg(long, value_name = "HREF")]
    pub(crate) listing: Option<String>,
    /// Keep the chunk references of every file beside its item, so that opening it later needs one request.
    #[arg(long)]
    pub(crate) references: bool,
    /// Add what is new and make again what has changed (size, ETag or time of a file); leave all else as it is.
    #[arg(long)]
    pub(crate) update: bool,
    /// With --update: remove the items that the recipe makes no more.
    #[arg(long, requires = "update")]
    pub(crate) prune: bool,
    /// Make an index (items.parquet) with the catalog, which its searches use. One that is there is kept up to date anyway.
    #[arg(long)]
    pub(crate) index: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  outcrop describe daymet\n  outcrop describe daymet/pr/catalog.json")]
pub(crate) struct DescribeArgs {
    /// Catalog: a folder, a document or a URL.
    pub(crate) catalog: String,
}

#[derive(Debug, Args, Clone, Default)]
pub(crate) struct Selection {
    /// Ids of items.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) ids: Vec<String>,
    /// Ids of collections.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) collections: Vec<String>,
    /// Box that items must meet: WEST,SOUTH,EAST,NORTH in degrees; west > east crosses the antimeridian. Six numbers
    /// have heights in metres: WEST,SOUTH,LOWEST,EAST,NORTH,HIGHEST.
    #[arg(long, allow_hyphen_values = true, value_name = "W,S,E,N")]
    pub(crate) bbox: Option<String>,
    /// Geometry that items must meet: GeoJSON, or a file of it.
    #[arg(long, value_name = "GEOJSON|FILE", conflicts_with = "bbox")]
    pub(crate) intersects: Option<String>,
    /// Time that items must meet: 2000-01-31, 2000-01/2000-06, 2000/.. (open end).
    #[arg(long, value_name = "TIME[/TIME]")]
    pub(crate) datetime: Option<String>,
    /// What must hold for items, in CQL2 text or JSON: "eo:cloud_cover < 10 AND platform = 'sentinel-2a'".
    #[arg(long, value_name = "CQL2")]
    pub(crate) filter: Option<String>,
    /// A test of a property: eo:cloud_cover<10, platform=sentinel-2a; or the JSON of the query extension.
    #[arg(long, value_name = "TEST")]
    pub(crate) query: Vec<String>,
    /// Most items.
    #[arg(long, value_name = "N")]
    pub(crate) max_items: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ItemFormat {
    /// Id, time, box, and keys of assets or title, a line each.
    Table,
    /// One document: a GeoJSON feature collection, or the list of collections.
    Json,
    /// One a line.
    Ndjson,
    /// One id a line.
    Ids,
}

#[derive(Debug, Args, Default)]
#[command(after_help = "Examples:\n  \
    outcrop search daymet --datetime 1990/1999 --bbox=-68,16,-64,20\n  \
    outcrop search daymet --ids na-1980,hi-1980 --format json -o found.json\n  \
    outcrop search daymet --query region=pr --sortby=-datetime --fields id\n  \
    outcrop search daymet --bbox=-68,16,-64,20 --explain --count")]
#[expect(clippy::struct_excessive_bools, reason = "they are flags of a command line")]
pub(crate) struct SearchArgs {
    /// Catalog, collection, item, file of items (JSON or a line each), or - for the standard input; CATALOG#ID names one
    /// item.
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Order: names of properties, the highest first with a minus [default: by collection and id].
    #[arg(long, value_name = "NAME", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) sortby: Vec<String>,
    /// Give items out as they are found, in no certain order; the first come at once.
    #[arg(long, conflicts_with = "sortby")]
    pub(crate) unsorted: bool,
    /// Fields that are given out; with a minus those that are not: id,properties.datetime,-assets.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) fields: Option<String>,
    /// Items of a page, where a server is asked.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) limit: Option<u64>,
    /// Ask a server for so many parts of the time at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) split: u8,
    /// Walk the catalog even where it has an index (items.parquet beside it, made by `outcrop index`).
    #[arg(long)]
    pub(crate) no_index: bool,
    /// Say on stderr what was read, what was not looked into, and why.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print only how many there are.
    #[arg(long, conflicts_with = "output")]
    pub(crate) count: bool,
    /// How items are written [default: table on a terminal, else json].
    #[arg(long, value_enum)]
    pub(crate) format: Option<ItemFormat>,
    /// Write to a file instead of stdout.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop collections daymet --format ids\n  \
    outcrop collections https://example.com/stac/ --words 'sea ice,snow' --bbox=-68,16,-64,20")]
pub(crate) struct CollectionsArgs {
    /// Catalog, table of items, or STAC API.
    pub(crate) source: String,
    /// Ids of collections.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) ids: Vec<String>,
    /// Box that their extent must meet: WEST,SOUTH,EAST,NORTH in degrees.
    #[arg(long, allow_hyphen_values = true, value_name = "W,S,E,N")]
    pub(crate) bbox: Option<String>,
    /// Time that their extent must meet: 2000-01-31, 2000-01/2000-06, 2000/.. (open end).
    #[arg(long, value_name = "TIME[/TIME]")]
    pub(crate) datetime: Option<String>,
    /// Words or phrases of which their id, title, description or keywords must have one.
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    pub(crate) words: Vec<String>,
    /// How they are written [default: table on a terminal, else json].
    #[arg(long, value_enum)]
    pub(crate) format: Option<ItemFormat>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop index daymet\n  \
    outcrop index https://example.com/stac/ --collections daymet -o daymet.parquet\n  \
    outcrop index new.ndjson --update -o daymet.parquet\n  \
    outcrop search daymet/items.parquet --bbox=-68,16,-64,20 --datetime 1990/1999")]
pub(crate) struct IndexArgs {
    /// Catalog, collection, file of items, or STAC API.
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// File to write [default: items.parquet beside the catalog, which its searches then use].
    #[arg(long, short, value_name = "FILE.parquet")]
    pub(crate) output: Option<String>,
    /// Add the items to the file: each replaces the one of its collection and id.
    #[arg(long)]
    pub(crate) update: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop harvest https://example.com/stac/ --collections daymet --datetime 1990 --to daymet-1990\n  \
    outcrop harvest items.ndjson --to items --layout '${year}'")]
pub(crate) struct HarvestArgs {
    /// Catalog, collection, file of items, STAC API, or - for the standard input.
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Folder of the new catalog.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: String,
    /// Sub-catalogs below those of the source or below the collections: ${year}/${month}, ${property}.
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) layout: Option<String>,
    /// Id of the new catalog [default: that of the source, or catalog].
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Items lie beside the catalog that lists them, not each in a folder of its own.
    #[arg(long)]
    pub(crate) flat: bool,
    /// Make an index (items.parquet) with the catalog, which its searches use.
    #[arg(long)]
    pub(crate) index: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop validate daymet\n  \
    outcrop validate daymet/na/catalog.json --json")]
pub(crate) struct ValidateArgs {
    /// Catalog, collection, item, file of items, or STAC API.
    pub(crate) source: String,
    /// Fetch the schemas of extensions that are not in the program.
    #[arg(long)]
    pub(crate) online: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    outcrop migrate daymet --in-place\n  \
    outcrop migrate old.ndjson -o new.ndjson")]
#[command(group = clap::ArgGroup::new("where").required(true))]
pub(crate) struct MigrateArgs {
    /// Catalog, collection, item, file of items, or STAC API.
    pub(crate) source: String,
    /// Rewrite the documents of a local catalog where they lie.
    #[arg(long, group = "where")]
    pub(crate) in_place: bool,
    /// Write the items to a file: one a line, or as one collection of items (.json).
    #[arg(long, short, value_name = "FILE", group = "where")]
    pub(crate) output: Option<String>,
}
