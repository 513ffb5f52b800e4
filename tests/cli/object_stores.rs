//! Archives in object stores, on loopback: the same words and bytes as from files.

use std::path::Path;

use outcrop_testkit::{Archive, Fault, Object, Times};

use crate::bench::{Bench, Said, demo, files};

const YEARS: [&str; 2] = ["1980", "1981"];

/// A bucket with files of the demo, and one that is refused.
fn bucket() -> Archive {
    let archive = Archive::start();
    for key in ["tmin", "tmax", "dayl"] {
        for year in YEARS {
            let name = format!("daymet_v4_daily_lakes_{key}_{year}.nc");
            let bytes = std::fs::read(demo().join("archive/lakes").join(&name)).unwrap();
            archive.put(&format!("bucket/v4.5/lakes/{name}"), Object::new(bytes));
        }
    }
    let body = b"<Error><Code>AccessDenied</Code></Error>".to_vec();
    let refused = [Fault::Status(403), Fault::Body(body)].into_iter();
    let object = refused.fold(Object::new("x"), |object, fault| object.with_fault(fault, Times::Always));
    archive.put("bucket/refused.nc", object);
    let body = b"<Error><Code>RequestTimeTooSkewed</Code></Error>".to_vec();
    let date = Fault::Header("Date", Some("Wed, 21 Oct 2015 07:28:00 GMT".to_owned()));
    let late = [Fault::Status(403), date, Fault::Body(body)].into_iter();
    let object = late.fold(Object::new("x"), |object, fault| object.with_fault(fault, Times::Always));
    archive.put("bucket/late.nc", object);
    archive
}

fn run(bench: &Bench, archive: &Archive, settings: &[(&str, &str)], line: &str) -> Said {
    let mut command = bench.command(&line.split(' ').collect::<Vec<_>>());
    command.env("AWS_ENDPOINT_URL", archive.url("")).envs(settings.iter().copied());
    command.output().unwrap().into()
}

const FILE: &str = "v4.5/lakes/daymet_v4_daily_lakes_tmin_1980.nc";

fn local() -> String {
    demo().join("archive/lakes").join(Path::new(FILE).file_name().unwrap()).display().to_string()
}

#[test]
fn info_and_convert_read_from_s3_what_they_read_from_files() {
    let (bench, archive) = (Bench::new(), bucket());
    let said = run(&bench, &archive, &[], &format!("info s3://bucket/{FILE}"));
    let want = bench.run(&format!("info {}", local()));
    assert_eq!((said.code, want.code), (0, 0), "{said:?} {want:?}");
    // The variables; the first line is the href.
    let rest =
        |text: &str| text.lines().filter(|line| line.contains("tmin")).skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert!(!rest(&want.out).is_empty());
    assert_eq!(rest(&said.out), rest(&want.out));
    let part = "--var tmin --isel time=0:3 --format netcdf3";
    let said = run(&bench, &archive, &[], &format!("convert s3://bucket/{FILE} --to a.nc {part}"));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(bench.run(&format!("convert {} --to b.nc {part}", local())).code, 0);
    assert!(std::fs::read(bench.path("a.nc")).unwrap() == std::fs::read(bench.path("b.nc")).unwrap());
    assert!(archive.log().iter().all(|request| request.header("authorization").is_none()), "anonymous");
}

#[test]
fn a_catalog_of_a_bucket_is_built_fetched_and_computed() {
    let (bench, archive) = (Bench::new(), bucket());
    let keys = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let recipe = "id = 'lakes'\ndescription = 'd'\n[listing]\nhref = 's3://bucket/v4.5'\ndepth = 2\n[item]\n\
        id = '{region}-{year}'\ndatetime = '{year}-01-01T00:00:00Z'\nbbox = [-90, 40, -80, 47]\n\
        [assets.'{key}']\npattern = 'daymet_v4_daily_{region}_{key}_{year}.nc'\n";
    bench.write("lakes.toml", recipe);
    let said = run(&bench, &archive, &keys, "build lakes.toml --to lakes --references");
    assert_eq!(said.code, 0, "{said:?}");
    let item = std::fs::read_to_string(bench.path("lakes/lakes-1980/lakes-1980.json")).unwrap();
    assert!(item.contains(&format!("\"s3://bucket/{FILE}\"")), "{item}");
    let said = run(&bench, &archive, &keys, "info lakes/lakes-1980/tmin.refs");
    assert!(said.out.contains("by saved references"), "{said:?}");
    let said = run(&bench, &archive, &keys, "run spring-index --items lakes --ids lakes-1980 --to far.zarr --json");
    assert_eq!(said.code, 0, "{said:?}");
    let far = said.json()["items"][0]["first_leaf"].clone();
    let said = run(&bench, &archive, &keys, "fetch lakes --asset tmin,tmax,dayl --ids lakes-1980 --to near");
    assert_eq!(said.code, 0, "{said:?}");
    let copies = files(&bench.path("near")).into_iter().filter(|name| name.ends_with(".nc")).count();
    assert_eq!(copies, 3);
    let said = run(&bench, &archive, &keys, "run spring-index --items near --ids lakes-1980 --to near.zarr --json");
    let near = said.json()["items"][0]["first_leaf"].clone();
    assert!(!near.is_null() && near == far, "{near} {far}");
    assert!(archive.log().iter().all(|request| request.header("authorization").is_some()), "all are signed");
    for name in files(bench.folder.path()).into_iter().filter(|name| !name.contains(".zarr/")) {
        let bytes = std::fs::read(bench.path(&name)).unwrap();
        assert!(!bytes.windows(4).any(|part| part == b"hush"), "{name}");
    }
}

#[test]
fn refusals_have_a_next_step_and_writing_is_refused() {
    let (bench, archive) = (Bench::new(), bucket());
    let keys = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let said = run(&bench, &archive, &[], "info s3://bucket/refused.nc");
    said.could_not_run(&["may not be read without credentials: AccessDenied", "AWS_PROFILE"]);
    let said = run(&bench, &archive, &keys, "info s3://bucket/refused.nc");
    said.could_not_run(&["may not be read with these credentials: AccessDenied", "AWS_NO_SIGN_REQUEST"]);
    assert!(!said.err.contains("hush"));
    let said = run(&bench, &archive, &keys, "info s3://bucket/late.nc");
    said.could_not_run(&["RequestTimeTooSkewed, the clock of this machine is", "s ahead of the server's"]);
    run(&bench, &archive, &[], "info s3://bucket/none.nc").could_not_run(&["`s3://bucket/none.nc` does not exist"]);
    run(&bench, &archive, &[("AWS_PROFILE", "none")], "info s3://bucket/none.nc").could_not_run(&["profile `none`"]);
    run(&bench, &archive, &[], &format!("convert {} --to s3://bucket/a.nc", local()))
        .could_not_run(&["s3://bucket/a.nc"]);
    run(&bench, &archive, &[], "info ftp://host/a.nc").could_not_run(&["scheme `ftp` is not supported"]);
    let said = run(&bench, &archive, &[], "info az://container/a.nc");
    said.could_not_run(&["AZURE_STORAGE_ACCOUNT", "docs/guide/object-stores.md"]);
}

#[test]
fn documents_in_a_bucket_name_what_is_beside_them_and_in_other_buckets_but_no_file() {
    let (bench, archive) = (Bench::new(), bucket());
    let values: Vec<u8> = (0..4u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
    archive.put("bucket/refs/a%20b.bin", Object::new(values.clone()));
    archive.put("other/c.bin", Object::new(values));
    let document = |second: &str| {
        let array =
            r#"{\"zarr_format\":2,\"shape\":[4],\"chunks\":[2],\"dtype\":\"<f4\",\"compressor\":null,\"filters\":null,
            \"order\":\"C\",\"fill_value\":null}"#
                .replace('\n', "");
        format!(
            r#"{{"version":1,"refs":{{".zgroup":"{{\"zarr_format\":2}}","x/.zarray":"{array}","x/0":["a b.bin",0,8],
            "x/.zattrs":"{{\"_ARRAY_DIMENSIONS\":[\"t\"]}}","x/1":["{second}",8,8]}}}}"#
        )
    };
    archive.put("bucket/refs/r.json", Object::new(document("s3://other/c.bin")));
    let said = run(&bench, &archive, &[], "convert s3://bucket/refs/r.json --to x.nc --format netcdf3");
    assert_eq!(said.code, 0, "{said:?}");
    let bytes = std::fs::read(bench.path("x.nc")).unwrap();
    // As in NetCDF-3, plain and big endian.
    let want: Vec<u8> = (0..4u8).flat_map(|i| f32::from(i).to_be_bytes()).collect();
    assert!(bytes.windows(16).any(|part| part == want.as_slice()));
    archive.put("bucket/refs/r.json", Object::new(document("file:///etc/hostname")));
    let said = run(&bench, &archive, &[], "convert s3://bucket/refs/r.json --to y.nc");
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("may not name the local file"), "{said:?}");
}
