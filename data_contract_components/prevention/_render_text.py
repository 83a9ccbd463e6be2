"""A report for the terminal."""

import re
import textwrap
from typing import Any

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
                lines.append("  does not bind, only reported")
            for violation in contract["violations"]:
                lines.append(f"  {render_violation(violation)}")
                lines.append(f"    promised in {contract['path']}:{violation['line']}")
                if violation["cause"]:
                    lines.append(f"    broken by {violation['cause']['path']}:{violation['cause']['line']}")
    if report["outcome"] != "could not check":
        lines += ["", *textwrap.wrap(render_coverage(report), WIDTH)]
    # GitHub's runner takes a line that begins with "::", and "##[" anywhere, for a command.
    text = re.sub(r"(?m)^(\s*)::", r"\1: :", remove_control_characters("\n".join(lines)))
    return text.replace("##[", "## [") + "\n"


def _render_outcome(report: dict[str, Any]) -> str:
    if report["outcome"] == "could not check":
        return f"could not check: {report['error']}"
    binding = [contract for contract in report["contracts"] if contract["effect"] == "binding"]
    broken = sum(bool(contract["violations"]) for contract in binding)
    return f"{report['outcome']}: {broken} of {len(binding)} binding contract{'s' * (len(binding) != 1)} broken"


def render_violation(violation: dict[str, Any]) -> str:
    """The column and what is wrong with it, and the new name where it seems to be there under another."""
    message, name = violation["message"], violation["likely_renamed_to"]
    if not message.startswith("Column "):
        message = f"{violation['column_name']}: {message}"
    return f"{message}; it seems renamed to '{name}'" if name else message


def render_coverage(report: dict[str, Any]) -> str:
    """How many tables have a contract, and which have none."""
    without = [f"{table['table_schema']}.{table['table_name']}" for table in report["tables_without_contract"]]
    tables = {(contract["table_schema"], contract["table_name"]) for contract in report["contracts"]}
    text = f"{len(tables)} of {len(tables) + len(without)} tables under contract"
    if len(without) > SHOWN_TABLES:
        without = [*without[:SHOWN_TABLES], f"and {len(without) - SHOWN_TABLES} more"]
    return f"{text}; without: {', '.join(without)}" if without else text
