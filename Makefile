# Two commands for a newcomer: `make demo` and `make test`. Each installs what it needs.
.PHONY: demo test lint format soak fuzz bench clean help
.DEFAULT_GOAL := help
PY := .venv/bin/python
# CI sets STRICT=--strict-skips: a test that lacks something then fails the run.
STRICT ?=
# As many as CI has cores: a third one would save a minute, and bring tests of time near their limits.
WORKERS ?= 2
# The tests start hundreds of Pythons, which need not compile everything each time.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: ## The whole loop, on a PostgreSQL of its own; Ctrl-C ends it. ARGS='--once --json' for machines
	@scripts/bootstrap.sh run
	@$(PY) -m dbopt demo $(ARGS)

test: ## All tests but the long ones
	@scripts/bootstrap.sh dev
	$(PY) -m pytest -n $(WORKERS) --dist loadfile -m 'not soak and not fuzz' $(STRICT) $(ARGS)

lint: ## ruff and mypy --strict
	@scripts/bootstrap.sh dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: ## Format the source
	@scripts/bootstrap.sh dev
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

soak: ## The long soak of the gateway, and all faults of index migrations
	@scripts/bootstrap.sh dev
	$(PY) -m pytest -m soak --timeout 3600 -rP --ignore tests/faults/test_index_faults.py tests/faults $(ARGS)
	$(PY) -m pytest --timeout 3600 -rP tests/faults/test_index_faults.py $(ARGS)

fuzz: ## The long runs of the property tests and fuzzers
	@scripts/bootstrap.sh dev
	HYPOTHESIS_PROFILE=long $(PY) -m pytest -n $(WORKERS) --timeout 3600 tests/property $(ARGS)
	$(PY) -m pytest -n $(WORKERS) -m fuzz -rP tests/fuzz $(ARGS)

bench: ## Compare with PgBouncer; prints ratios
	@scripts/bootstrap.sh dev
	$(PY) benchmarks/gateway.py $(ARGS)

clean: ## Remove what was made
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
