//! Fixtures cut and overwritten at every place: errors, or values; what comes out does not matter, only that it comes.

use std::path::Path;
use std::sync::{PoisonError, mpsc};

use base64::Engine;
use bytes::Bytes;
use hdf5_reader::checksum::jenkins_lookup3;
use outcrop_formats::zarr::{ArraySpec, Element, GroupWriter, ZarrCompression, ZarrFormat};
use outcrop_formats::{Attrs, ChunkRef, DType, Decoder, Locate, Open, Opened, kerchunk};
use outcrop_store::{Demand, Href, Sparse, Step};
use outcrop_testkit::Random;

use super::{BUILDING, Bench, MEMORY, TIME, fixture, peak_memory, reset_peak_memory, write};

type Files = Vec<(String, Vec<u8>)>;

const MARKS: [&[u8; 4]; 16] = [
    b"TREE", b"HEAP", b"SNOD", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"BTIN", b"FAHD",
    b"FADB", b"EAHD", b"EAIB", b"GCOL",
];

/// Where structures begin.
fn structures(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len().saturating_sub(4))
        .filter(|at| MARKS.iter().any(|mark| bytes[*at..].starts_with(&mark[..])))
        .collect()
}

/// Bytes of a structure of version 2 before its checksum; `None` where it has none, or its length is not fixed.
fn checked(bytes: &[u8], at: usize) -> Option<usize> {
    let head = bytes.get(at..at + 16)?;
    Some(match &head[..4] {
        b"FAHD" => 24,
        b"BTHD" => 34,
        b"EAHD" => 68,
        b"FRHP" => 142,
        b"OHDR" => {
            let flags = head[5];
            let skip = 6 + if flags & 0x20 == 0 { 0 } else { 16 } + if flags & 0x10 == 0 { 0 } else { 4 };
            let width = 1usize << (flags & 3);
            let size =
                bytes.get(at + skip..at + skip + width)?.iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b));
            skip + width + size
        }
        _ => return None,
    })
}

/// Opens, locates and decodes what is not large.
fn exercise(bytes: &Bytes) {
    let have = Sparse::whole(bytes);
    let Ok(Step::Done(header)) = Open::new().step(&have) else { return };
    for variable in header.variables.iter().take(100) {
        let Ok(Step::Done(refs)) = Locate::new(variable).step(&have) else { continue };
        let Ok(mut decoder) = Decoder::new(&refs) else { continue };
        if decoder.chunk_bytes() > 1 << 20 {
            continue;
        }
        let mut out = vec![0; decoder.chunk_bytes()];
        for (_, chunk) in refs.iter().take(10) {
            let range = match &chunk {
                ChunkRef::Range { offset, length, .. } => *offset..offset + length,
                _ => 0..0,
            };
            let Some(bytes) = have.get(&range) else { panic!("a chunk past the end was let through") };
            let _ = decoder.decode(&chunk, &bytes, &mut out);
        }
    }
}

/// Runs cases in a thread, so that one that hangs is named.
fn run<T: Send + 'static>(
    cases: impl Iterator<Item = (String, T)> + Send + 'static,
    mut exercise: impl FnMut(T) + Send + 'static,
) {
    let _not_alone = BUILDING.read().unwrap_or_else(PoisonError::into_inner);
    reset_peak_memory();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for (name, case) in cases {
            if sender.send(Some(name)).is_err() {
                return;
            }
            exercise(case);
        }
        let _ = sender.send(None);
    });
    let (mut count, mut name) = (0, String::new());
    loop {
        match receiver.recv_timeout(TIME) {
            Ok(Some(next)) => name = next,
            Ok(None) => break,
            Err(error) => panic!("{name}: {error}"),
        }
        count += 1;
    }
    assert!(count > 500, "{count} cases");
    assert!(peak_memory() <= MEMORY, "{} MiB", peak_memory());
}

const HDF5: [&str; 8] = [
    "earliest.h5",
    "latest.h5",
    "netcdf4.nc",
    "texts_earliest.h5",
    "texts_latest.h5",
    "types_earliest.h5",
    "types_latest.h5",
    "texts.nc",
];

/// Files whose structures are everywhere.
const PLAIN: [&str; 8] = [
    "classic.nc",
    "cdf5.nc",
    "offset64.nc",
    "gaps.mseed",
    "version3.mseed",
    "encodings.mseed",
    "tiff/cog.tif",
    "tiff/half_p3_b.tif",
];

fn cut(file: &str, whole: &[u8], ends: impl Iterator<Item = usize>) -> Vec<(String, Bytes)> {
    ends.map(|end| (format!("{file} cut at {end}"), Bytes::copy_from_slice(&whole[..end.min(whole.len())]))).collect()
}

#[test]
fn files_that_are_cut_are_errors() {
    let structured = HDF5.into_iter().flat_map(|file| {
        let whole = fixture(file);
        let places = structures(&whole);
        let step = (places.len() / 60).max(1);
        let ends: Vec<usize> = places.into_iter().step_by(step).flat_map(|at| [at, at + 4, at + 12, at + 24]).collect();
        cut(file, &whole, ends.into_iter())
    });
    let plain = PLAIN.into_iter().flat_map(|file| {
        let whole = fixture(file);
        cut(file, &whole, (0..whole.len()).step_by((whole.len() / 2000).max(1)))
    });
    run(structured.chain(plain), |bytes| exercise(&bytes));
}

#[test]
fn structures_that_lie_are_errors_or_harmless() {
    let structured = HDF5.into_iter().flat_map(|file| {
        let whole = fixture(file);
        let places = structures(&whole);
        let step = (places.len() / 24).max(1);
        let spots: Vec<(usize, usize, u64)> = places
            .into_iter()
            .step_by(step)
            .flat_map(|at| (4..60).step_by(4).map(move |skip| (at, skip)))
            .flat_map(|(at, skip)| [u64::MAX, 0, at as u64, 1 << 31].map(|lie| (at, skip, lie)))
            .collect();
        spots.into_iter().filter_map(move |(at, skip, lie)| {
            let mut bytes = whole.clone();
            bytes.get_mut(at + skip..at + skip + 8)?.copy_from_slice(&lie.to_le_bytes());
            if let Some(len) = checked(&whole, at) {
                let sum = jenkins_lookup3(bytes.get(at..at + len)?);
                bytes.get_mut(at + len..at + len + 4)?.copy_from_slice(&sum.to_le_bytes());
            }
            Some((format!("{file}: {lie:#x} at {at} + {skip}"), Bytes::from(bytes)))
        })
    });
    let plain = PLAIN.into_iter().flat_map(|file| {
        let whole = fixture(file);
        let step = (whole.len() / 2000).next_multiple_of(4).max(4);
        (4..whole.len() - 8).step_by(step).flat_map(move |at| {
            let whole = whole.clone();
            [u64::MAX, 0, 0x7fff_ffff, 0xffff_ff7f].map(move |lie| {
                let mut bytes = whole.clone();
                bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
                (format!("{file}: {lie:#x} at {at}"), Bytes::from(bytes))
            })
        })
    });
    run(structured.chain(plain), |bytes| exercise(&bytes));
}

/// Tables of references to the chunks of a fixture, as this crate writes them.
pub(super) fn tables() -> Files {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.nc");
    std::fs::write(&file, fixture("netcdf4.nc")).unwrap();
    let opened = bench.runtime.block_on(Opened::open(&bench.store, &Href::from_path(&file))).unwrap();
    let variables: Vec<_> = opened.meta.variables.iter().filter(|v| !v.dtype.is_text()).collect();
    let located: Vec<_> =
        variables.into_iter().filter_map(|v| Some((v, bench.runtime.block_on(opened.locate(v)).ok()?))).collect();
    let to = folder.path().join("tables");
    kerchunk::write_parquet(
        &opened.meta,
        &located.iter().map(|(v, refs)| (*v, refs)).collect::<Vec<_>>(),
        (&Href::parse("file.nc").unwrap(), &to),
    )
    .unwrap();
    let mut files = Vec::new();
    gather(&to, "", &mut files);
    files.push(("file.nc".to_owned(), fixture("netcdf4.nc")));
    files
}

fn gather(folder: &Path, prefix: &str, files: &mut Files) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            gather(&entry.path(), &format!("{name}/"), files);
        } else {
            files.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
}

/// Stores of both versions that zarr-python wrote, of numbers and of texts, and our own, whose arrays have markers.
fn stores() -> Vec<(String, Files)> {
    let read = |name: &str| serde_json::from_slice::<serde_json::Value>(&fixture(name)).unwrap();
    let texts = read("zarr_texts.json")["stores"].take();
    [coded_stores(&read("zarr.json")), coded_stores(&texts), marked()].concat()
}

/// A store of each version, a chunk of which is of fill value alone.
fn marked() -> Vec<(String, Files)> {
    let of = |format| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a.zarr");
        let mut writer = GroupWriter::create(&root, "", format, &Attrs::new()).unwrap();
        let spec = |name: &str, dtype| ArraySpec {
            name: name.into(),
            dims: vec!["x".into()],
            shape: vec![8],
            chunk: vec![2],
            shard: None,
            dtype,
            compression: ZarrCompression::Default,
            fill: None,
            attrs: Attrs::new(),
        };
        writer.add_array(&spec("v", Element::Number(DType::Int32))).unwrap();
        writer.add_array(&spec("t", Element::VlenText)).unwrap();
        (0..3).for_each(|at| writer.write_chunk("v", &[at], &[1i32, 2]).unwrap());
        writer.write_text("t", &["a", "", "größe", "", "", "", "b", "c"].map(str::to_owned)).unwrap();
        writer.finish().unwrap();
        let mut files = Files::new();
        gather(&root, "", &mut files);
        (format!("marked, {format}"), files)
    };
    vec![of(ZarrFormat::V2), of(ZarrFormat::V3)]
}

fn coded_stores(text: &serde_json::Value) -> Vec<(String, Files)> {
    let decode =
        |coded: &serde_json::Value| base64::engine::general_purpose::STANDARD.decode(coded.as_str().unwrap()).unwrap();
    let files = |store: &serde_json::Value| {
        store.as_object().unwrap().iter().map(|(name, coded)| (name.clone(), decode(coded))).collect()
    };
    text.as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.starts_with('v'))
        .map(|(n, s)| (n.clone(), files(s)))
        .collect()
}

#[test]
fn stores_and_tables_with_changed_bytes_are_errors_or_harmless() {
    let mut random = Random::new(7);
    let all: Vec<(String, Files)> = stores().into_iter().chain([("tables".to_owned(), tables())]).collect();
    let cases: Vec<(String, Files)> = (0..2000)
        .map(|round| {
            let (name, files) = &all[round % all.len()];
            // Little else than metadata, tables and indexes: what is changed is what is parsed.
            let mut files = files.clone();
            let at = usize::try_from(random.below(files.len() as u64)).unwrap();
            let (path, bytes) = &mut files[at];
            let place = usize::try_from(random.below(bytes.len() as u64 + 1)).unwrap();
            match random.below(4) {
                0 => bytes.truncate(place),
                1 => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
                2 => bytes.iter_mut().skip(place).take(4).for_each(|byte| *byte = 0xff),
                _ => bytes
                    .iter_mut()
                    .skip(place)
                    .filter(|byte| byte.is_ascii_digit())
                    .take(1)
                    .for_each(|byte| *byte = b'9'),
            }
            (format!("{name}: {path} at {place}, round {round}"), files)
        })
        .collect();
    let bench = Bench::new();
    run(cases.into_iter(), move |files| {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let _ = bench.read(&write(folder.path(), &files));
    });
}
