#!/usr/bin/env bash
# Writes docs/reference/cli.md from the help of the binary. Run it after a change of crates/cli/args/:
#
#   cargo build --release && bash docs/reference/generate.sh
#
# OUTCROP names another binary.
set -euo pipefail
cd "$(dirname "$0")/../.."
outcrop=${OUTCROP:-target/release/outcrop}
page=docs/reference/cli.md
part=$(mktemp "$page.XXXXXX.part")
trap 'rm -f "$part"' EXIT

help_of() {
  printf '\n## %s\n\n```text\n' "$1"
  # clap wraps at the width of the terminal; a fixed one gives the same page everywhere.
  COLUMNS=110 "$outcrop" "${@:2}" --help </dev/null | sed 's/[[:space:]]*$//'
  printf '```\n'
}

{
  cat <<'HEAD'
# Command line

For looking up a command or an option. This page is written by [`generate.sh`](generate.sh) from `--help`; do not edit
it by hand.

Data go to stdout, all else to stderr. Long work shows progress bars on a terminal and plain lines elsewhere. With
`--json` every command but serve writes its result as one line of JSON to stdout, and nothing else there.

## Sources

`SOURCE` is a local path or a URL of a catalog, a collection, an item, an item collection (GeoJSON), a file of items, one a
line (`.ndjson`), a table of items (`.parquet`), or of a STAC API (its landing page or one of its collections); `-` is the standard input. A folder means
its `catalog.json` or `collection.json`. `SOURCE#ID` names one item. URLs are those
of http, https, s3, gs, az, abfs and abfss; [archives in object stores](../guide/object-stores.md) says which settings
they take.

## Exit codes

| code | meaning | example |
|---|---|---|
| 0 | done | |
| 1 | some items or files failed, each is named on stderr; the rest is done | one of 100 files is truncated |
| 2 | could not run; nothing was changed under a final name | a wrong option, a missing recipe, no item could be computed |
| 130 | ended by Ctrl-C | |
| 143 | ended by `TERM` | |

Errors are written as `error:`, the causes as `because:`, and the next step, where there is a usual one, as `hint:`.
After a signal the same command goes on where it stopped: whole files are kept, unfinished ones are gone on with.
HEAD
  help_of outcrop
  for command in build describe search collections index harvest validate migrate fetch doctor info convert run plot serve demo; do
    help_of "outcrop $command" "$command"
    if [ "$command" = run ]; then
      for pipeline in spring-index das heat-index program; do
        help_of "outcrop run $pipeline" run "$pipeline"
      done
    fi
  done
} >"$part"
chmod 644 "$part"
mv "$part" "$page"
trap - EXIT
