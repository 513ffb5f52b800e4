//! The server as the store sees it: listings, ranges, whole files, what it refuses.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use outcrop_server::Server;
use outcrop_store::{EntryKind, Href, Store, StoreOptions};
use tokio::runtime::Handle;

async fn serve() -> (tempfile::TempDir, Server, Store) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("a b")).unwrap();
    std::fs::write(dir.path().join("a b/x#1%.nc"), (0..=255u8).collect::<Vec<u8>>()).unwrap();
    std::fs::write(dir.path().join("<i>.txt"), "hello").unwrap();
    let server = Server::start(dir.path(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let store = Store::new(StoreOptions::default(), Handle::current()).unwrap();
    (dir, server, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_lists_and_reads_what_is_served() {
    let (_dir, server, store) = serve().await;
    let root = Href::parse(&server.url()).unwrap();
    let entries = store.list(&root).await.unwrap();
    let names: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.kind, e.size)).collect();
    assert_eq!(names, [("<i>.txt", EntryKind::File, Some(5)), ("a b", EntryKind::Folder, None)]);
    let files = store.list(&entries[1].href).await.unwrap();
    assert_eq!((files[0].name.as_str(), files[0].size), ("x#1%.nc", Some(256)));
    let (meta, head) = store.head(&files[0].href, 10).await.unwrap();
    assert_eq!((meta.size, &head[..]), (256, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9][..]));
    let parts = store.ranges(&meta, &[200..203, 0..1, 255..256]).await.unwrap();
    assert_eq!(parts.iter().map(|p| p.to_vec()).collect::<Vec<_>>(), [vec![200, 201, 202], vec![0], vec![255]]);
    assert!(store.ranges(&meta, std::slice::from_ref(&(250..257))).await.is_err());
    assert!(store.stats().remote_bytes > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_folder_is_served() {
    let (dir, server, store) = serve().await;
    std::fs::write(dir.path().parent().unwrap().join("outcrop-secret.txt"), "secret").unwrap();
    for path in [
        "../outcrop-secret.txt",
        "%2e%2e/outcrop-secret.txt",
        "..%2foutcrop-secret.txt",
        "a%20b/../../outcrop-secret.txt",
    ] {
        let href = Href::parse(&format!("{}{path}", server.url())).unwrap();
        assert!(store.get(&href).await.is_err(), "{path}");
    }
    std::fs::remove_file(dir.path().parent().unwrap().join("outcrop-secret.txt")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_missing_is_named() {
    let error = Server::start("/no/such/folder".as_ref(), "127.0.0.1:0".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "`/no/such/folder` is not a folder");
}
