//! Each operation against a dense implementation that is as plain as can be, over random shapes, chunks and types.

use ndarray::{ArrayD, Axis, IxDyn, Slice};
use outcrop_compute::kernel::{CumulativeOp, Stencil, Trend};
use outcrop_compute::{BinaryOp, DType, DataArray, GroupBy, Join, Missing, ReduceOptions, Reduction, Scalar, UnaryOp};

use super::field::{Bench, Field, Numbers, assert_close, same_bits};

const TYPES: [DType; 6] = [DType::Float32, DType::Float64, DType::Int16, DType::Int32, DType::UInt8, DType::Int64];

/// An operation, and a dense one.
type Pair = (BinaryOp, fn(f64, f64) -> f64);

/// Runs a check on many random arrays.
fn each(seed: u64, rank: usize, check: impl Fn(&Field, &mut Numbers)) {
    let bench = Bench::new();
    let mut numbers = Numbers::new(seed);
    for round in 0..18 {
        let dtype = TYPES[round % TYPES.len()];
        let field = Field::new(&bench, &mut numbers, dtype, rank);
        check(&field, &mut numbers);
    }
}

fn valid(values: &[f64], missing: Missing) -> Vec<f64> {
    values.iter().copied().filter(|v| missing == Missing::Propagate || !v.is_nan()).collect()
}

fn dense_reduction(values: &[f64], kind: Reduction, missing: Missing, ddof: f64) -> f64 {
    let used = valid(values, missing);
    let n = used.len() as f64;
    let sum: f64 = used.iter().sum();
    let var = || {
        let mean = sum / n;
        if n > ddof { used.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - ddof) } else { f64::NAN }
    };
    let extreme = |better: fn(f64, f64) -> f64| {
        if used.iter().any(|v| v.is_nan()) || used.is_empty() {
            f64::NAN
        } else {
            used.iter().copied().reduce(better).unwrap()
        }
    };
    match kind {
        Reduction::Sum => sum,
        Reduction::Prod => used.iter().product(),
        Reduction::Mean => sum / n,
        Reduction::Var => var(),
        Reduction::Std => var().sqrt(),
        Reduction::Min => extreme(f64::min),
        Reduction::Max => extreme(f64::max),
        Reduction::Count => values.iter().filter(|v| !v.is_nan()).count() as f64,
        Reduction::Any => f64::from(u8::from(values.iter().any(|v| *v != 0.0))),
        Reduction::All => f64::from(u8::from(values.iter().all(|v| *v != 0.0))),
        Reduction::Argmin | Reduction::Argmax => unreachable!("they are tested apart"),
    }
}

/// Applies a function to the values along some axes, which go.
fn along(dense: &ArrayD<f64>, axes: &[usize], f: impl Fn(&[f64]) -> f64) -> ArrayD<f64> {
    let kept: Vec<usize> = (0..dense.ndim()).filter(|d| !axes.contains(d)).collect();
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let turned = dense.clone().permuted_axes(IxDyn(&order));
    let shape: Vec<usize> = kept.iter().map(|d| dense.shape()[*d]).collect();
    let per: usize = axes.iter().map(|d| dense.shape()[*d]).product();
    let all: Vec<f64> = turned.iter().copied().collect();
    ArrayD::from_shape_vec(IxDyn(&shape), all.chunks(per).map(f).collect()).unwrap()
}

#[test]
fn reductions_along_any_dimensions() {
    use Reduction::{All, Any, Count, Max, Mean, Min, Prod, Std, Sum, Var};
    each(1, 3, |field, numbers| {
        for kind in [Sum, Prod, Mean, Var, Std, Min, Max, Count, Any, All] {
            let axes: Vec<usize> = (0..3).filter(|_| numbers.below(2) == 0).collect();
            let names: Vec<&str> = axes.iter().map(|d| ["t", "y", "x"][*d]).collect();
            let axes = if axes.is_empty() { vec![0, 1, 2] } else { axes };
            let missing = if numbers.below(2) == 0 { Missing::Skip } else { Missing::Propagate };
            let ddof = u32::try_from(numbers.below(2)).unwrap();
            let options = ReduceOptions { missing, ddof, min_count: 0 };
            let what = format!("{kind:?} over {names:?} of {}, {missing:?}", field.stored.dtype());
            let got = field.check(&what, |array| array.reduce(kind, &names, options));
            let whole = !field.stored.dtype().is_float();
            if kind == Prod && whole {
                continue;
            }
            let want = along(&field.dense, &axes, |values| dense_reduction(values, kind, missing, f64::from(ddof)));
            if kind == Prod {
                let relative: Vec<(f64, f64)> = got.0.into_f64().into_iter().zip(want.iter().copied()).collect();
                let near = |(got, want): &(f64, f64)| {
                    (got.is_nan() && want.is_nan()) || got == want || (got / want - 1.0).abs() < 1e-5
                };
                assert!(relative.iter().all(near) || field.stored.dtype() == DType::Float32, "{what}");
                continue;
            }
            assert_close(&what, got, &want);
        }
    });
}

#[test]
fn positions_of_extremes() {
    each(2, 3, |field, numbers| {
        let axis = usize::try_from(numbers.below(3)).unwrap();
        let name = ["t", "y", "x"][axis];
        for kind in [Reduction::Argmin, Reduction::Argmax] {
            let options = ReduceOptions { missing: Missing::Propagate, ..ReduceOptions::default() };
            let got = field.check("arg", |array| array.reduce(kind, &[name], options));
            let want = along(&field.dense, &[axis], |values| {
                let better = |a: f64, b: f64| if kind == Reduction::Argmin { a < b } else { a > b };
                let mut best = 0;
                for (at, value) in values.iter().enumerate() {
                    if !values[best].is_nan() && (value.is_nan() || better(*value, values[best])) {
                        best = at;
                    }
                }
                best as f64
            });
            assert_close("arg", got, &want);
            let skipping = field.stored.reduce(kind, &[name], ReduceOptions::default()).unwrap().compute();
            let all_missing =
                along(&field.dense, &[axis], |values| f64::from(u8::from(values.iter().all(|v| v.is_nan()))));
            assert_eq!(skipping.is_err(), all_missing.iter().any(|v| *v == 1.0));
        }
    });
}

#[test]
fn groups_of_dates() {
    each(3, 3, |field, _| {
        let months: Vec<u64> = (0..field.dense.shape()[0] as u64).map(|t| (t * 7) * 12 / 365 % 12).collect();
        let kinds = [Reduction::Mean, Reduction::Sum, Reduction::Max, Reduction::Count, Reduction::Std];
        for (kind, missing) in kinds.iter().flat_map(|kind| [(*kind, Missing::Skip), (*kind, Missing::Propagate)]) {
            let options = ReduceOptions { missing, ..ReduceOptions::default() };
            let got = field.check("groupby", |array| array.groupby("t", GroupBy::Month, kind, options));
            let array = field.stored.groupby("t", GroupBy::Month, kind, options).unwrap();
            let dates = field.stored.dates("t").unwrap();
            let present = array.coords["month"].whole.clone();
            assert!(present.windows(2).all(|pair| pair[0] < pair[1]) && present.len() <= months.len());
            let parts: Vec<ArrayD<f64>> = present
                .iter()
                .map(|month| {
                    let of: Vec<usize> = (0..dates.len()).filter(|t| i64::from(dates[*t].month) == *month).collect();
                    let part = field.dense.select(Axis(0), &of);
                    along(&part, &[0], |values| dense_reduction(values, kind, missing, 0.0)).insert_axis(Axis(0))
                })
                .collect();
            let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
            assert_close("groupby", got, &ndarray::concatenate(Axis(0), &views).unwrap());
        }
    });
    let bench = Bench::new();
    let field = Field::of_shape(&bench, &mut Numbers::new(5), DType::Float64, &[53, 2]);
    let seasons = field.stored.groupby("t", GroupBy::Season, Reduction::Mean, ReduceOptions::default()).unwrap();
    assert_eq!(seasons.coords["season"].texts, ["DJF", "JJA", "MAM", "SON"]);
    let years = field.stored.groupby("t", GroupBy::Year, Reduction::Count, ReduceOptions::default()).unwrap();
    assert_eq!(years.coords["year"].whole, [2001]);
}

#[test]
fn quantiles_and_medians() {
    each(4, 3, |field, numbers| {
        let axes: Vec<usize> =
            [vec![0], vec![1], vec![2], vec![0, 2], vec![0, 1, 2]][usize::try_from(numbers.below(5)).unwrap()].clone();
        let names: Vec<&str> = axes.iter().map(|d| ["t", "y", "x"][*d]).collect();
        let q = [0.0, 0.5, 0.37, 1.0][usize::try_from(numbers.below(4)).unwrap()];
        for missing in [Missing::Skip, Missing::Propagate] {
            let dense = |values: &[f64], q: f64| {
                let mut used = valid(values, missing);
                if used.is_empty() || used.iter().any(|v| v.is_nan()) {
                    return f64::NAN;
                }
                used.sort_by(f64::total_cmp);
                let place = q * (used.len() - 1) as f64;
                let low = place.floor() as usize;
                let high = (low + 1).min(used.len() - 1);
                used[low] + (used[high] - used[low]) * (place - low as f64)
            };
            let got = field.check("quantile", |array| array.quantile(q, &names, missing));
            assert_close("quantile", got, &along(&field.dense, &axes, |values| dense(values, q)));
            let got = field.check("median", |array| array.median(&names, missing));
            assert_close("median", got, &along(&field.dense, &axes, |values| dense(values, 0.5)));
        }
        let name = ["t", "y", "x"][axes[0]];
        let got = field.check("remove median", |array| array.remove_median(name, Missing::Skip));
        let plain = field
            .check("subtract median", |array| array.subtract(&array.median(&[name], Missing::Skip)?)?.transpose(&[]));
        if field.stored.dtype() == DType::Float64 {
            assert!(same_bits(&got.0, &plain.0));
        }
    });
}

#[test]
fn selections_joins_and_turns() {
    each(5, 3, |field, numbers| {
        let shape = field.stored.shape();
        let axis = usize::try_from(numbers.below(3)).unwrap();
        let (name, len) = (["t", "y", "x"][axis], shape[axis]);
        let start = numbers.below(len);
        let end = start + numbers.below(len - start + 1);
        let (from, to) = (isize::try_from(start).unwrap(), isize::try_from(end).unwrap());
        let got = field.check("isel", |array| array.isel(name, start..end));
        assert_close("isel", got, &field.dense.slice_axis(Axis(axis), Slice::new(from, Some(to), 1)).to_owned());
        let step = isize::try_from(1 + numbers.below(4)).unwrap();
        for step in [step, -step] {
            let got = field.check("step", |array| array.isel_step(name, start..end, step as i64));
            let mut want = field.dense.slice_axis(Axis(axis), Slice::new(from, Some(to), 1)).to_owned();
            if step < 0 {
                want.invert_axis(Axis(axis));
            }
            assert_close("step", got, &want.slice_axis(Axis(axis), Slice::new(0, None, step.abs())).to_owned());
        }
        let take: Vec<u64> = (0..numbers.below(12)).map(|_| numbers.below(len)).collect();
        let of: Vec<usize> = take.iter().map(|at| usize::try_from(*at).unwrap()).collect();
        let got = field.check("take", |array| array.take(name, &take));
        assert_close("take", got, &field.dense.select(Axis(axis), &of));
        let got = field.check("index", |array| array.index(name, start));
        assert_close("index", got, &field.dense.index_axis(Axis(axis), usize::try_from(start).unwrap()).to_owned());
        let got = field.check("transpose", |array| array.transpose(&["x", "t"]));
        assert_close("transpose", got, &field.dense.clone().permuted_axes(IxDyn(&[2, 0, 1])));
        let cut = numbers.below(len + 1);
        let got = field.check("concat", |array| {
            DataArray::concat(&[array.isel(name, cut..len)?, array.isel(name, 0..cut)?, array.clone()], name)
        });
        let (a, b) = field.dense.view().split_at(Axis(axis), usize::try_from(cut).unwrap());
        assert_close("concat", got, &ndarray::concatenate(Axis(axis), &[b, a, field.dense.view()]).unwrap());
        let got = field.check("stack", |array| DataArray::stack(&[array.clone(), array.multiply(2)?], "k"));
        let double = field.stored.multiply(2).unwrap().compute().unwrap().into_f64();
        let double = ArrayD::from_shape_vec(field.dense.raw_dim(), double).unwrap();
        assert_close("stack", got, &ndarray::stack(Axis(0), &[field.dense.view(), double.view()]).unwrap());
        let chunks: Vec<u64> = shape.iter().map(|len| 1 + numbers.below(*len)).collect();
        let pieces: Vec<(&str, u64)> = ["t", "y", "x"].into_iter().zip(chunks).collect();
        let got = field.check("rechunk", |array| array.rechunk(&pieces));
        assert_close("rechunk", got, &field.dense);
    });
}

#[test]
fn labels_select_in_the_direction_of_the_axis() {
    let bench = Bench::new();
    let field = Field::of_shape(&bench, &mut Numbers::new(9), DType::Float64, &[3, 11, 8]);
    let part = field.stored.sel("y", 48.0, 45.5).unwrap();
    assert_eq!(part.coords["y"].values, [48.0, 47.0, 46.0]);
    assert_eq!(field.stored.sel("y", 45.5, 48.0).unwrap().shape(), [3, 0, 8]);
    assert_eq!(field.stored.sel("y", 45.5, 48.0).unwrap().compute().unwrap().len(), 0);
    assert_eq!(field.stored.sel("x", 7.0, 21.0).unwrap().coords["x"].values, [7.0, 14.0, 21.0]);
    let near = field.stored.sel_nearest("x", 20.0).unwrap();
    assert_eq!(near.dims, ["t", "y"]);
    let want = field.dense.index_axis(Axis(2), 3).to_owned();
    assert_close("nearest", (near.compute().unwrap(), near.shape()), &want);
    let january = field.stored.take_dates("t", |date| date.month == 1).unwrap();
    assert_eq!(january.shape()[0], 3);
    let (a, b) =
        field.stored.isel("x", 0..5).unwrap().align(&field.stored.isel("x", 3..8).unwrap(), Join::Inner).unwrap();
    assert_eq!((a.coords["x"].values.clone(), b.coords["x"].values.clone()), (vec![21.0, 28.0], vec![21.0, 28.0]));
    let moved = field.stored.isel("x", 1..8).unwrap();
    assert!(field.stored.isel("x", 0..7).unwrap().add(&moved).is_err());
}

#[test]
fn arithmetic_of_arrays_and_numbers() {
    each(6, 3, |field, numbers| {
        let plane: Vec<f64> = field.dense.index_axis(Axis(0), 0).iter().copied().collect();
        let number = f64::from(u8::try_from(1 + numbers.below(9)).unwrap());
        let pairs: [Pair; 8] = [
            (BinaryOp::Add, |a, b| a + b),
            (BinaryOp::Subtract, |a, b| a - b),
            (BinaryOp::Multiply, |a, b| a * b),
            (BinaryOp::Divide, |a, b| a / b),
            (BinaryOp::Maximum, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }),
            (BinaryOp::Less, |a, b| f64::from(u8::from(a < b))),
            (BinaryOp::NotEqual, |a, b| f64::from(u8::from(a != b))),
            (BinaryOp::FloorDivide, |a, b| (a / b).floor()),
        ];
        for (op, dense) in pairs {
            let wide = |array: &DataArray| array.astype(DType::Float64);
            let got = field.check("scalar", |array| wide(array).binary(op, number));
            assert_close(&format!("{op:?}"), got, &field.dense.mapv(|v| dense(v, number)));
            let got = field
                .check("row", |array| wide(array).binary(op, &array.index("t", 0)?.astype(DType::Float64).add(0.5)?));
            let mut want = field.dense.clone();
            for mut block in want.axis_iter_mut(Axis(0)) {
                block.iter_mut().zip(&plane).for_each(|(v, p)| *v = dense(*v, p + 0.5));
            }
            assert_close(&format!("{op:?} with a plane"), got, &want);
        }
        let got = field.check("chain", |array| {
            let celsius = array.astype(DType::Float64);
            let kept = celsius.binary(BinaryOp::Greater, 0.0)?;
            celsius
                .multiply(1.8)?
                .add(32.0)?
                .where_(&kept)?
                .fillna(-1)?
                .clip(Some(Scalar::Float(-2.0)), Some(Scalar::Float(40.0)))?
                .unary(UnaryOp::Sqrt)
        });
        let want = field.dense.mapv(|v| (if v > 0.0 { v * 1.8 + 32.0 } else { -1.0 }).clamp(-2.0, 40.0).sqrt());
        assert_close("chain", got, &want);
        let got = field.check("anomaly", |array| {
            array.astype(DType::Float64).subtract(&array.astype(DType::Float64).mean(&["t"])?)
        });
        let mean = along(&field.dense, &[0], |values| dense_reduction(values, Reduction::Mean, Missing::Skip, 0.0));
        assert_close("anomaly", got, &(&field.dense - &mean));
    });
}

#[test]
fn windows_beside_and_over_one_another() {
    each(7, 3, |field, numbers| {
        let shape = field.stored.shape();
        let windows: Vec<u64> = shape.iter().map(|len| 1 + numbers.below((*len).min(5))).collect();
        let named: Vec<(&str, u64)> = ["t", "y", "x"].into_iter().zip(windows.iter().copied()).collect();
        for kind in [Reduction::Mean, Reduction::Max, Reduction::Sum, Reduction::Std] {
            let got = field.check("coarsen", |array| array.coarsen(&named)?.reduce(kind, ReduceOptions::default()));
            let size: Vec<usize> = windows.iter().map(|w| usize::try_from(*w).unwrap()).collect();
            let out: Vec<usize> = field.dense.shape().iter().zip(&size).map(|(len, w)| len / w).collect();
            let want = ArrayD::from_shape_fn(IxDyn(&out), |at| {
                let slices = |axis: ndarray::AxisDescription| {
                    let d = axis.axis.index();
                    let start = isize::try_from(at[d] * size[d]).unwrap();
                    Slice::new(start, Some(start + isize::try_from(size[d]).unwrap()), 1)
                };
                let part: Vec<f64> = field.dense.slice_each_axis(slices).iter().copied().collect();
                dense_reduction(&part, kind, Missing::Skip, 0.0)
            });
            assert_close("coarsen", got, &want);
        }
        if field.stored.dtype().is_float() {
            let got = field.check("coarsen mean", |array| array.coarsen(&named[1..])?.mean());
            let other = field.check("coarsen mean", |array| {
                array.coarsen(&named[1..])?.reduce(Reduction::Mean, ReduceOptions::default())
            });
            assert_eq!(got.1, other.1);
        }
        rolling(field, numbers);
    });
}

fn rolling(field: &Field, numbers: &mut Numbers) {
    let axis = usize::try_from(numbers.below(3)).unwrap();
    let (name, len) = (["t", "y", "x"][axis], field.dense.shape()[axis]);
    let window = 1 + usize::try_from(numbers.below(len as u64)).unwrap();
    let min_periods = 1 + numbers.below(window as u64);
    let centered = numbers.below(2) == 0;
    for kind in [Reduction::Mean, Reduction::Sum, Reduction::Min, Reduction::Max, Reduction::Var, Reduction::Count] {
        let what = format!("rolling {kind:?}, {window} of {len}, centered {centered}");
        let got = field.check(&what, |array| {
            let rolled = array.rolling(name, window as u64)?.min_periods(min_periods);
            if centered { rolled.centered() } else { rolled }.reduce(kind, 0)
        });
        let after = if centered { (window - 1) / 2 } else { 0 };
        let mut want = field.dense.clone();
        for (mut lane, source) in want.lanes_mut(Axis(axis)).into_iter().zip(field.dense.lanes(Axis(axis))) {
            for at in 0..len {
                let first = (at + after + 1).saturating_sub(window);
                let part: Vec<f64> = (first..(at + after + 1).min(len)).map(|i| source[i]).collect();
                let used = valid(&part, Missing::Skip);
                lane[at] = match kind {
                    _ if (used.len() as u64) < min_periods => f64::NAN,
                    Reduction::Count => used.len() as f64,
                    kind => dense_reduction(&used, kind, Missing::Skip, 0.0),
                };
            }
        }
        assert_close(&what, got, &want);
    }
}

#[test]
fn along_a_dimension() {
    each(8, 3, |field, numbers| {
        let axis = usize::try_from(numbers.below(3)).unwrap();
        let (name, len) = (["t", "y", "x"][axis], field.dense.shape()[axis]);
        let lanes = |f: &dyn Fn(&[f64]) -> Vec<f64>| {
            let mut want = field.dense.clone();
            for (mut lane, source) in want.lanes_mut(Axis(axis)).into_iter().zip(field.dense.lanes(Axis(axis))) {
                let values: Vec<f64> = source.iter().copied().collect();
                lane.iter_mut().zip(f(&values)).for_each(|(to, from)| *to = from);
            }
            want
        };
        for missing in [Missing::Skip, Missing::Propagate] {
            let got = field.check("cumsum", |array| array.cumsum(name, missing));
            let want = lanes(&|values| {
                values
                    .iter()
                    .scan(0.0, |sum, v| {
                        *sum += if v.is_nan() && missing == Missing::Skip { 0.0 } else { *v };
                        Some(*sum)
                    })
                    .collect()
            });
            assert_close("cumsum", got, &want);
            let at = numbers.below(len as u64);
            let got = field.check("of cumsum", |array| array.cumsum(name, missing)?.index(name, at));
            assert_close("of cumsum", got, &want.index_axis(Axis(axis), at as usize).to_owned());
            let got = field.check("part of cumsum", |array| array.cumsum(name, missing)?.isel(name, at..len as u64));
            let from = isize::try_from(at).unwrap();
            assert_close("part of cumsum", got, &want.slice_axis(Axis(axis), Slice::new(from, None, 1)).to_owned());
        }
        let by = i64::try_from(numbers.below(len as u64 + 2)).unwrap() - 1;
        let got = field.check("shift", |array| array.shift(name, by));
        let want = lanes(&|values| {
            (0..len)
                .map(|at| {
                    usize::try_from(at as i64 - by).ok().and_then(|from| values.get(from)).copied().unwrap_or(f64::NAN)
                })
                .collect()
        });
        assert_close("shift", got, &want);
        let n = numbers.below(3);
        let got = field.check("diff", |array| array.astype(DType::Float64).diff(name, n));
        let mut want = field.dense.clone();
        for _ in 0..n.min(len as u64) {
            let later = want.slice_axis(Axis(axis), Slice::new(1.min(want.shape()[axis] as isize), None, 1)).to_owned();
            let end = isize::try_from(want.shape()[axis]).unwrap() - 1;
            want = later - want.slice_axis(Axis(axis), Slice::new(0, Some(end.max(0)), 1));
        }
        assert_close("diff", got, &want);
        let got = field.check("detrend", |array| array.astype(DType::Float64).detrend(name, &[Trend::Constant], &[]));
        let mean = lanes(&|values| {
            let mean = values.iter().sum::<f64>() / len as f64;
            values.iter().map(|v| v - mean).collect()
        });
        assert_close("detrend", got, &mean);
        assert_eq!(format!("{:?}", CumulativeOp::Cumsum), "Cumsum");
    });
}

#[test]
fn stencils_transforms_and_products() {
    each(10, 2, |field, numbers| {
        let smooth = field.check("smooth", |array| array.astype(DType::Float64).stencil(Stencil::smooth(2)));
        let (rows, columns) = (field.dense.shape()[0], field.dense.shape()[1]);
        let want = ArrayD::from_shape_fn(IxDyn(&[rows, columns]), |at| {
            let (y, x) = (at[0], at[1]);
            if y == 0 || x == 0 || y + 1 >= rows || x + 1 >= columns {
                return 0.0;
            }
            let mut sum = field.dense[[y - 1, x - 1]];
            for (dy, dx) in [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)] {
                sum += field.dense[[y + dy - 1, x + dx - 1]];
            }
            (sum / 9.0).floor()
        });
        assert_close("smooth", smooth, &want);
        let other = 1 + numbers.below(9);
        let product = field.check("dot", |array| {
            let plain = array.astype(DType::Float64).fillna(1.0)?;
            let turned = plain.rename_dim("t", "k")?.isel("k", 0..other.min(rows as u64))?;
            plain.dot(&turned, "y")
        });
        let plain = field.dense.mapv(|v| if v.is_nan() { 1.0 } else { v });
        let a = plain.view().into_dimensionality::<ndarray::Ix2>().unwrap();
        let b = a.slice(ndarray::s![0..usize::try_from(other).unwrap().min(rows), ..]);
        assert_close("dot", product, &a.dot(&b.t()).into_dyn());
        let spectrum =
            field.check("fft2", |array| array.astype(DType::Float64).fillna(0.0)?.fft2()?.unary(UnaryOp::Real));
        let plain = field.dense.mapv(|v| if v.is_nan() { 0.0 } else { v });
        let want = ArrayD::from_shape_fn(IxDyn(&[rows, columns]), |k| {
            plain
                .indexed_iter()
                .map(|(at, v)| {
                    let turn = (at[0] * k[0]) as f64 / rows as f64 + (at[1] * k[1]) as f64 / columns as f64;
                    v * (std::f64::consts::TAU * turn).cos()
                })
                .sum()
        });
        let difference =
            outcrop_testkit::difference(&spectrum.0.into_f64(), &want.iter().copied().collect::<Vec<_>>(), 1e-9, 1e-8);
        assert_eq!(difference, None);
    });
}

#[test]
fn covariance_and_correlation() {
    each(11, 3, |field, _| {
        let other = |array: &DataArray| {
            array.astype(DType::Float64).multiply(-2.0)?.add(&array.astype(DType::Float64).cumsum("t", Missing::Skip)?)
        };
        let dense_other = {
            let mut sums = field.dense.mapv(|v| if v.is_nan() { 0.0 } else { v });
            sums.accumulate_axis_inplace(Axis(0), |before, now| *now += before);
            &field.dense * -2.0 + &sums
        };
        let got = field.check("corr", |array| array.corr(&other(array)?, &["t"]));
        let pairs = ndarray::stack(Axis(3), &[field.dense.view(), dense_other.view()]).unwrap();
        let want = along(&pairs, &[0, 3], |values| {
            let pairs: Vec<&[f64]> = values.chunks(2).filter(|pair| !pair[0].is_nan() && !pair[1].is_nan()).collect();
            let n = pairs.len() as f64;
            let mean = |k: usize| pairs.iter().map(|pair| pair[k]).sum::<f64>() / n;
            let (ma, mb) = (mean(0), mean(1));
            let sum = |f: &dyn Fn(&[f64]) -> f64| pairs.iter().map(|pair| f(pair)).sum::<f64>() / n;
            let cov = sum(&|pair| (pair[0] - ma) * (pair[1] - mb));
            cov / (sum(&|pair| (pair[0] - ma).powi(2)) * sum(&|pair| (pair[1] - mb).powi(2))).sqrt()
        });
        let values = got.0.into_f64();
        // Where one does not vary, rounding decides between NaN and any number.
        for (got, want) in values.iter().zip(&want) {
            assert!(
                want.is_nan() || !want.is_finite() || (got - want).abs() < 1e-6 || want.abs() > 1.0 - 1e-9,
                "{got} {want}"
            );
        }
    });
}
