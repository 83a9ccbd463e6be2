"""A report for the terminal."""

import dataclasses
import textwrap
from typing import Any

from data_contract_components.detection.migration_changes.changes import ContractChange, SchemaChange
from data_contract_components.escaping import escape_output

WIDTH = 80
SHOWN_TABLES = 20
# What the values are called where a column or table is there or not.
EXPECTED_WORDS = {"column_name": "present", "table_name": "present", "additionalColumns": "absent"}
FOUND_WORDS = {"column_name": "missing", "table_name": "missing", "additionalColumns": "present"}
OTHER_DATABASE = "the table is there, but the contract names another database, so no more of it was compared"


def render_text(report: dict[str, Any]) -> str:
    """The outcome, each broken contract with its owner and violations, what changed, and the coverage."""
    lines = [_render_outcome(report)]
    for contract in report["contracts"]:
        if contract["violations"]:
            status = " until ".join(filter(None, (contract["status"], contract["sunset"])))
            lines += ["", _render_heading(contract)]
            lines += [f"  does not bind ({status})"] if contract["effect"] == "reported" else []
            lines += _render_violations(contract)
    if report["comparison"]:
        lines += ["", *_render_comparison(report)]
    if is_checked(report):
        lines += ["", *textwrap.wrap(render_coverage(report), WIDTH)]
    return escape_output("\n".join(lines)) + "\n"


def is_checked(report: dict[str, Any]) -> bool:
    """Whether the contracts were compared with the database, even where the comparison with a base then failed."""
    is_compared = not (report["comparison"] and report["comparison"]["error"])
    return report["outcome"] != "could not check" or not (report["error"] or is_compared)


def _render_outcome(report: dict[str, Any]) -> str:
    if not is_checked(report):
        return f"could not check: {report['error']}"
    binding = [contract for contract in report["contracts"] if contract["effect"] == "binding"]
    broken = sum(bool(contract["violations"]) for contract in binding)
    text = f"{report['outcome']}: {broken} of {count(binding, 'binding contract')} broken"
    promises = (report["comparison"] or {"broken_promises": []})["broken_promises"]
    text += f"; {count(promises, 'contract')} loosened and broken" if promises else ""
    return f"{text}, but what changed since the base is not known" if report["outcome"] == "could not check" else text


def _render_heading(contract: dict[str, Any]) -> str:
    table, owner = f"{contract['table_schema']}.{contract['table_name']}", contract["owner"]
    return f"{contract['contract_name']}, table {table} ({owner['name']}, {owner['email']})"


def _render_violations(contract: dict[str, Any]) -> list[str]:
    lines = []
    for violation in find_shown_violations(contract):
        lines.append(f"  {render_violation(violation)}")
        if violation["line"]:
            lines.append(f"    {get_place_words(contract)} {render_place(contract['path'], violation['line'])}")
        if violation["is_earlier"]:
            lines.append("    broken by the base already")
        if cause := violation["cause"]:
            lines.append(f"    broken by {render_place(cause['path'], cause['line'])}")
    return lines


def _render_comparison(report: dict[str, Any]) -> list[str]:
    comparison = report["comparison"]
    if comparison["error"]:
        return [f'could not compare with "{comparison["base"]}": {comparison["error"]}']
    since = f"since {comparison['base']} ({comparison['base_commit'][:12]})"
    counts = (count(comparison["changes"], "change"), count(comparison["contract_changes"], "change"))
    lines = [f"{since}: {counts[0]} of the data, {counts[1]} of contracts"]
    for change in comparison["changes"]:
        lines += textwrap.wrap(
            render_change(change),
            WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    lines += [f"  {render_contract_change(change)}" for change in comparison["contract_changes"]]
    for promise in comparison["broken_promises"]:
        lines += ["", f"{_render_heading(promise)} {render_fate(promise)}; ask its owner"]
        lines += _render_violations(promise)
    return lines


def count(things: list[Any], noun: str) -> str:
    return f"{len(things):,} {noun}{'' if len(things) == 1 else 's'}"


def render_place(path: str, line: int | None) -> str:
    return f"{path}:{line}" if line else path


def render_fate(promise: dict[str, Any]) -> str:
    """What became of a contract whose promises are broken."""
    return f"was {'deleted' if promise['is_deleted'] else 'loosened'}, and the database breaks what it promised"


def get_place_words(contract: dict[str, Any]) -> str:
    return "loosened in" if "is_deleted" in contract else "promised in"


def find_shown_violations(contract: dict[str, Any]) -> list[dict[str, Any]]:
    """The violations; of a table that is gone, one in place of those of its columns."""
    violations: list[dict[str, Any]] = contract["violations"]
    if not contract["is_table_missing"] or not violations or violations[0]["key"] != "column_name":
        return violations
    message = f"Table '{contract['table_schema']}.{contract['table_name']}' is defined in contract but missing"
    table = {"column_name": "(table)", "key": "table_name", "line": contract["line"]}
    table |= {"expected": contract["table_name"], "message": f"{message} from data catalog"}
    return [violations[0] | table]


def render_violation(violation: dict[str, Any]) -> str:
    """The column and what is wrong with it, and the new name where it seems to be there under another."""
    message, name = violation["message"], violation["renamed_to"]
    if violation["key"] not in ("column_name", "additionalColumns", "table_name"):
        message = f"{violation['column_name']}: {message}"
    verb = "was" if violation["is_rename_certain"] else "seems"
    message += f"; {OTHER_DATABASE}" if violation["key"] == "table_catalog" else ""
    return f"{message}; it {verb} renamed to '{name}'" if name else message


def render_change(change: dict[str, Any]) -> str:
    return str(_change_from(SchemaChange, change))


def render_contract_change(change: dict[str, Any]) -> str:
    return str(_change_from(ContractChange, change))


def _change_from(kind: Any, change: dict[str, Any]) -> Any:
    return kind(**{field.name: change[field.name] for field in dataclasses.fields(kind)})


def find_harmless_changes(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The changes under contract whose table or column has no violation, each with the names of its owners."""
    owners = {contract["contract_name"]: contract["owner"]["name"] for contract in report["contracts"]}
    violated: set[tuple[str, str, str | None]] = set()
    for contract in [*report["contracts"], *report["comparison"]["broken_promises"]]:
        table = (contract["table_schema"], contract["table_name"])
        violated |= {(*table, violation["column_name"]) for violation in contract["violations"]}
        violated |= {(*table, None)} if contract["is_table_missing"] else set()
    return [
        change | {"owners": [owners[name] for name in change["contract_names"] if name in owners]}
        for change in report["comparison"]["changes"]
        if change["contract_names"]
        and (change["table_schema"], change["table_name"], change["column_name"]) not in violated
    ]


def render_harmless_change(change: dict[str, Any]) -> str:
    return render_change(change) + (f" (owner: {', '.join(change['owners'])})" if change["owners"] else "")


def render_coverage(report: dict[str, Any]) -> str:
    """How many tables have a contract, and which have none."""
    without = [f"{table['table_schema']}.{table['table_name']}" for table in report["tables_without_contract"]]
    tables = {
        (contract["table_schema"], contract["table_name"])
        for contract in report["contracts"]
        if not contract["is_table_missing"] and contract["effect"] != "unchecked"
    }
    text = f"{len(tables)} of {len(tables) + len(without)} tables under contract"
    if len(without) > SHOWN_TABLES:
        without = [*without[:SHOWN_TABLES], f"and {len(without) - SHOWN_TABLES} more"]
    return f"{text}; without: {', '.join(without)}" if without else text
