# A fresh machine needs Python 3.11, pip and make; `make demo` and `make test` set up the rest in .venv.
# Python 3.12 and 3.13 work too where expelliarmus (tonic needs it) has a wheel or finds a C compiler.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
    $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && { echo $$p; exit; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PIP := python -m pip install --disable-pip-version-check -q

# Whole files go to each core, the longest first (tests/conftest.py).
PYTEST_ARGS := python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/$(PYTEST_ARGS)
PACKAGE ?=

.PHONY: demo test test-fast test-lowest test-py312 test-py313 coverage durations wheel results check setup peers clean docs

demo: $(READY)
	$(BIN)/spikeplan demo

# COVERAGE=1 also prints the lines that no test reaches.
test: $(READY)
	$(PYTEST) $(if $(COVERAGE),--cov --cov-report=term:skip-covered)

# What takes no more than seconds, of one package or of all: make test-fast PACKAGE=energy
test-fast: $(READY)
	$(PYTEST) -m "not slow" tests/$(PACKAGE)

coverage:
	$(MAKE) test COVERAGE=1

# Stores how long each file takes, and names tests that are slow and not marked so.
durations: $(READY)
	$(PYTEST) --store-durations

# The lowest versions that pyproject.toml allows, in a venv of their own.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) .ci/lowest.py > .venv-lowest/lowest.txt
	.venv-lowest/bin/$(PIP) -r .venv-lowest/lowest.txt $(shell grep ^setuptools= requirements.txt)
	.venv-lowest/bin/$(PIP) --no-deps --ignore-requires-python -r requirements-nodeps.txt
	.venv-lowest/bin/$(PIP) --no-deps --no-build-isolation -e .
	.venv-lowest/bin/$(PYTEST_ARGS) -m "not slow" --ignore tests/test_packaging.py

# The whole suite on another Python, with the versions of requirements.txt.
test-py312 test-py313: test-py3%:
	@python3.$* -c "" 2>/dev/null || { echo "make: no python3.$* found; install it and put it on PATH" >&2; exit 1; }
	$(MAKE) test PYTHON=python3.$* VENV=.venv-py3$*

# Both archives, checked; then the wheel alone in an empty venv, away from the checkout. What it depends on is lent by
# the venv of the checkout: a .pth file in it would not be read there, so `spikeplan` can only come from the wheel.
wheel: $(READY)
	rm -rf dist build/wheel-venv
	$(BIN)/python -m build --no-isolation . > build.log || { cat build.log; exit 1; }
	@rm build.log
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv --without-pip build/wheel-venv
	$(BIN)/python -m pip --python build/wheel-venv/bin/python install -q --no-deps --no-index dist/*.whl
	@lib=$$(echo build/wheel-venv/lib/python*/site-packages); ls $$lib; \
	    echo $(abspath $(VENV))/lib/python*/site-packages > $$lib/lent.pth
	bin=$(abspath build/wheel-venv/bin) && cd $$(mktemp -d) && $$bin/spikeplan energy devices > devices.txt && tail -n 3 devices.txt \
	    && $$bin/spikeplan doctor && $$bin/spikeplan demo --out run && ls run \
	    && $$bin/python -c "import spikeplan; assert 'wheel-venv' in spikeplan.__file__, spikeplan.__file__"

results: $(READY)
	$(BIN)/spikeplan results

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(READY)

# What the benchmarks compare with and nothing of ours needs.
peers: $(READY)
	$(BIN)/$(PIP) --no-deps --ignore-requires-python -r requirements-peers.txt

# Debian's Python has no ensurepip without python3-venv: then the pip at hand installs one into the venv.
$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 to 3.13 found; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
	    && $(PYTHON) -m pip --python $(BIN)/python install pip; }

# setuptools is among the pins, so the build needs no environment of its own.
$(READY): pyproject.toml requirements.txt requirements-nodeps.txt | $(BIN)/pip
	$(BIN)/$(PIP) -r requirements.txt
	$(BIN)/$(PIP) --no-deps --ignore-requires-python -r requirements-nodeps.txt
	$(BIN)/$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf .venv .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The pages of docs/, into site/; nothing in them is fetched from elsewhere.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html, or serve it, with search: $(BIN)/python -m http.server -d site"
