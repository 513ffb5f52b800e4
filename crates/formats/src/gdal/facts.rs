//! What the bindings do not tell of bands: types of complex numbers and meanings of colours. GDAL writes both in the
//! virtual file (<https://gdal.org/en/stable/drivers/raster/vrt.html>) that it makes of any dataset, in memory.

use gdal::errors::Result;
use gdal::raster::RasterCreationOptions;
use gdal::{Dataset, DriverManager, Metadata};
use quick_xml::Reader;
use quick_xml::events::Event;

/// One band.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Band {
    /// GDAL's name of its type: `CFloat32`.
    pub(super) kind: String,
    /// What it means as a colour: `Red`; empty where that is not said.
    pub(super) colour: String,
}

/// The bands of a dataset, in order.
pub(super) fn bands(dataset: &Dataset) -> Result<Vec<Band>> {
    let vrt = DriverManager::get_driver_by_name("VRT")?;
    let copy = dataset.create_copy(&vrt, "", &RasterCreationOptions::default())?;
    let xml = copy.metadata_domain("xml:VRT").unwrap_or_default().concat();
    Ok(parse(&xml))
}

fn parse(xml: &str) -> Vec<Band> {
    let mut reader = Reader::from_str(xml);
    let (mut found, mut path): (Vec<Band>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                path.push(start.name().as_ref().to_vec());
                found.extend(band(&start).filter(|_| path.len() == 2));
            }
            Ok(Event::Empty(start)) => found.extend(band(&start).filter(|_| path.len() == 1)),
            Ok(Event::Text(text)) if path.len() == 3 && path[2] == b"ColorInterp" => {
                if let (Some(band), Ok(text)) = (found.last_mut(), text.decode()) {
                    text.trim().clone_into(&mut band.colour);
                }
            }
            Ok(Event::End(_)) => drop(path.pop()),
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

fn band(start: &quick_xml::events::BytesStart<'_>) -> Option<Band> {
    let is_band = start.name().as_ref() == b"VRTRasterBand";
    let kind = start.attributes().flatten().find(|attribute| attribute.key.as_ref() == b"dataType")?;
    is_band.then(|| Band { kind: String::from_utf8_lossy(&kind.value).into_owned(), colour: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_colours_are_those_of_bands_not_of_masks() {
        let xml = r#"<VRTDataset rasterXSize="2" rasterYSize="2"><VRTRasterBand dataType="CInt16" band="1"/>
            <VRTRasterBand dataType="Byte" band="2"><ColorInterp>Red</ColorInterp><SimpleSource/></VRTRasterBand>
            <MaskBand><VRTRasterBand dataType="Byte"><ColorInterp>Gray</ColorInterp></VRTRasterBand></MaskBand>
            </VRTDataset>"#;
        let band = |kind: &str, colour: &str| Band { kind: kind.into(), colour: colour.into() };
        assert_eq!(parse(xml), [band("CInt16", ""), band("Byte", "Red")]);
        assert!(parse("<VRTDataset><VRTRasterBand").is_empty());
    }
}
