//! Items from a table of files, in CSV or Parquet.

use std::collections::BTreeSet;

use bytes::Bytes;
use outcrop_stac::geoparquet::plain_rows;
use outcrop_store::{Href, Store};

use super::plan::Listed;
use super::rows::{Row, Rows};
use super::{Recipe, Vars};
use crate::{Error, Result};

/// Reads the table of a recipe and groups its rows by the ids of items.
pub(crate) async fn from_table(store: &Store, recipe: &Recipe) -> Result<Listed> {
    let Some(table) = &recipe.table else { return Ok(Listed::default()) };
    let place = Href::parse(&table.href).map_err(|source| Error::Source { source_text: table.href.clone(), source })?;
    let bytes = store.get(&place).await.map_err(|source| Error::List { href: place.clone(), source })?;
    let mut rows = Rows::new(recipe, place.clone());
    let names = if bytes.starts_with(b"PAR1") {
        parquet(&place, bytes, &mut rows)?
    } else {
        csv(&place, &bytes, (table.separator, &mut rows))?
    };
    rows.finish(&format!("its columns are {}", names.join(", ")))
}

/// Reads the lines of a CSV file; returns the names of its columns.
fn csv(place: &Href, bytes: &[u8], (separator, rows): (char, &mut Rows<'_>)) -> Result<Vec<String>> {
    let separator = u8::try_from(separator).unwrap_or(b',');
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).trim(csv::Trim::All).from_reader(bytes);
    let wrong = |e: &csv::Error| Error::Rows { href: place.clone(), why: e.to_string() };
    let names: Vec<String> = reader.headers().map_err(|e| wrong(&e))?.iter().map(str::to_owned).collect();
    for (number, row) in reader.records().enumerate() {
        let row = row.map_err(|e| wrong(&e))?;
        let cells = names.iter().zip(row.iter()).filter(|(_, cell)| !cell.is_empty());
        let vars: Vars = cells.map(|(name, cell)| (name.clone(), cell.to_owned())).collect();
        // The first line has the names.
        rows.add(&Row { vars, name: format!("line {}", number + 2), origin: None });
    }
    Ok(names)
}

/// Reads the rows of a Parquet file; returns the names of the columns that it has values in.
fn parquet(place: &Href, bytes: Bytes, rows: &mut Rows<'_>) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    let mut number = 0;
    plain_rows(bytes, |cells| {
        number += 1;
        for (name, _) in &cells {
            if !names.contains(name) {
                names.insert(name.clone());
            }
        }
        let cells = cells.into_iter().filter(|(_, text)| !text.is_empty());
        let vars: Vars = cells.map(|(name, text)| (name.to_string(), text)).collect();
        rows.add(&Row { vars, name: format!("row {number}"), origin: None });
    })
    .map_err(|why| Error::Rows { href: place.clone(), why })?;
    Ok(names.iter().map(ToString::to_string).collect())
}
