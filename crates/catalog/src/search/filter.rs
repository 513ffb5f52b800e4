//! Which items are wanted, decided one by one; the cheap tests come first.

use std::collections::HashSet;

use geo::Intersects;
use outcrop_grid::{BBox, Interval};
use outcrop_stac::geoparquet::{Group, Outline, Outlined};
use outcrop_stac::{Document, Heights, Kind, RawItem, Shape};
use serde_json::Value;

use super::cql::Cql;
use super::{SearchOptions, query};
use crate::extent;
use crate::{Error, Result};

/// The tests of a search, ready for many items.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    ids: HashSet<String>,
    collections: HashSet<String>,
    datetime: Option<Interval>,
    bbox: Option<BBox>,
    heights: Option<Heights>,
    intersects: Option<geo::Geometry>,
    cql: Vec<Cql>,
}

impl Filter {
    /// # Errors
    /// [`Error::Query`], [`Error::Geometry`] and [`Error::Filter`] for tests that cannot be decided.
    pub(crate) fn new(options: &SearchOptions) -> Result<Self> {
        if options.bbox.is_some() && options.intersects.is_some() {
            return Err(Error::Geometry { why: "bbox and intersects exclude each other".to_owned() });
        }
        let query = options.query.as_ref().map(query::to_cql).transpose()?.flatten();
        Ok(Self {
            ids: options.ids.iter().cloned().collect(),
            collections: options.collections.iter().cloned().collect(),
            datetime: options.datetime,
            bbox: options.bbox,
            heights: options.heights,
            intersects: options.intersects.as_ref().map(geometry).transpose()?,
            cql: options.filter.iter().cloned().chain(query).collect(),
        })
    }

    /// True if the item fits.
    ///
    /// # Errors
    /// [`Error::Filter`] where an expression cannot be decided.
    pub(crate) fn fits(&self, item: &RawItem) -> Result<bool> {
        let quick = self.fits_names(&item.id(), item.collection().as_deref())
            && self.datetime.is_none_or(|wanted| item.interval().is_some_and(|found| found.intersects(&wanted)));
        Ok(quick && self.fits_place(item) && self.fits_cql(item)?)
    }

    pub(crate) fn fits_names(&self, id: &str, collection: Option<&str>) -> bool {
        (self.ids.is_empty() || self.ids.contains(id))
            && (self.collections.is_empty() || collection.is_some_and(|name| self.collections.contains(name)))
    }

    fn fits_place(&self, item: &RawItem) -> bool {
        if self.bbox.is_none() && self.intersects.is_none() {
            return true;
        }
        let Some(json) = item.geometry() else { return false };
        if let Some(bbox) = &self.bbox {
            let Some(shape) = Shape::parse(json) else { return false };
            let crosses =
                item.bbox().is_some_and(|b| matches!(b.as_slice(), [w, _, e, _] | [w, _, _, e, _, _] if w > e));
            let shape = if crosses { shape.unrolled() } else { shape };
            return shape.meets(bbox) && self.heights.is_none_or(|heights| shape.meets_heights(heights));
        }
        let (Some(wanted), Ok(value)) = (&self.intersects, serde_json::from_str(json)) else { return false };
        geometry(&value).is_ok_and(|found| found.intersects(wanted))
    }

    fn fits_cql(&self, item: &RawItem) -> Result<bool> {
        for cql in &self.cql {
            if !cql.fits(item)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// False only if no row of a group can fit.
    pub(crate) fn may_be_in(&self, group: &Group) -> bool {
        let place = self.bbox.or_else(|| self.around());
        group.may_hold(place.as_ref(), self.datetime.as_ref(), &self.collections.iter().cloned().collect::<Vec<_>>())
    }

    /// What of rows must be looked at.
    pub(crate) fn outlined(&self) -> Outlined {
        if self.has_names() { Outlined::Names } else { Outlined::PlaceAndTime }
    }

    /// True if ids or collections are wanted.
    fn has_names(&self) -> bool {
        !self.ids.is_empty() || !self.collections.is_empty()
    }

    /// False only if a row cannot fit.
    pub(crate) fn may_fit(&self, row: &Outline) -> bool {
        let in_time = self.datetime.as_ref().is_none_or(|wanted| row.may_meet(wanted));
        let place = self.bbox.or_else(|| self.around());
        let in_space = match (place, row.bbox.map(|numbers| BBox::from_slice(&numbers))) {
            (Some(wanted), Some(Ok(own))) => own.intersects(&wanted) || own.west < -180.0 || own.east > 180.0,
            _ => true,
        };
        (!self.has_names() || self.fits_names(row.id(), row.collection())) && in_time && in_space
    }

    /// The box around the geometry that is wanted.
    fn around(&self) -> Option<BBox> {
        let rect = geo::BoundingRect::bounding_rect(self.intersects.as_ref()?)?;
        let (least, most) = (rect.min(), rect.max());
        Some(BBox { west: least.x, south: least.y, east: most.x, north: most.y })
    }

    /// Why nothing below a catalog can fit; `None` where something may. Ids must all be looked for.
    pub(crate) fn excludes(&self, document: &Document) -> Option<&'static str> {
        if document.kind() != Kind::Collection || !self.ids.is_empty() {
            return None;
        }
        let extent = document.body().get("extent")?;
        let boxes: Vec<BBox> = list(extent.pointer("/spatial/bbox"), extent::numbers);
        if let Some(wanted) = self.bbox.as_ref().filter(|_| !boxes.is_empty()) {
            // The first box is the whole; it may be wrong across the antimeridian where the others are not.
            if !boxes.iter().any(|bbox| bbox.intersects(wanted)) {
                return Some("bbox");
            }
        }
        let intervals: Vec<Interval> = list(extent.pointer("/temporal/interval"), interval);
        match &self.datetime {
            Some(wanted) if !intervals.is_empty() && !intervals.iter().any(|interval| interval.intersects(wanted)) => {
                Some("datetime")
            }
            _ => None,
        }
    }
}

/// All of a list; none where one of them cannot be understood, so that nothing is excluded by it.
fn list<T>(values: Option<&Value>, of: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    let values = values.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    values.iter().map(of).collect::<Option<Vec<T>>>().unwrap_or_default()
}

/// An interval of a collection's extent: two texts, or null where it is open.
pub(crate) fn interval(value: &Value) -> Option<Interval> {
    let end = |at: usize| match value.get(at)? {
        Value::Null => Some(None),
        Value::String(text) => outcrop_grid::interval::parse_time(text).map(Some),
        _ => None,
    };
    Some(Interval { start: end(0)?, end: end(1)? })
}

/// A GeoJSON geometry (or a feature's) for the tests of the crate `geo`.
fn geometry(value: &Value) -> Result<geo::Geometry> {
    let wrong = |why: String| Error::Geometry { why };
    let value = if value["type"] == "Feature" { &value["geometry"] } else { value };
    // It must be one that our own reader takes too: positions are finite, depth is bounded.
    Shape::parse(&value.to_string()).ok_or_else(|| wrong("it is not a geometry of GeoJSON".to_owned()))?;
    let parsed: geojson::Geometry = serde_json::from_value(value.clone()).map_err(|e| wrong(e.to_string()))?;
    geo::Geometry::try_from(parsed).map_err(|e| wrong(e.to_string()))
}
