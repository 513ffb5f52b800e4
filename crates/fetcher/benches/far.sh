#!/usr/bin/env bash
# 2,000 files of 200 kB from a host that answers after 20 ms, beside stac-asset, which writes its items too.
#
#   bash crates/fetcher/benches/far.sh [PYTHON]      PYTHON has stac-asset; without one only outcrop runs
#
# Needs python3, GNU time and 1 GB in /dev/shm. CPU seconds are those of the program, not of the server.
set -euo pipefail
cd "$(dirname "$0")/../../.."
outcrop=$PWD/target/release/outcrop
python=${1:-}
folder=/dev/shm/outcrop-far
port=18902
mkdir -p "$folder"
python3 - "$folder" "$port" <<'END'
import json, sys
folder, port = sys.argv[1:]
items = [{"type": "Feature", "stac_version": "1.1.0", "id": f"i{i:04}", "geometry": None, "properties": {"datetime": "2000-01-01T00:00:00Z"},
          "links": [], "assets": {"data": {"href": f"http://127.0.0.1:{port}/f{i:04}.bin"}}} for i in range(2000)]
open(f"{folder}/items.ndjson", "w").writelines(json.dumps(item) + "\n" for item in items)
json.dump({"type": "FeatureCollection", "features": items, "links": []}, open(f"{folder}/items.json", "w"))
END
python3 crates/fetcher/benches/far.py "$port" 20 200000 & server=$!
trap 'kill $server; rm -rf "$folder"' EXIT
sleep 1
timed() {
  local what=$1
  shift
  rm -rf "$folder/copy"
  printf '%-28s' "$what"
  /usr/bin/time -f '%e s wall  %U + %S CPU s  %M KB' "$@" 2>&1 | tail -1
}
for round in 1 2 3; do
  for jobs in 8 32 64; do
    timed "outcrop --jobs $jobs" "$outcrop" -q fetch "$folder/items.ndjson" --asset data --to "$folder/copy" --jobs "$jobs"
  done
  [ -z "$python" ] || for at in 32 500; do
    timed "stac-asset, $at at once" "$python" -c "
import asyncio, os, stac_asset, pystac
items = pystac.ItemCollection.from_file('$folder/items.json')
os.makedirs('$folder/copy')
got = asyncio.run(stac_asset.download_item_collection(items, '$folder/copy', max_concurrent_downloads=$at))
assert len(os.listdir('$folder/copy')) >= 2000"
  done
done
