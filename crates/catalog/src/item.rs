//! From a plan and the headers of its files to the JSON of an item.

use outcrop_grid::{BBox, Footprint};
use outcrop_stac::Body;
use serde_json::{Map, Value, json};

use crate::header::Header;
use crate::recipe::{AssetPlan, Field, ItemPlan, Link, Recipe, Template, Vars};
use crate::{Error, Result};

/// Extensions by the prefix of their fields.
const EXTENSIONS: [(&str, &str); 15] = [
    ("proj:", "projection/v2.0.0"),
    ("cube:", "datacube/v2.3.0"),
    ("file:", "file/v2.1.0"),
    ("raster:", "raster/v2.0.0"),
    ("eo:", "eo/v2.0.0"),
    ("grid:", "grid/v1.1.0"),
    ("mgrs:", "mgrs/v1.0.0"),
    ("view:", "view/v1.0.0"),
    ("sat:", "sat/v1.0.0"),
    ("sar:", "sar/v1.0.0"),
    ("sci:", "scientific/v1.0.0"),
    ("processing:", "processing/v1.2.0"),
    ("classification:", "classification/v2.0.0"),
    ("storage:", "storage/v2.0.0"),
    ("table:", "table/v1.2.0"),
];

/// An asset and the header of its file, where headers are read.
pub(crate) type Opened = (AssetPlan, Option<Header>);

/// Makes the item of a plan from the assets that could be opened.
pub(crate) fn body(recipe: &Recipe, plan: &ItemPlan, assets: &[Opened]) -> Result<Body> {
    let mut fields = Map::new();
    for (asset, header) in assets {
        fields.insert(asset.key.clone(), Value::Object(asset_body(recipe, asset, header.as_ref())?));
    }
    let properties = properties(recipe, plan, assets)?;
    let mut item = Body::new();
    item.insert("type".into(), "Feature".into());
    item.insert("stac_version".into(), "1.1.0".into());
    item.insert("stac_extensions".into(), json!(extensions(plan, &properties, &fields)));
    item.insert("id".into(), plan.id.as_str().into());
    let place = place(recipe, plan, assets)?;
    item.insert("geometry".into(), place.as_ref().map_or(Value::Null, |(geometry, _)| geometry.clone()));
    if let Some((_, bbox)) = place {
        item.insert("bbox".into(), bbox);
    }
    item.insert("properties".into(), Value::Object(properties));
    let links = recipe.item.links.iter().map(|link| link_body(plan, link));
    item.insert("links".into(), Value::Array(links.collect::<Result<_>>()?));
    item.insert("assets".into(), Value::Object(fields));
    Ok(item)
}

/// Addresses of the schemas of all extensions whose fields are used: those of the source first, in its versions.
fn extensions(plan: &ItemPlan, properties: &Map<String, Value>, assets: &Map<String, Value>) -> Vec<String> {
    extensions_of(plan.origin.as_ref().and_then(|origin| origin.get("stac_extensions")), properties, assets)
}

/// The same with those that are known.
pub(crate) fn extensions_of(
    known: Option<&Value>,
    properties: &Map<String, Value>,
    assets: &Map<String, Value>,
) -> Vec<String> {
    let origin = known.and_then(Value::as_array);
    let mut all: Vec<String> =
        origin.into_iter().flatten().filter_map(|schema| Some(schema.as_str()?.to_owned())).collect();
    let has = |object: &Map<String, Value>, prefix: &str| object.keys().any(|key| key.starts_with(prefix));
    let has_any = |value: &Value, prefix: &str| value.as_object().is_some_and(|object| has(object, prefix));
    let is_used = |prefix: &str| {
        has(properties, prefix)
            || assets.values().any(|asset| {
                let bands = asset.get("bands").and_then(Value::as_array);
                has_any(asset, prefix) || bands.is_some_and(|bands| bands.iter().any(|band| has_any(band, prefix)))
            })
    };
    for (_, extension) in EXTENSIONS.into_iter().filter(|(prefix, _)| is_used(prefix)) {
        let name = format!("/{}/", extension.split('/').next().unwrap_or_default());
        if !all.iter().any(|known| known.contains(&name)) {
            all.push(format!("https://stac-extensions.github.io/{extension}/schema.json"));
        }
    }
    all
}

fn link_body(plan: &ItemPlan, link: &Link) -> Result<Value> {
    let mut body = json!({"rel": link.rel, "href": fill(&plan.id, &link.href, &plan.vars)?});
    if let Some(media) = &link.media_type {
        body["type"] = media.as_str().into();
    }
    if let Some(title) = &link.title {
        body["title"] = fill(&plan.id, title, &plan.vars)?.into();
    }
    Ok(body)
}

fn fill(plan: &str, template: &Template, vars: &Vars) -> Result<String> {
    let missing = |name| Error::Item { item: plan.to_owned(), why: format!("variable `{name}` has no value") };
    template.fill(vars).map_err(missing)
}

fn asset_body(recipe: &Recipe, plan: &AssetPlan, header: Option<&Header>) -> Result<Body> {
    let Some((_, entry)) = recipe.assets.get_index(plan.entry) else { return Ok(Body::new()) };
    let mut asset = Body::new();
    asset.insert("href".into(), plan.href.absolute().as_str().into());
    asset.extend(plan.fields.clone().unwrap_or_default());
    for (key, template) in [("title", &entry.title), ("description", &entry.description)] {
        if let Some(template) = template {
            asset.insert(key.into(), fill(&plan.key, template, &plan.vars)?.into());
        }
    }
    let media = header.filter(|_| recipe.wants(Field::Type)).map(|header| header.media_type().to_owned());
    if let Some(media) = entry.media_type.clone().or(media) {
        asset.insert("type".into(), media.into());
    }
    if !entry.roles.is_empty() {
        asset.insert("roles".into(), json!(entry.roles));
    }
    let size = header.and_then(Header::size).or(plan.size).filter(|_| recipe.wants(Field::Size));
    if let Some(size) = size {
        asset.insert("file:size".into(), size.into());
    }
    if let Some(header) = header {
        let proj = recipe.wants(Field::Proj).then(|| header.proj());
        let cube = recipe.wants(Field::Cube).then(|| header.cube());
        asset.extend([proj, cube].into_iter().flatten().flatten().map(|(key, value)| (key.to_owned(), value)));
        if recipe.wants(Field::Bands) {
            asset.insert("bands".into(), header.bands());
        }
    }
    for (key, value) in &entry.fields {
        let value = filled(&plan.key, value, &plan.vars)?;
        match (key.as_str(), asset.get_mut(key), value) {
            ("bands", Some(Value::Array(read)), Value::Array(given)) if read.len() == given.len() => join(read, given),
            (_, _, value) => drop(asset.insert(key.clone(), value)),
        }
    }
    Ok(asset)
}

/// Puts the fields that a recipe gives of bands into those that were read, band by band.
fn join(read: &mut [Value], given: Vec<Value>) {
    for (band, fields) in read.iter_mut().zip(given) {
        match (band.as_object_mut(), fields) {
            (Some(band), Value::Object(fields)) => band.extend(fields),
            (_, fields) => *band = fields,
        }
    }
}

/// A value of the recipe as JSON, its texts filled in; a table of `by` and `values` is the value for that variable.
fn filled(item: &str, value: &toml::Value, vars: &Vars) -> Result<Value> {
    Ok(match value {
        toml::Value::String(text) => {
            let template = Template::parse(text).map_err(|why| Error::Item { item: item.to_owned(), why })?;
            fill(item, &template, vars)?.into()
        }
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(truth) => (*truth).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => {
            Value::Array(values.iter().map(|value| filled(item, value, vars)).collect::<Result<_>>()?)
        }
        toml::Value::Table(table) if let Some((by, values)) = choice(table) => {
            let known = vars.get(by).map_or("", String::as_str);
            let wrong =
                || Error::Item { item: item.to_owned(), why: format!("the recipe has no value for {by} = `{known}`") };
            filled(item, values.get(known).ok_or_else(wrong)?, vars)?
        }
        toml::Value::Table(table) => {
            let each = |(key, value): (&String, &toml::Value)| Ok((key.clone(), filled(item, value, vars)?));
            Value::Object(table.iter().map(each).collect::<Result<_>>()?)
        }
    })
}

/// A value that depends on a variable: its name, and the values by its.
fn choice(table: &toml::Table) -> Option<(&str, &toml::Table)> {
    let (by, values) = (table.get("by")?.as_str()?, table.get("values")?.as_table()?);
    (table.len() == 2).then_some((by, values))
}

/// When an item is: its moment, and its first and last moment.
pub(crate) type When = (Option<String>, Option<(String, String)>);

/// The time that the recipe gives, else that of the headers.
fn when(recipe: &Recipe, plan: &ItemPlan, assets: &[Opened]) -> Result<When> {
    let item = &recipe.item;
    let time = |template: &Option<Template>| -> Result<Option<String>> {
        let Some(template) = template else { return Ok(None) };
        let text = fill(&plan.id, template, &plan.vars)?;
        let parsed = outcrop_grid::interval::parse_time(&text).ok_or_else(|| Error::Item {
            item: plan.id.clone(),
            why: format!("`{text}` is not a time; write it like 2000-01-31T00:00:00Z"),
        })?;
        Ok(Some(outcrop_grid::time::rfc3339(&parsed)))
    };
    let (moment, start) = (time(&item.datetime)?, time(&item.start)?);
    let end = match (&start, &item.length) {
        (Some(start), Some(length)) => Some(later(plan, start, length)?),
        _ => time(&item.end)?,
    };
    let span = start.zip(end);
    if span.is_some() || !recipe.wants(Field::Datetime) {
        return Ok((moment, span));
    }
    let (of_files, span) = when_of(assets.iter().filter_map(|(_, header)| header.as_ref()));
    if moment.is_some() {
        return Ok((moment, span));
    }
    // One moment is no span.
    Ok((of_files, span.filter(|(start, end)| start != end)))
}

/// The one moment of files, if they have it alike, and what they span.
pub(crate) fn when_of<'a>(headers: impl Iterator<Item = &'a Header> + Clone) -> When {
    let times = || headers.clone().filter_map(Header::times);
    let span = times().map(|(start, _)| start).min().zip(times().map(|(_, end)| end).max());
    let mut moments = headers.filter(|header| header.times().is_some()).map(Header::moment);
    let first = moments.next().flatten();
    let moment = first.filter(|first| moments.all(|next| next == Some(*first))).map(str::to_owned);
    (moment, span)
}

fn properties(recipe: &Recipe, plan: &ItemPlan, assets: &[Opened]) -> Result<Map<String, Value>> {
    let item = &recipe.item;
    let (moment, span) = when(recipe, plan, assets)?;
    let mut properties = Map::new();
    let origin = plan.origin.as_ref().and_then(|origin| origin.get("properties")?.as_object());
    let has_time = moment.is_some() || span.is_some();
    properties.extend(origin.cloned().unwrap_or_default());
    if has_time {
        properties.retain(|key, _| !matches!(key.as_str(), "start_datetime" | "end_datetime"));
    }
    if has_time || origin.is_none() {
        properties.insert("datetime".into(), json!(moment));
    }
    if let Some((start, end)) = span {
        properties.insert("start_datetime".into(), start.into());
        properties.insert("end_datetime".into(), end.into());
    }
    for (name, attribute) in recipe.headers.properties.iter().filter(|(name, _)| !item.properties.contains_key(*name)) {
        properties.insert(name.clone(), said(plan, assets, (name, attribute))?);
    }
    for (key, value) in &item.properties {
        properties.insert(key.clone(), filled(&plan.id, value, &plan.vars)?);
    }
    Ok(properties)
}

/// The moment that is so much later than another.
fn later(plan: &ItemPlan, start: &str, length: &Template) -> Result<String> {
    let length = fill(&plan.id, length, &plan.vars)?;
    let end = outcrop_grid::interval::parse_time(start).and_then(|start| crate::length::later(start, &length));
    let wrong = || Error::Item {
        item: plan.id.clone(),
        why: format!("`{length}` is not a duration that can follow {start}; write it like P1M, P1D or PT30S"),
    };
    Ok(outcrop_grid::time::rfc3339(&end.ok_or_else(wrong)?))
}

/// What the files of an item say for a property, all those that say it alike.
fn said(plan: &ItemPlan, assets: &[Opened], (name, attribute): (&str, &str)) -> Result<Value> {
    let mut said =
        assets.iter().filter_map(|(asset, header)| Some((asset.key.as_str(), header.as_ref()?.property(name)?)));
    let wrong = |why: String| Error::Item { item: plan.id.clone(), why };
    let Some((key, value)) = said.next() else {
        return Err(wrong(format!("none of its files has an attribute `{attribute}` for the property `{name}`")));
    };
    match said.find(|(_, other)| *other != value) {
        None => Ok(value.clone()),
        Some((other, differs)) => {
            let why = format!(
                "`{attribute}` is {value} in asset `{key}` and {differs} in `{other}`, but `{name}` is of both"
            );
            Err(wrong(why))
        }
    }
}

/// Geometry and box: those of the recipe, else those of the files.
fn place(recipe: &Recipe, plan: &ItemPlan, assets: &[Opened]) -> Result<Option<(Value, Value)>> {
    if let Some(boxes) = &recipe.item.bbox {
        let numbers = boxes.0.get(|by| plan.vars.get(by).cloned()).ok_or_else(|| {
            let by = boxes.0.by().unwrap_or_default();
            let value = plan.vars.get(by).map_or("", String::as_str);
            Error::Item { item: plan.id.clone(), why: format!("the recipe's `bbox` has none for {by} = `{value}`") }
        })?;
        let bbox = BBox::from_slice(numbers).map_err(|e| Error::Item { item: plan.id.clone(), why: e.to_string() })?;
        return Ok(Some((box_geometry(&bbox), json!(numbers))));
    }
    let Some(place) = place_of(assets.iter().filter_map(|(_, header)| header.as_ref())) else {
        let origin = plan.origin.as_ref().and_then(|origin| Some((origin.get("geometry")?, origin.get("bbox")?)));
        return Ok(origin.map(|(geometry, bbox)| (geometry.clone(), bbox.clone())));
    };
    Ok(Some(place))
}

/// Geometry and box of files.
pub(crate) fn place_of<'a>(headers: impl Iterator<Item = &'a Header> + Clone) -> Option<(Value, Value)> {
    let mut footprints = headers.filter_map(Header::footprint);
    let first = footprints.next()?;
    let whole = footprints.clone().fold(first.bbox, |all, next| all.union(&next.bbox));
    let alike = footprints.all(|next| next.bbox == first.bbox);
    let geometry = if alike { outline_geometry(first) } else { box_geometry(&whole) };
    Some((geometry, json!(whole.to_array().map(rounded))))
}

/// A millionth of a degree is a tenth of a metre.
fn rounded(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

/// A polygon from the south-east corner on, as the reference writes boxes; two of them across the antimeridian.
fn box_geometry(bbox: &BBox) -> Value {
    let ring = |part: &BBox| {
        let BBox { west, south, east, north } = *part;
        json!([[[east, south], [east, north], [west, north], [west, south], [east, south]]])
    };
    geometry(bbox.parts().iter().map(ring).collect())
}

fn outline_geometry(footprint: &Footprint) -> Value {
    let point = |[lon, lat]: &[f64; 2]| [rounded(*lon), rounded(*lat)];
    let ring = |ring: &Vec<[f64; 2]>| json!([ring.iter().map(point).collect::<Vec<_>>()]);
    geometry(footprint.rings.iter().map(ring).collect())
}

fn geometry(mut polygons: Vec<Value>) -> Value {
    match polygons.len() {
        1 => json!({"type": "Polygon", "coordinates": polygons.remove(0)}),
        _ => json!({"type": "MultiPolygon", "coordinates": polygons}),
    }
}
