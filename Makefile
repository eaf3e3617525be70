# Everything runs from a bare checkout with Python 3.11 or newer (with venv) and make. Paths stay relative: the folder's
# own name may hold spaces.
PYTHON ?= python3
BIN = .venv/bin
# Pytest's own options, e.g. make test ARGS="-k planner"
ARGS ?=
WORKERS ?= 2
# The faults that make mutation tries: empty for all (about an hour of two cores), or FAULTS="--sample 500"
FAULTS ?=
# What the long runs draw their random numbers from
ifndef SEED
SEED := $(shell date +%s)
endif
# A run starts many processes: what is imported is compiled once, not in each of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test soak mutation lint fmt bench messages migration lock licenses sbom audit

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 ~/p' Makefile | awk -F'~' '{printf "%-20s%s\n", $$1, $$2}'

setup: ## virtual environment, locked packages, front end
	@$(PYTHON) scripts/bootstrap.py run

setup-dev: ## the same, with what checks and tests need
	@$(PYTHON) scripts/bootstrap.py dev

run: setup ## the whole clinic on this machine, until Ctrl-C
	@exec $(BIN)/clinic run

test: setup-dev ## every test, real browser included
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

soak: setup-dev ## the long runs: faults, fuzzing, load, every width and language
	@echo "soak: seed $(SEED); the same again: make soak SEED=$(SEED)"
	@exec env SEED=$(SEED) $(BIN)/python -m pytest -m soak --hypothesis-seed=$(SEED) $(ARGS)
	@$(MAKE) --no-print-directory mutation FAULTS="--sample 1000 --seed $(SEED)"

mutation: setup-dev ## faults put into the eligibility engine, all 8,700: a test must see nine of ten (soak: 1,000 by its seed)
	@exec nice $(BIN)/python tests/mutation.py $(FAULTS)

lint: setup-dev ## style, types, import contracts, compose file, Bandit
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive clinic workers scripts migrations

fmt: setup-dev ## put the code in order
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: setup-dev ## what speed is measured: each question prints a ratio and its parts
	@exec $(BIN)/python benchmarks/run.py $(ARGS)

messages: setup ## collect what patients read, bring the translations up to date
	@exec $(BIN)/python scripts/messages.py $(ARGS)

migration: setup ## a new migration from the models: make migration NAME=add_rooms
	@exec $(BIN)/clinic db migration "$(NAME)"

# Files of the OSV database, got by whoever has a network: make audit ADVISORIES="all.zip extra.json"
ADVISORIES ?=
licenses: setup-dev ## docs/licenses.md from the locks and what is installed
	@$(BIN)/python scripts/supply.py licenses

sbom: setup-dev ## what Daybreak is made of, as CycloneDX JSON on standard output
	@$(BIN)/python scripts/supply.py sbom

audit: setup-dev ## advisories that speak of a locked package, offline: make audit ADVISORIES="FILE..."
	@$(BIN)/python scripts/supply.py audit $(ADVISORIES)

# For maintainers; needs uv. Only this rule does.
UV_COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links
lock: ## new lock files after a change of requirements*.in
	@$(UV_COMPILE) requirements-dev.in -o requirements-dev.lock
	@$(UV_COMPILE) requirements.in -c requirements-dev.lock -o requirements.lock
