//! Golden cases of array basics: smoothing, transforms, products.

use outcrop_compute::kernel::Stencil;
use outcrop_compute::{Block, DType, DataArray, Element, Missing, ReduceOptions, Reduction, UnaryOp};
use outcrop_testkit::{difference, npz, shared_data};

fn array<T: Element>(values: &ndarray::ArrayD<T>) -> DataArray
where
    Block: From<Vec<T>>,
{
    let dims: Vec<(&str, u64)> = ["y", "x"].into_iter().zip(values.shape().iter().map(|len| *len as u64)).collect();
    DataArray::from_values("x", &dims, values.iter().copied().collect::<Vec<T>>()).unwrap()
}

fn inner(block: Block, shape: &[usize]) -> Vec<f64> {
    let values = block.into_f64();
    let is_inner = |at: usize| {
        let (y, x) = (at / shape[1], at % shape[1]);
        y > 0 && x > 0 && y + 1 < shape[0] && x + 1 < shape[1]
    };
    values.into_iter().enumerate().filter(|(at, _)| is_inner(*at)).map(|(_, value)| value).collect()
}

#[test]
fn smoothing_is_that_of_the_notebook_to_the_bit() {
    fn check<T: Element + ndarray_npy::ReadableElement>(name: &str, dtype: DType)
    where
        Block: From<Vec<T>>,
    {
        let Some(folder) = shared_data("golden/d_basics") else { return };
        let path = folder.join(format!("{name}.npz"));
        let (x, want) = (npz::<T>(&path, "x"), npz::<T>(&path, "want"));
        let smoothed = array(&x).stencil(Stencil::smooth(2)).unwrap();
        assert_eq!(smoothed.dtype(), dtype, "{name}");
        let got = inner(smoothed.compute().unwrap(), x.shape());
        let want = inner(Block::from(want.iter().copied().collect::<Vec<T>>()), x.shape());
        assert_eq!(difference(&got, &want, 0.0, 0.0), None, "{name}");
    }
    for name in ["smooth_unit", "smooth_wide", "smooth_multiples"] {
        check::<f64>(name, DType::Float64);
    }
    check::<f32>("smooth_f32", DType::Float32);
    check::<i64>("smooth_i64", DType::Int64);
}

#[test]
fn transforms_are_those_of_numpy() {
    let Some(folder) = shared_data("golden/d_basics") else { return };
    for (name, tolerance) in [("fft2_even", 1.952_408_670_980_624e-11), ("fft2_prime", 1.083_982_792_906_498e-11)] {
        let path = folder.join(format!("{name}.npz"));
        let want = npz::<num_complex::Complex<f64>>(&path, "want");
        let spectrum = array(&npz::<f64>(&path, "x")).fft2().unwrap();
        assert_eq!(spectrum.dtype(), DType::Complex128);
        let part = |op| spectrum.unary(op).unwrap().compute().unwrap().into_f64();
        let re: Vec<f64> = want.iter().map(|v| v.re).collect();
        let im: Vec<f64> = want.iter().map(|v| v.im).collect();
        assert_eq!(difference(&part(UnaryOp::Real), &re, 0.0, tolerance), None, "{name}");
        assert_eq!(difference(&part(UnaryOp::Imag), &im, 0.0, tolerance), None, "{name}");
    }
    let path = folder.join("fft2_f32.npz");
    let spectrum = array(&npz::<f32>(&path, "x")).fft2().unwrap();
    assert_eq!(spectrum.dtype(), DType::Complex64);
    let want: Vec<f64> = npz::<num_complex::Complex<f32>>(&path, "want").iter().map(|v| f64::from(v.im)).collect();
    let got = spectrum.unary(UnaryOp::Imag).unwrap().compute().unwrap().into_f64();
    assert_eq!(difference(&got, &want, 0.0, 4.844e-5), None);
}

#[test]
fn the_mean_of_a_product_needs_no_product() {
    for (rows, columns, want) in [(200u64, 100u64, 24.957_155), (2000, 1000, 249.500_25)] {
        let values: Vec<f64> = (0..rows * columns)
            .map(|at| ((at / columns * 7919 + at % columns * 104_729) % 1000) as f64 / 1000.0)
            .collect();
        let x = DataArray::from_values("x", &[("i", rows), ("k", columns)], values).unwrap();
        let product = x.dot(&x.rename_dim("i", "j").unwrap(), "k").unwrap();
        assert_eq!((product.dims.clone(), product.shape()), (vec!["i".to_owned(), "j".into()], vec![rows, rows]));
        let options = ReduceOptions { missing: Missing::Propagate, ..ReduceOptions::default() };
        let mean = |array: &DataArray| array.compute().unwrap().into_f64()[0];
        let short = product.reduce(Reduction::Mean, &[], options).unwrap();
        assert!((mean(&short) - want).abs() < 1e-12 * want, "{} {want}", mean(&short));
        if rows == 200 {
            let long = product.mean(&[]).unwrap();
            assert!((mean(&long) - want).abs() < 1e-12 * want);
            let corner = product.index("i", 0).unwrap().index("j", 0).unwrap();
            assert!((mean(&corner) - 32.948_35).abs() < 1e-10);
        }
    }
}
