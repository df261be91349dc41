#!/usr/bin/env bash
# Builds the last commit twice with tools/dist.sh, under conditions that should not matter, and fails unless the bytes are equal.
#
#   tools/dist-check.sh [FOLDER]   FOLDER: where to build; a temporary one that is removed afterwards if not given
#
# QUICK=1 leaves optimization out, which takes a fraction of the time and finds all differences but those that the optimizer makes.
#
# What differs: the time, the source folder and the build folder, the folder and the unpacked copy of the dependencies, the number
# of jobs, time zone, locale and file permissions. What must not: the Rust toolchain, the C compiler and the linker.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'dist-check: %s\n' "$*" >&2; }

git diff --quiet HEAD || say "uncommitted changes are left out: the last commit is built"
GIT_REVISION=$(git rev-parse --short=12 HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export GIT_REVISION SOURCE_DATE_EPOCH
if [ -n "${QUICK:-}" ]; then
  export CARGO_PROFILE_DIST_LTO=off CARGO_PROFILE_DIST_OPT_LEVEL=0
fi

if [ $# -gt 0 ]; then
  mkdir -p "$1"
  folder=$(cd "$1" && pwd)
else
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
fi
cargo=${CARGO_HOME:-$HOME/.cargo}
cargo fetch --quiet --locked

# unpack FOLDER: the sources of that commit, without git. The last commit may be another one when the second build begins.
unpack() { mkdir -p "$1" && git archive "$GIT_REVISION" | tar -x -C "$1"; }

unpack "$folder/first"
(
  unset CARGO_TARGET_DIR
  "$folder/first/tools/dist.sh"
)

(
  umask 077
  second=$folder/second-with-a-longer-name/src
  unpack "$second"
  mkdir -p "$folder/home/registry"
  ln -sfn "$cargo/registry/index" "$folder/home/registry/index"
  ln -sfn "$cargo/registry/cache" "$folder/home/registry/cache"
  # Where the crates come from, if that is configured.
  [ ! -f "$cargo/config.toml" ] || cp "$cargo/config.toml" "$folder/home/"
  CARGO_HOME=$folder/home CARGO_TARGET_DIR=$folder/build CARGO_BUILD_JOBS=$(($(nproc) + 1)) TZ=Asia/Tokyo LC_ALL=C \
    "$second/tools/dist.sh"
)

first=$folder/first/target/dist/field-notes
second=$folder/build/dist/field-notes
if ! cmp "$first" "$second"; then
  cp "$first" "${CARGO_TARGET_DIR:-target}/field-notes.first"
  cp "$second" "${CARGO_TARGET_DIR:-target}/field-notes.second"
  say "the two builds differ; both are kept as field-notes.first and .second in the build folder"
  exit 1
fi
say "both builds of $GIT_REVISION are $(sha256sum "$first" | cut -d ' ' -f 1)"
