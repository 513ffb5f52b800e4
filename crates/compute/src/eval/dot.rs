//! Matrix products: both inputs are evaluated piece by piece along the dimension that goes.

use std::ops::Range;
use std::sync::Arc;

use ndarray::ArrayView2;
use ndarray::linalg::general_mat_mul;

use crate::expr::{Expr, size};
use crate::{Block, Error, Result};

use super::Context;
use super::context::Order;

/// Values of a piece of one input up to which chunks are joined.
const PIECE_VALUES: u64 = 1 << 20;

/// The pieces along the dimension that goes, for so many rows and columns of the result.
pub(crate) fn slabs(left: &Expr, right: &Expr, rows: u64, columns: u64) -> Vec<Range<u64>> {
    let len = left.shape[1];
    let cuts = left.cuts()[1].and(&right.cuts()[0], len);
    if cuts == crate::expr::cuts::Cuts::Whole {
        return cuts.pieces(len, 1);
    }
    let each = rows.max(columns).max(1).saturating_mul(cuts.longest(len).max(1));
    let most = (PIECE_VALUES / rows.max(columns).max(1)).max(1);
    if cuts.longest(len) > most {
        return crate::expr::cuts::Cuts::of_chunk(most).pieces(len, 1);
    }
    cuts.pieces(len, (PIECE_VALUES / each).max(1))
}

/// The values of a window of the product.
pub(super) fn eval(
    left: &Arc<Expr>,
    right: &Arc<Expr>,
    window: &[Range<u64>],
    context: &mut Context<'_>,
) -> Result<Block> {
    let [rows, columns] = window else { return Err(Error::Worker) };
    let slabs = slabs(left, right, rows.end - rows.start, columns.end - columns.start);
    let windows = |at: usize| ([rows.clone(), slabs[at].clone()], [slabs[at].clone(), columns.clone()]);
    let (m, n) = (size(rows.end - rows.start), size(columns.end - columns.start));
    let mut sum = ndarray::Array2::<f64>::zeros((m, n));
    context.each(
        (slabs.len(), Order::InOrder),
        |own, at| {
            let (a, b) = windows(at);
            own.start(&[(left, &a), (right, &b)])
        },
        |own, at| {
            let (a, b) = windows(at);
            Ok((super::eval(left, &a, own)?.into_f64(), super::eval(right, &b, own)?.into_f64()))
        },
        |at, factors: Result<(Vec<f64>, Vec<f64>)>| {
            let (a, b) = factors?;
            let k = size(slabs[at].end - slabs[at].start);
            let a = ArrayView2::from_shape((m, k), &a).map_err(|_| Error::Worker)?;
            let b = ArrayView2::from_shape((k, n), &b).map_err(|_| Error::Worker)?;
            general_mat_mul(1.0, &a, &b, 1.0, &mut sum);
            Ok::<_, Error>(())
        },
    )?;
    Ok(Block::Float64(sum.into_raw_vec_and_offset().0))
}
