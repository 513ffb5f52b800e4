//! Small arrays in files and in memory, of any shape, type and chunks.

use ndarray::{ArrayD, IxDyn};
use outcrop_compute::{Block, Coord, DType, DataArray, Executor, OpenOptions, RunOptions, open_dataset};
use outcrop_formats::zarr::{ArraySpec, Element, GroupWriter, ZarrCompression, ZarrFormat};
use outcrop_formats::{AttrValue, Attrs};
use outcrop_store::{Href, Store, StoreOptions};

/// Numbers that are the same in each run.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(crate) fn float(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64 * 20.0 - 10.0
    }
}

pub(crate) struct Bench {
    pub(crate) store: Store,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
    made: std::cell::Cell<u32>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
        Self { store, folder: tempfile::tempdir().unwrap(), _runtime: runtime, made: 0.into() }
    }

    /// Writes values as a Zarr array of these chunks, with a label for each position, and opens it.
    pub(crate) fn stored(&self, name: &str, block: &Block, shape: &[u64], chunk: &[u64]) -> DataArray {
        self.made.set(self.made.get() + 1);
        let root = self.folder.path().join(format!("{name}-{}.zarr", self.made.get()));
        let mut group = GroupWriter::create(&root, "", ZarrFormat::V3, &Attrs::new()).unwrap();
        let dims: Vec<String> = ["t", "y", "x", "z"][..shape.len()].iter().map(|d| (*d).to_owned()).collect();
        let spec = |name: &str, dims: Vec<String>, shape: &[u64], chunk: &[u64], dtype| ArraySpec {
            name: name.to_owned(),
            dims,
            shape: shape.to_vec(),
            chunk: chunk.to_vec(),
            shard: None,
            dtype: Element::Number(dtype),
            compression: ZarrCompression::Default,
            fill: None,
            attrs: Attrs::new(),
        };
        group.add_array(&spec(name, dims.clone(), shape, chunk, block.dtype().stored())).unwrap();
        for (dim, len) in dims.iter().zip(shape) {
            let mut own = spec(dim, vec![dim.clone()], &[*len], &[*len], outcrop_formats::DType::Float64);
            if dim == "t" {
                let units = AttrValue::Text("days since 2001-01-01".into());
                own.attrs = Attrs::from_iter([("units".to_owned(), units)]);
            }
            group.add_array(&own).unwrap();
            let labels: Vec<f64> = labels(dim, *len);
            group.write_chunk(dim, &[0], &labels).unwrap();
        }
        write_chunks(&group, name, block, (shape, chunk));
        group.finish().unwrap();
        let href = Href::from_path(&root).as_folder();
        let open = OpenOptions::of(&[name]);
        let dataset = self.store.wait(open_dataset(&self.store, &[href], &open)).unwrap();
        dataset.array(name).unwrap().clone()
    }
}

/// Labels of a dimension: days, and falling latitudes.
pub(crate) fn labels(dim: &str, len: u64) -> Vec<f64> {
    (0..len).map(|i| if dim == "y" { 50.0 - i as f64 } else { 7.0 * i as f64 }).collect()
}

fn write_chunks(group: &GroupWriter, name: &str, block: &Block, (shape, chunk): (&[u64], &[u64])) {
    let counts: Vec<u64> = shape.iter().zip(chunk).map(|(len, chunk)| len.div_ceil(*chunk)).collect();
    let bytes = block.bytes();
    let size = block.dtype().size();
    for linear in 0..counts.iter().product::<u64>() {
        let (mut rest, mut index) = (linear, vec![0; shape.len()]);
        for d in (0..shape.len()).rev() {
            index[d] = rest % counts[d];
            rest /= counts[d];
        }
        let cells: u64 = chunk.iter().product();
        let mut raw = vec![0u8; usize::try_from(cells).unwrap() * size];
        for cell in 0..cells {
            let (mut rest, mut from, mut stride, mut inside) = (cell, 0, 1, true);
            for d in (0..shape.len()).rev() {
                let at = index[d] * chunk[d] + rest % chunk[d];
                rest /= chunk[d];
                inside &= at < shape[d];
                from += at * stride;
                stride *= shape[d];
            }
            if inside {
                let (from, to) = (usize::try_from(from).unwrap() * size, usize::try_from(cell).unwrap() * size);
                raw[to..to + size].copy_from_slice(&bytes[from..from + size]);
            }
        }
        group.write_chunk_bytes(name, &index, &raw).unwrap();
    }
}

/// Values of a type, some of them missing.
pub(crate) fn values(numbers: &mut Numbers, dtype: DType, len: u64) -> Block {
    let floats: Vec<f64> = (0..len)
        .map(|_| match numbers.below(8) {
            0 if dtype.is_float() => f64::NAN,
            1 => 0.0,
            _ => numbers.float(),
        })
        .collect();
    let rounded = |scale: f64| -> Block { floats.iter().map(|v| (v * scale).round()).collect::<Vec<f64>>().into() };
    match dtype {
        DType::Float32 | DType::Float64 => Block::from(floats).into_dtype(dtype),
        dtype if dtype.is_unsigned() => rounded(3.0).into_dtype(DType::Int64).into_dtype(dtype),
        dtype => rounded(3.0).into_dtype(dtype),
    }
}

/// An array as the tests know it: in files, and in memory.
pub(crate) struct Field {
    pub(crate) stored: DataArray,
    pub(crate) held: DataArray,
    pub(crate) dense: ArrayD<f64>,
}

impl Field {
    pub(crate) fn new(bench: &Bench, numbers: &mut Numbers, dtype: DType, rank: usize) -> Self {
        let shape: Vec<u64> = (0..rank).map(|_| 1 + numbers.below(23)).collect();
        Self::of_shape(bench, numbers, dtype, &shape)
    }

    pub(crate) fn of_shape(bench: &Bench, numbers: &mut Numbers, dtype: DType, shape: &[u64]) -> Self {
        let chunk: Vec<u64> = shape.iter().map(|len| 1 + numbers.below(*len)).collect();
        let block = values(numbers, dtype, shape.iter().product());
        let stored = bench.stored("v", &block, shape, &chunk);
        let dims: Vec<(&str, u64)> = ["t", "y", "x", "z"].into_iter().zip(shape.iter().copied()).collect();
        let mut held = DataArray::from_values("v", &dims, block.clone()).unwrap();
        for (dim, len) in &dims {
            let coord =
                Coord { attrs: stored.coords[*dim].attrs.clone(), ..Coord::numbers(labels(dim, *len), Attrs::new()) };
            held = held.with_coord(dim, coord).unwrap();
        }
        let size: Vec<usize> = shape.iter().map(|len| usize::try_from(*len).unwrap()).collect();
        let dense = ArrayD::from_shape_vec(IxDyn(&size), block.into_f64()).unwrap();
        Self { stored, held, dense }
    }

    /// What an operation gives: with threads and in one thread, out of files and out of memory. All have the same bits.
    pub(crate) fn check(
        &self,
        what: &str,
        f: impl Fn(&DataArray) -> outcrop_compute::Result<DataArray>,
    ) -> (Block, Vec<u64>) {
        let array = f(&self.stored).unwrap_or_else(|e| panic!("{what}: {e}"));
        let threads = RunOptions { threads: 3, memory: 1 << 30, ..RunOptions::default() };
        let serial = RunOptions { executor: Executor::Serial, memory: 1 << 30, ..RunOptions::default() };
        let got = array.compute_with(&threads).unwrap_or_else(|e| panic!("{what}: {e}"));
        let alone = array.compute_with(&serial).unwrap();
        let held = f(&self.held).unwrap();
        let of_memory = held.compute_with(&threads).unwrap();
        let shape = array.shape();
        assert_eq!(got.len() as u64, shape.iter().product::<u64>(), "{what}");
        assert_eq!((got.dtype(), &shape), (array.dtype(), &held.shape()), "{what}");
        assert!(same_bits(&got, &alone), "{what}: serial differs");
        assert!(
            same_bits(&got, &of_memory),
            "{what}: shape {shape:?} of chunks {:?} differs from memory",
            self.stored.chunks()
        );
        for (dim, len) in array.dims.iter().zip(&shape) {
            assert!(array.coords.get(dim).is_none_or(|coord| coord.len() as u64 == *len), "{what}: labels of {dim}");
        }
        (got, shape)
    }
}

/// The same bits; NaN of any kind is NaN.
pub(crate) fn same_bits(a: &Block, b: &Block) -> bool {
    a.dtype() == b.dtype()
        && match (a, b) {
            (Block::Float32(a), Block::Float32(b)) => {
                a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
            }
            (Block::Float64(a), Block::Float64(b)) => {
                a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
            }
            (a, b) => a.bytes() == b.bytes(),
        }
}

/// Compares with what a dense implementation gives.
pub(crate) fn assert_close(what: &str, got: (Block, Vec<u64>), want: &ArrayD<f64>) {
    let (block, shape) = got;
    let size: Vec<u64> = want.shape().iter().map(|len| *len as u64).collect();
    assert_eq!(shape, size, "{what}");
    let single = block.dtype() == DType::Float32;
    let (rtol, atol) = if single { (3e-6, 3e-5) } else { (1e-11, 1e-11) };
    let want: Vec<f64> = want.iter().copied().collect();
    let difference = outcrop_testkit::difference(&block.into_f64(), &want, rtol, atol);
    assert_eq!(difference, None, "{what}, shape {shape:?}");
}
