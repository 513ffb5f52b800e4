//! Heat index of daily images: makes a month of small GeoTIFFs, means of days, of the month and over time.
//!
//! `cargo run --release --example heat_index [FOLDER]`; the images and results are in the folder then.
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::error::Error;
use std::path::{Path, PathBuf};

use outcrop_compute::RunOptions;
use outcrop_formats::{Attrs, DType, GeoTiffOptions, GeoTiffSpec, GeoTiffWriter};
use outcrop_grid::{Crs, GeoKeys, RasterType};
use outcrop_pipelines::heat_index::{
    DayFile, HeatIndex, HeatOptions, HeatOutput, HeatWriter, Selection, Series, SeriesOptions, day_of_name,
};
use outcrop_store::{Href, Store, StoreOptions};

const DAYS: u32 = 31;
const SIDE: u32 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join("outcrop-heat"), PathBuf::from);
    let mut files = Vec::new();
    for day in 1..=DAYS {
        let name = format!("tmax.2016.07.{day:02}.tif");
        write(&folder.join(&name), day)?;
        files.push(DayFile { href: Href::from_path(&folder.join(&name)), day: day_of_name(&name, None)?, item: None });
    }

    // I/O has its own runtime; the computation blocks and must not run on it.
    let runtime = tokio::runtime::Runtime::new()?;
    let store = Store::new(StoreOptions::default(), runtime.handle().clone())?;
    let series = store.wait(Series::open(&store, files, SeriesOptions::default()))?;
    let series = series.select(&Selection { months: vec![7], ..Selection::default() })?;
    let index = HeatIndex::new(series, HeatOptions::default())?;

    let output = HeatOutput { folder: folder.clone(), zarr: None, vmin: None, vmax: None };
    let mut writer = HeatWriter::create(&index, output)?;
    let run = RunOptions { memory: 100 << 20, ..RunOptions::default() };
    let report = index.run(&run, HeatWriter::kept(&index), |window, means| writer.write(window, means))?;
    let written = writer.finish(&store, &index, &report)?;

    for day in report.days.iter().step_by(10) {
        println!("{}: {:.2} °F over {} cells", day.day, day.mean_f, day.count);
    }
    if let Some((low, high)) = written.range {
        println!("mean over time {low:.2} to {high:.2} °C in {} cells", written.cells);
    }
    println!("written to {}", folder.display());
    Ok(())
}

/// A day of a small island: warmer inland and from day to day, no data at sea.
fn write(path: &Path, day: u32) -> Result<(), Box<dyn Error>> {
    const NODATA: f32 = -9999.0;
    let middle = f64::from(SIDE) / 2.0;
    let cell = |i: u32| {
        let (y, x) = (f64::from(i / SIDE) - middle, f64::from(i % SIDE) - middle);
        let inland = 1.0 - y.hypot(x) / (middle * 0.8);
        #[expect(clippy::cast_possible_truncation, reason = "temperatures are of single precision")]
        let warm = (18.0 + 12.0 * inland + 0.2 * f64::from(day)) as f32;
        if inland > 0.0 { warm } else { NODATA }
    };
    let spec = GeoTiffSpec {
        width: u64::from(SIDE),
        height: u64::from(SIDE),
        bands: 1,
        dtype: DType::Float32,
        nodata: Some(NODATA.to_ne_bytes().to_vec()),
        transform: Some([-20.0, 0.05, 0.0, 66.0, 0.0, -0.05]),
        control_points: Vec::new(),
        keys: Some(GeoKeys::of_crs(&Crs::lonlat()?, Some(4326), RasterType::Area)?),
        attrs: Attrs::new(),
        file_attrs: Attrs::new(),
    };
    let options = GeoTiffOptions { tile: u64::from(SIDE), overviews: 0, ..GeoTiffOptions::default() };
    let image = GeoTiffWriter::create(path, &spec, options)?;
    let values: Vec<u8> = (0..SIDE * SIDE).flat_map(|i| cell(i).to_ne_bytes()).collect();
    image.write_chunk([0, 0, 0], &values)?;
    Ok(image.finish(1)?)
}
