# Entry points of the project. `make` alone lists the targets.

PYTHON ?= python3
VENV   := .venv
PY     := "$(CURDIR)/.venv/bin/python"
# The requirement files are complete, so nothing is resolved here: a later release cannot change what is installed.
PIP    := $(PY) -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --no-deps
PIP_CHECK := $(PY) -m pip --disable-pip-version-check check

# Caches of the tools are in one folder, or in a temporary one if the tree is read-only.
CACHE := $(shell if [ -w . ] && { [ ! -e .cache ] || [ -w .cache ]; }; \
	then echo "$(CURDIR)/.cache"; else echo "$${TMPDIR:-/tmp}/slackoms-cache-$$(id -u)"; fi)
export RUFF_CACHE_DIR := $(CACHE)/ruff
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis
# Processes that compile every module anew take seconds more to start, and each run of tests a minute more.
unexport PYTHONDONTWRITEBYTECODE
# The number of test processes, one more than two processors since tests wait for each other's servers. Each has its
# own databases, and tests that follow each other, which share what they set up, unless another has nothing left.
WORKERS ?= 3
BROWSERS ?= 2
PARALLEL = -n $(WORKERS) --dist worksteal
PYTEST := $(PY) -m pytest -o cache_dir="$(CACHE)/pytest"
MYPY   := $(PY) -m mypy --cache-dir "$(CACHE)/mypy"
IMPORTS := "$(CURDIR)/.venv/bin/lint-imports" --no-logo --cache-dir "$(CACHE)/imports"

.DEFAULT_GOAL := help
.PHONY: help install run run-with-brokers dev dev-install dev-worker dev-beat flower migrate makemigrations seed-data superuser shell \
	test test-unit test-integration test-watch test-cov coverage check lint check-all format bench lock clean \
	docker-up docker-down docker-logs docker-shell test-oms-api test-slack-bot test-e2e

help: ## list the targets
	@echo "SlackOMS: trade from Slack. Start with \`make run\`."
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z][a-z0-9-]*:.*## /{printf "  make %-20s %s\n", $$1, $$2}' Makefile

##@ Run

install: $(VENV)/.installed ## make .venv with what both services run on (the others do it first, once)

run: install ## start the OMS, the bot and, without a Slack token, the Slack simulator; Ctrl-C stops all of it
	@exec $(PY) scripts/run.py

run-with-brokers: $(VENV)/.installed-ibkr ## the same beside stand-ins of the brokers, for which no account is needed
	@exec $(PY) scripts/run.py --with-brokers

dev: install ## as run, and restart a service whose source files change
	@exec $(PY) scripts/run.py --reload

##@ Jobs by Celery, with REDIS_URL

dev-worker: $(VENV)/.installed-celery ## run the background jobs that beat enqueues
	cd oms-api && exec $(PY) -m celery --app app.job_queue worker --loglevel INFO --concurrency 2

dev-beat: $(VENV)/.installed-celery ## enqueue the background jobs that are due
	@mkdir -p "$(CACHE)"
	cd oms-api && exec $(PY) -m celery --app app.job_queue beat --loglevel INFO --schedule "$(CACHE)/beat"

flower: $(VENV)/.installed-celery ## show the workers at http://127.0.0.1:5555; set FLOWER_BASIC_AUTH=user:password
	@test -n "$$FLOWER_BASIC_AUTH" || { echo "Set FLOWER_BASIC_AUTH=user:password. Flower shows and stops workers." >&2; exit 2; }
	cd oms-api && exec $(PY) -m celery --app app.job_queue flower --address=127.0.0.1 --port=5555

##@ Database and people

migrate: install ## bring the database of oms-api/.env up to date
	@$(PY) scripts/env_files.py
	cd oms-api && $(PY) -m app.migrate

makemigrations: dev-install ## write a migration for changed models: NAME=order_tags
	cd oms-api && $(PY) new_migration.py $(NAME)

seed-data: migrate ## fill it with a demo desk; again changes nothing
	cd oms-api && $(PY) seed_data.py

superuser: migrate ## create an admin who logs in with a password: EMAIL=… NAME=…
	@test -n "$(EMAIL)" || { echo "Name the address to log in with: make superuser EMAIL=desk@example.com" >&2; exit 2; }
	@cd oms-api && $(PY) -m app.admin create-user "$(or $(NAME),Administrator)" admin --email "$(EMAIL)"

shell: migrate ## open a Python console on the database, for reading
	@cd oms-api && $(PY) shell.py

##@ Tests and checks

dev-install: $(VENV)/.installed-dev ## add to .venv what the tests and checks need

test: test-oms-api test-slack-bot test-e2e ## every test, on SQLite and on a PostgreSQL of its own

test-unit: dev-install ## only the tests without a database, a server or a process
	cd oms-api && $(PYTEST) $(PARALLEL) $(UNIT_TESTS)
	cd slack-bot && $(PYTEST) $(PARALLEL) tests/blocks tests/forms

test-integration: dev-install ## only the tests that need one
	cd oms-api && $(PYTEST) $(PARALLEL) $(addprefix --ignore=,$(UNIT_TESTS))
	cd slack-bot && $(PYTEST) $(PARALLEL) --ignore=tests/blocks --ignore=tests/forms
	$(MAKE) test-e2e

test-watch: dev-install ## run tests again at each change: IN=oms-api TESTS=tests/orders
	@$(PY) scripts/watch_tests.py $(or $(IN),oms-api) $(TESTS)

test-cov: coverage ## the same as coverage

coverage: dev-install ## the tests of both services, with every line measured: takes twice as long
	@mkdir -p "$(CACHE)"
	cd oms-api && COVERAGE_FILE="$(CACHE)/coverage-oms-api" $(PYTEST) $(PARALLEL) --cov --cov-report= --cov-fail-under=0
	cd oms-api && COVERAGE_FILE="$(CACHE)/coverage-oms-api" $(PY) -m coverage report
	$(MAKE) test-slack-bot

lint: dev-install ## lint and format only, which takes a second
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

check: lint ## lint, format, types and architecture
	$(PY) scripts/check_vocabulary.py
	$(PY) scripts/check_docstrings.py
	$(PY) scripts/error_reference.py --check
	$(PY) scripts/event_reference.py --check
	$(PY) scripts/check_prose.py
	$(VENV)/bin/codespell
	cd oms-api && $(MYPY)
	cd slack-bot && $(MYPY)
	cd e2e && $(MYPY)
	cd oms-api && MYPYPATH=.. $(MYPY) --exclude bench/slack_ ../bench
	cd slack-bot && MYPYPATH=..:../e2e:../scripts $(MYPY) ../bench/slack_ack.py ../bench/slack_latency.py
	cd oms-api && $(IMPORTS)
	cd slack-bot && $(IMPORTS)

check-all: check test ## check, then test

format: dev-install ## format every file
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: dev-install ## load and scale, each figure against a limit measured in the same run
	$(PY) -m bench

##@ Containers

docker-up: install ## PostgreSQL and both services in containers; asks for the Slack tokens in .env
	@$(PY) scripts/env_files.py --compose
	docker compose up --build --detach --wait

docker-down: ## stop the containers; the database stays
	docker compose down

docker-logs: ## follow the logs of the containers, or of one: SERVICE=oms-api
	docker compose logs --follow --tail=100 $(SERVICE)

docker-shell: ## open a shell in a container: SERVICE=oms-api
	docker compose exec $(or $(SERVICE),oms-api) sh

##@ Housekeeping

lock: ## pin the newest versions of everything
	PYTHON=$(PYTHON) scripts/lock.sh

clean: ## remove the environment and the caches; the books and the .env files stay
	rm -rf .venv .cache oms-api/.pytest_cache slack-bot/.pytest_cache e2e/.pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Tests of pure rules.
UNIT_TESTS = $(patsubst oms-api/%,%,$(wildcard oms-api/tests/*/rules))

# Tracing makes tests half as slow again, so only tests that together reach every branch of the rules are traced, the
# fewest there are. Where a branch is missing, a test in a folder `rules` is better than one more file here.
RULES_TESTS = $(UNIT_TESTS) \
	$(addprefix tests/,test_health.py brokers/alpaca/test_connection.py strategies) \
	$(addprefix tests/access/test_,attacks.py workspace_statements.py) \
	$(addprefix tests/backtests/test_,jobs.py sandbox.py) \
	$(addprefix tests/brokers/test_,connection_routes.py in_memory_broker.py) \
	$(addprefix tests/events/test_,feed.py horizon.py) \
	$(addprefix tests/exports/test_,exports.py sheets.py) \
	$(addprefix tests/identity/test_,access_rules.py administration_rules.py keys.py passwords.py slack_group_rules.py \
	slack_status.py throttle.py tokens.py) \
	$(addprefix tests/market_data/test_,alpaca_messages.py marks.py) \
	$(addprefix tests/orders/test_,corrections.py order_events.py order_verification.py foreign_field_names.py) \
	$(addprefix tests/verification/test_,forgery.py rules.py) \
	tests/audit/test_audit_writer.py tests/corporate_actions/test_corporate_actions.py \
	tests/instruments/test_instruments.py tests/ledger/test_position_records.py \
	tests/reconciliation/test_reconciliation_routes.py tests/webhooks/test_dispatching.py

test-oms-api: dev-install
	@mkdir -p "$(CACHE)"
	cd oms-api && COVERAGE_FILE="$(CACHE)/coverage-rules" $(PYTEST) $(PARALLEL) $(RULES_TESTS) --cov --cov-config=.coveragerc-rules --cov-report= --cov-fail-under=0
	cd oms-api && COVERAGE_FILE="$(CACHE)/coverage-rules" $(PY) -m coverage report --rcfile=.coveragerc-rules
	cd oms-api && $(PYTEST) $(PARALLEL) $(addprefix --ignore=,$(RULES_TESTS))

test-slack-bot: dev-install
	@mkdir -p "$(CACHE)"
	cd slack-bot && COVERAGE_FILE="$(CACHE)/coverage-slack-bot" $(PYTEST) $(PARALLEL) --cov --cov-report= --cov-fail-under=0
	cd slack-bot && COVERAGE_FILE="$(CACHE)/coverage-slack-bot" $(PY) -m coverage report

test-e2e: dev-install
	cd e2e && $(PYTEST) -n $(BROWSERS) --dist loadfile

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Making .venv …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: oms-api/requirements.txt slack-bot/requirements.txt | $(VENV)/bin/python
	@echo "Installing what both services run on …"
	@$(PIP) -r oms-api/requirements.txt -r slack-bot/requirements.txt
	@$(PIP_CHECK) >/dev/null || { $(PIP_CHECK); exit 1; }
	@touch $@

$(VENV)/.installed-celery: oms-api/requirements-celery.txt $(VENV)/.installed
	@echo "Installing Celery …"
	@$(PIP) -r oms-api/requirements-celery.txt
	@$(PIP_CHECK) >/dev/null || { $(PIP_CHECK); exit 1; }
	@touch $@

$(VENV)/.installed-ibkr: oms-api/requirements-ibkr.txt $(VENV)/.installed
	@echo "Installing the client of Interactive Brokers …"
	@$(PIP) -r oms-api/requirements-ibkr.txt
	@$(PIP_CHECK) >/dev/null || { $(PIP_CHECK); exit 1; }
	@touch $@

$(VENV)/.installed-dev: oms-api/requirements-dev.txt oms-api/requirements-sdk.txt oms-api/requirements-ibkr.txt \
		oms-api/requirements-celery.txt slack-bot/requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the tests and checks need …"
	@$(PIP) -r oms-api/requirements-dev.txt -r oms-api/requirements-sdk.txt -r oms-api/requirements-ibkr.txt \
		-r oms-api/requirements-celery.txt -r slack-bot/requirements-dev.txt
	@$(PIP_CHECK) >/dev/null || { $(PIP_CHECK); exit 1; }
	@touch $@
