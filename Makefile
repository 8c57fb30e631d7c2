# What can be done here: `make help`.
SHELL := /bin/sh
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
LOCKED ?= .venv-locked
PYTHON311 ?= python3.11
# Where no image registry is reached: make image BASE_IMAGE=cad1-base:bookworm (see scripts/debian-base.sh)
BASE_IMAGE ?=

.PHONY: help install torch demo test test-all test-exhaustive test-locked lint format image lock requirements bench bench-validate clean

help: ## Show what can be done here
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

install: $(VENV)/.done ## Create the virtual environment with everything that development needs

$(VENV)/.done: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[score]' --group dev
	touch $@

torch: install ## Install PyTorch and the models' code for the tests of demucs and openunmix (large)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 tqdm
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps torchaudio==2.11.0 openunmix==1.3.0
	find $(VENV) -path '*torchaudio/lib/_torchaudio*.so' -delete  # built for CUDA; these models need none of it

demo: install ## Score and rank three submissions of a small synthetic challenge
	$(BIN)/cad1 demo

test: install ## Run the tests, some minutes (those that need Docker skip without an engine)
	$(BIN)/python -m pytest -n logical -m 'not slow and not exhaustive' --durations 15

test-all: test ## Run the tests that take longer, too
	$(BIN)/python -m pytest -n logical -m 'slow and not exhaustive' --durations 15

test-exhaustive: install ## Run every test: all official scores by both engines in both sandboxes (hours)
	$(BIN)/python -m pytest -n logical

test-locked: $(LOCKED)/.done ## Check our HAAQI against pyclarity itself, stage by stage, on the locked versions (Python 3.11)
	$(LOCKED)/bin/python -m pytest tests/haaqi -m 'not slow and not exhaustive'

$(LOCKED)/.done: harness/scorer-requirements.txt
	$(PYTHON311) -m venv $(LOCKED)
	$(LOCKED)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	    --only-binary :all: --requirement harness/scorer-requirements.txt
	$(LOCKED)/bin/python -m pip install --quiet --disable-pip-version-check pytest pytest-timeout 'hypothesis<6.150'
	touch $@

lint: install ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## Format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

image: install ## Build the evaluator image
	$(BIN)/cad1 image build $(if $(BASE_IMAGE),--base-image $(BASE_IMAGE))

lock: install ## Rewrite scorer.lock after a change of scoring code: older scores then rank in separate tables
	$(BIN)/python -m harness.protocol.lock

requirements: ## Rewrite scorer-requirements.txt and decoder-requirements.txt with hashes (needs uv)
	for name in scorer decoder; do \
	    uv pip compile --quiet --no-deps --generate-hashes --no-header --no-emit-index-url --no-annotate \
	        --universal --python-version 3.11 harness/$$name-requirements.in --output-file harness/$$name-requirements.txt \
	        || exit 1; \
	done

bench: $(LOCKED)/.done ## Compare our HAAQI with pyclarity's in one run: time and memory, stage by stage (Python 3.11)
	$(LOCKED)/bin/python bench/haaqi.py

bench-validate: install ## Compare decoding with Debian's `flac -t` in one run
	$(BIN)/python bench/validate.py

clean: ## Remove build artefacts and environments; the scores stay
	rm -rf $(VENV) $(LOCKED) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
