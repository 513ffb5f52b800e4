//! Items as they come: their fields, their geometry, and what they are as a line for elsewhere.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outcrop_grid::BBox;
use outcrop_stac::{RawItem, Shape, Splitter};
use outcrop_store::Href;

fn all_of(item: &RawItem) {
    let _ = (item.id(), item.collection(), item.bbox(), item.interval(), item.properties(), item.links(), item.assets());
    if let Some(shape) = item.geometry().and_then(Shape::parse) {
        let mut wkb = Vec::new();
        shape.write_wkb(&mut wkb);
        assert!(Shape::from_wkb(&wkb).is_some(), "what was written is not read");
        for text in ["-10,-5,20,30", "170,-90,-170,90", "0,0,0,0"] {
            let bbox: BBox = text.parse().expect("a box");
            let _ = (shape.meets(&bbox), shape.clone().unrolled().meets(&bbox), shape.meets_heights([0.0, 1.0]));
        }
    }
    if let Ok(portable) = item.to_portable() {
        let again = RawItem::parse(item.href().clone(), portable.into()).expect("it was an item");
        assert_eq!(again.id(), item.id());
    }
    let _ = item.to_document();
}

fuzz_target!(|data: &[u8]| {
    let href = Href::parse("https://archive.example/a/i.json").expect("a plain href");
    if let Ok(item) = RawItem::parse(href.clone(), data.to_vec().into()) {
        all_of(&item);
    }
    let _ = Shape::from_wkb(data);
    // Whatever the pieces, the items are the same.
    let cut = |piece: usize| {
        let mut splitter = Splitter::new(1 << 20);
        let mut items = Vec::new();
        for part in data.chunks(piece) {
            splitter.push(part);
            loop {
                match splitter.item() {
                    Ok(Some(item)) => items.push(item),
                    Ok(None) => break,
                    Err(_) => return items,
                }
            }
        }
        items
    };
    assert_eq!(cut(7), cut(4096));
});
