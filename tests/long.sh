#!/usr/bin/env bash
# The long tests of `tests/run.sh --full`: every fuzz target for FUZZ_SECONDS (default 60), and fetches
# that are killed or tortured.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

# libFuzzer on the stable toolchain: the flags that cargo-fuzz would give.
export RUSTC_BOOTSTRAP=1
host=$(rustc -vV | sed -n 's/^host: //p')
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Zsanitizer=address -Cdebug-assertions -Coverflow-checks"
(cd tests/fuzz && RUSTFLAGS="$flags" cargo build --release --target "$host" --target-dir "$root/target/fuzz")
# Corpora start from seeds of our own: small hand-written ones, the fixtures and the recipes.
mkdir -p target/fuzz/corpus
cp -r tests/fuzz/seeds/. target/fuzz/corpus/
mkdir -p target/fuzz/corpus/{read,recipe,references,tables,items_table}
find crates -path '*fixtures*' -type f -size -64k \( -name '*.nc' -o -name '*.h5' -o -name '*.mseed' -o -name '*.tif' \) -exec cp {} target/fuzz/corpus/read \;
find catalogs crates tests -name '*.toml' -path '*recipe*' -exec cp {} target/fuzz/corpus/recipe \;
# A table of items, as the program writes it.
target/release/outcrop --quiet index tests/fuzz/seeds/items/lines.ndjson -o target/fuzz/corpus/items_table/lines.parquet
for target in tests/fuzz/fuzz_targets/*.rs; do
  name=$(basename "$target" .rs)
  "target/fuzz/$host/release/$name" -max_total_time="${FUZZ_SECONDS:-60}" -rss_limit_mb=2048 -timeout=5 \
    -print_final_stats=1 "target/fuzz/corpus/$name"
done
unset RUSTC_BOOTSTRAP

bash tests/kill.sh 100
bash tests/torture.sh
