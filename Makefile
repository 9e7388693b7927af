# The verbs of this project; .ci/run uses the same.  Each makes .venv on first use.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt

.PHONY: all demo test slow check docs bench clean
all: check test

demo: .venv/core        ## compare scikit-learn and PyTorch on bundled data, and name the report
	$(BIN)/manumatic compare --out demo --force
	@echo "The report is $(CURDIR)/demo/report.html"

test: .venv/dev         ## the quick tests, the examples in the docstrings among them
	$(BIN)/pytest -q -n auto --dist worksteal

slow: .venv/dev         ## the tests that take longer
	$(BIN)/pytest -q -n auto --dist worksteal -m "slow and not gpu"

check: .venv/dev        ## format, lint, types, layers, budgets and words
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_architecture.py tests/test_words.py

docs: .venv/dev         ## run every block and command line that README and docs show
	$(BIN)/pytest -q tests/test_readme.py

bench: .venv/bench      ## measure again what the docs claim, and rewrite their tables
	for claim in $$(grep -l -e '"--write"' benchmarks/*.py); do \
	    $(BIN)/python $$claim --write || exit 1; \
	done

clean:
	rm -rf .venv demo build dist

# torch on its own first: alone, the pinned build is taken; in a crowd, a newer one may be.
.venv/core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) $$(grep '^torch==' constraints.txt)
	$(PIP) -e .
	touch $@

.venv/dev: .venv/core
	$(PIP) -e '.[dev]'
	touch $@

.venv/bench: .venv/dev
	$(PIP) -e '.[dev,bench]'
	touch $@
