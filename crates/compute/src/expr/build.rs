//! Makes lazy arrays of others: types and shapes are settled here.

use std::sync::Arc;

use super::select::Pick;
use super::{Expr, Node};
use crate::kernel::{Kernel, Reach};
use crate::ops::{BinaryOp, UnaryOp};
use crate::plan::stored::Stored;
use crate::reduce::Reduce;
use crate::source::Source;
use crate::{Block, DType};

/// A number that takes the type of what it meets (NumPy's rules for Python's numbers).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A float.
    Float(f64),
}

macro_rules! scalar {
    ($($kind:ty => $variant:ident),*) => {$(
        impl From<$kind> for Scalar {
            fn from(value: $kind) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

scalar!(bool => Bool, i8 => Int, i16 => Int, i32 => Int, i64 => Int, u8 => Int, u16 => Int, u32 => Int, f32 => Float, f64 => Float);

impl Scalar {
    /// The type that an array of `dtype` and this number have in common.
    fn common(self, dtype: DType) -> DType {
        match self {
            Self::Int(_) if dtype == DType::Bool => DType::Int64,
            Self::Float(_) if !dtype.is_float() && !dtype.is_complex() => DType::Float64,
            _ => dtype,
        }
    }

    fn block(self) -> Block {
        match self {
            Self::Bool(value) => vec![value].into(),
            Self::Int(value) => vec![value].into(),
            Self::Float(value) => vec![value].into(),
        }
    }

    /// The number in double precision.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Bool(value) => f64::from(u8::from(value)),
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// True if a value of an integer type is this number.
    fn fits(self, dtype: DType) -> bool {
        let Self::Int(value) = self else { return true };
        let cast = self.block().into_dtype(dtype);
        let sign = !dtype.is_unsigned() || value >= 0;
        !dtype.is_integer() || (sign && cast.into_dtype(DType::Int64) == vec![value].into())
    }
}

/// What may stand beside an array in an operation.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Array(Arc<Expr>),
    Scalar(Scalar),
}

impl Operand {
    fn common(&self, dtype: DType) -> DType {
        match self {
            Self::Array(expr) => expr.dtype.promote(dtype),
            Self::Scalar(scalar) => scalar.common(dtype),
        }
    }

    fn into_expr(self, dtype: DType, shape: &[u64]) -> Arc<Expr> {
        match self {
            Self::Array(expr) => Expr::cast(expr, dtype),
            Self::Scalar(scalar) => Expr::full(scalar.block().into_dtype(dtype), shape.to_vec()),
        }
    }
}

impl Expr {
    pub(crate) fn source(source: Arc<Source>) -> Arc<Self> {
        let (shape, dtype) = (source.refs.grid.shape.clone(), source.dtype());
        Arc::new(Self { shape, dtype, node: Node::Source(source) })
    }

    pub(crate) fn values(block: Block, shape: Vec<u64>) -> Arc<Self> {
        Arc::new(Self { shape, dtype: block.dtype(), node: Node::Values(Arc::new(block)) })
    }

    /// An array that has one value in all cells; `one` has one value.
    pub(crate) fn full(one: Block, shape: Vec<u64>) -> Arc<Self> {
        Arc::new(Self { shape, dtype: one.dtype(), node: Node::Full(one) })
    }

    pub(crate) fn cast(input: Arc<Self>, dtype: DType) -> Arc<Self> {
        if input.dtype == dtype {
            return input;
        }
        Arc::new(Self { shape: input.shape.clone(), dtype, node: Node::Cast(input) })
    }

    pub(crate) fn unary(op: UnaryOp, input: Arc<Self>) -> Result<Arc<Self>, String> {
        let (taken, dtype) =
            op.types(input.dtype).ok_or_else(|| format!("there is no {op:?} of values of type {}", input.dtype))?;
        let input = Self::cast(input, taken);
        Ok(Arc::new(Self { shape: input.shape.clone(), dtype, node: Node::Unary(op, input) }))
    }

    /// An operation of two arrays of one shape, or of an array and a number, in either order.
    pub(crate) fn binary(op: BinaryOp, left: Operand, right: Operand) -> Result<Arc<Self>, String> {
        let (shape, common) = match (&left, &right) {
            (Operand::Array(array), other) | (other, Operand::Array(array)) => {
                (array.shape.clone(), other.common(array.dtype))
            }
            (Operand::Scalar(_), Operand::Scalar(_)) => return Err("one of both must be an array".into()),
        };
        for operand in [&left, &right] {
            if let Operand::Scalar(scalar) = operand
                && !scalar.fits(common)
            {
                return Err(format!("{} does not fit values of type {common}", scalar.to_f64()));
            }
        }
        let none = || format!("there is no {op:?} of values of type {common}");
        let (taken, dtype) = op.types(common).ok_or_else(none)?;
        let inputs = [left.into_expr(taken, &shape), right.into_expr(taken, &shape)];
        Ok(Arc::new(Self { shape, dtype, node: Node::Binary(op, inputs) }))
    }

    /// `yes` where the condition is true, else `no`, of one shape.
    pub(crate) fn choose(condition: Arc<Self>, yes: Operand, no: Operand) -> Result<Arc<Self>, String> {
        let shape = condition.shape.clone();
        let dtype = match (&yes, &no) {
            (Operand::Array(array), other) | (other, Operand::Array(array)) => other.common(array.dtype),
            (Operand::Scalar(a), Operand::Scalar(b)) => a.common(b.block().dtype()).promote(a.block().dtype()),
        };
        for operand in [&yes, &no] {
            if let Operand::Scalar(scalar) = operand
                && !scalar.fits(dtype)
            {
                return Err(format!("{} does not fit values of type {dtype}", scalar.to_f64()));
            }
        }
        let inputs = [Self::cast(condition, DType::Bool), yes.into_expr(dtype, &shape), no.into_expr(dtype, &shape)];
        Ok(Arc::new(Self { shape, dtype, node: Node::Where(inputs) }))
    }

    /// A selection; selections of selections that only move become one.
    pub(crate) fn select(input: Arc<Self>, picks: Vec<Pick>) -> Arc<Self> {
        let is_all = |(pick, len): (&Pick, &u64)| *pick == Pick::all(*len);
        if picks.iter().zip(&input.shape).all(is_all) {
            return input;
        }
        let shape = picks.iter().filter_map(Pick::len).collect();
        Arc::new(Self { shape, dtype: input.dtype, node: Node::Select(input, picks) })
    }

    pub(crate) fn transpose(input: Arc<Self>, order: Vec<usize>) -> Arc<Self> {
        if order.iter().enumerate().all(|(at, d)| at == *d) {
            return input;
        }
        let shape = order.iter().map(|d| input.shape[*d]).collect();
        Arc::new(Self { shape, dtype: input.dtype, node: Node::Transpose(input, order) })
    }

    /// Repeats an array along new dimensions: for each dimension of the result that of the input, or its length.
    pub(crate) fn broadcast(input: Arc<Self>, dims: Vec<Result<usize, u64>>) -> Arc<Self> {
        if dims.iter().all(Result::is_ok) {
            return input;
        }
        let shape: Vec<u64> = dims.iter().map(|d| d.map_or_else(|len| len, |d| input.shape[d])).collect();
        if let Node::Full(one) = &input.node {
            return Self::full(one.clone(), shape);
        }
        let dims = dims.into_iter().map(Result::ok).collect();
        Arc::new(Self { shape, dtype: input.dtype, node: Node::Broadcast(input, dims) })
    }

    /// Arrays laid end to end; they have one shape but for this axis.
    pub(crate) fn concat(inputs: Vec<Arc<Self>>, axis: usize) -> Option<Arc<Self>> {
        let first = inputs.first()?;
        let dtype = inputs.iter().fold(first.dtype, |all, input| all.promote(input.dtype));
        let mut shape = first.shape.clone();
        shape[axis] = inputs.iter().map(|input| input.shape[axis]).sum();
        let inputs = inputs.into_iter().map(|input| Self::cast(input, dtype)).collect();
        Some(Arc::new(Self { shape, dtype, node: Node::Concat(inputs, axis) }))
    }

    /// Means of windows of the last two dimensions.
    pub(crate) fn coarsen(input: Arc<Self>, windows: Vec<u64>) -> Arc<Self> {
        let input = if input.dtype.is_float() { input } else { Self::cast(input, DType::Float64) };
        let shape = input.shape.iter().zip(&windows).map(|(len, window)| len / window).collect();
        Arc::new(Self { shape, dtype: input.dtype, node: Node::Coarsen(input, windows) })
    }

    pub(crate) fn reduce(input: Arc<Self>, reduce: Reduce) -> Result<Arc<Self>, String> {
        let (taken, dtype) = reduce.types(input.dtype)?;
        let input = Self::cast(input, taken);
        let shape = reduce.shape(&input.shape);
        Ok(Arc::new(Self { shape, dtype, node: Node::Reduce(input, reduce) }))
    }

    /// A kernel of arrays of one shape.
    pub(crate) fn kernel(inputs: Vec<Arc<Self>>, kernel: Arc<dyn Kernel>) -> Result<Arc<Self>, String> {
        let Some(first) = inputs.first() else { return Err("it has no input".into()) };
        if inputs.iter().any(|input| input.shape != first.shape) {
            return Err("its inputs have different shapes".into());
        }
        let reach = kernel.reach();
        if reach.len() != first.shape.len() {
            return Err(format!("its kernel is for {} dimensions", reach.len()));
        }
        let dtypes: Vec<DType> = inputs.iter().map(|input| input.dtype).collect();
        let dtype = kernel.dtype(&dtypes)?;
        let shape = reach.iter().zip(&first.shape).filter_map(|(reach, len)| match reach {
            Reach::Same | Reach::Halo { .. } => Some(*len),
            Reach::Window(window) => Some(len / window),
            Reach::Whole(len) => Some(*len),
            Reach::Gone => None,
        });
        Ok(Arc::new(Self { shape: shape.collect(), dtype, node: Node::Kernel(inputs, kernel) }))
    }

    /// The matrix product.
    pub(crate) fn dot(left: Arc<Self>, right: Arc<Self>) -> Result<Arc<Self>, String> {
        let common = left.dtype.promote(right.dtype);
        if common.is_complex() {
            return Err("there is no product of complex matrices".into());
        }
        if common.is_integer() && common.size() == 8 {
            return Err("products of 64-bit integers lose digits; take astype float64 first".into());
        }
        let dtype = if common == DType::Float32 { common } else { DType::Float64 };
        let shape = vec![left.shape[0], right.shape[1]];
        let inputs = [Self::cast(left, DType::Float64), Self::cast(right, DType::Float64)];
        let product = Arc::new(Self { shape, dtype: DType::Float64, node: Node::Dot(inputs) });
        Ok(Self::cast(product, if common.is_integer() { DType::Int64 } else { dtype }))
    }

    /// The same, cut at multiples of these lengths.
    pub(crate) fn chunked(input: Arc<Self>, chunk: Vec<u64>) -> Arc<Self> {
        let (shape, dtype) = (input.shape.clone(), input.dtype);
        Arc::new(Self { shape, dtype, node: Node::Chunked(input, chunk) })
    }

    /// Computed once and read in pieces of these lengths.
    pub(crate) fn stored(input: Arc<Self>, chunk: Vec<u64>) -> Arc<Self> {
        let (shape, dtype) = (input.shape.clone(), input.dtype);
        Arc::new(Self { shape, dtype, node: Node::Stored(Arc::new(Stored::new(input, chunk))) })
    }
}
