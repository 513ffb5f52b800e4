//! Zarr 3 codec `transpose`, and the order `F` of Zarr 2: the axes of a chunk in another order.

use crate::{Error, Result};

/// Puts the axes of a chunk back: axis `i` of `data` is axis `order[i]` of `out`, whose lengths are `shape`.
pub(crate) fn decode(data: &[u8], out: &mut [u8], shape: &[usize], order: &[usize]) -> Result<usize> {
    let elements: usize = shape.iter().product();
    let element = out.len() / elements.max(1);
    if data.len() != elements * element || element == 0 {
        return Err(Error::ChunkLength { step: "transpose", expected: elements * element, actual: data.len() });
    }
    // How far apart in `data` neighbours along each axis of `out` are, in elements.
    let mut strides = vec![0; shape.len()];
    let mut step = 1;
    for axis in order.iter().rev() {
        let (Some(stride), Some(len)) = (strides.get_mut(*axis), shape.get(*axis)) else {
            return Err(Error::Codec { codec: "transpose", why: format!("order {order:?} of {} axes", shape.len()) });
        };
        *stride = step;
        step *= len;
    }
    let (Some((inner, outer)), Some((inner_stride, outer_strides))) = (shape.split_last(), strides.split_last()) else {
        out.copy_from_slice(data);
        return Ok(data.len());
    };
    let mut at = vec![0usize; outer.len()];
    for row in out.chunks_exact_mut((inner * element).max(1)) {
        let base: usize = at.iter().zip(outer_strides).map(|(i, stride)| i * stride).sum();
        for (i, place) in row.chunks_exact_mut(element).enumerate() {
            let from = (base + i * inner_stride) * element;
            place.copy_from_slice(&data[from..from + element]);
        }
        for (i, len) in at.iter_mut().zip(outer).rev() {
            *i += 1;
            if *i < *len {
                break;
            }
            *i = 0;
        }
    }
    Ok(data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_come_back() {
        // (2, 3) stored as (3, 2).
        let mut out = [0; 6];
        decode(&[0, 3, 1, 4, 2, 5], &mut out, &[2, 3], &[1, 0]).unwrap();
        assert_eq!(out, [0, 1, 2, 3, 4, 5]);
        // (2, 3, 2) with axes (2, 0, 1): encoded [k][i][j].
        let encoded: Vec<u8> = (0..12)
            .map(|n| {
                let (k, i, j) = (n / 6, n / 3 % 2, n % 3);
                i * 6 + j * 2 + k
            })
            .collect();
        let mut out = [0; 12];
        decode(&encoded, &mut out, &[2, 3, 2], &[2, 0, 1]).unwrap();
        assert_eq!(out.to_vec(), (0..12).collect::<Vec<u8>>());
        assert!(decode(&encoded, &mut out, &[2, 3, 2], &[2, 0, 7]).is_err());
        assert!(decode(&encoded[1..], &mut out, &[2, 3, 2], &[2, 0, 1]).is_err());
    }
}
