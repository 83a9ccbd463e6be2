"""A report as GitHub's workflow commands, which show it beside the lines of the pull request."""

from typing import Any

from data_contract_components.prevention._render_text import remove_control_characters, render_violation

# GitHub shows ten of a step.
SHOWN_ANNOTATIONS = 10


def render_annotations(report: dict[str, Any]) -> str:
    """One workflow command a root cause, at most ten lines; the last one counts the others.

    Source: GitHub's documentation, "Workflow commands for GitHub Actions", and actions/toolkit for the escaping.
    """
    commands = [
        _render_command("error", problem["path"], problem["line"], "Contract file to mend", problem["message"])
        for problem in report["problems"]
    ]
    if report["error"] and not commands:
        commands.append(_render_command("error", None, None, "Data contracts could not be checked", report["error"]))
    for contract in report["contracts"]:
        level = "error" if contract["effect"] == "binding" else "warning"
        for cause in find_root_causes(contract):
            message = f"{contract['contract_name']} of {contract['owner']['name']}, {contract['owner']['email']}:\n"
            message += "\n".join(cause["messages"])
            commands.append(_render_command(level, cause["path"], cause["line"], "Data contract violation", message))
    for promise in (report["comparison"] or {"broken_promises": []})["broken_promises"]:
        place = promise["cause"] if (promise["cause"] or {}).get("line") else promise
        message = f"{promise['contract_name']} was loosened, and the database breaks what it promised:\n"
        message += render_violation(promise)
        commands.append(_render_command("error", place["path"], place["line"], "Data contract loosened", message))
    if len(commands) > SHOWN_ANNOTATIONS:
        others = len(commands) - SHOWN_ANNOTATIONS + 1
        commands[SHOWN_ANNOTATIONS - 1 :] = [
            _render_command("error", None, None, "Data contracts", f"{others} more; the job summary has them all")
        ]
    return "".join(f"{command}\n" for command in commands)


def find_root_causes(contract: dict[str, Any]) -> list[dict[str, Any]]:
    """What somebody has to mend, once each: a table that is gone, or one column with all that is wrong with it.

    Shape: `path` and `line` (the migration's where it is known, or else the clause's), `messages`.
    """
    causes: dict[Any, dict[str, Any]] = {}
    for violation in contract["violations"]:
        is_first = (key := None if contract["is_table_missing"] else violation["column_name"]) not in causes
        if is_first:
            migration = violation["cause"] if (violation["cause"] or {}).get("line") else None
            line = contract["line"] if contract["is_table_missing"] else violation["line"]
            place = (migration["path"], migration["line"]) if migration else (contract["path"], line)
            causes[key] = {"path": place[0], "line": place[1], "messages": []}
        if not contract["is_table_missing"]:
            causes[key]["messages"].append(render_violation(violation))
        elif is_first:
            name = f"{contract['table_schema']}.{contract['table_name']}"
            causes[key]["messages"].append(f"Table '{name}' is defined in contract but missing from data catalog")
    return list(causes.values())


def _render_command(level: str, path: str | None, line: int | None, title: str, message: str) -> str:
    properties = {"file": path, "line": line, "title": title}
    text = ",".join(f"{key}={_escape_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{level} {text}::{_escape_message(message)}"


def _escape_message(text: str) -> str:
    return remove_control_characters(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_message(text).replace(":", "%3A").replace(",", "%2C")
