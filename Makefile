# A fresh machine needs Python 3.11, pip and make; `make demo` and `make test` set up the rest in .venv.
# Python 3.12 works too, but there expelliarmus (tonic needs it) has no wheel and asks for a C compiler.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
    $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && { echo $$p; exit; }; done)
BIN := .venv/bin
READY := .venv/ready

# Whole files go to each core, the longest first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder
PACKAGE ?=

.PHONY: demo test test-fast coverage durations results check setup peers clean

demo: $(READY)
	$(BIN)/spikeplan demo

test: $(READY)
	$(PYTEST)

# What takes no more than seconds, of one package or of all: make test-fast PACKAGE=energy
test-fast: $(READY)
	$(PYTEST) -m "not slow" tests/$(PACKAGE)

coverage: $(READY)
	$(PYTEST) --cov --cov-report=term:skip-covered

# Stores how long each file takes, and names tests that are slow and not marked so.
durations: $(READY)
	$(PYTEST) --store-durations

results: $(READY)
	$(BIN)/spikeplan results

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(READY)

# What the benchmarks compare with and nothing of ours needs.
peers: $(READY)
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --ignore-requires-python -r requirements-peers.txt

# Debian's Python has no ensurepip without python3-venv: then the pip at hand installs one into the venv.
$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or 3.12 found; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv || { $(PYTHON) -m venv --clear --without-pip .venv \
	    && $(PYTHON) -m pip --python .venv/bin/python install pip; }

# setuptools is among the pins, so the build needs no environment of its own.
$(READY): pyproject.toml requirements.txt requirements-nodeps.txt | $(BIN)/pip
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --ignore-requires-python -r requirements-nodeps.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
