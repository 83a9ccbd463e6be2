"""Step 8 of the flow: what to do about the findings of a report, as plain text for all renderings."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from data_contract_components.contract_definition.contract_spec import NO_CONTRACT, WHOLE_TABLE
from data_contract_components.contract_definition.waivers import UNNEEDED
from data_contract_components.detection.migration_changes.changes import ContractChange
from data_contract_components.escaping import cut
from data_contract_components.prevention.contract_report.contract_report import (
    BrokenPromise,
    CheckedContract,
    ContractReport,
    ReportedContract,
)
from data_contract_components.prevention.renderings import words
from data_contract_components.prevention.renderings.words import Finding, Situation

SHOWN_NAMES = 5
# In these, a migration of this checkout breaks a promise that was kept.
BREAKING: tuple[Situation, ...] = ("renamed", "dropped", "changed", "not allowed", "not writable")
MAY_WAIVE = "to approve this pull request: only the owner may waive a promise."
# A waiver of a promise that is kept is an error, so it cannot be merged first.
WAIVER_FAILS = (
    "Until then, the contract of the base counts, and the check fails. Where GitHub asks the owner for a review "
    '(CODEOWNERS), set the repository\'s variable LOOSENED_CONTRACTS to "report": the review then decides.'
)


@dataclass(frozen=True)
class NextSteps:
    """The steps for the findings of one kind, in their order; `title` is what these findings are.

    `alternative` is what can be done instead of the steps.
    """

    title: str
    steps: tuple[str, ...]
    alternative: str = ""


@dataclass(frozen=True)
class _Case:
    """A finding of a contract that can fail the check, and how it came about."""

    contract: ReportedContract
    finding: Finding
    situation: Situation

    @property
    def is_table(self) -> bool:
        return self.finding.key == "table_name"

    @property
    def is_deprecated(self) -> bool:
        return isinstance(self.contract, CheckedContract) and self.contract.status == "deprecated"

    @property
    def is_column(self) -> bool:
        return self.query_name is None and self.finding.column_name != WHOLE_TABLE

    @property
    def query_name(self) -> str | None:
        return cut(self.finding.column_name) if self.finding.violation.query else None

    @property
    def name(self) -> str:
        """Of the table, or of the column with its table; of a query, what it uses."""
        if self.query_name:
            return f"what {self.query_name} uses"
        if self.finding.column_name == WHOLE_TABLE:
            return cut(self.contract.table)
        return cut(f"{self.contract.table_name}.{self.finding.column_name}")


def find_next_steps(report: ContractReport) -> list[NextSteps]:
    """What to do about each kind of finding that the report has; none where there is nothing to do but the error."""
    if not report.is_checked:
        error = report.error or ""
        if UNNEEDED in error:
            step = "Delete the waivers: what they excuse is kept."
            return [NextSteps("a waiver is no longer needed", (step,))]
        step = "Restore a contract, or write one: the check needs at least one."
        return [NextSteps("there is no contract", (step,))] if NO_CONTRACT in error else []
    contracts = [contract for contract in report.contracts if contract.enforcement == "binding"]
    cases = [
        _Case(contract, finding, situation)
        for contract in (*contracts, *report.broken_promises)
        for finding, situation in _find_situations(contract, report)
    ]
    breaking = [case for case in cases if case.situation in BREAKING]
    kinds = ("promised", "not replaced", "not known", "earlier")
    found = {kind: [case for case in cases if case.situation == kind] for kind in kinds}
    weaker = find_weaker_promises(report)
    groups = [
        NextSteps(
            "a migration breaks a promise",
            _find_steps_of_breaking(breaking, report) if breaking else (),
            ""
            if all(case.is_deprecated for case in breaking)
            else "Or change the contract together: when the owner and the consumers agree, change it in a pull request "
            "of its own, and merge that one first.",
        ),
        NextSteps("a file is wrong", ("Fix the files as the messages say.",) if report.problems else ()),
        NextSteps("the migration is missing", *_find_steps_of_promised(found["promised"], report)),
        NextSteps("the table breaks what a contract no longer promises", _find_steps_of_loosened(report)),
        NextSteps("a contract ends without enough notice", _find_steps_of_end(report)),
        NextSteps(
            "what takes over from a contract is not ready",
            tuple(
                f'Let "replacedBy" of {cut(case.contract.contract_name)} name an active contract whose table is there: '
                f"of {cut(str(case.finding.expected))}, the check found {cut(str(case.finding.found))}."
                for case in found["not replaced"]
            ),
            "Or, if the contract is still active in the base, leave it so until then.",
        ),
        NextSteps("a contract promises less", _find_steps_of_weaker(weaker)),
        NextSteps("the cause is not known", _find_steps_of_unknown(found["not known"], report)),
        NextSteps("a contract is already broken in the base", _find_steps_of_earlier(found["earlier"])),
    ]
    return [group for group in groups if group.steps]


def _find_situations(contract: ReportedContract, report: ContractReport) -> Iterator[tuple[Finding, Situation]]:
    situations = words.find_situations(contract, report.comparison)
    for finding in words.find_findings(contract):
        yield finding, situations[finding.violation.column_name, finding.violation.key]


def find_weaker_promises(report: ContractReport) -> dict[str, list[ContractChange]]:
    """By contract, the changes that promise less; without the contracts whose old promises are broken."""
    # A broken promise has the base's name of the contract, and the path that it has now.
    paths = {promise.path for promise in report.broken_promises}
    weaker: dict[str, list[ContractChange]] = {}
    for change in report.weaker_promises:
        if change.place.path not in paths:
            weaker.setdefault(change.contract_name, []).append(change)
    return weaker


def _is_only_dropped(
    contract: ReportedContract, finding: Finding, situation: Situation, report: ContractReport
) -> bool:
    """Whether it was dropped, and nothing was added that may replace it: a column of the table, or another table."""
    if situation != "dropped":
        return False
    table = (contract.table_schema, contract.table_name)
    added = [change for change in (report.comparison.changes if report.comparison else ()) if change.change == "added"]
    if finding.key == "table_name":
        return all(change.column_name is not None for change in added)
    return all(change.column_name is None or (change.table_schema, change.table_name) != table for change in added)


def _find_steps_of_breaking(all_cases: Sequence[_Case], report: ContractReport) -> tuple[str, ...]:
    only_dropped: list[_Case] = []
    cases: list[_Case] = []
    for case in all_cases:
        is_only_dropped = _is_only_dropped(case.contract, case.finding, case.situation, report)
        (only_dropped if is_only_dropped else cases).append(case)

    def names(*situations: Situation, is_table: bool = False) -> list[str]:
        return [case.name for case in cases if case.situation in situations and case.is_table == is_table]

    steps = [f"Talk to {_render_owners(case.contract for case in all_cases)}, about the consumers of the table."]
    if only_dropped:
        steps.append(f"Keep {_join([case.name for case in only_dropped])} until all consumers have moved.")
    if tables := names("renamed", "dropped", is_table=True):
        steps.append(f"Keep {_join(tables)}, and put the change into a new table with a contract of its own.")
    if columns := names("renamed"):
        new_names = [
            cut(case.finding.violation.renamed_to or "")
            for case in cases
            if case.situation == "renamed" and not case.is_table
        ]
        steps.append(f"Keep the name of {_join(columns)}, and add {_join(new_names)} beside it.")
    if columns := names("dropped"):
        new = "into a new column, or a new table with a contract of its own"
        steps.append(f"Keep {_join(columns)}, and put the change beside it, {new}.")
    changed = [case for case in cases if case.situation == "changed"]
    if tables := [case.name for case in changed if case.finding.column_name == WHOLE_TABLE]:
        steps.append(f"Leave {_join(tables)} as promised, and put the change into a new table.")
    if columns := [case.name for case in changed if case.is_column]:
        steps.append(f"Leave {_join(columns)} as promised, and put the change beside it, into a new column.")
    if columns := names("not writable"):
        way = "a default or allow NULL where they do not write it, and keep it writable where they do"
        steps.append(f"Let the writers write as before: give {_join(columns)} {way}.")
    if queries := [case.query_name for case in changed if case.query_name]:
        steps.append(f"Let {_join(queries)} work as before: keep what is used there, and put the change beside it.")
    if columns := names("not allowed"):
        steps.append(f"Put {_join(columns)} into another table: the contract allows no other columns.")
    if ends := {str(getattr(case.contract, "sunset", "")) for case in all_cases if case.is_deprecated}:
        steps.append(f"Or wait: after its sunset, {max(ends)}, the contract is no longer enforced.")
    # A deprecated contract loses no clause before its sunset.
    others = [case for case in all_cases if not case.is_deprecated]
    if any(case.situation not in ("not allowed", "not writable") for case in others):
        steps.append(
            "When all consumers have moved, remove the old part from the contract, and then from the database."
        )
    return tuple(steps)


def _find_steps_of_promised(cases: Sequence[_Case], report: ContractReport) -> tuple[tuple[str, ...], str]:
    """The steps, and what can be done instead."""
    if not cases:
        return (), ""
    parts = {
        "creates {}": [case.name for case in cases if case.is_table],
        "adds {}": [case.name for case in cases if case.finding.key == "column_name"],
        "makes {} what the contract promises": [
            case.name
            for case in cases
            if case.query_name is None and case.finding.key not in ("table_name", "column_name")
        ],
        "lets {} work": [case.query_name for case in cases if case.query_name],
    }
    text = ", and ".join(part.format(_join(names)) for part, names in parts.items() if names)
    changes = report.comparison.contract_changes if report.comparison else ()
    new = {change.contract_name for change in changes if (change.json_path, change.kind) == ("$", "added")}
    wrong = "query" if all(case.query_name for case in cases) else "contract"
    are_new_tables = all(case.is_table and case.contract.contract_name in new for case in cases)
    return (
        (f"Write the migration that {text}, in this pull request. The check passes when the table is as promised.",),
        'Or, if the table is to come later, give the contract the "status" "draft" until then (in spec-version 1.1.0 '
        "or newer): it then fails nothing."
        if are_new_tables
        else f"Or correct the {wrong}, if the table is right as it is.",
    )


def _find_steps_of_end(report: ContractReport) -> tuple[str, ...]:
    ends = [(promise, v) for promise in report.broken_promises for v in promise.violations if v.key == "sunset"]
    if not ends:
        return ()
    steps = []
    for promise, violation in ends:
        if violation.json_path not in ("$.sunset", "$.status"):
            steps.append(f"Take back what {cut(promise.path)} loses: each clause is promised until the sunset.")
            continue
        where = f"Restore {cut(promise.path)}, and" if promise.is_deleted else f"In {cut(promise.path)},"
        steps.append(f'{where} set "status" to "deprecated" and "sunset" to {cut(str(violation.expected))}.')
    owners = _render_owners(promise for promise, _ in ends)
    steps.append(f"Ask {owners}, to approve it: only the owner may end the contract.")
    return (*steps, "Keep the table until that day. Afterwards, drop it and retire the contract.")


def _find_steps_of_loosened(report: ContractReport) -> tuple[str, ...]:
    promises = [p for p in report.broken_promises if all(violation.key != "sunset" for violation in p.violations)]
    if not promises:
        return ()
    owners = _render_owners(promises)
    paths = {promise.path for promise in promises}
    changes = [change for change in report.weaker_promises if change.place.path in paths]
    if changes and all(change.is_of_waiver for change in changes):
        return (
            f"Ask {owners}, {MAY_WAIVE}",
            *(() if report.outcome == "passed" else (WAIVER_FAILS,)),
            "If they do not agree, take the waiver and the migration back.",
        )
    if report.outcome == "passed":
        return (
            f"Ask {owners}, to approve this pull request: the contract promises less, and the table already does less.",
            "If they do not agree, take both changes back.",
        )
    return (
        f"Ask {owners}: only the owner may change the contract. Until the owner agrees, the contract of the base "
        "counts.",
        "When the owner and the consumers agree, change the contract in a pull request of its own. Merge that one, "
        "then this one with the migration.",
        "If they do not agree, take both changes back.",
    )


def _find_steps_of_weaker(weaker: dict[str, list[ContractChange]]) -> tuple[str, ...]:
    if not weaker:
        return ()
    people = [(changes[0].owner_name, changes[0].owner_email) for changes in weaker.values()]
    if all(change.is_of_waiver for changes in weaker.values() for change in changes):
        return (f"Ask {_render_people(people)}, {MAY_WAIVE}", "If they do not agree, take the waiver back.")
    return (
        f"Ask {_render_people(people)}, to approve this pull request: only the owner may change the contract.",
        "When the owner and the consumers agree, merge it, before any migration that needs it.",
        "If they do not agree, take the change of the contract back.",
    )


def _find_steps_of_unknown(cases: Sequence[_Case], report: ContractReport) -> tuple[str, ...]:
    if not cases:
        return ()
    if report.comparison and not report.comparison.error:
        return (
            "See how the checked database was built: no migration and no contract of this branch explains the "
            "difference.",
            f"If it is meant to be so, talk to {_render_owners(case.contract for case in cases)}.",
        )
    owners = _render_owners(case.contract for case in cases)
    return (
        "Fix the comparison with the base first: it names the line that did it."
        if report.comparison
        else "Find out what changed: with --base and a branch or commit, the report names the line that did it.",
        f"If a migration changed the table, talk to {owners}, and keep what is promised until all consumers have "
        "moved.",
        "If the contract is newer than the table, write the migration that is missing.",
    )


def _find_steps_of_earlier(cases: Sequence[_Case]) -> tuple[str, ...]:
    if not cases:
        return ()
    owners = _render_owners(case.contract for case in cases)
    return (
        f"Fix {_join([case.name for case in cases])} in the base first, in a pull request of its own: by a migration, "
        f"or by a change of the contract together with {owners}.",
        "Then merge the base into this branch.",
    )


def render_message(contract: ReportedContract, report: ContractReport, links: Sequence[str] = ()) -> str:
    """A message from a developer to the contract's owner, ready to send; empty where there is nothing to ask."""
    if isinstance(contract, CheckedContract) and contract.enforcement != "binding":
        return ""
    findings: dict[Situation, list[Finding]] = {}
    for finding, situation in _find_situations(contract, report):
        findings.setdefault(situation, []).append(finding)
    name, table = cut(contract.contract_name), cut(contract.table)
    breaking = [(finding, situation) for situation in BREAKING for finding in findings.get(situation, ())]
    if breaking:
        offer = (
            "leave the table as it is and put the change\ninto a new table until all consumers have moved, or we could "
            "change the\ncontract together."
        )
        if all(_is_only_dropped(contract, finding, situation, report) for finding, situation in breaking):
            parts = "table" if breaking[0][0].key == "table_name" else "column" if len(breaking) == 1 else "columns"
            offer = f"keep the {parts} until all consumers have moved,\nor we could change the contract together."
        subject = f"A change to {table} would break {name}"
        first = f"My change would break your data contract {name}:"
        shown = [finding for finding, _ in breaking]
        last = f"How should we proceed? I could {offer}"
    elif "too soon" in findings:
        subject = f"When may {name} end?"
        first = f"My change would end your data contract {name} without enough notice:"
        shown = findings["too soon"] + findings.get("loosened", [])
        last = "I could set its sunset to that day. Do you and the consumers agree?"
    elif isinstance(contract, BrokenPromise):
        verb = "delete" if contract.is_deleted else "loosen"
        subject = f"May I {verb} {name}?"
        first = f"My change would {verb} your data contract {name}, and {table} would no longer keep:"
        shown = findings["loosened"]
        last = "Do you and the consumers agree? If not, I take it back."
    elif "not known" in findings:
        subject = f"{table} does not keep {name}"
        first = f"The database does not keep your data contract {name}:"
        shown = findings["not known"]
        last = "What changed is not known yet. Who depends on this?"
    else:
        return ""
    items = [finding.text for finding in shown]
    items += [c.text for c in report.weaker_promises if c.is_of_waiver and c.place.path == contract.path]
    return _render_mail(contract.owner.email, contract.owner.name, subject, first, items, last, links)


def render_question(changes: Sequence[ContractChange], links: Sequence[str] = ()) -> str:
    """A message to the owner of a contract that promises less, and that nothing breaks."""
    first = changes[0]
    name = cut(first.contract_name)
    is_deleted = first.deletes_contract
    verb = "delete" if is_deleted else "loosen"
    return _render_mail(
        first.owner_email,
        first.owner_name,
        f"May I {verb} {name}?",
        f"My pull request would {verb} your data contract {name}{'.' if is_deleted else ':'}",
        [] if is_deleted else [change.text for change in changes],
        "The database still keeps what it promised. Do you and the consumers agree? If\nso, please approve it.",
        links,
    )


def _render_mail(
    email: str, name: str, subject: str, first: str, items: Sequence[str], last: str, links: Sequence[str]
) -> str:
    lines = words.cut_list([f"- {cut(item)}" for item in items])
    head = [f"To: {cut(email)}", f"Subject: {subject}", "", f"Hello {cut(name)},", ""]
    return "\n".join([*head, first, *lines, "", last, *(["", *links] if links else [])])


def _render_owners(contracts: Iterable[ReportedContract]) -> str:
    return _render_people([(contract.owner.name, contract.owner.email) for contract in contracts])


def _render_people(people: Sequence[tuple[str, str]]) -> str:
    names = [f"{cut(name)} ({cut(email)})" for name, email in dict.fromkeys(people)]
    return f"the owner{'' if len(names) == 1 else 's'}, {_join(names)}"


def _join(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))
    if len(names) > SHOWN_NAMES:
        names = [*names[:SHOWN_NAMES], f"{len(names) - SHOWN_NAMES} more"]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
