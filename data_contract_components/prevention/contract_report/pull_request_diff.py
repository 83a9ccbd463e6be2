"""Where a pull request changed files: each place in the report is moved to the line that GitHub shows for it.

GitHub checks out a merge of the pull request into its base, and counts lines in the last commit of the pull request.
Needs Python only.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from data_contract_components.detection.migration_changes.changes import ContractChange, Place, SchemaChange
from data_contract_components.detection.migration_changes.git_commands import find_commit, find_merge_base, git_output
from data_contract_components.prevention.contract_report.contract_report import (
    BrokenPromise,
    ChangedFile,
    CheckedContract,
    ContractReport,
    LineRange,
    ReportedViolation,
)

HUNK = re.compile(rb"(?m)^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True)
class _Hunk:
    """Lines that were replaced; without lines, `start` is the line before."""

    old_start: int
    old_count: int
    start: int
    count: int

    @property
    def last(self) -> int:
        return self.start + max(self.count, 1) - 1


class PullRequestDiff:
    """What the working tree in `git_directory` changes since `base`, by the lines of the git ref `head` if it is given.

    Raises: ComparisonError.
    """

    def __init__(self, git_directory: Path, base: str, head: str | None = None) -> None:
        self._directory = git_directory
        self._base_commit = find_merge_base(base, git_directory)
        self._head = head and find_commit(head, git_directory)
        # With a head, the checkout is a workflow's, and so are its untracked files.
        others = b"" if head else git_output(git_directory, "ls-files", "--others", "--exclude-standard", "-z")
        self._untracked = _split(others)
        self._changed_paths = sorted(self._find_paths_unlike(self._base_commit) | self._untracked)
        # Not each path of a report is in the repository: a revision may be an installed package's.
        self._moved_paths = self._find_paths_unlike(self._head) if self._head else set()
        self._get_hunks = cache(self._read_hunks)

    def move(self, report: ContractReport) -> ContractReport:
        """The report with the lines of the head, a cause at the line that the pull request changed, and its `diff`."""
        comparison = report.comparison and replace(
            report.comparison,
            changes=tuple(map(self._move_schema_change, report.comparison.changes)),
            contract_changes=tuple(map(self._move_contract_change, report.comparison.contract_changes)),
            broken_promises=tuple(map(self._move_promise, report.comparison.broken_promises)),
        )
        moved = replace(
            report,
            place=report.place and self._move_place(report.place),
            problems=tuple(replace(p, line=self.find_head_line(p.path, p.line)) for p in report.problems),
            contracts=tuple(map(self._move_contract, report.contracts)),
            comparison=comparison,
        )
        return replace(moved, diff=tuple(self._find_changed_files(_find_paths(moved))))

    def _move_contract(self, contract: CheckedContract) -> CheckedContract:
        find_line = partial(self.find_head_line, contract.path)
        return replace(
            contract,
            line=find_line(contract.line),
            clauses=tuple(replace(clause, line=find_line(clause.line)) for clause in contract.clauses),
            violations=tuple(self._move_violation(contract.path, violation) for violation in contract.violations),
            waived_violations=tuple(self._move_violation(contract.path, v) for v in contract.waived_violations),
        )

    def _move_promise(self, promise: BrokenPromise) -> BrokenPromise:
        return replace(
            promise,
            line=self.find_head_line(promise.path, promise.line),
            violations=tuple(self._move_violation(promise.path, violation) for violation in promise.violations),
        )

    def _move_violation(self, path: str, violation: ReportedViolation) -> ReportedViolation:
        names = (violation.renamed_to, violation.column_name)
        cause = violation.cause and self._move_place(violation.cause, names)
        return replace(violation, line=self.find_head_line(path, violation.line), cause=cause)

    def _move_schema_change(self, change: SchemaChange) -> SchemaChange:
        names = (change.after if change.change == "renamed" else None, change.column_name)
        return replace(change, place=change.place and self._move_place(change.place, names))

    def _move_contract_change(self, change: ContractChange) -> ContractChange:
        return replace(change, place=self._move_place(change.place))

    def _move_place(self, place: Place, names: Iterable[str | None] = ()) -> Place:
        """The line of a call that the pull request changed: the one with the first of `names` in it, or the first."""
        line = place.line
        if place.revision and line and (changed := list(self._find_lines_of_call(place.path, line))):
            texts = self._read_lines(place.path)
            with_name = (n for name in names if name for n in changed if f'"{name}"' in texts[n - 1].replace("'", '"'))
            line = next(with_name, changed[0])
        return replace(place, line=self.find_head_line(place.path, line))

    def _find_lines_of_call(self, path: str, line: int) -> Iterator[int]:
        """The changed lines of the call that begins on `line`."""
        end = line
        with suppress(OSError, SyntaxError, ValueError), warnings.catch_warnings(action="ignore"):
            calls = (n for n in ast.walk(ast.parse(self._get_path(path).read_bytes())) if isinstance(n, ast.Call))
            end = max((call.end_lineno or line for call in calls if call.lineno == line), default=line)
        for lines in self._find_changed_lines(path):
            yield from range(max(line, lines.first), min(end, lines.last) + 1)

    def _find_changed_lines(self, path: str) -> Iterator[LineRange]:
        """In the working tree; where lines were only deleted, the line before."""
        if path in self._untracked:
            yield LineRange(1, len(self._read_lines(path)) or 1)
        elif path in self._changed_paths:
            for hunk in self._get_hunks(path, self._base_commit):
                yield LineRange(max(1, hunk.start), max(1, hunk.last))

    def _find_changed_files(self, paths: set[str]) -> Iterator[ChangedFile]:
        """The first file that the pull request changed lines of, and those of `paths` that it changed."""
        is_first = True
        for path in self._changed_paths:
            if (is_first or path in paths) and self._get_path(path).is_file():
                ends = ((self.find_head_line(path, n.first), n.last - n.first) for n in self._find_changed_lines(path))
                if lines := tuple(LineRange(first, first + length) for first, length in ends if first):
                    yield ChangedFile(path, lines)
                    is_first = False

    def find_head_line(self, path: str, line: int | None) -> int | None:
        """The line of the head that is `line` of the working tree; None where the head has no such line."""
        if line is None or self._head is None or path not in self._moved_paths:
            return line
        shift = 0
        for hunk in self._get_hunks(path, self._head):
            if hunk.count and hunk.start <= line <= hunk.last:
                return None
            if line > hunk.last:
                shift += hunk.old_count - hunk.count
        return line + shift

    def _find_paths_unlike(self, commit: str) -> set[str]:
        """The files that git knows and that are other than in the commit."""
        return _split(git_output(self._directory, "diff", "--name-only", "--no-renames", "-z", commit))

    def _read_hunks(self, path: str, commit: str) -> list[_Hunk]:
        options = ("--unified=0", "--inter-hunk-context=0", "--no-color", "--no-ext-diff", "--no-textconv")
        # Literal, as a path may have "*" in it.
        environment = {"GIT_LITERAL_PATHSPECS": "1"}
        diff = git_output(self._directory, "diff", *options, "--no-renames", commit, "--", path, **environment)
        return [_Hunk(*(1 if n is None else int(n) for n in hunk.groups())) for hunk in HUNK.finditer(diff)]

    def _get_path(self, path: str) -> Path:
        return self._directory / path

    def _read_lines(self, path: str) -> list[str]:
        with suppress(OSError):
            text = self._get_path(path).read_text(encoding="utf-8", errors="replace")
            return text.removesuffix("\n").split("\n")
        return []


def _split(names: bytes) -> set[str]:
    return {name.decode(errors="surrogateescape") for name in names.split(b"\0") if name}


def _find_paths(report: ContractReport) -> set[str]:
    """The files that the report names lines of."""
    contracts = (*report.contracts, *report.broken_promises)
    violations = (*(v for contract in contracts for v in contract.violations), *report.waived_violations)
    places = [report.place, *(violation.cause for violation in violations)]
    if report.comparison:
        places += (change.place for change in report.comparison.changes)
        places += (change.place for change in report.comparison.contract_changes)
    paths = {place.path for place in places if place}
    return paths | {problem.path for problem in report.problems} | {contract.path for contract in contracts}
