# Every target makes what it needs, the virtual environment first, so each works on a fresh clone.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
SOURCES := crds operator api dev tests
export UV_PYTHON_DOWNLOADS = never

.DEFAULT_GOAL := help
.PHONY: help demo test check format generate bench images sbom e2e lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Start everything on this machine and restore a photo (ARGS=--once to end afterwards, ARGS=--help)
	@$(BIN)/rekindle-dev demo $(ARGS)

test: $(VENV)/.installed ## Run all tests, on a real API server, PostgreSQL and S3 (ARGS="-k name" to choose)
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.installed ## Lint, types, import rules, and whether generated files are up to date
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m rekindle_crds.generate --check
	$(BIN)/python -m rekindle_api.reference --check
	$(BIN)/python -m rekindle_dev.helm.readme --check
	@test ! -e operator/__init__.py -a ! -e tests/operator/__init__.py || \
	  { echo "operator/__init__.py would shadow Python's own operator module: remove it" >&2; exit 1; }

format: $(VENV)/.installed ## Format the code and fix what can be fixed
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

generate: $(VENV)/.installed ## Write the CRDs, their chart and the reference pages from the models, settings and values
	$(BIN)/python -m rekindle_crds.generate
	$(BIN)/python -m rekindle_api.reference
	$(BIN)/python -m rekindle_dev.helm.readme

bench: $(VENV)/.installed ## Measure against baselines of the same run (ARGS=api, operator or worker to choose)
	$(BIN)/python -m tests.bench $(ARGS)

images: $(VENV)/.installed ## Build the container images (ARGS=--help; ARGS=--local-base without a registry)
	$(BIN)/python -m rekindle_dev.images $(ARGS)

sbom: $(VENV)/.installed ## Build the images, and write into sbom/ what each holds (CycloneDX)
	$(BIN)/python -m rekindle_dev.images --sbom sbom $(ARGS)

e2e: $(VENV)/.installed ## Install the chart on a real node and try everything (root; ARGS=--help)
	$(BIN)/python -m tests.cluster $(ARGS)

LOCK = $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
  --no-header --quiet

lock: $(VENV)/.installed ## Lock the dependencies of each image anew
	for room in api kubectl operator tryout worker dev; do $(LOCK) --extra $$room -o requirements/$$room.lock || exit 1; done
	echo 'setuptools>=77' | $(subst pyproject.toml,-,$(LOCK)) -o requirements/build.lock

clean: ## Remove the virtual environment and caches of this checkout
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis demo-output

$(VENV)/.installed: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "Rekindle needs Python 3.11 to 3.13; choose one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
