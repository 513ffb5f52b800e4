//! The time of a search in parts, so that a server is asked for several at once.

use futures::StreamExt;
use outcrop_grid::Interval;
use outcrop_stac::api::{Api, CollectionQuery, Pages, PagesOptions};
use outcrop_stac::{Loaded, load};
use outcrop_store::Store;

use crate::search::{SearchOptions, filter};
use crate::{Result, extent};

/// The interval of a search in up to so many parts of one length. An end that is open, or that is only told by the
/// collections, is open in the parts too: nothing is lost where a collection is wrong.
pub(super) async fn parts(store: &Store, api: &Api, options: &SearchOptions) -> Result<Vec<Option<Interval>>> {
    let wanted = options.datetime;
    let whole = vec![wanted];
    if options.split < 2 {
        return Ok(whole);
    }
    let open = Interval { start: None, end: None };
    let bounds = wanted.unwrap_or(open);
    let told = if bounds.start.is_none() || bounds.end.is_none() { told(store, api, options).await? } else { open };
    let end = bounds.end.or(told.end).or_else(|| Some(chrono::Utc::now()));
    let Some((start, end)) = bounds.start.or(told.start).zip(end).filter(|(start, end)| start < end) else {
        options
            .tally
            .warn(format!("`{}` is asked in one part: its collections do not tell when they begin", api.root()));
        return Ok(whole);
    };
    Ok(cut(bounds, start.timestamp_micros(), (end.timestamp_micros(), options.split)).into_iter().map(Some).collect())
}

/// Parts that meet: what lies at a cut, or across it, is in both.
fn cut(bounds: Interval, start: i64, (end, count): (i64, usize)) -> Vec<Interval> {
    let count = i64::try_from(count).unwrap_or(1).min(end - start).max(1);
    let at = |part: i64| {
        let micros = i128::from(start) + i128::from(end - start) * i128::from(part) / i128::from(count);
        chrono::DateTime::from_timestamp_micros(i64::try_from(micros).unwrap_or(end))
    };
    (0..count)
        .map(|part| Interval {
            start: if part == 0 { bounds.start } else { at(part) },
            end: if part + 1 == count { bounds.end } else { at(part + 1) },
        })
        .collect()
}

/// What the wanted collections say of their time.
async fn told(store: &Store, api: &Api, options: &SearchOptions) -> Result<Interval> {
    let mut hull = None;
    let mut add = |body: &outcrop_stac::Body| {
        let first = body.get("extent").and_then(|extent| extent.pointer("/temporal/interval/0"));
        hull = extent::hull(hull, first.and_then(filter::interval));
    };
    let named: Option<Vec<_>> = options.collections.iter().map(|id| api.collection(id)).collect();
    match named.filter(|named| !named.is_empty()) {
        Some(named) => {
            for href in named {
                if let Ok(Loaded::Other(document)) = load(store, &href).await {
                    add(document.body());
                }
            }
        }
        None => {
            if let Some(request) = api.collections_request(&CollectionQuery::default())? {
                let mut collections = Box::pin(Pages::new(store, request, PagesOptions::default())?.items());
                while let Some(collection) = collections.next().await {
                    let document = collection?.to_document()?;
                    if options.collections.is_empty() || options.collections.iter().any(|id| id == document.id()) {
                        add(document.body());
                    }
                }
            }
        }
    }
    Ok(hull.unwrap_or(Interval { start: None, end: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_meet_and_open_ends_stay_open() {
        let open = Interval { start: None, end: None };
        let parts = cut(open, 0, (10, 4));
        assert_eq!(parts.len(), 4);
        assert_eq!((parts[0].start, parts[3].end), (None, None));
        assert!(parts.windows(2).all(|pair| pair[0].end.is_some() && pair[0].end == pair[1].start));
        let closed: Interval = "2000-01-01T00:00:00Z/2000-01-02T00:00:00Z".parse().unwrap();
        let (start, end) = (closed.start.unwrap().timestamp_micros(), closed.end.unwrap().timestamp_micros());
        let parts = cut(closed, start, (end, 3));
        assert_eq!((parts[0].start, parts[2].end), (closed.start, closed.end));
        assert_eq!(parts[0].end.unwrap().timestamp_micros() - start, (end - start) / 3);
        assert_eq!(cut(closed, 5, (6, 100)).len(), 1);
    }
}
