# Two commands on a fresh machine with Python 3.11 or later and make:
#   make demo     sets everything up in .venv and makes a batch of images with the sandbox
#   make test     sets everything up in .venv and passes the tests
PYTHON ?= $(firstword $(foreach one,python3 python3.13 python3.12 python3.11,$(shell $(one) -c 'import sys; sys.version_info >= (3, 11) and print("$(one)")' 2>/dev/null)))
BIN := .venv/bin
# Thousands of small files are made and thrown away: in memory where the system offers that.
RAM := $(if $(wildcard /dev/shm/.),TMPDIR=/dev/shm )

.PHONY: demo test browser lint format soak bench clean

demo: .venv/.user
	$(BIN)/banana-batch run specs/quickstart.yaml --sandbox

test: .venv/.dev
	$(RAM)$(BIN)/python -m pytest -n auto --dist worksteal -m "not browser"

browser: .venv/.dev
	$(RAM)$(BIN)/python -m pytest -m browser tests/gallery

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: .venv/.dev
	$(BIN)/python benchmarks/soak.py

bench: .venv/.dev
	$(BIN)/python benchmarks/bench.py

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "banana-batch needs Python 3.11 or later; none was found"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.user: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch .venv/.user $@

clean:
	rm -rf .venv build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis
