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
        place = _find_place(promise, promise, promise["line"])
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
    violations = contract["violations"]
    if contract["is_table_missing"] and violations and violations[0]["key"] == "column_name":
        name = f"{contract['table_schema']}.{contract['table_name']}"
        message = f"Table '{name}' is defined in contract but missing from data catalog"
        return [_find_place(violations[0], contract, contract["line"]) | {"messages": [message]}]
    causes: dict[str, dict[str, Any]] = {}
    for violation in violations:
        place = _find_place(violation, contract, violation["line"])
        cause = causes.setdefault(violation["column_name"], place | {"messages": []})
        cause["messages"].append(render_violation(violation))
    return list(causes.values())


def _find_place(violation: dict[str, Any], contract: dict[str, Any], line: int) -> dict[str, Any]:
    cause = violation["cause"]
    if cause and cause["line"]:
        return {"path": cause["path"], "line": cause["line"]}
    return {"path": contract["path"], "line": line}


def _render_command(level: str, path: str | None, line: int | None, title: str, message: str) -> str:
    properties = {"file": path, "line": line, "title": title}
    text = ",".join(f"{key}={_escape_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{level} {text}::{escape_message(message)}"


def escape_message(text: str) -> str:
    return remove_control_characters(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return escape_message(text).replace(":", "%3A").replace(",", "%2C")
