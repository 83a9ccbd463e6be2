"""The report as a file: read it, or make the one of a check that could not be made. Needs Python's own library only."""

import json
from pathlib import Path
from typing import Any

from data_contract_components.errors import DataContractError

Report = dict[str, Any]

COULD_NOT_CHECK = "could not check"
OUTCOMES = ("passed", "violations", COULD_NOT_CHECK)
# Of a violation, where nothing was compared with a base.
NO_CAUSE: dict[str, Any] = {"cause": None, "renamed_to": None, "is_rename_certain": False, "is_earlier": False}
# What rendering raises when the file is not a report.
MALFORMED_REPORT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


class UnreadableReportError(DataContractError):
    """The file is missing, or is not a report."""


def make_failure_report(error: str, problems: list[dict[str, Any]] | None = None) -> Report:
    """The report of a check that could not be made; `problems` are those of contract files, with path and line."""
    return {
        "outcome": COULD_NOT_CHECK,
        "error": error,
        "problems": problems or [],
        "contracts": [],
        "tables_without_contract": [],
        "comparison": None,
    }


def read_report(path: Path) -> Report:
    """The report in `path`. Raises: UnreadableReportError."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(report, dict) or report.get("outcome") not in OUTCOMES:
            raise ValueError("it is not a report")
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableReportError(f"{path.name} cannot be read: {reason}") from error
    return report
