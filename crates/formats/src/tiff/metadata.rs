//! GDAL's metadata (tag 42112): an XML document of items, of the file or of one band.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::array::{AttrValue, Attrs};

/// One item.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Item {
    pub(crate) name: String,
    /// Band, from 0; `None` for an item of the file.
    pub(crate) band: Option<usize>,
    pub(crate) role: String,
    pub(crate) domain: String,
    pub(crate) value: String,
}

/// The items of a document; what follows a syntax error is left out.
pub(super) fn items(xml: &str) -> Vec<Item> {
    let mut reader = Reader::from_str(xml);
    let (mut found, mut open): (Vec<Item>, Option<Item>) = (Vec::new(), None);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) if start.name().as_ref() == b"Item" => open = Some(item(&start)),
            Ok(Event::Text(text)) => {
                if let (Some(item), Ok(text)) = (&mut open, text.decode()) {
                    item.value.push_str(&text);
                }
            }
            Ok(Event::GeneralRef(entity)) => {
                if let (Some(item), Some(text)) = (&mut open, resolved(&entity)) {
                    item.value.push_str(&text);
                }
            }
            Ok(Event::End(end)) if end.name().as_ref() == b"Item" => found.extend(open.take().map(unescaped)),
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

/// GDAL escapes a value before it makes a text of it, which is escaped again.
fn unescaped(item: Item) -> Item {
    let value = quick_xml::escape::unescape(&item.value).map(std::borrow::Cow::into_owned).ok();
    Item { value: value.unwrap_or(item.value), ..item }
}

fn resolved(entity: &quick_xml::events::BytesRef<'_>) -> Option<String> {
    if let Ok(Some(letter)) = entity.resolve_char_ref() {
        return Some(letter.to_string());
    }
    let name = entity.decode().ok()?;
    quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned)
}

fn item(start: &BytesStart<'_>) -> Item {
    let mut item = Item::default();
    for attribute in start.attributes().flatten() {
        let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0) else { continue };
        match attribute.key.as_ref() {
            b"name" => item.name = value.into_owned(),
            b"sample" => item.band = value.trim().parse().ok(),
            b"role" => item.role = value.into_owned(),
            b"domain" => item.domain = value.into_owned(),
            _ => {}
        }
    }
    item
}

/// The values of an item for each band, where one band has it at least.
fn of_bands(items: &[Item], bands: usize, is_it: impl Fn(&Item) -> bool) -> Option<Vec<&str>> {
    let mut values = vec![""; bands];
    let mut any = false;
    for item in items.iter().filter(|item| is_it(item)) {
        if let Some(value) = item.band.and_then(|band| values.get_mut(band)) {
            *value = item.value.as_str();
            any = true;
        }
    }
    any.then_some(values)
}

/// Attributes of the file: items without a band.
pub(super) fn file_attrs(items: &[Item], attrs: &mut Attrs) {
    for item in items.iter().filter(|item| item.band.is_none()) {
        attrs.insert(key(item), AttrValue::Text(item.value.clone()));
    }
}

fn key(item: &Item) -> String {
    match item.domain.as_str() {
        "" => item.name.clone(),
        domain => format!("{domain}:{}", item.name),
    }
}

/// Attributes of a variable of so many bands.
///
/// - Scale and offset are `scale_factor` and `add_offset` if all bands have the same, else the lists `scales` and
///   `offsets`, which no reader applies by itself.
/// - What differs between bands is a list by band.
pub(crate) fn band_attrs(items: &[Item], bands: usize, attrs: &mut Attrs) {
    let role = |role: &'static str| move |item: &Item| item.role == role;
    if let Some(names) = of_bands(items, bands, role("description")) {
        attrs.insert("long_name".into(), texts(&names));
    }
    if let Some(units) = of_bands(items, bands, role("unittype")) {
        let alike = units.iter().all(|unit| unit == &units[0]);
        let (name, units) = if alike { ("units", &units[..1]) } else { ("units_of_bands", &units[..]) };
        attrs.insert(name.into(), texts(units));
    }
    if let Some(colours) = of_bands(items, bands, role("colorinterp")) {
        let named: Vec<String> = colours.iter().map(|name| name.to_ascii_lowercase()).collect();
        attrs.insert("color_interpretation".into(), AttrValue::Texts(named));
    }
    scaling(items, bands, attrs);
    let mut names: Vec<(String, &Item)> = Vec::new();
    for item in items.iter().filter(|item| item.band.is_some() && item.role.is_empty()) {
        if names.len() < 256 && !names.iter().any(|(name, _)| *name == key(item)) {
            names.push((key(item), item));
        }
    }
    for (name, first) in names {
        let same = |item: &Item| item.role.is_empty() && item.name == first.name && item.domain == first.domain;
        if let Some(values) = of_bands(items, bands, same) {
            let numbers: Option<Vec<f64>> = values.iter().map(|value| value.trim().parse().ok()).collect();
            attrs.insert(name, numbers.map_or_else(|| texts(&values), AttrValue::Float64));
        }
    }
}

fn texts(values: &[&str]) -> AttrValue {
    match values {
        [one] => AttrValue::Text((*one).to_owned()),
        many => AttrValue::Texts(many.iter().map(|&text| text.to_owned()).collect()),
    }
}

fn scaling(items: &[Item], bands: usize, attrs: &mut Attrs) {
    let numbers = |role: &'static str, default: f64| {
        let values = of_bands(items, bands, move |item| item.role == role);
        let parsed = |text: &&str| text.trim().parse().unwrap_or(default);
        values.map_or_else(|| vec![default; bands], |values| values.iter().map(parsed).collect())
    };
    let (scales, offsets) = (numbers("scale", 1.0), numbers("offset", 0.0));
    let alike = |values: &[f64]| values.iter().all(|value| value == &values[0]);
    if scales.iter().all(|scale| *scale == 1.0) && offsets.iter().all(|offset| *offset == 0.0) {
        return;
    }
    if alike(&scales) && alike(&offsets) {
        attrs.insert("scale_factor".into(), AttrValue::Float64(scales[..1].to_vec()));
        attrs.insert("add_offset".into(), AttrValue::Float64(offsets[..1].to_vec()));
    } else {
        attrs.insert("scales".into(), AttrValue::Float64(scales));
        attrs.insert("offsets".into(), AttrValue::Float64(offsets));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<GDALMetadata>\n  <Item name=\"A\">x &lt; &#228;</Item>\n  \
        <Item name=\"SCALE\" sample=\"0\" role=\"scale\">0.1</Item>\n  \
        <Item name=\"SCALE\" sample=\"1\" role=\"scale\">0.2</Item>\n  \
        <Item name=\"DESCRIPTION\" sample=\"1\" role=\"description\">second</Item>\n  \
        <Item name=\"STATISTICS_MEAN\" sample=\"0\">1.5</Item>\n  \
        <Item name=\"STATISTICS_MEAN\" sample=\"1\">2</Item>\n  \
        <Item name=\"k\" domain=\"D\">v</Item>\n</GDALMetadata>";

    #[test]
    fn items_become_attributes_of_the_file_and_of_bands() {
        let items = items(XML);
        let (mut file, mut bands) = (Attrs::new(), Attrs::new());
        file_attrs(&items, &mut file);
        band_attrs(&items, 2, &mut bands);
        assert_eq!(file["A"], AttrValue::Text("x < ä".into()));
        assert_eq!(file["D:k"], AttrValue::Text("v".into()));
        assert_eq!(bands["scales"], AttrValue::Float64(vec![0.1, 0.2]));
        assert_eq!(bands["long_name"], AttrValue::Texts(vec![String::new(), "second".into()]));
        assert_eq!(bands["STATISTICS_MEAN"], AttrValue::Float64(vec![1.5, 2.0]));
    }

    #[test]
    fn damaged_documents_give_what_stands_before_the_damage() {
        assert!(items("<GDALMetadata><Item name='a'>b").is_empty());
        assert_eq!(items("<Item name='a'>b</Item><Item").len(), 1);
    }
}
