#!/usr/bin/env bash
# Fetching beside curl, from nginx on loopback: 2,000 files of 200 kB, 8 of 128 MiB, 100,000 of 1 kB.
#
#   bash crates/fetcher/benches/fetch.sh [FOLDER]      FOLDER holds 2.7 GB, and as much again for the copies (/dev/shm)
#
# Needs nginx, curl, python3 and GNU time. CPU seconds are those of the program, not of nginx.
set -euo pipefail
cd "$(dirname "$0")/../../.."
outcrop=$PWD/target/release/outcrop
folder=${1:-/dev/shm}/outcrop-bench
port=18901
mkdir -p "$folder/www"
cat > "$folder/conf" <<END
worker_processes 1; daemon off; pid $folder/nginx.pid; error_log $folder/error.log warn;
$([ "$(id -u)" -ne 0 ] || echo 'user root;')
events { worker_connections 2048; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path $folder/t1; proxy_temp_path $folder/t2; fastcgi_temp_path $folder/t3;
  uwsgi_temp_path $folder/t4; scgi_temp_path $folder/t5;
  server { listen 127.0.0.1:$port; root $folder/www; } }
END
python3 - "$folder/www" "$port" <<'END'
import json, os, sys
root, port = sys.argv[1:]
block = os.urandom(1 << 20)
for name, files, size in [("small", 2000, 200_000), ("large", 8, 128 << 20), ("many", 100_000, 1000)]:
    os.makedirs(f"{root}/{name}", exist_ok=True)
    with open(f"{root}/{name}.ndjson", "w") as items, open(f"{root}/{name}.curl", "w") as urls:
        for i in range(files):
            path = f"{root}/{name}/f{i:06}.bin"
            if not os.path.exists(path):
                with open(path, "wb") as file:
                    file.write(i.to_bytes(8, "little"))
                    for left in range(size - 8, 0, -len(block)):
                        file.write(block[:left])
            href = f"http://127.0.0.1:{port}/{name}/f{i:06}.bin"
            items.write(json.dumps({"type": "Feature", "stac_version": "1.1.0", "id": f"i{i:06}", "geometry": None,
                "properties": {"datetime": "2000-01-01T00:00:00Z"}, "links": [], "assets": {"data": {"href": href}}}) + "\n")
            urls.write(f'url = "{href}"\noutput = "f{i:06}.bin"\n')
END
nginx -c "$folder/conf" 2>/dev/null & server=$!
trap 'kill $server; rm -rf "$folder/copy"' EXIT
sleep 1
timed() {
  local what=$1
  shift
  printf '%-34s' "$what"
  /usr/bin/time -f '%e s wall  %U + %S CPU s  %M KB' "$@" 2>&1 | tail -1
}
for round in 1 2 3; do
  for name in small large; do
    rm -rf "$folder/copy"; mkdir "$folder/copy"
    (cd "$folder/copy" && timed "$name, curl --parallel" curl -s --parallel --parallel-max 8 -K "$folder/www/$name.curl")
    rm -rf "$folder/copy"
    timed "$name, outcrop" "$outcrop" -q fetch "$folder/www/$name.ndjson" --asset data --to "$folder/copy"
  done
done
rm -rf "$folder/copy"
timed "100,000, outcrop" "$outcrop" -q fetch "$folder/www/many.ndjson" --asset data --to "$folder/copy"
timed "100,000 in place, second run" "$outcrop" -q fetch "$folder/www/many.ndjson" --asset data --to "$folder/copy"
timed "100,000, --verify" "$outcrop" -q fetch "$folder/copy" --verify
