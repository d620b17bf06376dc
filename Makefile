# On a fresh clone, `make demo` and `make test` do everything, set-up included. Needs Python 3.11+ and make.

PYTHON ?= python3
BIN := .venv/bin
# --no-compile: most of torch is never imported; what is gets compiled then, and set-up takes half the time.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --no-compile --constraint constraints.txt
# Tests at a time. Each has one thread.
JOBS ?= 2
# Small tensors lose time to threads; the tests and the demo are made of small tensors.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check format bench fields kills wheel clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: .venv/ready  ## create .venv and install the project and its tools into it

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Homeostat needs Python 3.11 or newer and $(PYTHON) is %d.%d. Name another: make setup PYTHON=python3.12" % sys.version_info[:2])'
	@if [ -e $@ ]; then echo "pyproject.toml or constraints.txt changed: bringing .venv up to date."; \
	else echo "Setting up .venv with $$($(PYTHON) --version): about 1.8 GB and two minutes, once."; fi
	@$(PYTHON) -m venv .venv
	@echo "  torch ..."
	@$(PIP) torch
	@echo "  homeostat, its other dependencies and its tools ..."
	@$(PIP) --editable '.[dev]'
	@touch $@
	@echo "Ready. Next time this step is skipped."

.venv/ready-bench: .venv/ready
	@echo "Installing the peers that the benchmarks measure against ..."
	@$(PIP) --editable '.[dev,bench]'
	@touch $@

demo: .venv/ready  ## simulate a cohort, train on it, evaluate, write the report
	@$(BIN)/homeostat demo

test: check  ## check, then every test that is not slow
	@$(BIN)/pytest -q -n $(JOBS) -m "not slow"

test-slow: .venv/ready  ## the slow tests alone
	@$(BIN)/pytest -q -m slow

check: .venv/ready  ## format, lint, types, layers: what a commit must pass before its tests
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted. Run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@layers=$$($(BIN)/lint-imports --no-logo) || { echo "$$layers"; exit 1; }
	@echo "check: format, lint, types and layers are in order."

format: .venv/ready  ## put every file into the house format
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

bench: .venv/ready-bench  ## measure every claim of the README against its peers
	@failed=0; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || failed=1; done; exit $$failed

fields: .venv/ready  ## solve 20,000 random fields by the kernel and check every value and gradient (15 min; SEED=n)
	@$(BIN)/python benchmarks/ode_fields.py --count 20000 --seed $(or $(SEED),0)

kills: .venv/ready  ## kill whole process groups of the command line 300 times and compare every bit (an hour; SEED=n)
	@$(BIN)/python benchmarks/kills.py --kills 300 --seed $(or $(SEED),0)

wheel: .venv/ready  ## build a wheel that carries the compiled kernel, into dist/
	@$(BIN)/python -m pip wheel -qq --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean:  ## remove .venv and every cache; runs and stores stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build src/*.egg-info
