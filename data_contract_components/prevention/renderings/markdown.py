"""A report as Markdown: the pull request's comment, and the job's summary."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import quote

from data_contract_components.contract_definition._json_text import render_value
from data_contract_components.detection.migration_changes.changes import ContractChange, Place
from data_contract_components.escaping import (
    TEXT_CHARACTERS,
    code,
    cut_middle,
    escape,
    escape_controls,
    fence,
)
from data_contract_components.prevention.contract_report.contract_report import (
    BrokenPromise,
    CheckedContract,
    Comparison,
    Consumer,
    ContractReport,
    Owner,
    ReportedContract,
)
from data_contract_components.prevention.github.workflow_run import Run
from data_contract_components.prevention.renderings import words
from data_contract_components.prevention.renderings.next_steps import (
    find_next_steps,
    find_weaker_promises,
    render_message,
    render_question,
)
from data_contract_components.prevention.renderings.transitions import (
    UNNOTICED_DAYS,
    find_sunset_notes,
    find_transition_notes,
    render_title,
)
from data_contract_components.prevention.renderings.waivers import find_offer

# GitHub accepts 65,536 characters in a comment, and 1,048,576 bytes in a summary.
COMMENT_CHARACTERS = 60_000
SUMMARY_CHARACTERS = 240_000
LOG_CHARACTERS = 20_000
LINKED_CHARACTERS = 1000
SHOWN_CONSUMERS = 10
VIOLATIONS_HEAD = "❌ Data contract violations detected:"
NOT_CHECKED_HEAD = "⚠️ Data contracts could not be checked:"
NOT_COMPARED_HEAD = "⚠️ All current contracts pass, but they could not be compared with those of the base:"
ALL_KEPT = "✅ All data contracts are kept."
NOT_CHECKED = (
    "It is not known whether the contracts are kept. Fix the problem above, and push again, or run the job again if it "
    "was an outage."
)
NOT_COMPARED = "It is not known whether a contract was loosened. Fix the problem above, and push again."
NOT_ENFORCED = "The following contracts are not enforced (drafts, and contracts after their sunset) and fail nothing:"
# More than the longest step has.
STEP_CHARACTERS = 4000


def render_comment(report: ContractReport, log: str, run: Run) -> str:
    """The comment on violations, on a check that could not be made, or if `report.asks`; under 60,000 characters."""
    head, parts, tail = _render_findings(report, run)
    log_part = "" if report.asks else _render_log(log)
    return _join(head, parts, [*tail, log_part, _render_source(run)], COMMENT_CHARACTERS)


def render_resolved(run: Run) -> str:
    """The comment when the contracts are kept again."""
    return f"✅ Data contract violations resolved in {run.sha}\n\n{_render_source(run)}\n"


def render_summary(report: ContractReport, log: str, run: Run | None) -> str:
    """The job's summary, whatever the outcome; under 1 MB."""
    head, parts, tail = _render_findings(report, run)
    coverage = f"Coverage: {escape(words.render_coverage(report), LOG_CHARACTERS)}."
    overdue = [contract for contract in report.contracts if (contract.days_past_sunset or 0) > UNNOTICED_DAYS]
    parts += (_render_list(escape(render_title(contract)), find_sunset_notes(contract)) for contract in overdue)
    return _join(head, parts, [*tail, coverage if report.is_checked else _render_log(log)], SUMMARY_CHARACTERS)


def _join(head: str, parts: list[str], tail: list[str], limit: int) -> str:
    """All of it with empty lines between; parts for which there is no room are counted instead."""
    tail = [part for part in tail if part]
    room = limit - sum(len(part) + 2 for part in (head, *tail)) - TEXT_CHARACTERS
    shown: list[str] = []
    for part in parts:
        room -= len(part) + 2
        if room < 0:
            left_out = len(parts) - len(shown)
            shown.append(f"… {left_out} more did not fit in here; `contract_report.json` has all of them.")
            break
        shown.append(part)
    return "\n\n".join([head, *shown, *tail]) + "\n"


def _render_findings(report: ContractReport, run: Run | None) -> tuple[str, list[str], list[str]]:
    """The first line, a part for each contract with violations, and what comes after them."""
    if run and report.source and report.source.commit:
        run = replace(run, sha=report.source.commit)  # in which the lines of the report are those lines
    broken = [contract for contract in report.contracts if contract.violations]
    reported = [_render_contract(contract, report, run) for contract in broken if contract.enforcement == "reported"]
    reported = [NOT_ENFORCED, *reported] if reported else []
    changes = _render_comparison(report, report.comparison, run) if report.comparison else []
    changes = [words.render_day(report), _render_waived(report, run), *changes]
    steps = _render_next_steps(report)
    if not report.is_checked:
        reason = _render_log_part(report.error or "no reason given")
        place = [_render_place(report.place, run)] if report.place else []
        parts = [part for part in (reason, *place, *changes, *reported) if part]
        return NOT_CHECKED_HEAD, parts, [steps or NOT_CHECKED]
    parts = [_render_contract(contract, report, run) for contract in broken if contract.enforcement == "binding"]
    notes = (f"{contract.table}, {note}" for contract in report.contracts for note in words.find_query_notes(contract))
    parts += [
        _render_list(words.TO_FIX, words.find_problems(report), STEP_CHARACTERS),
        *changes,
        _render_list(words.QUERY_NOTES, notes),
        *reported,
    ]
    binding = [contract for contract in report.contracts if contract.enforcement == "binding"]
    parts += (_render_list(escape(render_title(contract)), find_transition_notes(contract)) for contract in binding)
    parts = [part for part in parts if part]
    match report.conclusion:
        case "violations":
            return VIOLATIONS_HEAD, parts, [steps]
        case "could not compare":
            return NOT_COMPARED_HEAD, parts, [NOT_COMPARED]
        case "asks":
            return _render_asking_head(report), parts, [steps]
    return ALL_KEPT, parts, []


def _render_waived(report: ContractReport, run: Run | None) -> str:
    lines = [
        f"- {code(contract.contract_name)}, {escape(finding.text)}; {escape(str(finding.violation.waiver))}"
        + (f" (broken by {call})" if (call := _render_call(finding.violation.cause, run)) else "")
        for contract in report.contracts
        for finding in words.find_waived(contract)
    ]
    head = "**Waived: broken for a while, which fails nothing**"
    return "\n".join([head, "", *words.cut_list(lines)]) if lines else ""


def _render_asking_head(report: ContractReport) -> str:
    if not (report.broken_promises or report.weaker_promises):
        return "✅ All data contracts are kept, but for what is waived:"
    if promises := report.broken_promises:
        change = f"{len(promises)} were loosened or deleted, and their"
        if len(promises) == 1:
            change = f"one was {'deleted' if promises[0].is_deleted else 'loosened'}, and its"
        return f"⚠️ All current contracts pass, but {change} old promises are broken:"
    weaker = find_weaker_promises(report)
    number = len(weaker)
    who = "one promises less than before; its owner" if number == 1 else f"{number} promise less; their owners"
    if all(changes[0].deletes_contract for changes in weaker.values()):
        who = "one was deleted; its owner" if number == 1 else f"{number} were deleted; their owners"
    return f"❓ All data contracts are kept, but {who} must agree:"


def _render_next_steps(report: ContractReport) -> str:
    """Each step on one line, as GitHub shows a line's end in a comment."""
    groups = find_next_steps(report)
    blocks = []
    for group in groups:
        title = "What to do next" if len(groups) == 1 else f"What to do next: {group.title}"
        steps = [f"{number}. {escape(step, STEP_CHARACTERS)}" for number, step in enumerate(group.steps, start=1)]
        blocks.append("\n".join([f"**{title}**", "", *steps]))
        blocks += [escape(group.alternative, STEP_CHARACTERS)] if group.alternative else []
    return "\n\n".join(blocks)


def _render_contract(contract: CheckedContract | BrokenPromise, report: ContractReport, run: Run | None) -> str:
    verdict = f", {words.render_verdict(contract)}" if isinstance(contract, BrokenPromise) else ""
    is_not_built = words.is_not_built(contract, report.comparison)
    message = render_message(contract, report, _render_links(report, run))
    findings = words.find_findings(contract)
    blocks = [
        f"### {code(contract.contract_name)}, the contract of {code(contract.table)}{verdict}",
        f"Owner: **{escape(contract.owner.name)}**, {_render_contacts(contract.owner)}",
        words.NOT_BUILT if is_not_built else "",
        _render_table(contract, findings, run),
        *(_render_query(finding, run) for finding in findings[: words.SHOWN_LINES]),
        _render_list("Waivers", (f"{f.text}; {f.violation.waiver}" for f in findings if f.violation.waiver)),
        _render_consumers(contract.consumers) if isinstance(contract, CheckedContract) else "",
        _render_message(message),
        _render_offer(contract, report),
    ]
    return "\n\n".join(block for block in blocks if block)


def _render_weaker(changes: Sequence[ContractChange], report: ContractReport, run: Run | None) -> str:
    """A contract that promises less than in the base, and that nothing breaks."""
    first = changes[0]
    consumers = [c.consumers for c in report.contracts if c.contract_name == first.contract_name]
    lines = [
        f"- {escape(change.text)}"
        + (f", {_link(f'line {line}', change.place.path, line, run)}" if (line := change.place.line) else "")
        for change in changes
    ]
    blocks = [
        f"### {code(first.contract_name)}, {'deleted' if first.deletes_contract else 'loosened'}",
        f"Owner: **{escape(first.owner_name)}**, {escape(first.owner_email)}",
        "" if first.deletes_contract else "\n".join(words.cut_list(lines)),
        _render_consumers(consumers[0]) if consumers else "",
        _render_message(render_question(changes, _render_links(report, run))),
    ]
    return "\n\n".join(block for block in blocks if block)


def _render_message(message: str) -> str:
    return _render_details("A message to the owner, ready to send", fence(message)) if message else ""


def _render_offer(contract: CheckedContract | BrokenPromise, report: ContractReport) -> str:
    offer = find_offer(contract, report) if isinstance(contract, CheckedContract) else None
    return _render_details("A waiver, if the owner agrees to it", f"{offer[0]}\n\n{fence(offer[1])}") if offer else ""


def _render_links(report: ContractReport, run: Run | None) -> list[str]:
    """Where the owner can see what the message is about."""
    if run is None:
        return []
    number = report.source and report.source.pull_request
    links = [f"The pull request: {run.server_url}/{run.repository}/pull/{number}"] if number else []
    return [*links, f"The check: {run.url}"]


def _render_contacts(person: Owner | Consumer) -> str:
    return ", ".join(escape(contact) for contact in (person.email, person.channel) if contact)


def _render_consumers(consumers: Sequence[Consumer]) -> str:
    lines = []
    for consumer in consumers:
        details = ", ".join(filter(None, (escape(consumer.role), _render_contacts(consumer))))
        line = f"- **{escape(consumer.name)}** ({details}): {escape(consumer.reason)}"
        if consumer.columns:
            line += f" ({', '.join(code(name) for name in consumer.columns[:SHOWN_CONSUMERS])})"
        lines.append(line)
    return "\n".join(["Consumers:", "", *words.cut_list(lines, SHOWN_CONSUMERS)]) if lines else ""


def _render_table(contract: ReportedContract, findings: list[words.Finding], run: Run | None) -> str:
    """One row per finding."""
    has_cause = any(finding.violation.cause or finding.violation.is_earlier for finding in findings)
    has_line = any(finding.line for finding in findings)
    head = ["column", "key", "expected", "found"]
    head += [words.render_line_label(contract)] if has_line else []
    head += ["broken by"] if has_cause else []
    rows = [head, ["---"] * len(head)]
    for finding in findings[: words.SHOWN_LINES]:
        row = [
            code(finding.column_name),
            code(finding.key),
            words.EXPECTED_WORDS.get(finding.key) or code(render_value(finding.expected)),
            _render_found(finding),
        ]
        if has_line:
            row.append(_link(f"line {finding.line}", contract.path, finding.line, run) if finding.line else "")
        if has_cause:
            row.append("the base" if finding.violation.is_earlier else _render_call(finding.violation.cause, run))
        rows.append(row)
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if len(findings) > words.SHOWN_LINES:
        lines.append(f"\n… and {len(findings) - words.SHOWN_LINES} more of this contract.")
    return "\n".join(lines)


def _render_query(finding: words.Finding, run: Run | None) -> str:
    """The line of a query that fails, its consumer and PostgreSQL's hint."""
    query = finding.violation.query
    if query is None:
        return ""
    place = _link(words.render_query_place(query), query.path, query.line, run)
    lines = [f"{escape(finding.text)}. In {place}:", "", fence(escape_controls("\n".join(words.quote_query(query))))]
    lines += ["", f"Hint: {escape(query.hint)}"] if query.hint else []
    return "\n".join(lines)


def _render_found(finding: words.Finding) -> str:
    text = words.FOUND_WORDS.get(finding.key) or code(render_value(finding.found))
    if name := finding.violation.renamed_to:
        text += f", {'' if finding.violation.is_rename_certain else 'seems '}renamed to {code(name)}"
    return text


def _render_place(place: Place, run: Run | None) -> str:
    text = f"In {_link(words.render_place(place.path, place.line), place.path, place.line, run)}"
    return f"{text}, revision {code(place.revision)}" if place.revision else text


def _render_call(place: Place | None, run: Run | None) -> str:
    """The call of a migration: its revision and line."""
    if place is None:
        return ""
    text = f"{place.revision}, line {place.line}" if place.line else str(place.revision)
    return _link(text, place.path, place.line, run)


def _render_comparison(report: ContractReport, comparison: Comparison, run: Run | None) -> list[str]:
    """What changed since the base, but for the contracts that this checkout breaks."""
    if comparison.error:
        return [f"Could not compare with {code(comparison.base)}:\n\n{_render_log_part(comparison.error)}"]
    new_tables = [
        change
        for change in comparison.changes
        if change.change == "added" and change.column_name is None and not change.contract_names
    ]
    harmless = (text for _, text in words.find_harmless_changes(report))
    weaker = find_weaker_promises(report)
    shown = {id(change) for changes in weaker.values() for change in changes}
    others = [change for change in comparison.contract_changes if id(change) not in shown]
    parts = [
        *(_render_contract(promise, report, run) for promise in comparison.broken_promises),
        *(_render_weaker(changes, report, run) for changes in weaker.values()),
        _render_list("New contracts", (str(change) for change in others if change.adds_contract)),
        _render_list(
            "Changed contracts; the owner must agree", (str(change) for change in others if not change.adds_contract)
        ),
        _render_list("Changed under contract, without breaking a clause", harmless),
        _render_list("New tables without a contract", map(str, new_tables)),
    ]
    if comparison.changes:
        calls = [(str(change), _render_call(change.place, run)) for change in comparison.changes[: words.SHOWN_LINES]]
        lines = [f"- {escape(text)}{call and f', {call}'}" for text, call in calls]
        title = f"{words.count(comparison.changes, 'schema change')} since {escape(comparison.short_commit)}"
        parts.append(_render_details(title, "\n".join(lines)))
    return [part for part in parts if part]


def _render_list(title: str, texts: Iterable[str], characters: int = TEXT_CHARACTERS) -> str:
    lines = words.cut_list([f"- {escape(text, characters)}" for text in texts])
    return "\n".join([f"**{title}**", "", *lines]) if lines else ""


def _render_log(log: str) -> str:
    return _render_details("The full log", _render_log_part(log)) if log.strip() else ""


def _render_log_part(text: str) -> str:
    # Escaped first: an escaped character is up to six long.
    return fence(cut_middle(escape_controls(text), LOG_CHARACTERS))


def _render_details(title: str, text: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"


def _render_source(run: Run) -> str:
    return f"[Run {run.number}]({run.url}) of {run.sha[:12]}"


def _link(text: str, path: str, line: int | None, run: Run | None) -> str:
    """A link to a line of the commit that was checked; only `text` if there is no run, or no such path."""
    # A browser reads "\\" as "/", and resolves "..", before it asks the server.
    is_of_repository = not {"", ".", ".."} & set(path.replace("\\", "//").split("/")) and path.isprintable()
    if run is None or len(path) > LINKED_CHARACTERS or not is_of_repository:
        return escape(text)
    url = f"{run.server_url}/{run.repository}/blob/{run.sha}/{quote(path)}{f'#L{line}' if line else ''}"
    return f"[{escape(text)}]({url})"
