//! HDF5: objects, layouts, chunks and heaps that lie.

use super::hdf5_file::*;
use super::{Case, hdf5_dense, zeros};

type Built = (&'static str, Vec<u8>, &'static str);

pub(super) fn cases() -> Vec<Case> {
    let all = [objects(), layouts(), chunks(), heaps(), hdf5_dense::cases()].concat();
    all.into_iter().map(|(name, bytes, want)| Case::file(name, bytes, want)).collect()
}

fn objects() -> Vec<Built> {
    let at = DATA as u64;
    vec![
        ("sound", plain(&[4], contiguous(at, 16)), ""),
        ("a group in itself", nested(1), "*"),
        ("groups in a circle", nested(50), "*"),
        ("20000 groups, each in the one before", nested(20_000), "*"),
        ("20000 soft links in a circle", soft_links(20_000), "soft link"),
        ("a tree of names that is its own child", circular_names(), "*"),
        ("65535 links to one dataset", wide(65_535, &[]), "*"),
        (
            "30000 links to one dataset of large attributes",
            wide(30_000, &[attribute("a", &[0x13, 0, 0, 0, 0, 0xf0, 0, 0], &vec![b'x'; 0xf000])]),
            "limit",
        ),
        ("4000 members of large attributes", many_members(), "limit"),
    ]
}

fn layouts() -> Vec<Built> {
    let at = DATA as u64;
    vec![
        ("shape of 2^63 by 4", plain(&[1 << 63, 4], contiguous(at, 16)), "beyond 64 bits"),
        ("shape of 2^62", plain(&[1 << 62], contiguous(at, 16)), "beyond 64 bits"),
        ("shape of 2^60", plain(&[1 << 60], contiguous(at, 16)), "truncated"),
        ("shape of 33 dimensions", plain(&[1; 33], contiguous(at, 16)), "dimension"),
        ("255 dimensions", plain(&[1; 255], contiguous(at, 16)), "dimension"),
        ("data past the end", plain(&[4], contiguous(1 << 40, 16)), "truncated"),
        ("data at the end of 64 bits", plain(&[4], contiguous(UNDEFINED - 8, 16)), "*"),
        ("chunks of nothing", plain(&[8, 8], chunked(at, &[0, 4], 4)), "chunk"),
        ("chunks of 2^96", large(&[8; 3], &[u32::MAX; 3]), "64 bits"),
        ("chunks of 2^34", large(&[8], &[u32::MAX]), "truncated"),
        ("chunks of another rank", plain(&[8, 8], chunked(at, &[4], 4)), "chunk"),
        ("as many chunks as 2^64", plain(&[1 << 40, 1 << 20], chunked(at, &[1, 1], 4)), "*"),
    ]
}

fn chunks() -> Vec<Built> {
    let at = DATA as u64;
    let chunk = |size: u32, offsets: [u64; 2], address: u64| (size, offsets.to_vec(), address);
    vec![
        ("an index that is its own child", indexed(&[4, 4], &tree(1, 1, 2, &[chunk(64, [0, 0], at)])), "descendant"),
        ("an index of level 255", indexed(&[4, 4], &tree(255, 1, 2, &[chunk(64, [0, 0], at)])), "levels"),
        ("an index of 65535 children", indexed(&[4, 4], &tree(0, 65_535, 2, &[chunk(64, [0, 0], at)])), "*"),
        ("an index of another kind", indexed(&[4, 4], &[b"FREE", &[0u8; 200][..]].concat()), "cannot read"),
        ("a chunk past the end", indexed(&[4, 4], &tree(0, 1, 2, &[chunk(64, [0, 0], 1 << 50)])), "truncated"),
        ("a chunk between chunks", indexed(&[4, 4], &tree(0, 1, 2, &[chunk(64, [1, 0], at)])), "multiple"),
        ("a chunk outside", indexed(&[4, 4], &tree(0, 1, 2, &[chunk(64, [800, 0], at)])), ""),
        ("a chunk twice", indexed(&[4, 4], &tree(0, 2, 2, &[chunk(64, [0, 0], at), chunk(64, [0, 0], at)])), "twice"),
        ("zeros as they are declared", compressed(&zeros(100 << 20), 100 << 20, &[1]), ""),
        ("zeros behind shuffle", compressed(&zeros(100 << 20), 100 << 20, &[2, 1]), ""),
        ("a bomb larger than its chunk", compressed(&zeros(100 << 20), 60 << 20, &[1]), "cannot be decoded"),
        ("a stream longer than its chunk", compressed(&zeros(1 << 20), 1 << 10, &[1]), "cannot be decoded"),
        ("a stream shorter than its chunk", compressed(&zeros(1 << 10), 1 << 20, &[1]), "1048576"),
        ("32 deflates", compressed(&zeros(1 << 20), 1 << 20, &[1; 32]), "compressors"),
        ("an unknown filter", compressed(&zeros(1 << 10), 1 << 10, &[4242]), "unknown"),
    ]
}

fn heaps() -> Vec<Built> {
    let at = DATA as u64;
    let one_heap = heap(4096, &[(1, 4, b"text")]);
    let here = |elements: u64| at + elements * 16;
    vec![
        ("a text past the end", texts(1, &reference(4, 1 << 40, 1), &[]), "truncated"),
        ("a text in no heap", texts(1, &reference(4, 96, 1), &[]), "heap"),
        ("a text in itself", texts(1, &reference(4, at, 1), &[]), "heap"),
        ("a text of 4 GiB", texts(1, &reference(u32::MAX, here(1), 1), &one_heap), "4 bytes, not"),
        ("a heap of 2^50 bytes", texts(1, &reference(4, here(1), 1), &heap(1 << 50, &[])), "truncated"),
        (
            "an object of 2^64 - 1 bytes",
            texts(1, &reference(4, here(1), 1), &heap(64, &[(1, UNDEFINED, &[0; 40])])),
            "outside",
        ),
        ("2^58 texts", texts(1 << 58, &reference(4, here(1), 1), &one_heap), "truncated"),
        (
            "a million texts of one MiB",
            texts(
                1 << 20,
                &reference(1 << 20, at + (16 << 20), 1).repeat(1 << 20),
                &heap((1 << 20) + 64, &[(1, 1 << 20, &vec![b'x'; 1 << 20])]),
            ),
            "limit",
        ),
        ("attributes in heaps that overlap", overlapping_heaps(), "*"),
        (
            "units in no heap",
            with_attribute("units", &reference(4, 96, 1)),
            "damaged attribute `units` (the heap at byte 96",
        ),
        ("units past the end", with_attribute("units", &reference(4, 1 << 40, 1)), "damaged attribute `units`"),
        ("units that are cut", with_attribute("units", &[4, 0, 0]), "its header"),
        ("a name in no heap", with_attribute("long_name", &reference(4, 96, 1)), ""),
        ("no file behind the superblock", File::new().finish(), "*"),
    ]
}
