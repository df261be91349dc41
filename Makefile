# `make` alone prints what there is.
.DEFAULT_GOAL := help
export EXAMPLES SEED CALLERS
SHELL := /bin/bash
target := $(or $(CARGO_TARGET_DIR),target)
# One process a test where cargo-nextest is installed, plain `cargo test` elsewhere.
runner := $(shell cargo nextest --version >/dev/null 2>&1 && echo "cargo nextest run" || echo "cargo test")

# The program, for whoever works on it.
field_notes := cargo run -q --

.PHONY: help dev-backend test test-migrations-long \
	migrate migrate-up migrate-status migrate-down migrate-down-to migrate-show migrate-history \
	migrate-create migrate-create-manual migrate-diff verify-setup pre-deploy-check \
	backup-db restore-db init-prod db-setup seed-demo db-reset \
	format format-check lint doc build openapi differences fuzz-api bench bench-micro bench-start bench-migrations docker-up docker-down clean

# For the shell, the value of a variable that has to be given.
needed = $(if $($(1)),"$$$(1)",$(error say $(1)=…))

help: ## This list
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  %-38s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev-backend: .env ## Build, migrate and serve on http://localhost:5001 (embedded store, or MONGO_URI)
	cargo run -- serve

.env:
	@cp .env.example .env && echo "wrote .env from .env.example"

test: ## The whole suite, on the embedded store and on a real mongod
	cargo build --workspace --bins
	$(target)/debug/with-mongod -- $(runner) --workspace $(ARGS)

test-migrations-long: ## The tests of migrations on a million documents, and on many random plans
	cargo build --workspace --bins
	MIGRATIONS_LONG_DOCUMENTS=1000000 PROPTEST_CASES=20000 $(target)/debug/with-mongod -- $(runner) -p field-notes -p migrator -p migrations \
		$(if $(findstring nextest,$(runner)),--profile long -E 'test(interrupted::) | test(plan::) | test(concurrency) | test(kill) | test(survive)',)

migrate migrate-up: .env ## Apply pending migrations
	$(field_notes) migrate up

migrate-status: .env ## List applied and pending migrations
	@$(field_notes) migrate status

migrate-down: .env ## Undo the last applied migration, that one only
	$(field_notes) migrate down

migrate-down-to: .env ## Undo what came after revision=ID, which stays
	$(field_notes) migrate down --to $(call needed,revision)

migrate-show: .env ## All that is known of revision=ID
	@$(field_notes) migrate show $(call needed,revision)

migrate-history: .env ## What happened, run by run
	@$(field_notes) migrate history --verbose

migrate-create migrate-create-manual: ## Write the source of a migration, by its message="what it does"
	$(field_notes) migrate new $(call needed,message)

migrate-diff: .env ## Write the migration that repairs indexes, by its message="…"
	$(field_notes) migrate diff $(call needed,message)

verify-setup: .env ## Can migrations run here, and does what they promise hold?
	$(field_notes) migrate preflight
	$(field_notes) migrate verify

pre-deploy-check: .env ## Fail if a deploy of this program would not go well
	$(field_notes) migrate check --before-deploy

backup-db: .env ## Back the database up into BACKUP_DIR
	$(field_notes) migrate backup

restore-db: .env ## Put back what backup=ID holds
	$(field_notes) migrate restore $(call needed,backup)

init-prod: .env ## A new database with all that it needs, and nothing to look at
	$(field_notes) migrate up
	$(field_notes) migrate verify

db-setup: .env ## A new database with content to look at
	$(field_notes) migrate up
	$(field_notes) seed demo

seed-demo: .env ## Add content to look at
	$(field_notes) seed demo

db-reset: .env ## Empty database=NAME and build it anew; never in production
	$(field_notes) migrate reset --drop --confirm $(call needed,database)

format: ## Format the sources
	cargo fmt --all

format-check: ## Fail if something is not formatted
	cargo fmt --all -- --check

lint: ## Clippy, every warning an error
	cargo clippy --workspace --all-targets -- -D warnings

doc: ## Build the documentation, every warning an error
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

build: ## Build the release binary
	cargo build --release --locked

openapi: ## Rewrite openapi.json from the code
	cargo run -q -- openapi > openapi.json.new && mv openapi.json.new openapi.json

differences: ## Rewrite docs/differences.md from the table in tests/differences
	WRITE_DIFFERENCES=1 cargo test -q --test differences

fuzz-api: ## Ask the API what nobody thinks of, by its own document (EXAMPLES=10 SEED=1 CALLERS="admin nobody")
	cargo build --bins
	tests/fuzz/run.sh

bench: ## Performance on the wire beside its ceilings, into docs/performance and the README (needs wrk)
	@command -v wrk >/dev/null || { echo "wrk is not installed: apt-get install wrk" >&2; exit 1; }
	$(MAKE) build
	@# A copy, since building the benchmark builds a program of its own in the same place.
	@cp $(target)/release/field-notes $(target)/release/field-notes-measured
	BENCH_PROGRAM="$(abspath $(target))/release/field-notes-measured" cargo bench --locked --bench wire

bench-micro: ## The pure parts by themselves (ARGS=part of a name)
	cargo bench --locked --bench micro -- $(ARGS)

bench-start: ## Cold start and idle memory of the release binary
	cargo bench --bench start

bench-migrations: ## Backfills beside a bare update_many, memory, a start with nothing pending
	cargo bench -p migrator --bench migrations

docker-up: .env ## Start MongoDB and the backend in containers
	docker compose up --build --detach --wait

docker-down: ## Stop them; the data stays in its volume
	docker compose down

clean: ## Remove what was built; data/ and .env stay
	cargo clean
