//! What a selection takes, before its first byte: the sizes that items tell, against what the disk has.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::pin::pin;

use futures::stream::{Stream, StreamExt};
use outcrop_store::Href;
use serde_json::Value;

use crate::again::Wanted;
use crate::journal::Journal;
use crate::{Error, Result, Selection};

/// How the names of unfinished files end.
const PART: &str = ".outcrop.part";
/// The field that tells a size.
const SIZE: &str = "file:size";

/// Sees whether a local folder has room for the chosen assets, as far as their items tell sizes. Copies that are noted there count
/// as there. The items are read once, and if there might be too little room once more.
///
/// # Errors
/// [`Error::NoRoom`] if they take more than is free.
pub async fn room<S, N, E>(to: &Href, assets: &Selection, items: impl Fn() -> S) -> Result<()>
where
    S: Stream<Item = std::result::Result<N, E>>,
    N: Into<Wanted>,
{
    let Some(free) = to.to_path().and_then(|path| free(&path)) else { return Ok(()) };
    let total = |size: fn(&Selection, Wanted) -> u64| {
        let items = items();
        async move {
            let (mut items, mut all) = (pin!(items), 0u64);
            while let Some(item) = items.next().await {
                // What cannot be read is told by the run itself.
                all = all.saturating_add(item.map_or(0, |item| size(assets, item.into())));
            }
            all
        }
    };
    if total(|_, item| at_most(&item)).await <= free {
        return Ok(());
    }
    let need = total(chosen).await;
    let there = Journal::peek(&to.as_folder()).bytes() + to.to_path().map_or(0, |path| begun(&path));
    if need.saturating_sub(there) <= free {
        return Ok(());
    }
    Err(Error::NoRoom { to: to.clone(), need, there, free })
}

/// Bytes that unfinished files below a folder take on the disk.
fn begun(folder: &Path) -> u64 {
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => begun(&entry.path()),
        Ok(meta) if meta.is_file() && entry.file_name().to_string_lossy().ends_with(PART) => 512 * meta.blocks(),
        _ => 0,
    };
    std::fs::read_dir(folder).map_or(0, |entries| entries.flatten().map(of).sum())
}

/// Bytes that the disk of a folder, which need not exist, has free for this user.
fn free(path: &Path) -> Option<u64> {
    let disk = path.ancestors().find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        rustix::fs::statvfs(folder).ok()
    })?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// All sizes that are in an item; it is not parsed.
fn at_most(item: &Wanted) -> u64 {
    match item {
        Wanted::Node(node) => {
            node.document.assets().filter_map(|(_, asset)| size_of(asset.get(SIZE))).fold(0, u64::saturating_add)
        }
        Wanted::Raw(item, _) => numbers_after(item.bytes()),
    }
}

/// The sum of all whole numbers that follow the name of the field.
fn numbers_after(bytes: &[u8]) -> u64 {
    let mut sum = 0u64;
    for at in memchr::memmem::find_iter(bytes, SIZE) {
        let rest = bytes[at + SIZE.len()..].iter();
        let digits = rest.skip_while(|byte| matches!(byte, b'"' | b':' | b' ' | b'\t' | b'\n' | b'\r'));
        let number = digits.take_while(|byte| byte.is_ascii_digit());
        let number = number.fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        sum = sum.saturating_add(number);
    }
    sum
}

/// The sizes of the chosen assets of an item.
fn chosen(assets: &Selection, item: Wanted) -> u64 {
    let Ok(node) = item.into_node() else { return 0 };
    let (keys, _) = assets.of(&node.document);
    keys.iter().filter_map(|key| size_of(node.document.asset(key)?.get(SIZE))).fold(0, u64::saturating_add)
}

fn size_of(value: Option<&Value>) -> Option<u64> {
    value.and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use outcrop_stac::RawItem;

    use super::*;

    fn items(size: u64) -> Vec<std::result::Result<Wanted, Error>> {
        let json = format!(
            r#"{{"type":"Feature","id":"a","assets":{{"a":{{"href":"a","file:size": {size}}},"b":{{"href":"b","file:size":{}}}}}}}"#,
            u64::MAX
        );
        let item = RawItem::parse(Href::parse("/i.json").unwrap(), json.into()).unwrap();
        vec![Ok(Wanted::Raw(item, Arc::from([]))), Err(Error::NoAssets)]
    }

    #[test]
    fn what_the_chosen_assets_take_is_held_against_what_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let to = Href::from_path(&folder.path().join("not/there/yet"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let check = |key: &str, size: u64| {
            runtime.block_on(room(&to, &Selection::of_keys([key]), || futures::stream::iter(items(size))))
        };
        assert!(check("a", 5).is_ok(), "the other asset is not wanted");
        assert!(matches!(check("b", 5), Err(Error::NoRoom { need: u64::MAX, there: 0, .. })));
        assert!(matches!(check("a", 1 << 60), Err(Error::NoRoom { .. })));
    }

    #[test]
    fn sizes_are_found_without_parsing() {
        assert_eq!(numbers_after(br#"{"file:size" : 12,"x":{"file:size":30}, "file:size": null}"#), 42);
        assert_eq!(numbers_after(b"file:size"), 0);
    }
}
