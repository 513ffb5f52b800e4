#!/usr/bin/env bash
# Kills `outcrop fetch` and `outcrop convert` at random moments, then runs them to their end: every copy must equal its
# original, every new file the one of an undisturbed run.
#   bash tests/kill.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-20}
cargo build --release --locked --workspace --quiet
outcrop=target/release/outcrop
work=$(mktemp -d)
server=""
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
"$outcrop" --quiet demo --to "$work/demo" >/dev/null
"$outcrop" --quiet serve "$work/demo/archive" --bind 127.0.0.1:18473 & server=$!
sleep 0.5
sed -i 's|^href = .*|href = "http://127.0.0.1:18473/"|' "$work/demo/recipe.toml"
"$outcrop" --quiet build "$work/demo/recipe.toml" --to "$work/catalog"
bad=0
for round in $(seq "$rounds"); do
  rm -rf "$work/local"
  "$outcrop" --quiet fetch "$work/catalog" --asset tmin,tmax,dayl,prcp --to "$work/local" 2>/dev/null & victim=$!
  sleep "0.0$((RANDOM % 100))"
  kill -9 "$victim" 2>/dev/null || true
  wait "$victim" 2>/dev/null || true
  while IFS= read -r copy; do
    cmp -s "$copy" "$(find "$work/demo/archive" -name "$(basename "$copy")")" || { echo "round $round: torn $copy"; bad=1; }
  done < <(find "$work/local" -name '*.nc' 2>/dev/null)
  "$outcrop" --quiet fetch "$work/catalog" --asset tmin,tmax,dayl,prcp --to "$work/local"
  for original in "$work"/demo/archive/*/*.nc; do
    cmp -s "$original" "$(find "$work/local" -name "$(basename "$original")")" || { echo "round $round: $original differs"; bad=1; }
  done
done
# The same for files that are made: under the final name lies all of it, or nothing.
source=$(ls "$work"/demo/archive/*/*tmin*.nc | head -1)
for to in a.tif a.nc a.zarr; do
  "$outcrop" --quiet convert "$source" --to "$work/want.$to" --var tmin --threads 1
  for round in $(seq "$rounds"); do
    rm -rf "${work:?}/$to"
    "$outcrop" --quiet convert "$source" --to "$work/$to" --var tmin --threads 1 2>/dev/null & victim=$!
    sleep "0.$(printf '%03d' $((RANDOM % 400)))"
    kill -9 "$victim" 2>/dev/null || true
    wait "$victim" 2>/dev/null || true
    [ ! -e "$work/$to" ] || diff -rq "$work/want.$to" "$work/$to" || { echo "round $round: torn $to"; bad=1; }
    "$outcrop" --quiet convert "$source" --to "$work/$to" --var tmin --threads 1
    diff -rq "$work/want.$to" "$work/$to" || { echo "round $round: $to differs"; bad=1; }
    [ -z "$(find "$work" -maxdepth 1 -name '.*.part')" ] || { echo "round $round: a part of $to is left"; bad=1; }
  done
done
# A build that is killed goes on, and the catalog is there whole or not at all.
printf '%s\n' "id = 'k'" "description = 'd'" "layout = '\${part}'" '[variables]' 'part = { from = 1, to = 20 }' \
  'n = { from = 1, to = 500 }' '[item]' "id = '{part}-{n}'" "datetime = '2000-01-01T00:00:00Z'" \
  "properties = { part = 'p{part}' }" '[assets.a]' "href = 'https://example.com/{part}/{n}.nc'" > "$work/k.toml"
"$outcrop" --quiet build "$work/k.toml" --to "$work/want.k" --index
for round in $(seq "$rounds"); do
  rm -rf "$work/k" "$work/.k.outcrop.part"
  for _ in 1 2; do
    "$outcrop" --quiet build "$work/k.toml" --to "$work/k" --index 2>/dev/null & victim=$!
    sleep "0.$(printf '%03d' $((RANDOM % 900)))"
    kill -9 "$victim" 2>/dev/null || true
    wait "$victim" 2>/dev/null || true
    [ ! -e "$work/k" ] || diff -rq -x items.parquet -x '.outcrop-build*' "$work/want.k" "$work/k" || { echo "round $round: a torn catalog"; bad=1; }
  done
  "$outcrop" --quiet build "$work/k.toml" --to "$work/k" --index
  diff -rq -x items.parquet -x '.outcrop-build*' "$work/want.k" "$work/k" || { echo "round $round: the catalog differs"; bad=1; }
  [ "$("$outcrop" search "$work/k" --count)" = 10000 ] || { echo "round $round: its index differs"; bad=1; }
  [ -z "$(find "$work" -name '.*.part')" ] || { echo "round $round: a part of the catalog is left"; bad=1; }
done
echo "killed 6 times $rounds times: $([ $bad -eq 0 ] && echo everything is whole || echo FAILED)"
exit $bad
