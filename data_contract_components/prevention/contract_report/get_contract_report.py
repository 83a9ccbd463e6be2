"""What the contracts of this checkout say of the database, as one report, from which every rendering is made."""

import datetime
from typing import Any

import pandas as pd

from data_contract_components.contract_definition.contract_spec import (
    WHOLE_TABLE,
    Contract,
    Enforcement,
    NoBindingContractError,
    ensure_a_contract_binds,
    find_clauses,
    get_enforcement,
)
from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError
from data_contract_components.data_assets._applied_revisions import ensure_applied_revisions_are_current
from data_contract_components.data_assets._query_postgres_helper import REPOSITORY_DIRECTORY
from data_contract_components.detection._get_data_catalog import get_data_catalog, get_table_names
from data_contract_components.detection._get_data_contract_specs import (
    CONTRACT_DIRECTORY,
    get_data_contract_specs,
    get_table_key,
    get_tables,
)
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector, Violation
from data_contract_components.errors import DataContractError
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    NO_CAUSE,
    Report,
    make_failure_report,
)


def get_report(today: datetime.date | None = None) -> Report:
    """What the contracts of this checkout say of the database, or why that cannot be said.

    Shape: that of contract_report.schema.json; contracts in the order of their files, clauses and violations in theirs.
    """
    try:
        contracts = get_data_contract_specs()
        ensure_applied_revisions_are_current()
        catalog_df = get_data_catalog(tables=get_tables(contracts))
        table_names = get_table_names()
    except InvalidContractSpecError as error:
        problems = [
            {
                "path": _shorten_paths(str(problem.path)),
                "line": problem.line or 1,
                "message": problem.text,
            }
            for problem in error.problems
        ]
        return make_failure_report(_shorten_paths(str(error)), problems)
    except DataContractError as error:
        return make_failure_report(_shorten_paths(str(error)))
    return make_report(contracts, catalog_df, table_names, today or datetime.datetime.now(datetime.UTC).date())


def _shorten_paths(text: str) -> str:
    """Paths of this checkout as git has them."""
    return text.replace(f"{REPOSITORY_DIRECTORY}/", "")


def make_report(
    contracts: dict[str, Contract],
    catalog_df: pd.DataFrame,
    table_names: list[tuple[str, str]],
    today: datetime.date,
) -> Report:
    """The report of contracts beside the catalog of their tables; where none of them binds, it could not be checked."""
    detector = ContractViolationDetector(contracts, catalog_df, today)
    violations: dict[str, list[Violation]] = {}
    for violation in detector.find_violations("binding", "reported"):
        violations.setdefault(violation.contract_name, []).append(violation)
    found_tables = set(catalog_df[["table_schema", "table_name"]].itertuples(index=False, name=None))
    contracts_of_report = [
        _make_contract(
            contract,
            get_enforcement(contract.spec, today),
            violations.get(name, []),
            is_table_missing=(contract.spec["schema"]["table_schema"], contract.spec["schema"]["table_name"])
            not in found_tables,
        )
        for name, contract in contracts.items()
    ]
    covered_tables = {contract.table for contract in contracts.values() if contract.spec.get("status") != "retired"}
    is_broken = any(contract["violations"] for contract in contracts_of_report if contract["effect"] == "binding")
    outcome, reason = "violations" if is_broken else "passed", None
    try:
        ensure_a_contract_binds(contracts, today)
    except NoBindingContractError as error:
        outcome, reason = COULD_NOT_CHECK, str(error)
    return {
        "outcome": outcome,
        "error": reason,
        "problems": [],
        "contracts": contracts_of_report,
        "tables_without_contract": [
            {"table_schema": schema, "table_name": name}
            for schema, name in table_names
            if (schema, name) not in covered_tables
        ],
        "comparison": None,
    }


def _make_contract(
    contract: Contract, effect: Enforcement, violations: list[Violation], *, is_table_missing: bool
) -> dict[str, Any]:
    """What a contract says of itself, what became of its clauses, and its violations, with their lines in the file."""
    spec, lines = contract.spec, contract.lines
    clauses = find_clauses(spec)
    # A column too many breaks what is said of the whole table.
    places = {(clause.column_name, clause.key): clause.json_path for clause in clauses}
    places |= {
        (violation.column_name, "additionalColumns"): ("schema", "additionalColumns") for violation in violations
    }
    broken = {(violation.column_name, violation.key) for violation in violations}
    broken |= {(WHOLE_TABLE, violation.key) for violation in violations if violation.key == "additionalColumns"}
    # Nothing else of the table was compared then.
    is_other_database = (WHOLE_TABLE, "table_catalog") in broken
    no_words = {"email": None, "channel": None, "columns": None}
    return {
        "contract_name": contract.path.stem,
        "path": _shorten_paths(str(CONTRACT_DIRECTORY / contract.path)),
        "name": spec["name"],
        "namespace": spec["namespace"],
        "doc": spec["doc"],
        "status": spec.get("status", "active"),
        "sunset": spec.get("sunset"),
        "effect": effect,
        "owner": {"channel": None} | spec["owner"],
        "consumers": [no_words | consumer for consumer in spec.get("consumers", [])],
        **get_table_key(spec),
        "line": lines["schema", "table_name"],
        "is_table_missing": is_table_missing,
        "clauses": [
            {
                "column_name": clause.column_name,
                "key": clause.key,
                "line": lines[clause.json_path],
                "expected": clause.expected,
                "state": _find_state(
                    "unchecked" if is_other_database and clause.key != "table_catalog" else effect,
                    is_missing=is_table_missing or (clause.column_name, "column_name") in broken,
                    is_broken=(clause.column_name, clause.key) in broken,
                ),
            }
            for clause in clauses
        ],
        "violations": [
            NO_CAUSE
            | {
                "column_name": violation.column_name,
                "key": violation.key,
                "line": lines[places[violation.column_name, violation.key]],
                "expected": violation.expected,
                "found": violation.found,
                "message": str(violation),
            }
            for violation in violations
        ],
    }


def _find_state(effect: Enforcement, *, is_missing: bool, is_broken: bool) -> str:
    if effect == "unchecked":
        return "unchecked"
    if is_missing:
        return "missing"
    return "broken" if is_broken else "kept"
