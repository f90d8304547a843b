# The only door. Every target sets itself up; `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
ifneq (,$(wildcard .env))
include .env
export $(shell sed -n 's/^\([A-Z_]*\)=.*/\1/p' .env)
endif

BIN := .venv/bin
PYTHON_FILES := libs services tests scripts dashboards benchmarks
PYTEST := $(BIN)/python -m pytest
READY := .venv/.ready
PACKAGES := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)

##@ Start here
help: ## list every target
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make .venv with everything; instant when it is there

$(READY): requirements/dev.txt scripts/setup $(PACKAGES)
	scripts/setup
	@touch $@

paper: $(READY) ## trade on simulated venues, here: DURATION=60 UNIVERSE=top10 SIM_REGIME=lively
	$(BIN)/interlock up $(if $(DURATION),--duration $(DURATION)) $(if $(UNIVERSE),--universe $(UNIVERSE))

test: lint types imports docs-check $(READY) ## everything but the containers: what must hold before a commit
	$(PYTEST) tests --ignore=tests/container

##@ The running stack (native, or compose)
status: $(READY) ## may it trade, and how does it go: WATCH=1 keeps showing it
	$(BIN)/interlock status $(if $(WATCH),--watch)

preflight: $(READY) ## the seven checks; never connects to a real venue
	$(BIN)/interlock preflight

arm: $(READY) ## arm live trading for one session (asks; the gatekeeper decides)
	$(BIN)/interlock arm

disarm: $(READY) ## take an arm back, or end the live session
	$(BIN)/interlock disarm

kill: $(READY) ## stop every new order now; stays until a reset
	$(BIN)/interlock kill

reset: $(READY) ## clear the kill latch; never arms: CAUSE=... RESIDUAL=hash, or asked for
	$(BIN)/interlock reset $(if $(CAUSE),--cause "$(CAUSE)") $(if $(RESIDUAL),--residual $(RESIDUAL))

reconcile: $(READY) ## our books beside the venues' accounts, read now
	$(BIN)/interlock reconcile

flatten: $(READY) ## close what a halt left, by orders that only reduce: RESIDUAL=hash
	$(BIN)/interlock flatten --residual "$(RESIDUAL)"

drill: $(READY) ## kill a throw-away gatekeeper twenty times; arming needs it within 24 hours
	$(BIN)/interlock drill

renew: $(READY) ## give a continuous session four more hours
	$(BIN)/interlock renew

##@ Containers
up: ## start the compose stack and wait until it is healthy
	INTERLOCK_COMMIT=$${INTERLOCK_COMMIT:-$$(git diff --quiet HEAD 2>/dev/null && git rev-parse HEAD || echo unknown)} \
		docker compose up -d --build --wait

down: ## stop the compose stack; its data stays
	docker compose down

logs: ## follow the compose stack's logs
	docker compose logs -f --tail 50

container: $(READY) ## prove the compose stack in a container engine
	$(PYTEST) tests/container

##@ Checks, one by one
fmt: $(READY) ## format, and mend what can be mended
	$(BIN)/ruff format $(PYTHON_FILES)
	$(BIN)/ruff check --fix-only $(PYTHON_FILES)

lint: $(READY) ## ruff, and our own rules
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/python scripts/lints/run.py

types: $(READY) ## mypy, strict
	$(BIN)/mypy

imports: $(READY) ## who may import whom
	$(BIN)/lint-imports

arch: imports ## imports, and the tests of layout, settings and rules
	$(PYTEST) tests/architecture

unit: $(READY) ## unit tests and the venues' golden bytes: no sockets, no processes
	$(PYTEST) tests/unit tests/wire

coverage: $(READY) ## every branch of what decides is taken by a unit test
	LIFECYCLE_EXAMPLES=200 $(PYTEST) tests/unit/gatekeeper --ignore=tests/unit/gatekeeper/test_seeded_faults.py \
		--cov --cov-config=tests/core.coveragerc --cov-report=term-missing

lifecycle: $(READY) ## other lives of the gatekeeper under its invariants, at random: EXAMPLES=20000
	LIFECYCLE_EXAMPLES=$(or $(EXAMPLES),20000) $(PYTEST) tests/unit/gatekeeper/test_lifecycle.py

crashes: $(READY) ## kill engine and gatekeeper at each step of an order's life, then check the books: SEEDS=9
	CRASH_SEEDS=$(or $(SEEDS),9) $(PYTEST) tests/simulation/test_crashes.py

faulty: $(READY) ## trade while one venue call in ten goes wrong: it must end flat: TRIPS=1000
	FAULTY_TRIPS=$(or $(TRIPS),1000) $(PYTEST) tests/simulation/test_faulty.py

model: ## check the design's model with Spin: LONG=1 searches the large configurations too
	model/run $(if $(LONG),--long)

mutants: $(READY) ## change the safety core line by line: does a test notice? ONLY="policy arming"
	$(BIN)/python scripts/mutants.py $(ONLY)

integration: $(READY) ## real services on loopback
	$(PYTEST) tests/integration

stack: $(READY) ## the whole native stack, started, stopped, killed
	$(PYTEST) tests/stack

bench-gatekeeper: $(READY) ## measure decision, order round trip and kill: BENCH="--write docs/BENCHMARKS.md"
	$(BIN)/python -m benchmarks.gatekeeper $(BENCH)

browser: $(READY) ## the console in a real browser: apt-get install chromium, or CHROMIUM=/path
	$(PYTEST) tests/browser

fuzz: $(READY) ## the parsers of what others send, against atheris: SECONDS=60
	$(BIN)/python -m tests.fuzz.run $(or $(SECONDS),60)

docs-check: $(READY) ## links, named targets, .env.example, the generated tables
	$(BIN)/python scripts/docs_check.py
	$(BIN)/python scripts/env_example.py --check
	$(BIN)/python scripts/safety_tables.py --check && $(BIN)/python scripts/fault_tables.py --check

##@ Upkeep
safety-tables: $(READY) ## write docs/reference/safety-tables.md from the gatekeeper's code
	$(BIN)/python scripts/safety_tables.py

fault-tables: $(READY) ## write docs/reference/faults.md from the simulator's code
	$(BIN)/python scripts/fault_tables.py

env-example: $(READY) ## write .env.example from the services' settings
	$(BIN)/python scripts/env_example.py

locks: $(READY) ## write requirements/*.txt from every pyproject.toml
	$(BIN)/python scripts/locks

changelog: $(READY) ## show what the next release says
	$(BIN)/python scripts/changelog.py

clean: ## remove caches; keeps .venv, runs and var
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find libs services tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup paper test fuzz status preflight arm disarm kill reset reconcile flatten drill renew up down logs container fmt lint \
	types imports arch unit coverage lifecycle crashes faulty model mutants integration stack browser bench-gatekeeper docs-check safety-tables fault-tables env-example \
	locks changelog clean
