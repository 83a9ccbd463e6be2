# `make help` lists the targets. Each may be typed again: what is in place already is kept.
PYTHON ?= python3
VENV ?= .venv
RUN := "$(VENV)/bin/python" -m
COMPONENTS := data_contract_components

# A copy of each requirements file says what is installed: its content decides, as the times in a clone say nothing.
define install
	@test -x "$(VENV)/bin/pip" || $(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@test -x "$(VENV)/bin/pip" || echo "making $(VENV)"
	@test -x "$(VENV)/bin/pip" || $(PYTHON) -m venv --clear "$(VENV)"
	@cmp -s $(1) "$(VENV)/$(1)" || { \
	    echo "installing $(1) into $(VENV); a minute or two"; \
	    $(RUN) pip install -qq --disable-pip-version-check -r $(1) && cp $(1) "$(VENV)/$(1)"; }
endef

# With it, Python would not find the project in the directory that the commands are run in.
unexport PYTHONSAFEPATH

# alembic puts the path into alembic.ini by ConfigParser, which reads a % in it as the start of a name.
needs_a_path_without_percent = $(if $(findstring %,$(CURDIR)),$(error alembic cannot read alembic.ini below a directory with a % in its name: rename one of $(CURDIR)))

.PHONY: check report test seed lint reset clean help migrate requirements requirements-dev

check: migrate  ## Build the tables and test the data contracts against them
	@$(RUN) unittest $(COMPONENTS)/prevention/test_data_contract_violations.py -v

migrate: requirements
	$(needs_a_path_without_percent)@$(RUN) alembic -c $(COMPONENTS)/data_assets/alembic.ini upgrade head

report: migrate  ## Check the contracts, and open what was found as a page
	@$(RUN) $(COMPONENTS).prevention.report; status=$$?; \
	    $(RUN) $(COMPONENTS).prevention.report --from contract_report.json --format html --output contract_report.html; \
	    echo "see contract_report.html"; $(RUN) webbrowser "file://$(CURDIR)/contract_report.html" > /dev/null; exit $$status

test: requirements-dev  ## Run the project's own tests
	@$(RUN) tests

seed: migrate  ## Load the sample records into the tables
	@$(RUN) $(COMPONENTS).data_assets.seed_db

lint: requirements-dev  ## Check style and types
	@$(RUN) ruff check --quiet
	@$(RUN) ruff format --check --quiet
	@$(RUN) mypy --no-error-summary

reset: requirements  ## Build the database again from nothing, and keep the virtual environment
	@$(RUN) $(COMPONENTS).data_assets._reset_database
	@$(MAKE) --no-print-directory migrate

clean:  ## Stop the embedded database, and remove it and the virtual environment
	@test ! -d .postgres || $(PYTHON) -m $(COMPONENTS).data_assets._embedded_postgres .postgres
	rm -rf .postgres .venv .mypy_cache .ruff_cache

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 12

requirements:
	$(call install,requirements.txt)

requirements-dev: requirements
	$(call install,requirements-dev.txt)
