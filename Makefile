# `make help` lists the targets. Each may be typed again: what is in place already is kept.
PYTHON ?= python3
VENV ?= .venv
RUN := "$(VENV)/bin/python" -m
COMPONENTS := data_contract_components
CHECK_EXTRAS := embedded,odcs,render
install = @PYTHON="$(PYTHON)" VENV="$(VENV)" sh .ci/install

# With it, Python would not find the project in the directory that the commands are run in.
unexport PYTHONSAFEPATH

# alembic puts the path into alembic.ini by ConfigParser, which reads a % in it as the start of a name.
needs_a_path_without_percent = $(if $(findstring %,$(CURDIR)),$(error alembic cannot read alembic.ini below a directory with a % in its name: rename one of $(CURDIR)))

.PHONY: check report test seed lint reset clean help migrate environment requirements requirements-dev

check: migrate  ## Create the tables and test the data contracts against them
	@$(RUN) unittest $(COMPONENTS)/prevention/test_data_contract_violations.py -v

migrate: environment
	$(needs_a_path_without_percent)@$(RUN) alembic -c $(COMPONENTS)/data_assets/alembic.ini upgrade head

report: migrate  ## Check the contracts, and open the report as a page
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

reset: environment  ## Recreate the database, and keep the virtual environment
	$(needs_a_path_without_percent)@$(RUN) $(COMPONENTS).data_assets._reset_database
	@$(MAKE) --no-print-directory migrate

clean:  ## Stop the embedded database, and remove it, the virtual environment and the reports
	@test ! -d .postgres || $(PYTHON) -m $(COMPONENTS).data_assets._embedded_postgres .postgres
	rm -rf .postgres .venv .mypy_cache .ruff_cache *.egg-info contract_report.json contract_report.html

requirements:  ## Install all that the chapter uses, with Jupyter for the notebook
	$(install) "requirements environment" --requirement requirements.txt

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 14
	@echo "make exits with 2 on any failure. Its commands exit with 1 for violations, and 2 if nothing could be checked."

environment:
	$(install) "environment" --editable ".[$(CHECK_EXTRAS)]"

requirements-dev:
	$(install) "requirements-dev requirements environment" --requirement requirements-dev.txt
