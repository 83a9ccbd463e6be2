"""A report as GitHub's workflow commands, which show it beside the lines of the pull request."""

from typing import Any

from data_contract_components.escaping import escape_controls
from data_contract_components.prevention.renderings.text import (
    find_harmless_changes,
    find_shown_violations,
    render_contract_change,
    render_fate,
    render_harmless_change,
    render_violation,
)

# GitHub shows ten of a step.
SHOWN_ANNOTATIONS = 10
SHOWN_CHARACTERS = 4000


def render_annotations(report: dict[str, Any]) -> str:
    """One workflow command per root cause, then one per change that breaks no clause; at most ten, counting the rest.

    Source: GitHub's documentation, "Workflow commands for GitHub Actions", and actions/toolkit for the escaping.
    """
    commands = [
        _render_command("error", problem["path"], problem["line"], "Contract file to fix", problem["message"])
        for problem in report["problems"]
    ]
    if report["error"] and not commands:
        commands.append(_render_command("error", None, None, "Data contracts could not be checked", report["error"]))
    for contract in report["contracts"]:
        commands += _render_causes(contract, "is broken", is_binding=contract["effect"] == "binding")
    if comparison := report["comparison"]:
        if comparison["error"]:
            text = f"{comparison['base']}: {comparison['error']}"
            commands.append(_render_command("error", None, None, "Could not compare with the base", text))
        for promise in comparison["broken_promises"]:
            commands += _render_causes(promise, render_fate(promise), is_binding=report["outcome"] == "violations")
        for change in comparison["contract_changes"]:
            text = render_contract_change(change)
            place = change["place"]
            commands.append(_render_command("notice", place["path"], place["line"], "Data contract changed", text))
        for change in find_harmless_changes(report):
            text = render_harmless_change(change)
            place = change["place"] or {"path": None, "line": None}
            commands.append(_render_command("notice", place["path"], place["line"], "Changed under contract", text))
    if len(commands) > SHOWN_ANNOTATIONS:
        others = commands[SHOWN_ANNOTATIONS - 1 :]
        # They are in the order of their weight.
        level = others[0].split()[0].strip(":")
        text = f"{len(others)} more; the job summary has them all"
        commands[SHOWN_ANNOTATIONS - 1 :] = [_render_command(level, None, None, "Data contracts", text)]
    return "".join(f"{command}\n" for command in commands)


def _render_causes(contract: dict[str, Any], fate: str, *, is_binding: bool) -> list[str]:
    """What somebody has to fix, once each: a table that is gone, or one column with all that is wrong with it.

    On the line of the migration that did it where that is known, or else on that of the clause.
    """
    owner = contract["owner"]
    violations_of_column: dict[str, list[dict[str, Any]]] = {}
    for violation in find_shown_violations(contract):
        violations_of_column.setdefault(violation["column_name"], []).append(violation)
    commands = []
    for violations in violations_of_column.values():
        first = violations[0]
        cause = first["cause"] if first["cause"] and first["cause"]["line"] else None
        place = (cause["path"], cause["line"]) if cause else (contract["path"], first["line"])
        level = "error" if is_binding and not first["is_earlier"] else "warning"
        lines = [f"{contract['contract_name']} of {owner['name']}, {owner['email']}, {fate}:"]
        lines += map(render_violation, violations)
        lines += ["The base breaks it already."] if first["is_earlier"] else []
        commands.append(_render_command(level, *place, "Data contract violation", "\n".join(lines)))
    return commands


def _render_command(level: str, path: str | None, line: int | None, title: str, message: str) -> str:
    properties = {"file": path, "line": line, "title": title}
    text = ",".join(f"{key}={_escape_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{level} {text}::{escape_message(message)}"


def escape_message(text: str) -> str:
    text = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
    return escape_controls(text).replace("%", "%25").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return escape_message(text).replace(":", "%3A").replace(",", "%2C")
