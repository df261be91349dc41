# `make` alone prints what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
target := $(or $(CARGO_TARGET_DIR),target)
# One process a test where cargo-nextest is installed, plain `cargo test` elsewhere.
runner := $(shell cargo nextest --version >/dev/null 2>&1 && echo "cargo nextest run" || echo "cargo test")

.PHONY: help dev-backend test migrate migrate-status migrate-down format format-check lint doc build openapi bench-start bench-migrations docker-up docker-down clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev-backend: .env ## Build, migrate and serve on http://localhost:5001 (embedded store, or MONGO_URI)
	cargo run -- serve

.env:
	@cp .env.example .env && echo "wrote .env from .env.example"

test: ## The whole suite, on the embedded store and on a real mongod
	cargo build --workspace --bins
	$(target)/debug/with-mongod -- $(runner) --workspace $(ARGS)

migrate: .env ## Apply pending migrations
	cargo run -q -- migrate up

migrate-status: .env ## List applied and pending migrations
	@cargo run -q -- migrate status

migrate-down: .env ## Undo the last applied migration, that one only
	cargo run -q -- migrate down

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
