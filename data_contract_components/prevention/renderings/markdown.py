"""A report as Markdown: the pull request's comment, and the job's summary."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from data_contract_components.contract_definition._json_text import render_value
from data_contract_components.escaping import TEXT_CHARACTERS, code, cut, cut_middle, escape, fence, fold
from data_contract_components.prevention.github.workflow_run import Run
from data_contract_components.prevention.renderings.text import (
    EXPECTED_WORDS,
    FOUND_WORDS,
    count,
    find_harmless_changes,
    find_shown_violations,
    get_place_words,
    is_checked,
    render_change,
    render_contract_change,
    render_coverage,
    render_fate,
    render_harmless_change,
    render_violation,
)

# GitHub takes 65,536 characters in a comment, and 1,048,576 bytes in a summary.
COMMENT_CHARACTERS = 60_000
SUMMARY_CHARACTERS = 240_000
LOG_CHARACTERS = 20_000
LINKED_CHARACTERS = 1000
SHOWN_ROWS = 30
SHOWN_CONSUMERS = 10
NOTHING_IS_KNOWN = "This says nothing of the contracts, neither good nor bad. Fix what is named here, and push again."
NOT_COMPARED = "So it is not known whether a contract was loosened. Fix what is named here, and push again."
ALL_KEPT = "✅ All data contracts are kept."
LOOSENED_HEAD = "⚠️ All data contracts are kept, but some were loosened or removed, and their old promises are broken:"
NOT_COMPARED_HEAD = "⚠️ All data contracts are kept, but they could not be compared with those of the base:"
FAILS_NOTHING = "What follows does not bind (drafts, and contracts after their sunset), and fails nothing:"
NEXT_STEPS = """\
**What to do next**

1. Talk to the owner. They know who depends on the table, and for how long.
2. Keep the table as it is, and put the change into a new one with a contract of its own; the old one goes when
   everybody has moved.
3. Or change the contract together: once the owner and those who depend on it agree, the clause is taken out in a pull
   request of its own, and this one follows."""


def render_comment(report: dict[str, Any], log: str, run: Run) -> str:
    """What the pull request shows of violations, or of a check that could not be made; under 60,000 characters."""
    head, parts, tail = _render_findings(report, run)
    return _join(head, parts, [*tail, _render_log(log), _render_source(run)], COMMENT_CHARACTERS)


def render_resolved(run: Run) -> str:
    """What takes the comment's place when the contracts are kept again."""
    return f"✅ Data contract violations resolved in {run.sha}\n\n{_render_source(run)}\n"


def render_summary(report: dict[str, Any], log: str, run: Run | None) -> str:
    """What the job's page says, also when all is well; under 1 MB."""
    head, parts, tail = _render_findings(report, run)
    coverage = f"Coverage: {escape(render_coverage(report), LOG_CHARACTERS)}."
    tail.append(coverage if is_checked(report) else _render_log(log))
    return _join(head, parts, tail, SUMMARY_CHARACTERS)


def _join(head: str, parts: list[str], tail: list[str], limit: int) -> str:
    """All of it with empty lines between, but for those parts for which there is no room, which are counted."""
    tail = [part for part in tail if part]
    room = limit - sum(len(part) + 2 for part in (head, *tail)) - TEXT_CHARACTERS
    shown: list[str] = []
    for part in parts:
        room -= len(part) + 2
        if room < 0:
            left_out = len(parts) - len(shown)
            shown.append(f"… {left_out} more of these did not fit in here; `contract_report.json` has them all.")
            break
        shown.append(part)
    return "\n\n".join([head, *shown, *tail]) + "\n"


def _render_findings(report: dict[str, Any], run: Run | None) -> tuple[str, list[str], list[str]]:
    """The head line, a part for each contract that has violations, and what stands below them."""
    broken = [contract for contract in report["contracts"] if contract["violations"]]
    reported = [_render_contract(contract, run) for contract in broken if contract["effect"] == "reported"]
    reported = [FAILS_NOTHING, *reported] if reported else []
    if not is_checked(report):
        error = fence(cut_middle(report["error"] or "no reason is given", LOG_CHARACTERS))
        changes = _render_comparison(report, run) if report["comparison"] else []
        return "⚠️ Data contracts could not be checked:", [error, *changes, *reported], [NOTHING_IS_KNOWN]
    parts = [_render_contract(contract, run) for contract in broken if contract["effect"] == "binding"]
    tail = [NEXT_STEPS] if report["outcome"] == "violations" else []
    if report["comparison"]:
        parts += _render_comparison(report, run)
    parts += reported
    if report["outcome"] == "passed":
        is_loosened = report["comparison"] and report["comparison"]["broken_promises"]
        head = LOOSENED_HEAD if is_loosened else ALL_KEPT
        return head, parts, tail
    if report["outcome"] == "could not check":
        return NOT_COMPARED_HEAD, parts, [NOT_COMPARED]
    return "❌ Data contract violations detected:", parts, tail


def _render_contract(contract: dict[str, Any], run: Run | None, fate: str = "") -> str:
    owner = contract["owner"]
    table = f"{contract['table_schema']}.{contract['table_name']}"
    blocks = [
        f"### {code(contract['contract_name'])}, the contract of {code(table)}{fate and f', {fate}'}",
        f"Owner: **{escape(owner['name'])}**, {_render_addresses(owner)}",
        _render_consumers(contract.get("consumers", [])),
        _render_violations(contract, run),
    ]
    if not all(violation["is_earlier"] for violation in contract["violations"]):
        blocks.append(fold("A message to the owner, ready to send", fence(render_message(contract, run))))
    return "\n\n".join(block for block in blocks if block)


def _render_addresses(person: dict[str, Any]) -> str:
    return ", ".join(escape(person[key]) for key in ("email", "channel") if person[key])


def _render_consumers(consumers: list[dict[str, Any]]) -> str:
    lines = []
    for consumer in consumers[:SHOWN_CONSUMERS]:
        addresses = _render_addresses(consumer)
        line = f"- **{escape(consumer['name'])}** ({escape(consumer['role'])}{f', {addresses}' if addresses else ''}): "
        line += escape(consumer["reason"])
        if consumer["columns"]:
            line += f" ({', '.join(code(name) for name in consumer['columns'][:SHOWN_CONSUMERS])})"
        lines.append(line)
    if len(consumers) > SHOWN_CONSUMERS:
        lines.append(f"- and {len(consumers) - SHOWN_CONSUMERS} more")
    return "\n".join(["Who depends on it:", "", *lines]) if lines else ""


def _render_violations(contract: dict[str, Any], run: Run | None) -> str:
    """A table, a row a violation; one row for a table that is gone."""
    violations = find_shown_violations(contract)
    has_cause = any(violation["cause"] or violation["is_earlier"] for violation in violations)
    rows = [["column", "key", "expected", "found", get_place_words(contract), *(["broken by"] if has_cause else [])]]
    rows.append(["---"] * len(rows[0]))
    for violation in violations[:SHOWN_ROWS]:
        row = [
            code(violation["column_name"]),
            code(violation["key"]),
            _render_expected(violation),
            _render_found(violation),
            _link(f"line {violation['line']}", contract["path"], violation["line"], run) if violation["line"] else "",
        ]
        if has_cause:
            row.append(_render_cause(violation, run))
        rows.append(row)
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if len(violations) > SHOWN_ROWS:
        lines.append(f"\n… and {len(violations) - SHOWN_ROWS} more of this contract.")
    return "\n".join(lines)


def _render_expected(violation: dict[str, Any]) -> str:
    return EXPECTED_WORDS.get(violation["key"]) or code(render_value(violation["expected"]))


def _render_found(violation: dict[str, Any]) -> str:
    text = FOUND_WORDS.get(violation["key"]) or code(render_value(violation["found"]))
    name = violation["renamed_to"]
    return f"{text}, {'' if violation['is_rename_certain'] else 'seems '}renamed to {code(name)}" if name else text


def _render_cause(violation: dict[str, Any], run: Run | None) -> str:
    """The line of the migration."""
    if violation["is_earlier"]:
        return "the base already"
    cause = violation["cause"]
    if cause is None:
        return ""
    place = f"{cause['revision']}, line {cause['line']}" if cause["line"] else str(cause["revision"])
    return _link(place, cause["path"], cause["line"], run)


def _render_comparison(report: dict[str, Any], run: Run | None) -> list[str]:
    """What the pull request changes besides breaking contracts."""
    comparison = report["comparison"]
    if comparison["error"]:
        error = fence(cut_middle(comparison["error"], LOG_CHARACTERS))
        return [f"The comparison with {code(comparison['base'])} could not be made:\n\n{error}"]
    parts = [_render_contract(promise, run, render_fate(promise)) for promise in comparison["broken_promises"]]
    changes = comparison["contract_changes"]
    parts.append(_render_list("Contracts changed; each needs its owner", map(render_contract_change, changes)))
    harmless = map(render_harmless_change, find_harmless_changes(report))
    parts.append(_render_list("Changed under contract, without breaking a clause", harmless))
    new_tables = [
        change
        for change in comparison["changes"]
        if change["change"] == "added" and change["column_name"] is None and not change["contract_names"]
    ]
    parts.append(_render_list("New tables without a contract", map(render_change, new_tables)))
    if comparison["changes"]:
        lines = [_render_change_row(change, run) for change in comparison["changes"][:SHOWN_ROWS]]
        title = f"{count(comparison['changes'], 'change')} of the data since {escape(comparison['base_commit'][:12])}"
        parts.append(fold(title, "\n".join(lines)))
    return [part for part in parts if part]


def _render_list(title: str, texts: Iterable[str]) -> str:
    lines = [f"- {escape(text)}" for text in texts]
    if len(lines) > SHOWN_ROWS:
        lines[SHOWN_ROWS:] = [f"- and {len(lines) - SHOWN_ROWS} more"]
    return "\n".join([f"**{title}**", "", *lines]) if lines else ""


def _render_change_row(change: dict[str, Any], run: Run | None) -> str:
    place = _render_cause({"is_earlier": False, "cause": change["place"]}, run)
    return f"- {escape(render_change(change))}{place and f', {place}'}"


def render_message(contract: dict[str, Any], run: Run | None) -> str:
    """What a developer may send to a contract's owner, as plain text."""
    owner, table = contract["owner"], f"{contract['table_schema']}.{contract['table_name']}"
    own = [violation for violation in find_shown_violations(contract) if not violation["is_earlier"]]
    violations = [f"- {cut(render_violation(violation))}" for violation in own]
    if len(violations) > SHOWN_ROWS:
        violations[SHOWN_ROWS:] = [f"- and {len(violations) - SHOWN_ROWS} more"]
    lines = [
        f"To: {cut(owner['email'])}",
        f"Subject: a change of {cut(table)} would break {cut(contract['contract_name'])}",
        "",
        f"Hello {cut(owner['name'])},",
        "",
        f"a change of mine would break your data contract {cut(contract['contract_name'])}:",
        *violations,
        "",
        "Could we agree on how to go on? I could leave the table as it is and put",
        "the change into a new one until everybody has moved; or we change the",
        "contract together.",
        *([f"The check: {run.url}"] if run else []),
    ]
    return "\n".join(lines)


def _render_log(log: str) -> str:
    return fold("The full log", fence(cut_middle(log, LOG_CHARACTERS))) if log.strip() else ""


def _render_source(run: Run) -> str:
    return f"[Run {run.number}]({run.url}) of {run.sha[:12]}"


def _link(text: str, path: str, line: int | None, run: Run | None) -> str:
    """A place in the repository, as it was in the run."""
    # A browser takes "\\" for "/", and resolves "..", before it asks the server.
    is_of_repository = not {"", ".", ".."} & set(path.replace("\\", "//").split("/")) and path.isprintable()
    if run is None or len(path) > LINKED_CHARACTERS or not is_of_repository:
        return escape(text)
    url = f"{run.server_url}/{run.repository}/blob/{run.sha}/{quote(path)}{f'#L{int(line)}' if line else ''}"
    return f"[{escape(text)}]({url})"
