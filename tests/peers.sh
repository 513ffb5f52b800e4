#!/usr/bin/env bash
# The same faults for outcrop, curl, aria2, rclone and stac-asset: what each leaves under the final name, and what it says.
#
#   bash tests/peers.sh [PYTHON]   those programs that are installed; PYTHON has stac-asset; docs/reference/reliability.md has a run
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --workspace --examples --quiet
python=${1:-}
work=$(mktemp -d)
server=""
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
cases=(good cut-once cut-always-at-half cut-without-length chunked-without-end replaced-in-between no-ranges-cut-once busy
  login-page reset-twice drips-in-pieces)

# A fresh archive for each program, since faults count requests.
serve() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -f "$work/url"
  target/release/examples/faulty > "$work/url" & server=$!
  until [ -s "$work/url" ]; do sleep 0.05; done
  url=$(cat "$work/url")
  curl -sf "${url}want-0.bin" -o "$work/want-0"
  curl -sf "${url}want-1.bin" -o "$work/want-1"
}

verdict() {
  local code=$1 file=$2
  if [ ! -e "$file" ]; then echo "$code, no file"
  elif cmp -s "$file" "$work/want-0" || cmp -s "$file" "$work/want-1"; then echo "$code, whole"
  elif grep -qs '"state":"unverified"' "$(dirname "$file")/../.outcrop-fetch.ledger.ndjson"; then echo "$code, short, called unverified"
  else echo "$code, BAD FILE of $(stat -c %s "$file") bytes"; fi
}

one() {
  local program=$1 name=$2 to=$work/$1/$2 code=0
  mkdir -p "$to"
  case "$program" in
    outcrop)
      printf '{"type":"Feature","stac_version":"1.1.0","id":"i","geometry":null,"properties":{"datetime":"2000-01-01T00:00:00Z"},"links":[],"assets":{"k":{"href":"%s"}}}\n' \
        "$url$name.nc" > "$to/items.ndjson"
      target/release/outcrop -q fetch "$to/items.ndjson" --asset k --to "$to/copy" 2>/dev/null || code=$?
      verdict $code "$to/copy/i/$name.nc" ;;
    stac-asset)
      timeout 300 "$python" -c '
import asyncio, datetime, sys, pystac, stac_asset
item = pystac.Item("i", None, None, datetime.datetime(2000, 1, 1), {})
item.add_asset("k", pystac.Asset(sys.argv[1]))
asyncio.run(stac_asset.download_item(item, sys.argv[2]))' "$url$name.nc" "$to" >/dev/null 2>&1 || code=$?
      verdict $code "$to/$name.nc" ;;
    curl) curl -sf --retry 4 --retry-connrefused -o "$to/$name.nc" "$url$name.nc" || code=$?; verdict $code "$to/$name.nc" ;;
    aria2c) aria2c -q -d "$to" "$url$name.nc" >/dev/null 2>&1 || code=$?
      [ ! -e "$to/$name.nc.aria2" ] || { echo "$code, unfinished, marked so"; return; }
      verdict $code "$to/$name.nc" ;;
    rclone) rclone copyurl -q "$url$name.nc" "$to/$name.nc" 2>/dev/null || code=$?; verdict $code "$to/$name.nc" ;;
  esac
}

printf '%-22s %-12s %-34s %s\n' fault program "exit code, what is there" seconds
for program in outcrop curl aria2c rclone stac-asset; do
  case "$program" in
    outcrop) ;;
    stac-asset) [ -n "$python" ] || continue ;;
    *) command -v "$program" >/dev/null || continue ;;
  esac
  serve
  for name in "${cases[@]}"; do
    start=$(date +%s.%N)
    said=$(one "$program" "$name")
    printf '%-22s %-12s %-34s %.1f\n' "$name" "$program" "$said" "$(echo "$(date +%s.%N) - $start" | bc)"
  done
done
