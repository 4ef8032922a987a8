# The Python that .venv is made with, as in `make PYTHON=python3.12 test`.
PYTHON ?= python3

BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help .venv java demo bench unit slice test test-all matrix lint types docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv: $(INSTALLED) ## make the virtual environment, with all that the other targets need

# A group can be installed since pip 25.1, and the pip that venv brings may be older.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	  || { echo "sparklr needs Python 3.10 to 3.13, and '$(PYTHON)' is none of them: name one, as in 'make PYTHON=python3.11 .venv'." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

java: ## check that Spark will find a Java it can run on
	@bash .ci/java.sh

# Driver and workers must run the same Python, whatever the shell around them is set to.
demo bench unit slice test test-all: export PYSPARK_PYTHON := $(abspath $(BIN)/python)
demo bench unit slice test test-all: export PYSPARK_DRIVER_PYTHON := $(abspath $(BIN)/python)

demo: java $(INSTALLED) ## fit ours beside Spark's own: a table, and build/roc.png
	$(BIN)/python -m benchmarks.demo

bench: java $(INSTALLED) ## time ours against Spark's own; QUICK=1, SCALE=0.1, ONLY='corr* tiny'
	$(BIN)/python -m benchmarks.run $(strip $(if $(QUICK),--quick) $(if $(SCALE),--scale $(SCALE)) $(if $(ONLY),--only '$(ONLY)'))

# What `make test` leaves to `make test-all`.
SLOW := bench or deep or cluster or soak or parity_full or notebooks
# A process has either classic sessions or those of Spark Connect, so pytest is started twice.
CLIENT := $(BIN)/python -m tests.connect.client

unit: $(INSTALLED) ## run the tests that need no Spark session
	$(BIN)/python -m pytest --numprocesses=2 -m "not (session or $(SLOW))"

# One Spark session is bound by one core. Their output does not mix, if this version of make can.
TWO := --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

test: java $(INSTALLED) ## run the tests: those, what one Spark session can show, some on Connect
	@$(MAKE) $(TWO) unit slice
	$(BIN)/python -m pytest -m "session and not ($(SLOW))" --durations=20

slice: $(INSTALLED) # of the tests on Spark Connect
	$(CLIENT) -m "connect_slice and not (classic or deep)" --durations=10

test-all: export HYPOTHESIS_PROFILE := full
test-all: java $(INSTALLED) ## run all tests: cluster, soak, notebooks and Spark Connect too
	$(BIN)/python -m pytest --durations=60
	$(CLIENT) -m "connect and not classic" --durations=20

# .venv first on PATH: whatever Python it was made with is then at hand for nox by its version.
matrix: java $(INSTALLED) ## run on each Spark line and Python, into docs/compatibility.md; ONLY=3.5
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/nox -f .ci/noxfile.py $(if $(ONLY),-t 'spark-$(ONLY)') -- --record

lint: $(INSTALLED) ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED) ## check types
	$(BIN)/mypy

# Without the network, and with -W: a warning, a link or an anchor that leads nowhere is an error.
docs: $(INSTALLED) ## build the documentation as a site: build/site/index.html
	$(BIN)/python -m sphinx --builder html --fresh-env --write-all --fail-on-warning --keep-going --quiet \
	  --doctree-dir build/doctrees docs build/site
	@echo "build/site/index.html"

clean: ## remove what the other targets leave behind, except .venv
	rm -rf .nox build dist spark-warehouse metastore_db derby.log
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
