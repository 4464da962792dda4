# make demo, make test, make check, make bench: each sets up .venv first where that is still to be done.

SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
READY := $(VENV)/ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: help demo test check bench setup install peers format lock clean

help:
	@echo "make demo    set up .venv and run the main job on a rendered junction"
	@echo "make test    set up .venv and run the tests"
	@echo "make check   lint, format, types and import contracts"
	@echo "make bench   every question of speed, beside the peers that are installed"
	@echo "make peers   add programs of others that tests and benchmarks hold us against"
	@echo "make format  format the sources in place"
	@echo "make lock    resolve constraints.txt anew (needs uv)"
	@echo "make clean   remove .venv and what tools left behind"

setup: $(READY)

install: $(INSTALLED)

$(READY): $(INSTALLED)
	$(BIN)/python -m kernels.warm
	@touch $@

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.13 with venv was found; on Debian: apt-get install python3-venv; \
or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --only-binary :all: --require-hashes -r constraints.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	$(BIN)/gantry demo --force

test: $(READY)
	$(BIN)/python -m pytest

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks --peers

peers: $(INSTALLED)
	$(BIN)/python -m pip freeze --exclude-editable >$(VENV)/pinned.txt
	$(PIP) install --quiet --only-binary :all: --constraint $(VENV)/pinned.txt --no-build-isolation -e '.[formats,scenes,peers]'
	$(PIP) install --quiet --only-binary :all: --no-deps 'trackeval>=1.3,<2' 'trackers>=2.6,<3'

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Needs uv. The file holds names, versions, markers and hashes, and no address: any mirror of the registry will do.
lock:
	uv pip compile pyproject.toml --extra test --universal --python-version 3.11 --fork-strategy fewest \
		--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --upgrade --quiet --output-file constraints.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .import_linter_cache dist
