#!/usr/bin/env bash
# Builds the binary that ships, with the `dist` profile, and prints its path, size and SHA-256.
#
#   tools/dist.sh [TARGET]   TARGET: such as x86_64-unknown-linux-musl for a static binary; that of the machine if not given
#
# The same commit, Rust toolchain and C compiler give the same bytes in any folder and at any time: paths in the binary start
# with /field-notes or /crates, dates are that of the commit, and names that a macro makes unique come from a fixed seed.
# Outside a git repository, GIT_REVISION and SOURCE_DATE_EPOCH say what git would; without them the revision is left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'dist: %s\n' "$*" >&2; }

triple=${1:-}
root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
cargo=${CARGO_HOME:-$HOME/.cargo}

if [ -z "${GIT_REVISION:-}" ] && git rev-parse --git-dir >/dev/null 2>&1; then
  GIT_REVISION=$(git rev-parse --short=12 HEAD)
  # A binary must not claim to be a commit that it is not.
  git diff --quiet HEAD || GIT_REVISION=$GIT_REVISION-modified
fi
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
fi
# An empty variable would be taken for a revision.
if [ -n "${GIT_REVISION:-}" ]; then export GIT_REVISION; else unset GIT_REVISION; fi
# mimalloc's verbose output contains __DATE__, which the C compiler takes from this variable.
export SOURCE_DATE_EPOCH
# `const-random`, which names macros of the MongoDB driver during its build, is random otherwise. No secret comes from it.
export CONST_RANDOM_SEED=field-notes

cargo fetch --quiet --locked
# The most specific prefix comes last: rustc applies the last one that matches.
from=("$root" "$target")
to=(/field-notes /field-notes/target)
for folder in "$cargo"/registry/src/*/; do
  from+=("${folder%/}")
  to+=(/crates)
done
rust=()
c=()
for i in "${!from[@]}"; do
  case ${from[$i]} in *[[:space:]]*) say "the path ${from[$i]} contains a space, which flags of the C compiler cannot"; exit 1 ;; esac
  rust+=("--remap-path-prefix=${from[$i]}=${to[$i]}")
  c+=("-ffile-prefix-map=${from[$i]}=${to[$i]}")
done
# Flags of the caller would change the bytes, so they are replaced.
unset RUSTFLAGS
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; printf '%s' "${rust[*]}")
export CARGO_ENCODED_RUSTFLAGS
export CFLAGS="${c[*]}"
export CARGO_TARGET_DIR=$target

cargo build --profile dist --locked --bin field-notes ${triple:+--target "$triple"}

binary=$target${triple:+/$triple}/dist/field-notes
for path in "$root" "$target" "$cargo"; do
  case $path/ in /field-notes/*) continue ;; esac
  if grep -qaF "$path/" "$binary"; then
    say "$binary contains the path $path"
    exit 1
  fi
done
printf '%s  %s bytes  sha256 %s\n' "$binary" "$(stat -c %s "$binary")" "$(sha256sum "$binary" | cut -d ' ' -f 1)"
