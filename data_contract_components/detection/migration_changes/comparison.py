"""What a pull request changes: contracts, traces and catalogs of both sides become one comparison; pure."""

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from data_contract_components.contract_definition.contract_spec import Contract, Owner, TableName, get_enforcement
from data_contract_components.contract_definition.table_lists import strip_index
from data_contract_components.detection._consumer_queries import ConsumerState, Verdict, get_key
from data_contract_components.detection.contract_violation_detector import (
    ContractViolationDetector,
    Violation,
    locate,
)
from data_contract_components.detection.failed_query import UntriedQuery
from data_contract_components.detection.migration_changes.changes import (
    ContractChange,
    Loosened,
    SchemaChange,
    UnmovedConsumers,
)
from data_contract_components.detection.migration_changes.contract_changes import (
    find_contract_changes,
    match_contracts,
    with_stronger_clauses,
)
from data_contract_components.detection.migration_changes.migration_trace import Trace
from data_contract_components.detection.migration_changes.query_changes import (
    Verdicts,
    find_query_cause,
    find_query_changes,
    find_read_columns,
    find_untried_queries,
)
from data_contract_components.detection.migration_changes.schema_changes import find_schema_changes
from data_contract_components.detection.migration_changes.transitions import (
    find_short_notices,
    find_unmoved_consumers,
)


@dataclass(frozen=True)
class Side:
    """One of the two compared states: its contracts, what its migrations did, and the catalog that they built.

    `paths` are the files of its revisions, from the repository's root, by revision; `new_texts` are path and text of
    those that the other side does not have.
    """

    contracts: dict[str, Contract]
    trace: Trace
    catalog_df: pd.DataFrame
    consumer_state: ConsumerState
    paths: dict[str, str]
    new_texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class MigrationComparison:
    """What this checkout changes since `base_commit`, where it parted from the git ref `base`.

    `violations` are the violations that are new in this checkout; `earlier_violations` are in the base too.
    `broken_promises` are violations of the base's contracts by this checkout's migrations or by the checked database.
    They leave out what the base breaks already, and what this checkout's own contracts report. All are clauses of
    contracts that are enforced, but for the `short_notices`: contracts that end too soon. Violations that a waiver
    excuses are in `waived_violations`, or in `earlier_violations`. `owners` are those of the base's contracts;
    `head_names` are their present names. `untried_queries`, `unmoved_consumers` and `read_columns`, the columns that
    queries read of a contract's table, are of this checkout's contracts.
    """

    base: str
    base_commit: str
    changes: tuple[SchemaChange, ...]
    contract_changes: tuple[ContractChange, ...]
    violations: tuple[Violation, ...]
    earlier_violations: tuple[Violation, ...]
    broken_promises: tuple[Violation, ...]
    waived_violations: tuple[Violation, ...] = ()
    owners: dict[str, Owner] = field(default_factory=dict)
    head_names: dict[str, str] = field(default_factory=dict)
    untried_queries: tuple[UntriedQuery, ...] = ()
    read_columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unmoved_consumers: dict[str, UnmovedConsumers] = field(default_factory=dict)

    @property
    def short_notices(self) -> tuple[Violation, ...]:
        return tuple(violation for violation in self.broken_promises if violation.key == "sunset")

    def fails(self, loosened: Loosened = "fail") -> bool:
        """Whether a contract is broken, ends too soon, or (unless "report") was loosened and its promise broken."""
        return bool(self.violations or self.short_notices or (loosened == "fail" and self.broken_promises))


def compare_sides(
    base_ref: str, base_commit: str, base: Side, head: Side, checked_df: pd.DataFrame | None, today: datetime.date
) -> MigrationComparison:
    """The comparison of the base with this checkout, the head, as on the day `today`.

    Promises count as broken also where the checked database breaks them, whose catalog is `checked_df`.
    """
    head_names = match_contracts(base.contracts, head.contracts)
    promised_contracts = base.contracts | {
        name: with_stronger_clauses(base.contracts[name], head.contracts[head_name])
        for name, head_name in head_names.items()
    }
    changes = tuple(find_schema_changes(base.trace, head.trace, head.paths, _find_contract_names(base, head)))
    verdicts = (base.consumer_state.verdicts, head.consumer_state.verdicts)
    base_queries = {get_key(query) for contract in base.contracts.values() for query in contract.queries}

    def find_head_violations(contracts: dict[str, Contract]) -> list[Violation]:
        violations = _find_violations(contracts, head.catalog_df, today, head.consumer_state)
        for name, contract in contracts.items():
            if get_enforcement(contract.spec, today) == "binding":
                violations += locate(find_query_changes({name: contract}, base_queries, *verdicts), contract, today)
        return [_add_cause(violation, contracts, changes, head, *verdicts) for violation in violations]

    base_violations = _find_violations(base.contracts, base.catalog_df, today, base.consumer_state)
    head_violations = find_head_violations(head.contracts)
    promised_violations = find_head_violations(promised_contracts)
    if checked_df is not None:
        in_checked = _find_violations(promised_contracts, checked_df, today)
        known = [*promised_violations, *_find_violations(head.contracts, checked_df, today)]
        promised_violations += _subtract(in_checked, known)
    # What takes over is no promise: the contract may name another.
    broken = [v for v in promised_violations if v.key != "replacedBy" and not v.is_waived]
    # A waiver that only this checkout has does not change what the base promised.
    reported = [*(v for v in head_violations if not v.is_waived), *base_violations]
    new_violations = _subtract(head_violations, base_violations)
    return MigrationComparison(
        base_ref,
        base_commit,
        changes,
        tuple(find_contract_changes(base.contracts, head.contracts, today)),
        violations=tuple(v for v in new_violations if not v.is_waived),
        earlier_violations=_subtract(head_violations, new_violations),
        broken_promises=(
            *_subtract(broken, reported),
            *find_short_notices(base.contracts, head.contracts, head_names, today),
        ),
        waived_violations=tuple(v for v in new_violations if v.is_waived),
        owners={name: contract.spec["owner"] for name, contract in base.contracts.items()},
        head_names=head_names,
        untried_queries=tuple(find_untried_queries(head.contracts, *verdicts)),
        read_columns=find_read_columns(head.contracts, *verdicts),
        unmoved_consumers=dict(find_unmoved_consumers(head.contracts, *verdicts)),
    )


def _find_contract_names(base: Side, head: Side) -> dict[TableName, set[str]]:
    """The contracts of either side, by table."""
    names: dict[TableName, set[str]] = {}
    for name, contract in [*base.contracts.items(), *head.contracts.items()]:
        names.setdefault(contract.table, set()).add(name)
    return names


def _find_violations(
    contracts: dict[str, Contract],
    catalog_df: pd.DataFrame,
    today: datetime.date,
    consumer_state: ConsumerState | None = None,
) -> list[Violation]:
    detector = ContractViolationDetector(contracts, catalog_df, consumer_state, today)
    return detector.find_violations("binding", "waived")


def _add_cause(
    violation: Violation,
    contracts: dict[str, Contract],
    changes: Collection[SchemaChange],
    head: Side,
    before: Verdicts,
    after: Verdicts,
) -> Violation:
    """A query's violation with what changed the query."""
    if violation.query is None:
        return violation
    contract = contracts[violation.contract_name]
    query = next(query for query in contract.queries if query.json_path == violation.json_path)
    key = get_key(query)
    base_verdict = before.get(key, Verdict())
    refusal = after[key].refusal or after[key].failure
    if refusal and base_verdict.refusal and refusal.message == base_verdict.refusal.message:
        return violation  # a new query, for which nothing has changed
    cause = find_query_cause(changes, head.new_texts, query, contract.table, base_verdict, refusal)
    return replace(violation, cause=cause)


def _subtract(violations: Collection[Violation], known: Collection[Violation]) -> tuple[Violation, ...]:
    """Those that are not known under any contract: a contract's file may have another name."""
    known_clauses = {_identify(violation) for violation in known}
    return tuple(violation for violation in violations if _identify(violation) not in known_clauses)


def _identify(violation: Violation) -> tuple[str, ...]:
    table = (violation.table_schema, violation.table_name)
    # An entry of a list may have another index in the other contract.
    return *table, violation.column_name, strip_index(violation.key), str(violation)
