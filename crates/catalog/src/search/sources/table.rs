//! Items of a stac-geoparquet file: of the groups of rows that may hold some, the rows that may fit.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt;
use outcrop_stac::RawItem;
use outcrop_stac::geoparquet::Table;
use outcrop_store::{Href, Store};

use super::Items;
use crate::Result;
use crate::search::{Filter, Found, SearchOptions};

/// Groups of rows that are read at once.
const AT_ONCE: usize = 4;

/// Opens a table and gives its items that may fit, group by group.
pub(super) async fn items(
    store: &Store,
    href: &Href,
    (filter, options): (&Arc<Filter>, &SearchOptions),
) -> Result<Items> {
    let table = Table::open(store, href).await?;
    Ok(of(&table, (filter, options)))
}

/// The items of a table that may fit.
pub(super) fn of(table: &Table, (filter, options): (&Arc<Filter>, &SearchOptions)) -> Items {
    let (table, href) = (table.clone(), table.href().clone());
    let (tally, all) = (options.tally.clone(), table.groups());
    tally.note(format!("`{href}`: a table of {} items in {all} groups of rows", table.rows()));
    let holds = |at: &usize| table.group(*at).is_none_or(|group| filter.may_be_in(group));
    let wanted: Vec<usize> = (0..all).filter(holds).collect();
    for at in (0..all).filter(|at| wanted.binary_search(at).is_err()) {
        tally.excluded(|| format!("group {at}: its box, times or collections fit nothing"));
    }
    let filter = filter.clone();
    let groups = futures::stream::iter(wanted).map(move |at| {
        let (table, filter, tally) = (table.clone(), filter.clone(), tally.clone());
        async move {
            tally.read();
            table.select(at, filter.outlined(), move |row| filter.may_fit(row)).await
        }
    });
    let found = |item: RawItem| Ok(Found { item, ancestors: Arc::from([]) });
    let given = move |batch: outcrop_stac::Result<Vec<RawItem>>| {
        let rows: VecDeque<Result<Found>> = match batch {
            Ok(items) => items.into_iter().map(found).collect(),
            Err(error) => VecDeque::from([Err(error.into())]),
        };
        futures::stream::iter(rows)
    };
    let items = groups.buffered(AT_ONCE).flat_map(move |group| match group {
        Ok(selection) => selection.items().flat_map(given).boxed(),
        Err(error) => futures::stream::iter([Err(error.into())]).boxed(),
    });
    items.boxed()
}
