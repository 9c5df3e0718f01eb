# What a user and a developer run. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv
UV_VERSION := $(shell sed -n 's/^  "uv==\(.*\)",$$/\1/p' pyproject.toml)
PIP_AUDIT_VERSION := 2.10.1
SEEDS ?= 10000
MINUTES ?= 10
RELEASES ?= 100

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint audit format simulate test-faults soak bench bench-stack docs reference schema manual screenshots

##@ To use it

help: ## list what there is
	@sed -n -e 's/^##@ \(.*\)/\n\1/p' -e 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(VENV)/ready ## make .venv with everything in it, from the lock file

$(VENV)/ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Lockstep needs Python 3.11 or newer: make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo 'Python has no venv module here; on Debian: apt-get install python3-venv'; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) 2>/dev/null \
		|| $(BIN)/python -m pip install uv==$(UV_VERSION)
	@$(UV) sync --quiet --frozen --all-extras --compile-bytecode
	@$(BIN)/python -m compileall -q src
	@touch $@

demo: setup ## take two real releases through all their steps, live in the terminal; options in ARGS
	@$(BIN)/lockstep demo $(ARGS)

##@ While working on it

test: setup lint ## check types, style and layers, and pass every test (those in a browser need chromium)
	@$(BIN)/pytest -n auto --dist worksteal

lint: setup ## check types, style and layers only
	@$(BIN)/ruff check src tests bench examples handbook
	@$(BIN)/ruff format --check --quiet src tests bench examples handbook
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

audit: setup ## look up what is known against the libraries of the lock file (needs the network)
	@$(UV) export --quiet --frozen --all-extras --no-emit-project --output-file $(VENV)/locked.txt
	@$(UV) tool run pip-audit@$(PIP_AUDIT_VERSION) --strict --require-hashes --disable-pip --requirement $(VENV)/locked.txt

format: setup ## put the code into its form
	@$(BIN)/ruff check --fix --quiet src tests bench examples handbook
	@$(BIN)/ruff format --quiet src tests bench examples handbook

simulate: setup ## run SEEDS seeds of the simulation (10000)
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

test-faults: setup ## hurt the whole stack, as real processes, at many random moments (FAULT_ROUNDS=30)
	@FAULT_ROUNDS=$(or $(FAULT_ROUNDS),30) $(BIN)/pytest tests/faults tests/kill -s

soak: setup ## random faults for MINUTES (10) over RELEASES (100); SEED repeats a run
	@$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) --releases $(RELEASES) $(if $(SEED),--seed $(SEED))

##@ To measure it

bench: setup ## measure, and write docs/benchmarks.md
	@$(BIN)/python -m bench --write docs/benchmarks.md
	@$(BIN)/python -m bench.stack --write docs/benchmarks.md

bench-stack: setup ## measure the stack of several processes, and write its section of docs/benchmarks.md
	@$(BIN)/python -m bench.stack --write docs/benchmarks.md

##@ To write about it

docs: setup ## build the documentation into site/; `python3 -m http.server -d site` shows it
	@NO_MKDOCS_2_WARNING=true PYTHONPATH=. $(BIN)/python -m mkdocs build --strict --quiet

reference: setup ## write the pages of docs/reference anew from the code
	@$(BIN)/python -m handbook

schema: setup ## write docs/schema.graphql anew
	@$(BIN)/python -m lockstep.coordinator.web.graphql.sdl > docs/schema.graphql

manual: setup ## write the commands in docs/cli.md anew
	@$(BIN)/python -m lockstep.cli.manual docs/cli.md

screenshots: setup ## take pictures of the dashboard for the docs (needs a Chromium: apt-get install chromium)
	@$(BIN)/python -m tests.dashboard.screenshots docs/images
