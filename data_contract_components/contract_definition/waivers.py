"""Waivers: clauses of a contract that may be broken until a day, because somebody agreed to it.

Renderings import it, so it needs Python only.
"""

import datetime
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from data_contract_components.contract_definition._json_text import render_json_path
from data_contract_components.contract_definition.contract_spec import Contract, ContractSpec, JsonPath, find_clauses

UNNEEDED = "waivers that are no longer needed"
# Before the end of a waiver.
NOTICED_DAYS = 14
# Where the whole table may be missing.
TABLE_CLAUSE = "$.schema.table_name"
DATABASE_CLAUSE = "$.schema.table_catalog"
QUERY_CLAUSE = re.compile(r"\$\.consumers\[\d+\]\.queries\[")


@dataclass(frozen=True)
class Waiver:
    """Who agreed that a clause, by its JSON path, may be broken, and until when; on the last day, `days_left` is 0."""

    clause: str
    reason: str
    agreed_by: str
    until: str
    days_left: int

    @property
    def is_valid(self) -> bool:
        return self.days_left >= 0

    def __str__(self) -> str:
        if not self.is_valid:
            return f"its waiver ended on {self.until}, agreed by {self.agreed_by}: {self.reason}"
        end = ""
        if self.days_left <= NOTICED_DAYS:
            days = f"{self.days_left} day{'s' * (self.days_left > 1)}"
            end = f" (ends in {days})" if self.days_left else " (its last day)"
        return f"waived until {self.until}{end}, agreed by {self.agreed_by}: {self.reason}"


def find_waivers(spec: ContractSpec, today: datetime.date) -> dict[str, Waiver]:
    """The waivers by clause, valid or not, in their order."""
    return {
        waiver["clause"]: Waiver(
            waiver["clause"],
            waiver["reason"],
            waiver["agreedBy"],
            waiver["until"],
            (datetime.date.fromisoformat(waiver["until"]) - today).days,
        )
        for waiver in spec.get("waivers", [])
    }


def find_waiver_problems(spec: ContractSpec) -> list[tuple[JsonPath, str]]:
    """What is wrong with the waivers of `spec`, which is valid in all else, and where."""
    clauses = [render_json_path(clause.json_path) for clause in find_clauses(spec)]
    for index, consumer in enumerate(spec.get("consumers", [])):
        clauses.append(f"$.consumers[{index}]")
        lists = {"columns": consumer.get("columns", []), "queries": consumer.get("queries", [])}
        clauses += [f"$.consumers[{index}].{key}[{number}]" for key in lists for number in range(len(lists[key]))]
    problems: list[tuple[JsonPath, str]] = []
    waived = [waiver["clause"] for waiver in spec.get("waivers", [])]
    for index, clause in enumerate(waived):
        message = ""
        if clause == DATABASE_CLAUSE:
            message = 'of another database, nothing is checked; leave "table_catalog" out of the contract instead'
        elif clause not in clauses:
            nearest = get_close_matches(clause, clauses, n=1, cutoff=0.5)
            message = "names no clause of this contract" + (f'; did you mean "{nearest[0]}"?' if nearest else "")
        elif (first := waived.index(clause)) != index:
            message = f"$.waivers[{first}] is for the same clause: keep one of them"
        if message:
            problems.append((("waivers", index, "clause"), message))
    return problems


def find_unneeded_waivers(contract: Contract, used: Collection[str]) -> Iterator[tuple[JsonPath, str]]:
    """The waivers that are not among those `used`, so that their clauses are kept; each with the lines to delete.

    Never the waiver of a query: only the comparison with the base knows whether its result has changed.
    """
    clauses = [waiver["clause"] for waiver in contract.spec.get("waivers", [])]
    unneeded = [clause for clause in clauses if clause not in used and not QUERY_CLAUSE.match(clause)]
    for clause in unneeded:
        index = clauses.index(clause)
        # Without any waiver, the whole key can go; without the last one, the comma before it has to.
        path: JsonPath = ("waivers",) if unneeded == clauses else ("waivers", index)
        comma = "" if path == ("waivers",) or index < len(clauses) - 1 else " and the comma before"
        lines = _render_lines(contract, path) + comma
        yield ("waivers", index), f"no longer needed, as {clause} is kept: delete {lines}"


def _render_lines(contract: Contract, path: JsonPath) -> str:
    """The lines of the list of waivers, or of one of its entries."""
    first = contract.lines[path]
    text = "\n".join(contract.text.split("\n")[first - 1 :])
    start = text.index("{") if len(path) > 1 else text.index("[", text.index('"waivers"'))
    _, end = json.JSONDecoder().raw_decode(text, start)
    last = first + text.count("\n", 0, end)
    return f"line {first}" if first == last else f"lines {first} to {last}"
