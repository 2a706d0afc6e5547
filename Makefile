# make run: set up and open the dashboard. make test: set up and pass the tests. make help lists the rest.
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help run test lint bench demo setup setup-dev clean

help:
	@echo "make run [ARGS='--port 7860']  set up and open the dashboard"
	@echo "make test                      set up, lint and run every test"
	@echo "make bench                     measure speed and quality, also against the peers (about 90 minutes)"
	@echo "make demo                      make the shipped demo run anew (about 10 minutes)"
	@echo "make clean                     remove the environment; runs stay"

run: $(VENV)/.ready
	$(BIN)/python app.py $(ARGS)

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "DreamLab needs Python 3.11, 3.12 or 3.13; name one with make PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || $(PYTHON) -m virtualenv -q $(VENV) 2>/dev/null || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian: apt-get install python3-venv)."; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv

$(VENV)/.ready: requirements.txt pyproject.toml | $(BIN)/uv
	@echo "Installing what DreamLab runs on (once; about a minute on a fast line)."
	@$(BIN)/uv pip install -q --python $(BIN)/python -r requirements.txt
	@touch $@

$(VENV)/.ready-dev: requirements-dev.txt pyproject.toml $(VENV)/.ready
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -r requirements-dev.txt
	@touch $@

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/.ready-dev lint
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.ready-dev
	$(BIN)/python -m tests.bench $(ARGS)

demo: $(VENV)/.ready-dev
	$(BIN)/python -m tests.make_demo

clean:
	rm -rf $(VENV)
