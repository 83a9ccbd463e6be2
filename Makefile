# `make help` lists the targets. Each does nothing twice: what is in place already is kept.
PYTHON ?= python3
VENV ?= .venv
ALEMBIC_INI := data_contract_components/data_assets/alembic.ini
CONTRACT_TESTS := data_contract_components/prevention/test_data_contract_violations.py

# pip's installed list is a copy of the requirements: content decides, as a clone's times say nothing.
define install
	@test -x "$(VENV)/bin/python" || $(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ...")'
	@test -x "$(VENV)/bin/python" || $(PYTHON) -m venv "$(VENV)"
	@cmp -s $(1) "$(VENV)/$(1)" || { "$(VENV)/bin/python" -m pip install --quiet --requirement $(1) && cp $(1) "$(VENV)/$(1)"; }
endef

.PHONY: check test lint clean help requirements requirements-dev migrate

check: requirements migrate  ## Build the tables in the database and test the data contracts against them
	@"$(VENV)/bin/python" -m unittest $(CONTRACT_TESTS) -v

test: requirements-dev  ## Run the project's own tests
	@"$(VENV)/bin/python" -m unittest discover --top-level-directory . --start-directory tests

lint: requirements-dev  ## Check style (ruff) and types (mypy)
	@"$(VENV)/bin/ruff" check .
	@"$(VENV)/bin/ruff" format --check .
	@"$(VENV)/bin/mypy"

clean:  ## Remove the virtual environment and the embedded database
	rm -rf "$(VENV)" .postgres .mypy_cache .ruff_cache

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' Makefile | expand -t 10

migrate: requirements
	@"$(VENV)/bin/alembic" -c $(ALEMBIC_INI) upgrade head

requirements:
	$(call install,requirements.txt)

requirements-dev: requirements
	$(call install,requirements-dev.txt)
