# The day of a contributor. Needs python3 (3.11 or newer) with pip, and make; everything else goes into .venv.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
CODE := src scripts cloud
BENCHMARKS := $(subst /,.,$(patsubst %.py,%,$(wildcard src/*/benchmark.py)))

# Installs a lock into an environment: uv is fast; pip stands in where only pip knows the way to an index. Compiled, since
# some machines (containers, continuous integration) keep Python from doing so at first use, and each start pays for it.
INSTALL = $(BIN)/uv pip install --quiet --compile-bytecode --python $(2) --require-hashes -r $(1) || \
	$(PYTHON) -m pip --python $(2) install --quiet --require-hashes -r $(1)

.DEFAULT_GOAL := help
.PHONY: help setup demo test infra-test verify lint format bench sbom scan runner deploy comment docs clean

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: .venv/.installed ## install faultwatch and its locked dependencies into .venv
	@echo "faultwatch is installed: $(BIN)/faultwatch --help"

demo: .venv/.installed ## watch a simulated fleet: 200 devices, two weeks of history, then live
	@$(BIN)/faultwatch demo

test: .venv/.dev ## check format, lint, types and layers, then run the tests (FAULTWATCH_REQUIRE names what may not be skipped)
	@scripts/system-packages
	@$(MAKE) --no-print-directory lint
	@# Workers use every core; threads of BLAS beside them would only wait for each other.
	OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile

infra-test: .venv/.dev .venv-infra/.installed ## check infrastructure, apply it to a simulator of AWS, destroy it (needs terraform)
	$(BIN)/pytest -m infra -n $(WORKERS) --dist loadfile --timeout 3000 src/tests/infrastructure

verify: .venv/.dev ## run the tests that take long, then the benchmarks
	@scripts/system-packages
	$(BIN)/pytest -m verify --timeout 1800
	@$(MAKE) --no-print-directory bench

lint: .venv/.dev ## check format, lint, types and layers, changing nothing
	$(BIN)/black --quiet --check --diff $(CODE)
	$(BIN)/isort --check-only --diff $(CODE)
	$(BIN)/flake8 $(CODE)
	$(BIN)/mypy $(filter-out cloud,$(CODE)) # as the package's own: src/cloud is a link to cloud
	$(BIN)/lint-imports --no-cache --no-logo

format: .venv/.dev ## put the code into its format
	$(BIN)/isort --quiet $(CODE)
	$(BIN)/black --quiet $(CODE)

bench: .venv/.dev ## run the benchmarks and print their figures
	@for module in $(BENCHMARKS); do echo "$$module"; $(BIN)/python -m $$module || exit 1; done

sbom: .venv/.dev ## write the bill of materials of the runtime: every package, version and licence
	@scripts/sbom dist/faultwatch.cdx.json

scan: .venv/.dev ## fail where the registry found something critical in an image: make scan IMAGE=REPOSITORY@DIGEST
	@$(BIN)/python -m scripts.image_scan "$(IMAGE)"

runner: .venv/.dev ## ask for the self-hosted runner of an environment: make runner ENVIRONMENT=dev
	@$(BIN)/python -m scripts.raise_runner "$(ENVIRONMENT)"

deploy: .venv/.dev ## bring an image to a cluster, try it, go back where it fails: make deploy ENVIRONMENT=dev IMAGE=…
	@$(BIN)/python -m scripts.deploy --environment "$(ENVIRONMENT)" --image "$(IMAGE)" $(OPTIONS)

comment: .venv/.dev ## put an environment's plan on its pull request: make comment ENVIRONMENT=dev
	@$(BIN)/python -m scripts.plan_comment "$(ENVIRONMENT)" "infrastructure/environments/$(ENVIRONMENT)/plan.txt"

docs: .venv/.dev ## write docs/reference from the code
	$(BIN)/python -m scripts.reference
	$(BIN)/python -m scripts.infrastructure_tables

clean: ## remove .venv and what builds and tests left behind; data folders stay
	rm -rf .venv .venv-infra build dist *.egg-info test-artifacts htmlcov .coverage .coverage.* \
		.mypy_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# What installs the rest, itself from the lock: uv, and setuptools for the package.
.venv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"faultwatch needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]} (make PYTHON=python3.12 takes another)")'
	@echo "setting up .venv"
	@$(PYTHON) -m venv --without-pip .venv
	@awk '/^[^ ]/ { wanted = /^(uv|setuptools)==/ } wanted' requirements-dev.txt > .venv/bootstrap.txt
	@$(PYTHON) -m pip --python .venv/bin/python install --quiet --require-hashes -r .venv/bootstrap.txt

.venv/.installed: requirements.txt pyproject.toml | .venv/bin/uv
	@echo "installing what requirements.txt locks"
	@$(call INSTALL,requirements.txt,$(BIN)/python)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.installed
	@echo "installing what requirements-dev.txt locks"
	@$(call INSTALL,requirements-dev.txt,$(BIN)/python)
	@touch $@

# checkov can't share .venv: it pins an old boto3.
.venv-infra/.installed: requirements-infra.txt | .venv/bin/uv
	@echo "installing what requirements-infra.txt locks into .venv-infra"
	@$(PYTHON) -m venv --without-pip .venv-infra
	@$(call INSTALL,requirements-infra.txt,.venv-infra/bin/python)
	@touch $@
