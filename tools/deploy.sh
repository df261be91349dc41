#!/usr/bin/env bash
# Deploys this checkout on this machine with the configuration of .env, or undoes the last deploy.
#
#   tools/deploy.sh deploy     build, check, back up, migrate, replace the running server, wait until it is ready
#   tools/deploy.sh rollback   roll back the migrations of the last deploy, and start the program of the one before
#
# DEPLOY_DIR            folder of the deployed programs, the log and the process id of the server (deploy)
# START                 command that restarts the server, such as "sudo systemctl restart field-notes" for a unit that runs
#                       DEPLOY_DIR/current/field-notes; without it the server runs in the background
# FIELD_NOTES_PROGRAM   a program to deploy in place of a build of this checkout
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Refuses the settings of development.
export ENVIRONMENT=production
folder=$(mkdir -p "${DEPLOY_DIR:-deploy}" && cd "${DEPLOY_DIR:-deploy}" && pwd)
current=$folder/current

say() { printf 'deploy: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# Stops the server that runs in the background, if there is one.
stop() {
  local pid
  pid=$(cat "$folder/pid" 2>/dev/null) || return 0
  if [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" ] && grep -qa serve "/proc/$pid/cmdline"; then
    say "stopping the server $pid"
    kill "$pid"
    # It ends by itself after SHUTDOWN_DELAY_SECONDS and SHUTDOWN_GRACE_SECONDS.
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  fi
  rm -f "$folder/pid"
}

# start RELEASE: makes it the current one, replaces the server, and returns once it is ready.
start() {
  ln -sfn "releases/$1" "$current"
  if [ -n "${START:-}" ]; then
    bash -c "$START"
  else
    stop
    setsid "$current/field-notes" serve >>"$folder/log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
  fi
  say "waiting until $1 is ready"
  until "$current/field-notes" healthcheck --ready 2>/dev/null; do
    [ -n "${START:-}" ] || kill -0 "$(cat "$folder/pid")" 2>/dev/null || { tail -n 20 "$folder/log" >&2; return 1; }
    sleep 0.2
  done
  say "$1 serves"
}

# refuse RELEASE: ends a deploy that has changed nothing yet.
refuse() {
  rm -r "$1"
  fail "nothing was changed"
}

deploy() {
  local program=${FIELD_NOTES_PROGRAM:-} release previous='' new run status
  if [ -z "$program" ]; then
    make build
    program=${CARGO_TARGET_DIR:-target}/release/field-notes
  fi
  [ ! -L "$current" ] || previous=$(basename "$(readlink "$current")")
  release=$(date -u +%Y%m%dT%H%M%S.%3NZ)-$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
  new=$folder/releases/$release
  mkdir -p "$new"
  install -m 755 "$program" "$new/field-notes"
  echo "$previous" >"$new/previous"

  say "checking"
  "$new/field-notes" migrate preflight || refuse "$new"
  "$new/field-notes" migrate check --before-deploy || refuse "$new"
  say "backing up"
  status=0
  "$new/field-notes" migrate backup --reason "before the deploy of $release" || status=$?
  # 2: a store that does not exist yet, which its migrations create.
  if [ "$status" != 0 ] && { [ "$status" != 2 ] || [ -n "$previous" ]; }; then refuse "$new"; fi
  say "migrating"
  echo "$release" >"$folder/unfinished"
  "$new/field-notes" migrate up --json >"$new/up.json" || { cat "$new/up.json" >&2; fail "the former program still runs; $(remedy "$release")"; }
  rm "$folder/unfinished"
  # Nothing to roll back later if nothing was applied.
  if ! grep -q '"applied": \[\]' "$new/up.json"; then
    run=$(sed -n 's/^  "run_id": "\(.*\)",\{0,1\}$/\1/p' "$new/up.json")
    echo "${run:?the output of migrate up names its run}" >"$new/run"
    "$new/field-notes" migrate status >&2
  fi
  start "$release" || fail "the server does not start; make rollback-prod undoes this deploy"

  # The last five programs stay.
  find "$folder/releases" -mindepth 1 -maxdepth 1 -type d | sort -r | tail -n +6 | xargs -r rm -r
}

# Says what to do after migrations of a release failed.
remedy() {
  echo "remove the cause and deploy again, or run $folder/releases/$1/field-notes migrate down; docs/migrations.md has the runbook"
}

rollback() {
  local release previous run
  [ ! -e "$folder/unfinished" ] || fail "the last deploy failed while it migrated, so its program was not started: $(remedy "$(cat "$folder/unfinished")")"
  [ -L "$current" ] || fail "nothing is deployed"
  release=$(basename "$(readlink "$current")")
  previous=$(cat "$current/previous")
  [ -n "$previous" ] && [ -x "$folder/releases/$previous/field-notes" ] || fail "there is no program from before $release"
  if [ -e "$current/run" ]; then
    run=$(cat "$current/run")
    say "rolling back the migrations of $release"
    # By the newer program: the older one does not know them. Edits that are lost are backed up first.
    "$current/field-notes" migrate down --run "$run" --yes
    rm "$current/run"
  fi
  start "$previous" || fail "the server does not start"
}

case ${1:-} in
  deploy | rollback) "$1" ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
