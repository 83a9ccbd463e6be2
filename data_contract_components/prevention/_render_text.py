"""A report for the terminal."""

import re
import textwrap
from typing import Any

from data_contract_components.contract_definition._json_text import render_value

WIDTH = 80
SHOWN_TABLES = 20
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def remove_control_characters(text: str) -> str:
    """`text` without what could steer a terminal or turn the direction of writing; tabs and newlines stay."""
    # A colour is "ESC [ 31 m"; without the ESC its rest would be litter.
    return CONTROL_CHARACTERS.sub("", re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", text))


def render_text(report: dict[str, Any]) -> str:
    """The outcome, each broken contract with its owner and violations, and the coverage."""
    lines = [_render_outcome(report)]
    for contract in report["contracts"]:
        if contract["violations"]:
            owner = contract["owner"]
            table = f"{contract['table_schema']}.{contract['table_name']}"
            lines += ["", f"{contract['contract_name']}, table {table} ({owner['name']}, {owner['email']})"]
            if contract["effect"] == "reported":
                lines.append(
                    f"  does not bind ({' until '.join(filter(None, (contract['status'], contract['sunset'])))})"
                )
            if contract["is_table_missing"]:
                lines.append(f"  Table '{table}' is defined in contract but missing from data catalog")
            for violation in contract["violations"]:
                lines.append(f"  {render_violation(violation)}")
                lines.append(f"    promised in {contract['path']}:{violation['line']}")
                if violation["cause"]:
                    lines.append(f"    broken by {violation['cause']['path']}:{violation['cause']['line']}")
    if report["comparison"]:
        lines += ["", *_render_comparison(report["comparison"])]
    if report["outcome"] != "could not check":
        lines += ["", *textwrap.wrap(render_coverage(report), WIDTH)]
    # GitHub's runner takes a line that begins with "::", and "##[" anywhere, for a command.
    text = re.sub(r"(?m)^(\s*)::", r"\1: :", remove_control_characters("\n".join(lines)))
    return text.replace("##[", "## [") + "\n"


def _render_comparison(comparison: dict[str, Any]) -> list[str]:
    if comparison["error"]:
        return [f"could not compare with {comparison['base']}: {comparison['error']}"]
    lines = [f"since {comparison['base']}: {len(comparison['changes'])} changes of the data"]
    lines += [f"  {render_change(change)}" for change in comparison["changes"]]
    lines += [f"  {render_contract_change(change)}" for change in comparison["contract_changes"]]
    for promise in comparison["broken_promises"]:
        owner = promise["owner"] or {"name": "its owner", "email": "see the base"}
        lines.append(f"  {promise['contract_name']} was loosened, and the database breaks what it promised")
        lines.append(f"    {render_violation(promise)}; ask {owner['name']}, {owner['email']}")
    return lines


def _render_outcome(report: dict[str, Any]) -> str:
    if report["outcome"] == "could not check":
        return f"could not check: {report['error']}"
    binding = [contract for contract in report["contracts"] if contract["effect"] == "binding"]
    broken = sum(bool(contract["violations"]) for contract in binding)
    return f"{report['outcome']}: {broken} of {len(binding)} binding contract{'s' * (len(binding) != 1)} broken"


def render_violation(violation: dict[str, Any]) -> str:
    """The column and what is wrong with it, and the new name where it seems to be there under another."""
    message, name = violation["message"], violation["renamed_to"]
    if violation["key"] not in ("column_name", "additionalColumns"):
        message = f"{violation['column_name']}: {message}"
    verb = "was" if violation["is_rename_certain"] else "seems"
    return f"{message}; it {verb} renamed to '{name}'" if name else message


def render_change(change: dict[str, Any]) -> str:
    """What became of a table or column, in words."""
    name = f"{change['table_schema']}.{change['table_name']}"
    name += f".{change['column_name']}" if change["column_name"] is not None else ""
    match change["change"]:
        case "added":
            return f"{name} is new"
        case "removed":
            return f"{name} is gone"
        case "renamed":
            return f"{name} {'is' if change['is_certain'] else 'seems'} renamed to {render_value(change['after'])}"
    return f"{name}: {change['key']} was {render_value(change['before'])}, is {render_value(change['after'])}"


def render_contract_change(change: dict[str, Any]) -> str:
    """What became of a clause, or of the whole contract, in words."""
    if change["json_path"] == "$":
        return f"{change['contract_name']}: {change['kind']}"
    values = f"was {render_value(change['before'])}, is {render_value(change['after'])}"
    return f"{change['contract_name']}, {change['json_path']}: {change['kind']}, {values}"


def find_harmless_changes(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The changes under contract of whose table or column no violation speaks."""
    told = {_get_place(contract) for contract in report["contracts"] if contract["is_table_missing"]}
    for contract in report["contracts"]:
        told |= {_get_place(contract, violation) for violation in contract["violations"]}
    told |= {_get_place(promise, promise) for promise in report["comparison"]["broken_promises"]}
    changes = report["comparison"]["changes"]
    return [change for change in changes if change["contract_names"] and _get_place(change, change) not in told]


def _get_place(table: dict[str, Any], column: dict[str, Any] | None = None) -> tuple[str, str, str | None]:
    return table["table_schema"], table["table_name"], column["column_name"] if column else None


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
