"""Step 7 of the flow: the report as one HTML page, which needs nothing but itself."""

import base64
import hashlib
import html
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from data_contract_components.contract_definition._json_text import render_value
from data_contract_components.prevention.renderings.text import (
    EXPECTED_WORDS,
    FOUND_WORDS,
    count,
    find_shown_violations,
    is_checked,
    render_change,
    render_contract_change,
    render_place,
    render_violation,
)

STYLE = Path(__file__).with_name("report_page.css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_name("report_page.js").read_text(encoding="utf-8")
LONGEST_TEXT = 10_000  # characters

# The states of contracts and of clauses, in the order of the page. Said in words; the style adds a sign and a colour.
STATES = {
    "broken": "broken",
    "missing": "missing",
    "reported": "differs, only reported",
    "unchecked": "not checked",
    "kept": "kept",
}
# Anything else is shown as text: the address comes from a contract, and a link does what its address says.
PLAIN_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,255}")


def render_html(report: dict[str, Any]) -> str:
    """The page that shows a report (the content of contract_report.json), from `<!doctype html>` to `</html>`."""
    contracts = [(_get_state(contract, is_checked(report)), contract) for contract in report["contracts"]]
    contracts.sort(key=lambda pair: list(STATES).index(pair[0]))  # equals keep their order
    # When the database was not read, an empty list says nothing.
    is_known = is_checked(report) or bool(report["tables_without_contract"])
    cards = "\n".join(_render_contract(number, *pair) for number, pair in enumerate(contracts, start=1))
    comparison = _render_comparison(report["comparison"]) if report["comparison"] else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_render_content_security_policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Data contract report: {html.escape(report["outcome"])}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>Data contract report</h1>
{_render_outcome(report, [state for state, _ in contracts])}
</header>
<nav aria-label="On this page">
<a href="#contracts">Contracts</a>
<a href="#tables">Tables</a>
{'<a href="#changes">Changes</a>' if comparison else ""}
</nav>
<main>
{_render_glance(report, contracts, is_known)}
<div role="search" hidden>
<label for="search">Search contracts, tables, columns and owners</label>
<input id="search" type="search" autocomplete="off" spellcheck="false" aria-describedby="matches">
<p id="matches" role="status" aria-live="polite"></p>
</div>
<section aria-labelledby="contracts">
<h2 id="contracts">Contracts</h2>
{cards or "<p>There is no contract to show.</p>"}
</section>
{_render_tables(report, contracts, is_known)}
{comparison}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _render_content_security_policy() -> str:
    """A policy under which nothing is loaded, and no other style or script than the page's own is used."""
    style, script = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (STYLE, SCRIPT))
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _get_state(contract: dict[str, Any], is_compared: bool) -> str:
    """The one of STATES that holds for the whole contract."""
    if contract["violations"] or contract["is_table_missing"]:
        return "broken" if contract["effect"] == "binding" else "reported"
    return "unchecked" if contract["effect"] == "unchecked" or not is_compared else "kept"


def _render_promises(promises: list[dict[str, Any]]) -> str:
    items = "".join(
        f"<li>{_render_state('broken', 'Loosened and broken')} {_text(promise['contract_name'])} of "
        f"{_text(promise['owner']['name'])}, {_mail(promise['owner']['email'])}: "
        f"{_text(render_violation(violation))}</li>"
        for promise in promises
        for violation in find_shown_violations(promise)
    )
    return f"<ul>{items}</ul>" if items else ""


def _render_outcome(report: dict[str, Any], states: list[str]) -> str:
    promises = (report["comparison"] or {"broken_promises": []})["broken_promises"]
    loosened = f" {count(promises, 'contract')} loosened and broken." if promises else ""
    broken = f"{states.count('broken')} of {count(states, 'contract')} broken"
    state, words = {
        "passed": ("kept", f"Passed: no contract is broken.{loosened}"),
        "violations": ("broken", f"Violations: {broken}.{loosened}"),
        "could not check": ("unchecked", "Could not check, for the reason below."),
    }[report["outcome"]]
    if report["outcome"] == "could not check" and is_checked(report):
        words = "Could not compare: no contract is broken, but what changed since the base is not known."
    reported = "<p>A contract that is a draft or past its sunset differs, too, which fails nothing.</p>"
    error = f'<pre tabindex="0" role="group" aria-label="Why">{_text(report["error"])}</pre>'
    return (
        f'<p class="outcome state {state}">{words}</p>\n{_render_promises(promises)}\n'
        f"{reported if 'reported' in states else ''}{error if report['error'] else ''}"
    )


def _render_glance(report: dict[str, Any], contracts: list[tuple[str, dict[str, Any]]], is_known: bool) -> str:
    states = [state for state, _ in contracts]
    with_contract = {(contract["table_schema"], contract["table_name"]) for _, contract in contracts}
    facts = [
        *(
            (_render_state(state, STATES[state].capitalize()), str(states.count(state)))
            for state in STATES
            if state != "missing"
        ),
        ("Tables with a contract", str(len(with_contract)) if is_known else "not known"),
        ("Tables without a contract", str(len(report["tables_without_contract"])) if is_known else "not known"),
    ]
    items = "\n".join(f"<div><dt>{words}</dt><dd>{number}</dd></div>" for words, number in facts)
    return f"""<section aria-labelledby="glance">
<h2 id="glance">At a glance: {count(contracts, "contract")}</h2>
<dl class="glance">
{items}
</dl>
</section>"""


def _render_contract(number: int, state: str, contract: dict[str, Any]) -> str:
    violations, consumers, owner = contract["violations"], contract["consumers"], contract["owner"]
    words = STATES[state].capitalize() + (f": {count(violations, 'violation')}" if violations else "")
    sunset = f" until {_text(contract['sunset'])}" if contract["sunset"] else ""
    channel = f", {_text(owner['channel'])}" if owner["channel"] else ""
    # Whoever broke a contract has to see whom it hurts without opening anything.
    is_open = " open" if state in ("broken", "reported") else ""
    people = "\n".join(map(_render_consumer, consumers))
    return f"""<article class="contract {state}" id="contract-{number}" aria-labelledby="name-{number}">
<h3 id="name-{number}" class="find">{_text(contract["contract_name"])}</h3>
<p>{_render_state(state, words)}</p>
<p>{_text(contract["doc"])}</p>
<dl class="facts">
<div><dt>Table</dt><dd class="find">{_text(contract["table_schema"])}.{_text(contract["table_name"])}</dd></div>
<div><dt>Owner</dt><dd class="find">{_text(owner["name"])}, {_mail(owner["email"])}{channel}</dd></div>
<div><dt>Status</dt><dd>{_text(contract["status"])}{sunset} ({_text(contract["effect"])})</dd></div>
<div><dt>Name</dt><dd class="find">{_text(contract["namespace"])} / {_text(contract["name"])}</dd></div>
<div><dt>File</dt><dd>{_text(contract["path"])}, line {_text(contract["line"])}</dd></div>
</dl>
{f"<p>{_render_state('missing', 'The table is not in the database.')}</p>" if contract["is_table_missing"] else ""}
{_render_violations(violations) if violations else ""}
{f"<details{is_open}><summary>{count(consumers, 'consumer')}</summary><ul>{people}</ul></details>" if people else ""}
{_render_clauses(contract["clauses"]) if contract["clauses"] else ""}
</article>"""


def _render_consumer(consumer: dict[str, Any]) -> str:
    columns = ", ".join(map(_text, consumer["columns"])) if consumer["columns"] else "all columns"
    contact = "".join(
        f", {part}" for part in (_mail(consumer["email"] or ""), _text(consumer["channel"] or "")) if part
    )
    name = f'<strong class="find">{_text(consumer["name"])}</strong>'
    return f"<li>{name} ({_text(consumer['role'])} of {columns}): {_text(consumer['reason'])}{contact}</li>"


def _render_violations(violations: list[dict[str, Any]]) -> str:
    # The explanation has a row of its own, so that a phone shows expected beside found.
    rows = (
        f'<tbody><tr><th scope="rowgroup"><span class="find">{_text(violation["column_name"])}</span>'
        f"<small>{_text(violation['key'])}, line {_text(violation['line'])}</small></th>"
        f"<td>{EXPECTED_WORDS.get(violation['key']) or _text(violation['expected'])}</td>"
        f"<td>{FOUND_WORDS.get(violation['key']) or _text(violation['found'])}</td></tr>\n"
        f'<tr><td colspan="3">{_render_explanation(violation)}</td></tr></tbody>'
        for violation in violations
    )
    return _render_table("Violations", ("Column and clause", "Expected", "Found"), rows)


def _render_explanation(violation: dict[str, Any]) -> str:
    cause, new_name = violation["cause"], violation["renamed_to"]
    parts = [_text(violation["message"])]
    if new_name:
        words = "Renamed" if violation["is_rename_certain"] else "Likely renamed"
        parts.append(f"{words} to <strong>{_text(new_name)}</strong>.")
    if violation["is_earlier"]:
        parts.append("The base breaks it already.")
    if cause:
        line = f", line {_text(cause['line'])}" if cause["line"] else ""
        place = f"{_text(cause['path'])}{line}, revision {_text(cause['revision'])}"
        parts.append(f"Cause: {place}: <code>{_text(cause['statement'])}</code>")
    return "<br>".join(parts)


def _render_clauses(clauses: list[dict[str, Any]]) -> str:
    """The clauses, folded away, one row a column; what is wrong comes first in a row."""
    rows = []
    for column_name, clauses_of_column in groupby(clauses, key=lambda clause: str(clause["column_name"])):
        items: dict[str, list[str]] = {state: [] for state in STATES}
        for clause in clauses_of_column:
            words = f"{_text(clause['key'])}: {_text(clause['expected'])} <i>{_text(clause['line'])}</i>"
            items[clause["state"]].append(f"<li>{words}")
        lists = (
            f'<ul class="{state}"><li>{_render_state(state, f"{len(of)} {STATES[state]}")}{"".join(of)}</ul>'
            for state, of in items.items()
            if of
        )
        rows.append(f'<tr><th scope="row">{_text(column_name)}<td>{"".join(lists)}')
    states = [clause["state"] for clause in clauses]
    summary = ", ".join(f"{states.count(state)} {words}" for state, words in STATES.items() if state in states)
    table = _render_table("Clauses, column by column", ("Column", "Clauses, each with its line in the file"), rows)
    return f'<details class="clauses"><summary>{count(clauses, "clause")}: {summary}</summary>{table}</details>'


def _render_tables(report: dict[str, Any], contracts: list[tuple[str, dict[str, Any]]], is_known: bool) -> str:
    tables = report["tables_without_contract"]
    links: dict[tuple[str, str], list[str]] = {(table["table_schema"], table["table_name"]): [] for table in tables}
    for number, (state, contract) in enumerate(contracts, start=1):
        link = f'<a href="#contract-{number}">{_text(contract["contract_name"])}</a> ({STATES[state]})'
        links.setdefault((contract["table_schema"], contract["table_name"]), []).append(link)
    rows = (
        f'<tr class="table"><th scope="row">{_text(schema)}.{_text(name)}</th>'
        f"<td>{', '.join(links[schema, name]) or 'no contract'}</td></tr>"
        for schema, name in sorted(links)
    )
    return f"""<section aria-labelledby="tables">
<h2 id="tables">Tables</h2>
{"" if is_known else "<p>The database was not read: which tables have no contract is not known.</p>"}
{_render_table("Tables and their contracts", ("Table", "Contract"), rows) if links else ""}
</section>"""


def _render_comparison(comparison: dict[str, Any]) -> str:
    changes = [*comparison["changes"], *comparison["contract_changes"]]
    items = [_render_change(change, render_change) for change in comparison["changes"]]
    items += [_render_change(change, render_contract_change) for change in comparison["contract_changes"]]
    commit = f" ({_text(comparison['base_commit'])})" if comparison["base_commit"] else ""
    words = f"Since {_text(comparison['base'])}{commit}: {count(changes, 'change')}."
    if comparison["error"]:
        words = f"Could not compare with {_text(comparison['base'])}{commit}: {_text(comparison['error'])}"
    return f"""<section aria-labelledby="changes">
<h2 id="changes">Changes</h2>
<p>{words}</p>
<ul>{"".join(f"<li>{item}</li>" for item in items)}</ul>
</section>"""


def _render_change(change: dict[str, Any], render: Callable[[dict[str, Any]], str]) -> str:
    place = render_place(change["place"]["path"], change["place"]["line"]) if change["place"] else ""
    return f"{_text(render(change))}{f' <small>{_text(place)}</small>' if place else ''}"


def _render_table(caption: str, heads: tuple[str, ...], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{words}</th>' for words in heads)
    body = "\n".join(rows)
    # tabindex, since not every browser lets the keyboard scroll a part of the page that holds no link.
    return f"""<div class="scroll" tabindex="0" role="group" aria-label="{caption}">
<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>
{body}
</table></div>"""


def _render_state(state: str, words: str = "") -> str:
    return f'<span class="state {state}">{words or STATES[state]}</span>'


def _mail(address: str) -> str:
    text = _text(address)
    return f'<a href="mailto:{text}">{text}</a>' if PLAIN_MAIL_ADDRESS.fullmatch(address) else text


def _text(value: object) -> str:
    """A value as HTML: none of it is markup, and none of it changes how what stands around it is read."""
    text = render_value(value)
    if len(text) > LONGEST_TEXT:
        half = LONGEST_TEXT // 2
        text = f"{text[:half]} … {len(text) - 2 * half:,} characters left out … {text[-half:]}"
    if not text.isprintable():
        # A terminal's colours, marks that turn the direction of writing, spaces that look like none, half a character.
        text = "".join(
            character if character.isprintable() or character in "\n\t" else ascii(character)[1:-1]
            for character in text.replace("\r\n", "\n")
        )
    # GitHub's runner takes a line that begins with "::" for a command.
    text = re.sub(r"(?m)^(\s*):(?=:)", r"\1&#58;", html.escape(text))
    return text if text.isascii() else f"<bdi>{text}</bdi>"
