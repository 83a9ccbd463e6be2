"""The report of the contracts of this checkout, checked against the database."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from data_contract_components.contract_definition._json_text import render_json_path
from data_contract_components.contract_definition.code_owners import find_code_owner_problems, find_owned_contracts
from data_contract_components.contract_definition.contract_spec import (
    Clause,
    Contract,
    Enforcement,
    NoBindingContractError,
    TableName,
    ensure_a_contract_binds,
    find_clauses,
    find_replacement,
    get_enforcement,
)
from data_contract_components.contract_definition.contract_spec import Consumer as ConsumerSpec
from data_contract_components.contract_definition.contract_spec import Owner as OwnerSpec
from data_contract_components.contract_definition.spec_problems import InvalidContractSpecError, SpecProblem
from data_contract_components.detection._current_state import CurrentState, read_current_state
from data_contract_components.detection._get_data_catalog import get_table_names
from data_contract_components.detection._get_data_contract_specs import get_table_key
from data_contract_components.detection.contract_violation_detector import (
    ContractViolationDetector,
    UnneededWaiverError,
    Violation,
)
from data_contract_components.detection.migration_changes.transitions import find_differences, render_drop_call
from data_contract_components.errors import DataContractError
from data_contract_components.prevention.contract_report.contract_report import (
    COULD_NOT_CHECK,
    CheckedContract,
    ClauseState,
    Consumer,
    ContractReport,
    FileProblem,
    Outcome,
    Owner,
    ReportedClause,
    ReportedViolation,
    Table,
    Transition,
)
from data_contract_components.settings import get_settings


def get_contract_report(today: datetime.date | None = None) -> ContractReport:
    """What the check found, as on the day `today` (None: in UTC), or why the contracts could not be checked.

    Shape: contracts in the order of their names; clauses and violations in the order of the contract.
    """
    try:
        state, table_names = read_current_state(today, may_none_bind=True), get_table_names()
        is_owned = bool(find_owned_contracts(state.contracts))
        code_owner_problems = find_code_owner_problems(state.contracts) if is_owned else []
    except DataContractError as error:
        problems = error.problems if isinstance(error, InvalidContractSpecError) else []
        return ContractReport(COULD_NOT_CHECK, _shorten_paths(str(error)), problems=_make_problems(problems))
    return make_report(state, table_names, code_owner_problems)


def _make_problems(problems: Iterable[SpecProblem]) -> tuple[FileProblem, ...]:
    return tuple(
        FileProblem(
            _shorten_paths(str(problem.path)), None if problem.path.is_dir() else problem.line or 1, problem.text
        )
        for problem in problems
    )


def _shorten_paths(text: str) -> str:
    """Paths of this checkout as git has them."""
    return text.replace(f"{get_settings().git_directory}/", "")


def make_report(
    state: CurrentState, table_names: list[tuple[str, str]], code_owner_problems: Sequence[SpecProblem] = ()
) -> ContractReport:
    """The report of what was read; if no contract is enforced, the contracts could not be checked.

    A wrong CODEOWNERS fails as a violation does, and a superfluous waiver is an error, as a mistake in a contract is.
    """
    detector, today = ContractViolationDetector(*state), state.today
    violations = group_by_contract(detector.find_violations("binding", "waived", "reported"))
    unneeded_waivers = detector.find_unneeded_waivers()
    table_df = state.catalog_df[["table_schema", "table_name", "table_type"]].drop_duplicates()
    found_tables = {(schema, name): kind for schema, name, kind in table_df.itertuples(index=False, name=None)}
    checked_contracts = tuple(
        _make_contract(
            contract,
            get_enforcement(contract.spec, today),
            violations.get(name, []),
            is_table_missing=contract.table not in found_tables,
        )
        for name, contract in state.contracts.items()
    )
    contracts = tuple(_add_end(contract, state, checked_contracts, found_tables) for contract in checked_contracts)
    is_broken = any(contract.violations for contract in contracts if contract.enforcement == "binding")
    outcome: Outcome = "violations" if is_broken or code_owner_problems else "passed"
    reason = None
    if unneeded_waivers and outcome == "passed":
        outcome, reason = COULD_NOT_CHECK, str(UnneededWaiverError(unneeded_waivers))
    try:
        ensure_a_contract_binds(state.contracts, today)
    except NoBindingContractError as error:
        outcome, reason = COULD_NOT_CHECK, str(error)
    checked = {(c.table_schema, c.table_name) for c in contracts if c.enforcement != "unchecked"}
    tables = tuple(Table(*names) for names in table_names if names not in checked)
    problems = _make_problems([*code_owner_problems, *unneeded_waivers])
    return ContractReport(
        outcome, reason, problems=problems, contracts=contracts, tables_without_contract=tables, today=today.isoformat()
    )


def group_by_contract(violations: Iterable[Violation]) -> dict[str, list[Violation]]:
    of_contract: dict[str, list[Violation]] = {}
    for violation in violations:
        of_contract.setdefault(violation.contract_name, []).append(violation)
    return of_contract


def make_violation(violation: Violation, line: int | None) -> ReportedViolation:
    return ReportedViolation(
        violation.column_name,
        violation.key,
        violation.expected,
        violation.found,
        str(violation),
        line,
        query=violation.query,
        json_path=render_json_path(violation.json_path) if violation.json_path else None,
        waiver=violation.waiver,
    )


def make_owner(owner: OwnerSpec) -> Owner:
    return Owner(owner["name"], owner["email"], owner.get("channel"))


def _make_consumer(consumer: ConsumerSpec) -> Consumer:
    columns = tuple(consumer["columns"]) if "columns" in consumer else None
    contact = (consumer.get("email"), consumer.get("channel"))
    return Consumer(consumer["name"], consumer["role"], consumer["reason"], *contact, columns)


def _make_contract(
    contract: Contract, enforcement: Enforcement, violations: list[Violation], *, is_table_missing: bool
) -> CheckedContract:
    """A contract with the state of each clause, and with its violations, each with its line in the file."""
    spec, lines = contract.spec, contract.lines
    queries = (Clause(query.name, "queries", query.consumer, query.json_path) for query in contract.queries)
    missing_columns = {violation.column_name for violation in violations if violation.key == "column_name"}
    is_binding = enforcement == "binding"
    waived = [violation for violation in violations if is_binding and violation.is_waived]
    broken = [violation for violation in violations if not (is_binding and violation.is_waived)]
    waived_paths, broken_paths = ({violation.json_path for violation in of} for of in (waived, broken))
    is_other_database = any(violation.key == "table_catalog" for violation in broken)

    def find_state(clause: Clause) -> ClauseState:
        if clause.json_path in waived_paths:
            return "waived"
        # In another database, only the name of the database was compared.
        if enforcement == "unchecked" or (is_other_database and clause.key != "table_catalog"):
            return "unchecked"
        if clause.key != "queries" and (is_table_missing or clause.column_name in missing_columns):
            return "missing"
        return "broken" if clause.json_path in broken_paths else "kept"

    def report(violations: list[Violation]) -> tuple[ReportedViolation, ...]:
        return tuple(make_violation(v, contract.find_line(v.json_path or ())) for v in violations)

    return CheckedContract(
        contract_name=contract.path.stem,
        path=contract.path.as_posix(),
        name=spec["name"],
        namespace=spec["namespace"],
        doc=spec["doc"],
        status=spec.get("status", "active"),
        sunset=spec.get("sunset"),
        enforcement=enforcement,
        owner=make_owner(spec["owner"]),
        consumers=tuple(map(_make_consumer, spec.get("consumers", []))),
        **get_table_key(spec),
        line=lines["schema", "table_name"],
        is_table_missing=is_table_missing,
        clauses=tuple(
            ReportedClause(clause.column_name, clause.key, clause.expected, lines[clause.json_path], find_state(clause))
            for clause in (*find_clauses(spec), *queries)
        ),
        violations=report(broken),
        waived_violations=report(waived),
    )


def _add_end(
    checked: CheckedContract,
    state: CurrentState,
    all_checked: Iterable[CheckedContract],
    found_tables: Mapping[TableName, str],
) -> CheckedContract:
    """The contract with what takes over, and after its sunset with what is left to do."""
    contract, transition = state.contracts[checked.contract_name], None
    if replacement := find_replacement(contract, state.contracts.values()):
        place = (replacement.path.stem, replacement.path.as_posix(), *replacement.table)
        transition = Transition(*place, tuple(find_differences(contract, replacement)))
    days = drop_call = None
    if _is_past_sunset(checked):
        days = (state.today - datetime.date.fromisoformat(contract.spec["sunset"])).days
        needed = {c.table for c in all_checked if c.enforcement != "unchecked" and not _is_past_sunset(c)}
        is_replaced = replacement is None or replacement.table in found_tables
        if contract.table in found_tables and checked.table not in needed and is_replaced:
            drop_call = render_drop_call(contract.table, found_tables[contract.table])
    return replace(checked, transition=transition, days_past_sunset=days, drop_call=drop_call)


def _is_past_sunset(contract: CheckedContract) -> bool:
    return contract.status == "deprecated" and contract.enforcement == "reported"
