"""What a pull request changes: contracts, traces and catalogs of both sides become one comparison; pure."""

from collections.abc import Collection
from dataclasses import dataclass, field

import pandas as pd

from data_contract_components.contract_definition.contract_spec import Contract, Owner, TableName
from data_contract_components.contract_definition.table_lists import strip_index
from data_contract_components.detection.contract_violation_detector import ContractViolationDetector, Violation
from data_contract_components.detection.migration_changes.changes import ContractChange, Loosened, SchemaChange
from data_contract_components.detection.migration_changes.contract_changes import (
    find_contract_changes,
    match_contracts,
    with_stronger_clauses,
)
from data_contract_components.detection.migration_changes.migration_trace import Trace
from data_contract_components.detection.migration_changes.schema_changes import find_schema_changes


@dataclass(frozen=True)
class Side:
    """One of the two compared states: its contracts, what its migrations did, and the catalog that they built.

    `paths` are the files of its revisions, from the repository's root, by revision.
    """

    contracts: dict[str, Contract]
    trace: Trace
    catalog_df: pd.DataFrame
    paths: dict[str, str]


@dataclass(frozen=True)
class MigrationComparison:
    """What this checkout changes since `base_commit`, where it parted from the git ref `base`.

    `violations` are the violations that are new in this checkout; `earlier_violations` are in the base too.
    `broken_promises` are violations of the base's contracts by this checkout's migrations or by the checked database.
    They leave out what the base breaks already, and what this checkout's own contracts report. All are clauses of
    contracts that are enforced. `owners` are those of the base's contracts; `head_names` are their present names.
    """

    base: str
    base_commit: str
    changes: tuple[SchemaChange, ...]
    contract_changes: tuple[ContractChange, ...]
    violations: tuple[Violation, ...]
    earlier_violations: tuple[Violation, ...]
    broken_promises: tuple[Violation, ...]
    owners: dict[str, Owner] = field(default_factory=dict)
    head_names: dict[str, str] = field(default_factory=dict)

    def fails(self, loosened: Loosened = "fail") -> bool:
        """Whether the check fails: a contract is broken, or (unless "report") was loosened and its promise broken."""
        return bool(self.violations or (loosened == "fail" and self.broken_promises))


def compare_sides(
    base_ref: str, base_commit: str, base: Side, head: Side, checked_df: pd.DataFrame | None
) -> MigrationComparison:
    """The comparison of the base with this checkout, the head.

    Promises count as broken also where the checked database breaks them, whose catalog is `checked_df`.
    """
    head_names = match_contracts(base.contracts, head.contracts)
    promised_contracts = base.contracts | {
        name: with_stronger_clauses(base.contracts[name], head.contracts[head_name])
        for name, head_name in head_names.items()
    }
    base_violations = _find_violations(base.contracts, base.catalog_df)
    head_violations = _find_violations(head.contracts, head.catalog_df)
    promised_violations = _find_violations(promised_contracts, head.catalog_df)
    if checked_df is not None:
        known_violations = [*promised_violations, *_find_violations(head.contracts, checked_df)]
        promised_violations += _subtract(_find_violations(promised_contracts, checked_df), known_violations)
    new_violations = _subtract(head_violations, base_violations)
    contract_names: dict[TableName, set[str]] = {}
    for name, contract in [*base.contracts.items(), *head.contracts.items()]:
        contract_names.setdefault(contract.table, set()).add(name)
    return MigrationComparison(
        base_ref,
        base_commit,
        tuple(find_schema_changes(base.trace, head.trace, head.paths, contract_names)),
        tuple(find_contract_changes(base.contracts, head.contracts)),
        violations=new_violations,
        earlier_violations=_subtract(head_violations, new_violations),
        broken_promises=_subtract(promised_violations, [*head_violations, *base_violations]),
        owners={name: contract.spec["owner"] for name, contract in base.contracts.items()},
        head_names=head_names,
    )


def _find_violations(contracts: dict[str, Contract], catalog_df: pd.DataFrame) -> list[Violation]:
    return ContractViolationDetector(contracts, catalog_df).find_violations("binding")


def _subtract(violations: Collection[Violation], known: Collection[Violation]) -> tuple[Violation, ...]:
    """Those that are not known under any contract: a contract's file may have another name."""
    known_clauses = {_identify(violation) for violation in known}
    return tuple(violation for violation in violations if _identify(violation) not in known_clauses)


def _identify(violation: Violation) -> tuple[str, ...]:
    table = (violation.table_schema, violation.table_name)
    # An entry of a list may have another index in the other contract.
    return *table, violation.column_name, strip_index(violation.key), str(violation)
