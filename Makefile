# Everything from a fresh clone with Python 3.11 or newer, pip and make: `make demo`, `make test`.
#
# The virtual environment is made on first use and renewed when pyproject.toml or constraints.txt
# change; the stamp files inside it remember what is installed.

VENV ?= .venv
BIN := $(VENV)/bin

# The first Python on the path that is new enough; another one: make PYTHON=/path/to/python3.12 ...
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$name" && break; done)
endif

VENV_TIMM ?= .venv-timm
VENV_KERAS ?= .venv-keras

STAMP := $(VENV)/.made
STAMP_USE := $(VENV)/.installed
STAMP_DEV := $(VENV)/.installed-dev
REQUIREMENTS := pyproject.toml constraints.txt
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-timm test-keras family check lint types layers format install install-dev clean

help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP_USE)  ## Synthetic data, training, prediction, evaluation and report, in minutes
	$(BIN)/ushape demo --out demo

test: $(STAMP_DEV)  ## Run all tests
	$(BIN)/python -m pytest $(ARGS)

test-timm: $(VENV_TIMM)/.installed  ## Test pretrained encoders, in an environment of their own
	$(VENV_TIMM)/bin/python -m pytest tests/timm $(ARGS)

test-keras: $(VENV_KERAS)/.installed  ## Compare converted weights with Keras, likewise
	$(VENV_KERAS)/bin/python -m pytest tests/keras $(ARGS)

family: $(STAMP_DEV)  ## Write docs/family.md and its pictures anew
	$(BIN)/python docs/make_family.py

check: lint types layers  ## Check format, lint, types and layers

lint: $(STAMP_DEV)  ## Check format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP_DEV)  ## Check types
	$(BIN)/mypy

layers: $(STAMP_DEV)  ## Check that imports only go down
	$(BIN)/lint-imports --no-logo

format: $(STAMP_DEV)  ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(STAMP_USE)  ## Only make the environment, to use ushape

install-dev: $(STAMP_DEV)  ## Only make the environment, to develop ushape

clean:  ## Remove the environment, the demo and all caches
	rm -rf $(VENV) $(VENV_TIMM) $(VENV_KERAS) demo build dist .pytest_cache .mypy_cache \
		.ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP):
	@test -n "$(PYTHON)" || { echo "ushape needs Python 3.11 or newer, and none is on the path." \
		"Install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON)." \
		"Name a Python that exists: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "ushape needs Python 3.11 or newer; $(PYTHON) is `"$(PYTHON)" -V 2>&1`." \
		"Install a newer one, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: its venv module is missing." \
		"On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

$(STAMP_USE): $(STAMP) $(REQUIREMENTS)
	@echo "Installing ushape and what it needs into $(VENV); torch makes this take minutes ..."
	$(PIP_INSTALL) -e .
	@touch $@

$(STAMP_DEV): $(STAMP) $(REQUIREMENTS)
	@echo "Installing ushape and its tools into $(VENV); torch makes this take minutes ..."
	$(PIP_INSTALL) -e ".[dev]"
	@touch $(STAMP_USE) $@

$(VENV_TIMM)/.installed: $(REQUIREMENTS) environments/timm.txt
	"$(PYTHON)" -m venv --clear $(VENV_TIMM)
	$(VENV_TIMM)/bin/python -m pip install --disable-pip-version-check -c constraints.txt \
		-e . -r environments/timm.txt
	@touch $@

$(VENV_KERAS)/.installed: $(REQUIREMENTS) environments/keras.txt
	"$(PYTHON)" -m venv --clear $(VENV_KERAS)
	$(VENV_KERAS)/bin/python -m pip install --disable-pip-version-check -c constraints.txt \
		-e . -r environments/keras.txt
	@touch $@
