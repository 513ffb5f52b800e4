#!/usr/bin/env bash
# Fetches under torture: one line of a table for each test, which tells what was tried and what failed. About half an hour.
#
#   bash tests/torture.sh
set -uo pipefail
cd "$(dirname "$0")/.."
sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || {
  $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends faketime
} >/dev/null 2>&1
cargo build --release --locked --workspace --quiet || exit 1
bad=0
# Tests of cargo that take more in the long run say their line of the table on stderr.
long() {
  local said
  said=$(OUTCROP_TORTURE=long cargo test --release --locked --workspace --quiet --test "$1" -- --nocapture "$2" 2>&1) || {
    printf '%s\n' "$said"
    bad=1
  }
  # A name that no test has any more would pass unseen.
  grep '^|' <<< "$said" || { echo "| $2 | nothing | was run |"; bad=1; }
}
echo '| test | tried | outcome |'
echo '|---|---|---|'
python3 tests/torture/calls.py target/release/outcrop || bad=1
python3 tests/torture/clock.py target/release/outcrop || bad=1
long fetcher links_that_are_planted_meanwhile_lead_nowhere
long fetcher five_thousand_small_assets_of_a_bad_host_all_come
long cli a_catalog_is_whole_at_every_moment_of_its_saving
long cli no_secret_is_said_or_written_whatever_fails
echo "torture: $([ $bad -eq 0 ] && echo nothing broke || echo FAILED)"
exit $bad
