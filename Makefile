# The only door. Every target sets itself up; `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
ifneq (,$(wildcard .env))
include .env
export $(shell sed -n 's/^\([A-Z_]*\)=.*/\1/p' .env)
endif

BIN := .venv/bin
PYTHON_FILES := libs services tests scripts dashboards
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

reset: $(READY) ## clear the kill latch; never arms
	$(BIN)/interlock reset

##@ Containers
up: ## start the compose stack and wait until it is healthy
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

integration: $(READY) ## real services on loopback
	$(PYTEST) tests/integration

stack: $(READY) ## the whole native stack, started, stopped, killed
	$(PYTEST) tests/stack

docs-check: $(READY) ## links, named targets, .env.example
	$(BIN)/python scripts/docs_check.py
	$(BIN)/python scripts/env_example.py --check

##@ Upkeep
env-example: $(READY) ## write .env.example from the services' settings
	$(BIN)/python scripts/env_example.py

locks: $(READY) ## write requirements/*.txt from every pyproject.toml
	$(BIN)/python scripts/locks

changelog: $(READY) ## show what the next release says
	$(BIN)/python scripts/changelog.py

clean: ## remove caches; keeps .venv, runs and var
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find libs services tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup paper test status preflight arm disarm kill reset up down logs container fmt lint \
	types imports arch unit integration stack docs-check env-example locks changelog clean
