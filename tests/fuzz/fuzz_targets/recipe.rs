//! Recipes: parsed and checked, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outcrop_catalog::Recipe;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = Recipe::parse("recipe.toml", text);
});
