//! The tables of `docs/reference/formats.md` are those of the code. `UPDATE=1` writes them.

use std::path::Path;

use outcrop_formats::support;

#[test]
fn the_page_of_formats_has_the_tables_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/formats.md");
    let mut page = std::fs::read_to_string(&path).unwrap();
    let old = page.clone();
    for (name, table) in [("read", support::read_table()), ("written", support::written_table())] {
        let (start, end) = (format!("<!-- {name}: from the code -->\n"), format!("<!-- end of {name} -->"));
        let from = page.find(&start).unwrap_or_else(|| panic!("`{start}` is not in the page")) + start.len();
        let to = page.find(&end).unwrap_or_else(|| panic!("`{end}` is not in the page"));
        page.replace_range(from..to, &format!("\n{table}\n"));
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    } else {
        assert!(page == old, "docs/reference/formats.md is not what the code says: run this test with UPDATE=1");
    }
}
