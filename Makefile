# Everything a developer or a newcomer runs. `make` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable

.PHONY: help demo install test check check-all lint format methods clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(BIN)/python:
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Homeport needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing Homeport and PyTorch (the first time this downloads a few hundred MB or more)"
	@$(INSTALL) '.[demo]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing Homeport and what its tests need"
	@$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo ## Train, pack, serve, register, deploy and predict a real model
	@$(BIN)/python examples/demo.py $(DEMO)

install: $(VENV)/.dev ## Make the virtual environment with everything for development

test: $(VENV)/.dev ## Install what the tests need and run them
	@$(BIN)/python -m pytest --numprocesses 4 $(TEST)

lint: $(VENV)/.dev ## Check form, types and the layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

check: lint test ## What CI runs: lint and test

check-all: check $(VENV)/.dev ## check, and all that takes longer or needs the peers (an hour)
	@$(BIN)/python -m pytest -m clients tests/conformance
	@$(BIN)/python -m pytest -m storms tests/service
	@$(BIN)/python -m pytest -m long tests
	@$(BIN)/python -m pytest -m containers tests
	@$(BIN)/python -m pytest -m peers tests/conformance \
		--conformance-result benchmarks/results/torchserve-conformance.md
	@$(BIN)/python benchmarks/packing.py --output benchmarks/results/packing.json
	@$(BIN)/python benchmarks/store.py --output benchmarks/results/store.json
	@$(BIN)/python benchmarks/uploading.py --output benchmarks/results/uploading.json
	@$(BIN)/python benchmarks/registry.py --output benchmarks/results/registry.json
	@$(BIN)/python benchmarks/serving.py --output benchmarks/results/serving.json
	@$(BIN)/python benchmarks/batch.py --output benchmarks/results/batch.json
	@$(BIN)/python benchmarks/online.py --output benchmarks/results/online.json
	@$(BIN)/python benchmarks/second_version.py --output benchmarks/results/second_version.json

format: $(VENV)/.dev ## Put the code into form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

methods: $(VENV)/.dev ## Write the table of all methods into docs/compatibility.md
	@$(BIN)/python -W ignore tests/vertex_methods.py

clean: ## Remove the demo's folder and caches, not the virtual environment
	@rm -rf demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
