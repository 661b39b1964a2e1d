# The doors to the project. `make run` and `make test` set everything up by themselves.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow test-exhaustive test-all hostile check format bench-train bench-serving bench-orchestration bench-app mutants lock clean clean-data

BIN  := .venv/bin
# Extras stay installed until `make setup EXTRAS=…` names others: `make setup EXTRAS=` removes them.
ifneq ($(origin EXTRAS),command line)
EXTRAS := $(shell cat .venv/.extras 2>/dev/null)
endif
LOCKS := requirements.lock $(wildcard requirements-extras/*.lock)
DONE := .venv/.installed-$(shell (cat $(LOCKS) pyproject.toml; echo "$(EXTRAS)") | cksum | tr ' ' '-')

export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export DVC_SITE_CACHE_DIR := $(CURDIR)/.dvc/tmp/site
export DO_NOT_TRACK := 1
export PREFECT_HOME := $(CURDIR)/.prefect
export PREFECT_SERVER_ANALYTICS_ENABLED := false

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 21

setup: $(DONE) ## create .venv and install the locked dependencies; EXTRAS="gpu ssh" adds some of azure gpu gs s3 ssh

$(DONE):
	@sh ./setup.sh $(EXTRAS)
	@rm -f .venv/.installed-* && touch $@

run: $(DONE) ## data to a gated model, published and promoted; then a summary
	@digits run

test: $(DONE) ## the tests, about 6 minutes
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(DONE) ## the slow ones: real trainings, whole pipelines, another Python
	OMP_NUM_THREADS=1 pytest -m "slow and not exhaustive" -n 2

test-exhaustive: $(DONE) ## what CI has no time for: every step, profile and Python, the serving bench (hours)
	OMP_NUM_THREADS=1 pytest -m exhaustive -n 2

test-all: test test-slow test-exhaustive ## all of them

hostile: $(DONE) ## attack a server of yours with some hundred connections: make hostile URL=http://localhost:8080/
	pytest tests/hostile/test_http.py --url "$(or $(URL),$(error which server? make hostile URL=http://localhost:8080/))" -m "not exhaustive"

check: $(DONE) ## format, lint, types, contracts
	ruff format --check .
	ruff check .
	mypy
	pytest tests/contract

format: $(DONE) ## let ruff rewrite
	ruff format .
	ruff check --fix .

bench-train: $(DONE) ## trains tutorials' models and our profiles side by side, prints tables (hours; goes on where it was broken off)
	python -m bench.train

bench-serving: $(DONE) ## model servers side by side, prints tables (about a quarter of an hour)
	python -m bench.serving

bench-orchestration: $(DONE) ## what flows cost and sweeps gain, prints tables (a quarter of an hour)
	python -m bench.orchestration

bench-app: $(DONE) ## formats, photos and the gateway, prints tables (a quarter of an hour, after `make run`)
	python -m bench.edge
	python -m bench.strips
	python -m bench.gateway
	python -m bench.hostile

mutants: $(DONE) ## what the tests of the gate, the store and the inbox would not notice (minutes)
	python -m bench.mutants

LOCKED := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -q
lock: $(DONE) ## resolve again: requirements.lock, of it the lines that stages compute with, and what extras add
	uv pip compile pyproject.toml --group dev $(LOCKED) -o requirements.lock
	uv pip compile --group compute -c requirements.lock $(LOCKED) -o requirements-compute.lock
	uv pip compile pyproject.toml --group dev --all-extras -c requirements.lock $(LOCKED) -o .venv/all.lock
	for extra in azure gpu gs s3 ssh; do \
	  uv pip compile pyproject.toml --extra $$extra -c .venv/all.lock $(LOCKED) -o .venv/$$extra.lock && \
	  { echo "# What the extra $$extra adds to requirements.lock." && \
	    awk 'NR==FNR { have[$$0]; next } /^[^ ]/ { adds = !($$0 in have) } adds' requirements.lock .venv/$$extra.lock; \
	  } > requirements-extras/$$extra.lock || exit 1; \
	done

clean: ## remove what tools left; keeps .venv, data, models and DVC's cache
	rm -rf .bench .pytest_cache .mypy_cache .ruff_cache .checkpoints dvc_plots
	find src tests bench flows serving -name __pycache__ -prune -exec rm -rf {} +

clean-data: clean ## remove data, models, reports that are not in Git, and DVC's cache as well
	rm -rf .dvc/cache .dvc/tmp data/raw data/validated data/prepared models/candidate models/exported models/edge
