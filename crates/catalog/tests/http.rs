//! Building from an archive over HTTP: index pages, ranges of headers, never whole files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use outcrop_catalog::{BuildOptions, Recipe, SearchOptions, Source, build};
use outcrop_store::{Href, Store, StoreOptions};

/// Serves index pages and single ranges of a folder.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let folder = folder.clone();
            std::thread::spawn(move || answer(stream.unwrap(), &folder));
        }
    });
    base
}

fn answer(mut stream: TcpStream, folder: &Path) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = folder.join(first.split(' ').nth(1).unwrap_or("/").trim_start_matches('/'));
    if path.is_dir() {
        let names = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let links: Vec<String> = names.map(|name| format!("<a href=\"{name}\">{name}</a>")).collect();
        let links = links.join("\n");
        let page = format!("<html><a href=\"../\">..</a>{links}</html>");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n", page.len());
        let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{page}").as_bytes());
        return;
    }
    let body = std::fs::read(&path).unwrap();
    let range = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let (from, to) = range.as_deref().and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
    let (from, to) =
        (from.parse::<usize>().unwrap(), to.parse::<usize>().map_or(body.len(), |to| to + 1).min(body.len()));
    let head = format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\n", to - 1, body.len());
    let head = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", to - from);
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[from..to]));
}

#[test]
fn a_remote_archive_is_listed_and_its_headers_are_read_by_ranges() {
    let Some(golden) = outcrop_testkit::shared_data("golden/e_spring") else { return };
    let base = serve(golden.clone());
    let text = format!(
        "id = 'remote'\ndescription = 'd'\n[listing]\nhref = '{base}/'\ndepth = 0\n[item]\nid = '{{region}}-{{year}}'\n\
         [assets.'{{param}}']\npattern = 'daymet_v4_daily_{{region}}_{{param}}_{{year}}.nc'\n\
         [headers]\nfields = ['file:size', 'type', 'proj', 'cube', 'bands', 'bbox', 'datetime']\n"
    );
    let recipe = Recipe::parse("remote.toml", &text).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let to = Href::from_path(folder.path());
    let report = store.wait(build(&store, &recipe, &to, &BuildOptions::default())).unwrap();
    assert_eq!((report.items, report.assets), (1, 3), "{:?}", report.failed);
    let whole: u64 = ["dayl", "tmax", "tmin"]
        .iter()
        .map(|param| std::fs::metadata(golden.join(format!("daymet_v4_daily_na_{param}_1981.nc"))).unwrap().len())
        .sum();
    println!("{} of {whole} bytes, {} requests", report.bytes_read, store.stats().requests);
    assert!(report.bytes_read < whole / 2);
}

#[test]
fn builds_and_searches_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = Store::new(StoreOptions::default(), runtime.handle().clone()).unwrap();
    let recipe = Recipe::parse("r", include_str!("../../../catalogs/daymet-daily-v4/recipe.toml")).unwrap();
    let (to, options) = (Href::parse("/nowhere").unwrap(), BuildOptions::default());
    is_send(&build(&store, &recipe, &to, &options));
    is_send(&outcrop_catalog::describe(&store, &to));
    is_send(&outcrop_catalog::search(&store, &Source::parse("/nowhere").unwrap(), &SearchOptions::default()));
}
