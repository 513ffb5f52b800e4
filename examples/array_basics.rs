//! Array basics: smooth and transform images, the mean of a matrix product, the largest value of a raster, a small graph.
//!
//! `cargo run --release --example array_basics`
#![expect(clippy::print_stdout, reason = "an example")]

use outcrop_compute::kernel::Stencil;
use outcrop_compute::{DataArray, Missing, ReduceOptions, Reduction, UnaryOp};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Ten images of 200 x 300: nothing is computed before `compute`.
    let values: Vec<f64> = (0..600_000u32).map(|at| f64::from(at.wrapping_mul(2_654_435_761) >> 8) / 1e5).collect();
    let images = DataArray::from_values("images", &[("image", 10), ("y", 200), ("x", 300)], values)?;
    let smoothed = images.stencil(Stencil::smooth(3))?;
    let power = smoothed.fft2()?.unary(UnaryOp::Absolute)?.mean(&["image"])?;
    println!("mean amplitude at frequency 0: {:.0}", power.index("y", 0)?.index("x", 0)?.compute()?.into_f64()[0]);

    // The mean of x x^T, without the product: what is finite need not be formed.
    let x = images.index("image", 0)?;
    let product = x.dot(&x.rename_dim("y", "row")?, "x")?;
    let options = ReduceOptions { missing: Missing::Propagate, ..ReduceOptions::default() };
    let mean = product.reduce(Reduction::Mean, &[], options)?;
    println!("mean of {} x {} products: {:.1}", product.shape()[0], product.shape()[1], mean.compute()?.into_f64()[0]);

    // The largest value, and where it is in each row.
    println!("largest value: {:.1}", images.max(&[])?.compute()?.into_f64()[0]);
    let places = x.reduce(Reduction::Argmax, &["x"], ReduceOptions::default())?.compute()?;
    println!("in the first row at position {}", places.into_f64()[0]);

    // What would be done, as a graph; `to_svg` draws it.
    let graph = power.graph();
    println!("{} steps, the last is {}", graph.nodes.len(), graph.nodes.last().map_or("none", |node| node.op.as_str()));
    Ok(())
}
