# The front door. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# One target directory for everything and every checkout, because RocksDB takes a quarter of an hour to build.
CACHE_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/luminate
export CARGO_TARGET_DIR ?= $(CACHE_DIR)/target
CARGO ?= cargo
BINARY := $(CARGO_TARGET_DIR)/release/luminate
PREFIX ?= $(HOME)/.local

# A compiler cache, where there is one, saves most of that quarter of an hour the second time.
ifneq ($(shell command -v ccache 2>/dev/null),)
export CC ?= ccache gcc
export CXX ?= ccache g++
ifeq ($(origin CC),default)
export CC := ccache gcc
endif
ifeq ($(origin CXX),default)
export CXX := ccache g++
endif
endif

.PHONY: help deps deps-test deps-bench deps-lint demo run dev binary build build-local test test-coverage chaos lint bench bench-single bench-cluster docs clean \
  clickhouse-local kafka-local clickhouse-setup env compose-up compose-down compose-logs docker-answers

help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## Install what building needs (Debian packages, by apt where root or sudo may)
	@scripts/deps.sh build

deps-test:
	@scripts/deps.sh build test

deps-bench:
	@scripts/deps.sh build bench

deps-lint: deps
	@scripts/lint_tools.sh

demo: deps ## From nothing to answers on real data: build, start, import an access log, query it
	@scripts/demo.sh

run: binary ## Start the single-node server with the settings of .env
	@if [ -f .env ]; then set -a; . ./.env; set +a; fi; exec $(BINARY) serve

dev: binary ## The same with debug logs in text and data in a folder of its own
	@if [ -f .env ]; then set -a; . ./.env; set +a; fi; \
	  LUMINATE_LOG="$${LUMINATE_LOG:-debug}" LUMINATE_DATA_DIR="$${LUMINATE_DATA_DIR:-$(CACHE_DIR)/dev}" exec $(BINARY) serve

binary: deps
	@$(CARGO) build --release --bin luminate

build: deps ## Build everything, optimised
	$(CARGO) build --release --workspace

build-local: binary ## Build and install the luminate binary into PREFIX/bin (default ~/.local/bin)
	install -D -m 0755 $(BINARY) $(PREFIX)/bin/luminate
	@echo "installed $(PREFIX)/bin/luminate"

# Most of the tests' time is waiting for engines: one more at a time than there are processors.
test: deps-test ## All tests: units, properties, conformance, and black-box tests of the real binary
	$(CARGO) build --release --workspace --all-targets
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(( $$(nproc) + 1 ))} $(CARGO) test --release --workspace
	$(CARGO) test --locked --manifest-path tests/containers/Cargo.toml

clickhouse-local: ## ClickHouse on ports 8123 and 9000, in the foreground; data is kept (cache folder, or a Docker volume)
	@scripts/deps.sh engines
	@scripts/local_engine.sh clickhouse $(CACHE_DIR)/local/clickhouse

kafka-local: ## Apache Kafka on port 9092, in the foreground; data is kept (cache folder, or a Docker volume)
	@scripts/deps.sh engines
	@scripts/local_engine.sh kafka $(CACHE_DIR)/local/kafka

clickhouse-setup: binary ## Make or change ClickHouse's tables with the settings of .env (luminate migrate)
	@if [ -f .env ]; then set -a; . ./.env; set +a; fi; exec $(BINARY) migrate

env: ## Write .env with secrets of its own, where it or they are missing
	@scripts/compose_env.sh

compose-up: docker-answers env ## Build and start the cluster of docker-compose.yml, wait until it is healthy
	docker compose up --build --detach --wait
	@echo "Luminate answers at http://127.0.0.1:8080 (LUMINATE_PORT), Grafana at http://127.0.0.1:3000 (GRAFANA_PORT; user admin, password in .env)"
	@echo "a token: docker compose exec gateway luminate token --tenant acme --scopes read,write"

compose-down: docker-answers env ## Stop the cluster of docker-compose.yml; data stays in its volumes
	docker compose down

compose-logs: docker-answers env ## Follow the logs of the cluster of docker-compose.yml
	docker compose logs --follow --tail 100

docker-answers:
	@docker compose version >/dev/null 2>&1 || { echo "Docker Compose is not there: install Docker Engine with its compose plugin (https://docs.docker.com/engine/install/)" >&2; exit 1; }
	@docker info >/dev/null 2>&1 || { echo "Docker does not answer: start it, and check that you may use it (docker info)" >&2; exit 1; }

chaos: deps-test ## Longer fault runs (a quarter of an hour with ROUNDS=10, more without); SEED=n repeats one, ONLY=name picks some
	$(CARGO) build --release --workspace --all-targets
	@name="chaos_$${ONLY:-}"; \
	  runs() { $(CARGO) test --release --workspace --test black_box -- --ignored --list "$$1" | sed -n 's/^.*::\(chaos_.*\): test$$/\1/p'; }; \
	  if [ -z "$$(runs "$$name")" ]; then \
	    echo "no run's name begins with $$name: ONLY= takes the beginning of one of these" >&2; \
	    runs chaos_ | sed 's/^chaos_/  /' | sort >&2; exit 1; \
	  fi; \
	  seed="$${SEED:-$$RANDOM$$RANDOM}"; \
	  echo "seed $$seed: make chaos SEED=$$seed$${ROUNDS:+ ROUNDS=$$ROUNDS}$${ONLY:+ ONLY=$$ONLY} repeats its choices"; \
	  LUMINATE_CHAOS_SEED="$$seed" LUMINATE_CHAOS_ROUNDS="$${ROUNDS:-}" $(CARGO) test --release --workspace --test black_box \
	  -- --ignored --nocapture "$$name"

test-coverage: deps ## Line coverage of the library crates by cargo-tarpaulin (report in the cache folder)
	@command -v cargo-tarpaulin >/dev/null || $(CARGO) install --locked cargo-tarpaulin
	$(CARGO) tarpaulin --release --workspace --engine llvm --out Html --output-dir $(CACHE_DIR)/coverage

lint: deps-lint ## Formatting, clippy, and licences, bans and sources of dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	$(CARGO) deny --locked check bans licenses sources

bench: bench-single bench-cluster ## Measure the single node beside VictoriaMetrics, then the cluster beside ClickHouse's Kafka engine

bench-single: deps-bench binary ## The single node alone: ingest, disk, memory and queries (BENCH_ARGS: luminate bench --help)
	$(BINARY) bench $(BENCH_ARGS)

bench-cluster: deps ## The cluster alone: gateway, Kafka, writer, ClickHouse, query-api (BENCH_CLUSTER_ARGS="--help")
	@scripts/deps.sh engines
	$(CARGO) build --release --workspace --bins --bench cluster
	$(CARGO) bench --workspace --bench cluster -- $(BENCH_CLUSTER_ARGS)

docs: binary ## Write the generated references (configuration, metrics, errors, OpenAPI) and the API documentation
	@scripts/generate_docs.sh $(BINARY)
	$(CARGO) doc --release --workspace --no-deps

clean: ## Remove what was built (RocksDB included: the next build takes a quarter of an hour)
	$(CARGO) clean
