# `make` prints the targets.
.DEFAULT_GOAL := help
export EXAMPLES SEED CALLERS ROUNDS SECONDS QUICK
SHELL := /bin/bash
target := $(or $(CARGO_TARGET_DIR),target)
# Uses cargo-nextest (one process per test) if it is installed. Many tests wait for leases, elections and acknowledgments, so
# it runs two for each processor.
export NEXTEST_TEST_THREADS ?= $(shell expr 2 \* $$(nproc 2>/dev/null || echo 2))
runner := $(shell cargo nextest --version >/dev/null 2>&1 && echo "cargo nextest run" || echo "cargo test")

# The program, built for development. Targets that run one command of it pass ARGS on.
field_notes := cargo run -q --

.PHONY: help deps deps-dev dev dev-backend test test-unit test-integration test-coverage test-faults test-migrations-long \
	migrate migrate-up migrate-status migrate-down migrate-down-to migrate-show migrate-history \
	migrate-create migrate-create-manual migrate-diff verify-setup pre-deploy-check \
	backup-db restore-db init-prod db-setup seed-demo db-reset deploy-prod rollback-prod \
	format format-check lint lint-ops doc build deny advisories sbom dist dist-check openapi differences security content editor-output test-fuzz fuzz fuzz-merge fuzz-api bench bench-micro bench-start bench-migrations up down logs docker-up docker-down clean

# Expands to the value of a required variable, as a shell word.
needed = $(if $($(1)),"$$$(1)",$(error say $(1)=…))

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  %-38s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Download the dependencies of the program
	cargo fetch --locked

deps-dev: deps ## Download what tests and checks need, too: nextest, test servers, fuzzer of the API, linters
	cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest
	tools/get-mongod.sh
	tools/get-buckets.sh
	tests/fuzz/run.sh --install-only
	tools/deny.sh --install-only
	tools/lint-ops.sh --install-only

dev dev-backend: .env ## Build, migrate and serve on http://localhost:5001 (embedded store, or MONGO_URI)
	cargo run -- serve

.env:
	@cp .env.example .env && echo "wrote .env from .env.example"

test: ## Run all tests, on the embedded store and on a real mongod
	@# Together with the tests, because they enable more features of shared dependencies: otherwise those compile twice.
	cargo build --workspace --bins --tests
	$(target)/debug/with-mongod -- $(runner) --workspace $(ARGS)

test-unit: ## Run the tests that are beside the code
	$(runner) --workspace --lib $(ARGS)

test-integration: ## Run the tests in tests/ folders, on both engines
	cargo build --workspace --bins --tests
	$(target)/debug/with-mongod -- $(runner) --workspace --test '*' $(ARGS)

test-coverage: ## Measure the coverage of all tests into target/llvm-cov/html; installs cargo-llvm-cov
	cargo llvm-cov --version >/dev/null 2>&1 || cargo install --locked cargo-llvm-cov
	rustup component add llvm-tools
	cargo build --workspace --bins
	$(target)/debug/with-mongod -- cargo llvm-cov $(if $(findstring nextest,$(runner)),nextest) --workspace --html $(ARGS)

test-faults: ## Test faults at full length into docs/reliability.md (ROUNDS=200 SECONDS=600 scale it)
	cargo build --workspace --bins
	cargo build --release --locked
	rm -rf "$(abspath $(target))/faults"
	FIELD_NOTES_PROGRAM="$(abspath $(target))/release/field-notes" FAULTS="$(abspath $(target))/faults" \
		$(target)/debug/with-mongod -- $(runner) --workspace --test faults \
		$(if $(findstring nextest,$(runner)),--profile faults,-- --test-threads 1) $(ARGS)
	FAULTS="$(abspath $(target))/faults" WRITE_RELIABILITY=1 cargo test -q --workspace --test faults table_is_written

test-migrations-long: ## Test migrations on a million documents, many random plans, and kills at every boundary
	cargo build --workspace --bins
	MIGRATIONS_LONG_DOCUMENTS=1000000 PROPTEST_CASES=20000 TEST_EVERY_BOUNDARY=1 \
		$(target)/debug/with-mongod -- $(runner) -p field-notes -p migrator -p migrations \
		$(if $(findstring nextest,$(runner)),--profile long -E 'test(interrupted::) | test(plan::) | test(concurrency) | binary(kill)',)

migrate migrate-up: .env ## Apply pending migrations
	$(field_notes) migrate up $(ARGS)

migrate-status: .env ## List applied and pending migrations
	@$(field_notes) migrate status $(ARGS)

migrate-down: .env ## Roll back the last applied migration
	$(field_notes) migrate down $(ARGS)

migrate-down-to: .env ## Roll back everything after revision=ID
	$(field_notes) migrate down --to $(call needed,revision) $(ARGS)

migrate-show: .env ## Show the migration revision=ID
	@$(field_notes) migrate show $(call needed,revision) $(ARGS)

migrate-history: .env ## Show the log, run by run
	@$(field_notes) migrate history --verbose $(ARGS)

migrate-create migrate-create-manual: ## Write a new migration, message="what it does"
	$(field_notes) migrate new $(call needed,message) $(ARGS)

migrate-diff: .env ## Write a migration that repairs the indexes, message="…"
	$(field_notes) migrate diff $(call needed,message) $(ARGS)

verify-setup: .env ## Check that migrations can run, and that their conditions hold
	$(field_notes) migrate preflight
	$(field_notes) migrate verify

pre-deploy-check: .env ## Fail if a deploy of this program would fail
	$(field_notes) migrate check --before-deploy $(ARGS)

backup-db: .env ## Back up the database into BACKUP_DIR
	$(field_notes) migrate backup $(ARGS)

restore-db: .env ## Restore backup=ID (ARGS=--replace to replace existing documents)
	$(field_notes) migrate restore $(call needed,backup) $(ARGS)

init-prod: .env ## Set up a new database without sample content
	$(field_notes) migrate up
	$(field_notes) migrate verify

db-setup: .env ## Set up a new database with sample content
	$(field_notes) migrate up
	$(field_notes) seed demo

seed-demo: .env ## Add sample content
	$(field_notes) seed demo $(ARGS)

db-reset: .env ## Drop all data of database=NAME and migrate again; refused in production
	$(field_notes) migrate reset --drop --confirm $(call needed,database) $(ARGS)

deploy-prod: ## Deploy this checkout here with .env: build, check, back up, migrate, start; DEPLOY_DIR=deploy
	tools/deploy.sh deploy

rollback-prod: ## Undo the last deploy: roll back its migrations, start the program of the one before
	tools/deploy.sh rollback

format: ## Format the sources
	cargo fmt --all

format-check: ## Check the formatting
	cargo fmt --all -- --check

lint: ## Run clippy; warnings are errors
	cargo clippy --workspace --all-targets -- -D warnings
	@# With the features that ship; the tests enable more.
	cargo check --workspace

lint-ops: ## Check the files of deployment: image, Compose, Caddy, systemd, Kubernetes, shell scripts
	tools/lint-ops.sh

doc: ## Build the documentation; warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

build: ## Build the release binary
	GIT_REVISION=$$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown) cargo build --release --locked

deny: ## Check licenses, bans and sources of dependencies: deny.toml
	tools/deny.sh licenses bans sources

advisories: ## Check dependencies for known vulnerabilities; needs GitHub
	tools/deny.sh advisories

sbom: ## Write the bill of materials of the binary that ships, in CycloneDX
	tools/sbom.sh

dist: ## Build the binary that ships, reproducibly; TARGET=x86_64-unknown-linux-musl for a static one
	tools/dist.sh $(TARGET)

dist-check: ## Build the last commit twice, in different folders and at different times, and compare (QUICK=1: unoptimized)
	tools/dist-check.sh

openapi: ## Generate openapi.json
	cargo run -q -- openapi > openapi.json.new && mv openapi.json.new openapi.json

differences: ## Generate docs/differences.md from tests/differences
	WRITE_DIFFERENCES=1 cargo test -q --test differences

security: ## Generate the table of attacks in SECURITY.md from tests/attacks
	WRITE_SECURITY=1 cargo test -q --test attacks security_document_has_the_table_of_cases

content: ## Generate the tables of docs/content.md from the allow-list
	WRITE_CONTENT=1 cargo test -q --lib documentation_lists_what_is_kept

editor-output: ## Render tests/editor/output.json with the TipTap packages (needs Node and npm)
	cd tests/editor && npm ci --silent && npm run --silent render

test-fuzz: ## Run every fuzz target on mutations of its inputs, each for SECONDS=18
	FUZZ_SECONDS=$(or $(SECONDS),18) NEXTEST_TEST_THREADS=$$(nproc 2>/dev/null || echo 2) $(runner) --workspace --lib fuzz:: \
		$(if $(findstring nextest,$(runner)),--success-output immediate,-- --nocapture)

# The instrumented build has a folder of its own, and the versions of the workspace.
fuzzer = cp Cargo.lock fuzz/Cargo.lock && mkdir -p $(target)/fuzz/corpus/$(call needed,TARGET) && \
	cargo fuzz run --sanitizer $(or $(SANITIZER),none) --target-dir "$(abspath $(target))/fuzz" $(TARGET)

fuzz: ## Fuzz TARGET=sanitizer for SECONDS=600, guided by coverage; needs cargo-fuzz and a C++ compiler
	$(fuzzer) $(target)/fuzz/corpus/$(TARGET) fuzz/corpus/$(TARGET) $(wildcard fuzz/regressions/$(TARGET)) -- \
		-max_total_time=$(or $(SECONDS),600) -max_len=4096 -timeout=10 -print_final_stats=1 \
		$(addprefix -dict=,$(wildcard fuzz/dictionaries/$(TARGET).dict))

fuzz-merge: ## Add the inputs that make fuzz found and that reach something new to fuzz/corpus/TARGET
	$(fuzzer) fuzz/corpus/$(TARGET) $(target)/fuzz/corpus/$(TARGET) -- -merge=1 -max_len=400

fuzz-api: ## Fuzz the API from its OpenAPI document (EXAMPLES=10 SEED=1 CALLERS="admin anonymous")
	cargo build --bins
	tests/fuzz/run.sh

bench: ## Measure performance on the wire into docs/performance and the README (needs wrk)
	@command -v wrk >/dev/null || { echo "wrk is not installed: apt-get install wrk" >&2; exit 1; }
	$(MAKE) build
	@# A copy, because building the benchmark overwrites the binary.
	@cp $(target)/release/field-notes $(target)/release/field-notes-measured
	BENCH_PROGRAM="$(abspath $(target))/release/field-notes-measured" cargo bench --locked --bench wire

bench-micro: ## Run the micro benchmarks (ARGS=part of a name)
	cargo bench --locked --bench micro --bench sanitizer -- $(ARGS)

bench-start: ## Measure cold start and idle memory of the release binary
	cargo bench --bench start

bench-migrations: ## Measure backfills, memory, and a start with nothing pending
	cargo bench -p migrator --bench migrations

up docker-up: .env ## Start MongoDB and the backend in containers
	GIT_REVISION=$$(git rev-parse --short=12 HEAD 2>/dev/null) SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null) \
		docker compose up --build --detach --wait

down docker-down: ## Stop the containers; the data stays in its volume
	docker compose down

logs: ## Follow the logs of the containers
	docker compose logs --follow --tail 100

clean: ## Remove build artifacts; data/ and .env stay
	cargo clean
