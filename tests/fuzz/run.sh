#!/usr/bin/env bash
# Fuzzes the built program with schemathesis: requests generated from the program's own OpenAPI document, for each kind of
# caller, on a fresh store. Fails on a 5xx, on a response that the document does not declare, and if an operation never
# succeeded.
#
#   tests/fuzz/run.sh [--install-only]
#
# EXAMPLES  number of generated requests for each operation and caller (10)
# SEED      seed of the generator; the same seed generates the same requests (1)
# CALLERS   callers, one after another (admin author commenter anonymous); coverage needs admin and anonymous
#
# Under `target/debug/with-mongod --` the store is that server, otherwise a file in a temporary folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$here/../../target}")
venv=$target/fuzz
examples=${EXAMPLES:-10}
export FUZZ_SEED=${SEED:-1}
say() { printf 'fuzz-api: %s\n' "$*" >&2; }

if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
  say "installing schemathesis in $venv"
  python3 -m venv --clear "$venv" || { say "python3 with venv is needed (Debian: apt-get install python3-venv)"; exit 1; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/installed.txt"
fi
[ "${1:-}" != --install-only ] || exit 0
[ -x "$target/debug/field-notes" ] || { say "the program is not built: run cargo build"; exit 1; }

folder=$(mktemp -d)
server=
finish() {
  status=$?
  [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  [ "$status" -eq 0 ] || { say "last lines of the program's log:"; tail -n 20 "$folder/log" >&2; }
  rm -rf "$folder"
}
trap finish EXIT

store=(DATA_DIR="$folder")
[ -z "${TEST_MONGO_URI:-}" ] || store=(MONGO_URI="$TEST_MONGO_URI" MONGO_DB_NAME="fuzz_$$")
cd "$folder"
# There are no videos to process.
env -i VIDEO_PROCESSING=off ADMIN_EMAIL=admin@example.com ALLOW_DEV_AUTH=true LOCAL_STORAGE_PATH="$folder/media" TRUSTED_PROXIES=127.0.0.1 PORT=0 RUST_LOG=warn "${store[@]}" \
  "$target/debug/field-notes" serve >log 2>&1 &
server=$!
url=
for _ in $(seq 300); do
  url=$(sed -n 's#.*content *http://localhost:\([0-9]*\)/.*#http://127.0.0.1:\1#p' log)
  [ -n "$url" ] && break
  kill -0 "$server" 2>/dev/null || { say "the program exited during its start"; exit 1; }
  sleep 0.1
done
[ -n "$url" ] || { say "the program did not start serving within 30 s"; exit 1; }

mkdir -p "$folder/media/uploads"
printf x >"$folder/media/uploads/here.webp"

create() {
  curl -fsS -o "$folder/created" -X "$1" "$url$2" -H "Authorization: Bearer dev-mock-admin" -H "Content-Type: application/json" -d "$3"
}

upload() {
  printf %s "$1" | base64 -d >here.gif
  curl -fsS -o created -H "Authorization: Bearer dev-mock-admin" -F files=@here.gif "$url/uploads"
  asset=$(sed 's#^{"urls":\["/uploads/images/originals/\([0-9a-f_]*\)\.webp".*#\1#' created)
  curl -fsS -o created -H "Authorization: Bearer dev-mock-admin" "$url/media/$asset"
  FUZZ_MEDIA=$(sed 's/^{"id":"\([0-9a-f]*\)".*/\1/' created)
  export FUZZ_MEDIA
}

export PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 FUZZ_RECORD=$folder/record
status=0
for caller in ${CALLERS:-admin author commenter anonymous}; do
  credentials=()
  [ "$caller" = anonymous ] || credentials=(--header "Authorization: Bearer dev-mock-$caller")
  # Earlier callers may have deleted or unpublished these, and read-only callers cannot create them.
  create PUT /pages/about '{"title":"About","content":"<p>Hello</p>","is_published":true}'
  create POST /stories '{"title":"Here","content":"<p>Hello</p>","is_published":true}'
  if [ -z "${FUZZ_COMMENT:-}" ]; then
    # A comment that can be hidden. Later callers would be limited.
    story=$(sed 's/.*"id":"\([0-9a-f]*\)".*/\1/' created)
    create POST "/engagement/story/$story/comments" '{"content":"Here"}'
    FUZZ_COMMENT=$(sed 's/^{"id":"\([0-9a-f]*\)".*/\1/' created)
    export FUZZ_COMMENT
  fi
  create POST /projects '{"title":"Here","summary":"Hello","content":"<p>Hello</p>","is_published":true}'
  # A job that is found by its file, and one whose thumbnail can be chosen.
  create POST /video-processing/jobs '{"original_file":"uploads/there.mp4","metadata":{"duration_seconds":1,"width":64,"height":36,"file_size":1000,"content_type":"video/mp4","upload_time":"2026-01-02T03:04:05Z"}}'
  create POST /video-processing/jobs '{"original_file":"uploads/here.mp4","metadata":{"duration_seconds":1,"width":64,"height":36,"file_size":1000,"content_type":"video/mp4","upload_time":"2026-01-02T03:04:05Z"}}'
  FUZZ_VIDEO_JOB=$(sed 's/.*"job_id":"\([^"]*\)".*/\1/' created)
  export FUZZ_VIDEO_JOB
  create PATCH "/video-processing/jobs/$FUZZ_VIDEO_JOB" '{"thumbnail_options":[{"id":"here","url":"/uploads/here.jpg","timestamp_seconds":0}]}'
  # A picture in the library, and another one in the trash.
  upload R0lGODlhAQABAIAAAAAAAAAAACwAAAAAAQABAAACAkQBADs=
  create DELETE "/media/$FUZZ_MEDIA?force=true" ''
  upload R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=
  say "as $caller, $examples examples, seed $FUZZ_SEED"
  "$venv/bin/st" --config-file "$here/schemathesis.toml" run "$url/openapi.json" --no-color --seed "$FUZZ_SEED" \
    --max-examples "$examples" "${credentials[@]}" >"$caller.txt" 2>&1 || { status=1; cat "$caller.txt"; }
  tail -n 8 "$caller.txt"
done

"$venv/bin/python" -c 'import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())' \
  "$url/openapi.json" >openapi.json
"$venv/bin/python" "$here/reached.py" openapi.json record || status=1
if grep -E 'ERROR|panicked' log; then say "the log contains errors"; status=1; fi
exit $status
