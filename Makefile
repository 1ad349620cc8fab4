# Everything a developer or CI does is a target here. `make` alone lists them.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

SCENARIO ?= sim/scenarios/toulouse.yaml
JOBS ?= 2
# The lock is made with the oldest supported Python: what it can install, the newer ones can too.
LOCK_PYTHON ?= python3.11

# The first Python that really runs (a pyenv shim may exist and refuse), is 3.11 or later, and can make a venv.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$p; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := -m pip --quiet --disable-pip-version-check

.PHONY: help setup demo forecast test runtimes lint size bench soak lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv and install what requirements.lock pins

demo: runtimes ## twelve virtual nodes with the real firmware live through a night; page in build/demo
	$(BIN)/reverbere demo --out build/demo

forecast: $(STAMP) ## simulate one night of a town; reports in build/forecast (SCENARIO=file.yaml)
	$(BIN)/reverbere sim run $(SCENARIO) --out build/forecast

test: runtimes ## run the tests on CPython and both MicroPython runtimes (JOBS=2)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

runtimes: $(STAMP) ## find or fetch the 64-bit and 32-bit MicroPython, and mosquitto
	$(BIN)/python -m tests.runtimes.fetch

lint: $(STAMP) ## ruff, mypy, and the rules of this house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@echo "tests.house: the rules of this house"
	$(BIN)/python -m tests.house

size: $(STAMP) ## bytes of the firmware as compiled for the chip
	$(BIN)/python -m tests.bench.size

bench: runtimes ## measure speed; needs a quiet machine
	$(BIN)/python -m pytest -m bench -s tests

soak: runtimes ## long runs under faults (bounded to two hours a test)
	$(BIN)/python -m pytest -m soak -s -o timeout=7200 tests

lock: ## renew requirements.lock from pyproject.toml, with Python 3.11
	@$(LOCK_PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' \
	|| { echo "make lock: needs Python 3.11 with venv; say which: make lock LOCK_PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(LOCK_PYTHON) -m venv --clear build/lock
	build/lock/bin/python $(PIP) install --upgrade --editable '.[dev]' setuptools wheel
	grep '^#' requirements.lock > build/lock/requirements.lock
	build/lock/bin/python $(PIP) freeze --all --exclude pip --exclude reverbere | LC_ALL=C sort -f >> build/lock/requirements.lock
	mv build/lock/requirements.lock requirements.lock

clean: ## remove build/, .venv/ and caches
	rm -rf build $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last: an interrupted installation is done again, a finished one fetches nothing.
# --clear: what the lock no longer names is gone.
$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later with venv and ensurepip was found." >&2; \
		echo "Debian, Ubuntu: apt install python3-venv. Elsewhere: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python $(PIP) install --requirement requirements.lock \
	|| { echo "pip could not install requirements.lock: it needs a package index (PIP_INDEX_URL)" >&2; \
		echo "or a folder of wheels (PIP_FIND_LINKS). See its message above." >&2; exit 1; }
	@$(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
