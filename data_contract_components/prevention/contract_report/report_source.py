"""Where a report comes from: the commit, branch and pull request by git and GitHub's variables, and the database."""

import datetime
import re
from collections.abc import Mapping
from pathlib import Path

from data_contract_components.data_assets._query_postgres_helper import database_url, describe, is_embedded
from data_contract_components.detection.migration_changes.git_commands import git_output
from data_contract_components.errors import ComparisonError, DatabaseUnavailableError
from data_contract_components.prevention.contract_report.contract_report import ReportSource
from data_contract_components.settings import get_settings


def get_report_source(environment: Mapping[str, str], head: str | None = None) -> ReportSource:
    """The source of a report that is made now; `head` is the git ref of the checked commit, None is HEAD.

    The server of the database is not asked. Raises: SettingsError.
    """
    git_directory = get_settings().git_directory
    pull_request = re.fullmatch(r"refs/pull/([1-9][0-9]*)/(?:merge|head)", environment.get("GITHUB_REF", ""))
    # Of a pull request, GITHUB_REF_NAME is "7/merge".
    ref_name = "" if pull_request else environment.get("GITHUB_REF_NAME", "")
    branch = environment.get("GITHUB_HEAD_REF") or ref_name
    return ReportSource(
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        commit=_ask_git(git_directory, "rev-parse", "--verify", "--end-of-options", f"{head or 'HEAD'}^{{commit}}"),
        branch=branch or _ask_git(git_directory, "symbolic-ref", "--short", "HEAD"),
        database=_describe_database(),
        pull_request=int(pull_request[1]) if pull_request else None,
    )


def _ask_git(directory: Path, *arguments: str) -> str | None:
    """What git answers; None where it is not installed, or the directory is not of a repository or has no such ref."""
    try:
        return git_output(directory, *arguments).decode(errors="replace").strip()
    except ComparisonError:
        return None


def _describe_database() -> str | None:
    """Host, port and name; None if the URL cannot be read, for which the report has the reason."""
    if is_embedded():
        return f"the embedded PostgreSQL {get_settings().server}"
    try:
        return describe(database_url())
    except DatabaseUnavailableError:
        return None
