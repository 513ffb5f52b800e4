//! Values of a window of an expression: first the bytes (async), then the arithmetic (pure).

use std::ops::Range;
use std::sync::Arc;

use outcrop_formats::DType;

use crate::coarsen::{Means, coarsen_mean};
use crate::expr::{BinaryOp, Expr, ScalarOp, offset, scaled};
use crate::source::{Fetched, Scratch, Source};
use crate::{Block, Error, Result};

/// Fetches the chunks that windows of expressions need, each chunk once.
pub(crate) async fn fetch(exprs: &[Arc<Expr>], window: &[Range<u64>]) -> Result<Fetched> {
    let mut wanted: Vec<(Arc<Source>, Vec<Vec<u64>>)> = Vec::new();
    for expr in exprs {
        expr.visit(window, &mut |source, window| {
            let indices = source.chunks_in(window);
            match wanted.iter_mut().find(|(have, _)| have.id == source.id) {
                Some((_, have)) => have.extend(indices),
                None => wanted.push((source.clone(), indices)),
            }
        });
    }
    let fetches = wanted.into_iter().map(|(source, mut indices)| async move {
        indices.sort_unstable();
        indices.dedup();
        let mut fetched = Fetched::new();
        source.fetch(indices, &mut fetched).await?;
        Ok::<_, Error>(fetched)
    });
    let mut all = Fetched::new();
    for fetched in futures::future::try_join_all(fetches).await? {
        all.extend(fetched);
    }
    Ok(all)
}

/// The values of a window.
pub(crate) fn eval(expr: &Expr, window: &[Range<u64>], fetched: &Fetched, scratch: &mut Scratch) -> Result<Block> {
    match expr {
        Expr::Source(source) => source.decode(window, fetched, scratch),
        Expr::Window { input, window: outer } => eval(input, &offset(window, outer), fetched, scratch),
        Expr::Scalar { input, op } => Ok(scalar(eval(input, window, fetched, scratch)?, *op)),
        Expr::Binary { left, right, op } => {
            let left = eval(left, window, fetched, scratch)?;
            let right = eval(right, window, fetched, scratch)?;
            Ok(binary(left, right, *op))
        }
        Expr::Coarsen { input, window: factors } => {
            let fine = scaled(window, factors);
            let shape: Vec<usize> = fine.iter().map(length).collect();
            if let Expr::Source(source) = &**input
                && source.dtype() == DType::Float32
            {
                return coarsen_rows(source, &fine, factors, (fetched, scratch));
            }
            Ok(coarsen(&eval(input, &fine, fetched, scratch)?, &shape, factors))
        }
    }
}

fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).unwrap_or(usize::MAX)
}

/// Single precision arithmetic on single precision values: the number is rounded first, as in NumPy.
#[expect(clippy::cast_possible_truncation, reason = "NumPy rounds Python numbers to the array's precision")]
fn scalar(block: Block, op: ScalarOp) -> Block {
    fn each<T: Copy>(mut values: Vec<T>, f: impl Fn(T) -> T) -> Vec<T> {
        for value in &mut values {
            *value = f(*value);
        }
        values
    }
    match (block, op) {
        (Block::F32(v), ScalarOp::Add(n)) => Block::F32(each(v, |v| v + n as f32)),
        (Block::F32(v), ScalarOp::Subtract(n)) => Block::F32(each(v, |v| v - n as f32)),
        (Block::F32(v), ScalarOp::Multiply(n)) => Block::F32(each(v, |v| v * n as f32)),
        (Block::F32(v), ScalarOp::Divide(n)) => Block::F32(each(v, |v| v / n as f32)),
        (Block::F64(v), ScalarOp::Add(n)) => Block::F64(each(v, |v| v + n)),
        (Block::F64(v), ScalarOp::Subtract(n)) => Block::F64(each(v, |v| v - n)),
        (Block::F64(v), ScalarOp::Multiply(n)) => Block::F64(each(v, |v| v * n)),
        (Block::F64(v), ScalarOp::Divide(n)) => Block::F64(each(v, |v| v / n)),
    }
}

fn binary(left: Block, right: Block, op: BinaryOp) -> Block {
    fn keep<T: Copy>(mut left: Vec<T>, right: &Block, nan: T) -> Vec<T> {
        let drop = |i: usize| match right {
            Block::F32(r) => r[i].is_nan() || r[i] == 0.0,
            Block::F64(r) => r[i].is_nan() || r[i] == 0.0,
        };
        for (i, value) in left.iter_mut().enumerate() {
            if drop(i) {
                *value = nan;
            }
        }
        left
    }
    match (left, right, op) {
        (Block::F32(l), right, BinaryOp::Where) => Block::F32(keep(l, &right, f32::NAN)),
        (Block::F64(l), right, BinaryOp::Where) => Block::F64(keep(l, &right, f64::NAN)),
        (Block::F32(l), Block::F32(r), op) => {
            Block::F32(l.iter().zip(&r).map(|(a, b)| arithmetic(*a, *b, op)).collect())
        }
        (l, r, op) => {
            let (l, r) = (l.into_f64(), r.into_f64());
            Block::F64(l.iter().zip(&r).map(|(a, b)| arithmetic(*a, *b, op)).collect())
        }
    }
}

fn arithmetic<T>(a: T, b: T, op: BinaryOp) -> T
where
    T: Copy
        + std::ops::Add<Output = T>
        + std::ops::Sub<Output = T>
        + std::ops::Mul<Output = T>
        + std::ops::Div<Output = T>,
{
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Subtract => a - b,
        BinaryOp::Multiply => a * b,
        BinaryOp::Divide => a / b,
        BinaryOp::Where => a,
    }
}

/// The last two dimensions and their windows; a line is a plane of one row.
fn plane_and_window(shape: &[usize], factors: &[u64]) -> ((usize, usize), (usize, usize)) {
    let factor = |d: usize| usize::try_from(factors[d]).unwrap_or(usize::MAX);
    match shape.len() {
        0 => ((1, 1), (1, 1)),
        1 => ((1, shape[0]), (1, factor(0))),
        rank => ((shape[rank - 2], shape[rank - 1]), (factor(rank - 2), factor(rank - 1))),
    }
}

/// Coarsens a source while it is decoded: its values are never in memory together.
fn coarsen_rows(
    source: &Source,
    fine: &[Range<u64>],
    factors: &[u64],
    (fetched, scratch): (&Fetched, &mut Scratch),
) -> Result<Block> {
    let shape: Vec<usize> = fine.iter().map(length).collect();
    let (plane, window) = plane_and_window(&shape, factors);
    let mut means = Means::new(plane, window);
    source.decode_rows(fine, (fetched, scratch), plane.1, &mut |row| means.push(row))?;
    Ok(Block::F32(means.out))
}

/// Coarsens the last two dimensions plane by plane; other dimensions have factor 1 ([`crate::DataArray::coarsen`]).
fn coarsen(block: &Block, shape: &[usize], factors: &[u64]) -> Block {
    let (plane, window) = plane_and_window(shape, factors);
    let size = (plane.0 * plane.1).max(1);
    match block {
        Block::F32(v) => Block::F32(v.chunks_exact(size).flat_map(|p| coarsen_mean(p, plane, window)).collect()),
        Block::F64(v) => Block::F64(v.chunks_exact(size).flat_map(|p| coarsen_mean(p, plane, window)).collect()),
    }
}
