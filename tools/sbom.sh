#!/usr/bin/env bash
# Writes the bill of materials of the binary that ships, in CycloneDX 1.5, and checks it against Cargo.lock.
#
#   tools/sbom.sh [FILE]   FILE: field-notes.cdx.json in the build folder if not given
#
# The same commit gives the same bytes. cargo-cyclonedx 0.5.9 is compiled into the build folder if it is not there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
build=${CARGO_TARGET_DIR:-$root/target}
file=${1:-$build/field-notes.cdx.json}
tool=$build/cargo-cyclonedx-0.5.9
[ -x "$tool/bin/cargo-cyclonedx" ] || cargo install --quiet --locked cargo-cyclonedx --version 0.5.9 --root "$tool"

# The tool writes a file beside each manifest, so it works on a copy of the sources.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z -- '*.toml' '*.rs' Cargo.lock | tar -c --null -T - | tar -x -C "$copy"
(
  cd "$copy"
  SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct) "$tool/bin/cargo-cyclonedx" cyclonedx --quiet \
    --format json --spec-version 1.5 --target x86_64-unknown-linux-gnu --override-filename sbom
)
python3 tools/sbom.py "$copy" "$file"
