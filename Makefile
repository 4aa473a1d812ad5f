# Everything happens in .venv, which each target makes or brings up to date by itself.
# `make help` lists the targets; PYTHON=python3.12 chooses another interpreter for a new .venv.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-color install --progress-bar off --require-hashes --no-deps --only-binary :all: -r
COMPILE := uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --extra local
STOP = { echo "outrider: $(1)" >&2; exit 2; }

# Otherwise pyright asks the network for a newer version.
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

.DEFAULT_GOAL := help
.PHONY: help run weights test crash eval-local live bench bench-workers check format pins clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

run: .venv/run  ## do the first example (on OpenRouter with OPENROUTER_API_KEY, else on the local model) and show its record
	@[ -n "$$OPENROUTER_API_KEY" ] || $(MAKE) --no-print-directory --silent weights
	@$(BIN)/python examples/01_hello.py $(if $(OPENROUTER_API_KEY),,local)
	@echo; $(BIN)/outrider show last

weights: .venv/run  ## fetch the local model (93 MB, once)
	@$(BIN)/outrider local pull

test: .venv/dev  ## run the tests on all cores; ARGS="tests/test_x.py -k word" runs some
	@$(BIN)/python -m pytest $(or $(ARGS),-n auto --dist loadfile)

crash: .venv/dev  ## kill runs at every point of the crash matrix and resume them in SQLite and in PostgreSQL (about 12 minutes)
	@OUTRIDER_CRASH=all $(BIN)/python -m pytest tests/test_crash.py

live: .venv/dev  ## ask the live OpenRouter a few things (needs OPENROUTER_API_KEY; costs under 0.01 dollars)
	@$(BIN)/python -m pytest tests/live $(ARGS)

bench: .venv/dev  ## what starting and the journal cost, against their bars (about a minute and a half)
	@$(BIN)/python tests/benchmarks/start_up.py; started=$$?; $(BIN)/python tests/benchmarks/journal.py && exit $$started

bench-workers: .venv/dev  ## runs a second of one worker, and what PostgreSQL and Temporal cost (about a minute and a half)
	@$(BIN)/python tests/benchmarks/workers.py

eval-local: .venv/dev weights  ## how often the local model is right (about 5 minutes); ARGS="sentiment --set dev" asks some
	@$(BIN)/python tests/local/evaluate.py $(ARGS)

check: .venv/dev  ## formatting, lint, strict types, layers
	@$(BIN)/ruff format --check --quiet . || $(call STOP,run make format)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports --no-cache

format: .venv/dev  ## format, and mend what the linter can mend
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

pins: .venv/dev  ## choose the newest allowed versions and write requirements/*.txt
	@$(PIP) install uv
	@$(BIN)/$(COMPILE) --group build -o requirements/run.txt
	@$(BIN)/$(COMPILE) --extra postgres --extra temporal --group dev -c requirements/run.txt -o requirements/dev.txt

clean:  ## remove .venv, caches and builds
	@rm -rf .venv dist .ruff_cache .pytest_cache .hypothesis
	@find agent tools prompts tests examples -name __pycache__ -prune -exec rm -rf {} +

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| $(call STOP,$(PYTHON) is missing or older than 3.11; choose another: make PYTHON=python3.12)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| $(call STOP,Python's venv module is missing; install it: apt-get install python3-venv)
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run .venv/dev: .venv/%: requirements/%.txt pyproject.toml | .venv/python
	@$(BIN)/python -c 'import ctypes, sys; sys.platform == "linux" and ctypes.CDLL("libgomp.so.1")' 2>/dev/null \
		|| $(call STOP,libgomp.so.1 is missing (the local model needs it); install it: apt-get install libgomp1)
	@echo "outrider: installing $< into .venv (once; takes about a minute)" >&2
	@$(INSTALL) $< > .venv/pip.log 2>&1 || { cat .venv/pip.log >&2; exit 2; }
	@awk '/^ *Downloading/ { n++; gsub(/[()]/, ""); b += $$(NF-1) * ($$NF == "MB" ? 1000 : 1) } \
		END { printf "outrider: %d packages, %.1f MB downloaded\n", n, b / 1000 }' .venv/pip.log >&2
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch .venv/run $@  # what the tests need holds all that running needs
