# Bare `make` lists the commands. `make run` and `make test` need Python >= 3.11 and git, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DATABASE ?= embedded
TIMESCALE := var/timescaledb
# A file that pytest should look at alone: make test ONLY=tests/jt808
ONLY ?=
SECONDS_TO_FUZZ ?= 600

WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev console run serve test fuzz pictures lint format types client protocol-docs bench lock timescaledb clean

help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Roadwarden needs Python 3.11 or newer; $(PYTHON) is older. Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@echo "── 1/3 Python environment in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv failed; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "── 2/3 dependencies, pinned and checked by hash (about half a minute)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@echo "── 3/3 Roadwarden itself"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "── tools for tests and checks"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

src/api/console/index.html: $(VENV)/.runtime $(WEB_SOURCES)
	@echo "── building the console"
	@$(BIN)/python web/build.py

setup: $(VENV)/.runtime src/api/console/index.html ## everything `make run` needs, and .venv/bin/roadwarden
setup-dev: setup $(VENV)/.dev ## and what the tests need

console: src/api/console/index.html ## build the operator's console into the Python package

timescaledb: $(TIMESCALE)/usr/lib/postgresql/17/lib/timescaledb.so ## the relocatable TimescaleDB tree (Debian-like hosts on amd64)
$(TIMESCALE)/usr/lib/postgresql/17/lib/timescaledb.so:
	bash deploy/timescaledb-tree.sh $(TIMESCALE)

ifeq ($(DATABASE),timescaledb)
run: timescaledb
run: export ROADWARDEN_POSTGRES_BIN := $(abspath $(TIMESCALE))/usr/lib/postgresql/17/bin
run: export ROADWARDEN_DATA_DIR ?= var/demo-timescaledb
endif
run: setup ## server + database + 200 simulated vehicles + simulated superior platform (DATABASE=timescaledb for the real one)
	@exec $(BIN)/roadwarden demo

serve: setup ## the server alone
	@exec $(BIN)/roadwarden serve

test: setup-dev ## all tests; what a machine lacks (browser, TimescaleDB) is skipped and said
	$(BIN)/python -m pytest $(ONLY)

fuzz: setup-dev ## ten minutes of the library's fuzzers, guided by coverage (SECONDS_TO_FUZZ=60 for one)
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS_TO_FUZZ)

pictures: setup-dev ## take the manual's pictures of the console anew
	ROADWARDEN_PICTURES=docs/pictures $(BIN)/python -m pytest tests/console

lint: setup-dev ## style, import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: setup-dev ## put the source in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup-dev ## strict type checking of src and of the console
	$(BIN)/mypy
	$(BIN)/python web/build.py check

client: setup-dev ## regenerate the console's client from the server's OpenAPI document
	$(BIN)/python -m api.openapi > web/openapi.json
	$(BIN)/python web/build.py client

protocol-docs: setup ## docs/protocol, the reference pages of every message, from the library's own registry
	$(BIN)/python -m jt808.reference docs/protocol

bench: setup-dev ## stored reports per second end to end, against the floors of the same run
	$(BIN)/python -m bench.end_to_end

lock: ## renew the locked dependencies
	$(PYTHON) -m venv var/lock && var/lock/bin/pip install --quiet uv
	var/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  --group build pyproject.toml -o requirements.lock
	var/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  --group dev pyproject.toml -c requirements.lock -o requirements-dev.lock

clean: ## remove what was built; var/ (your data) stays
	rm -rf $(VENV) src/api/console web/node_modules build dist src/*.egg-info
