"""GitHub's API, as far as a pull request needs it. Source: docs.github.com, "REST API" and "GraphQL API"."""

import json
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import requests

from data_contract_components.errors import DataContractError

TIMEOUT_SECONDS = 20.0  # for a connection, and then for each piece of the answer
ATTEMPTS = 3
RETRY_SECONDS = 1.0  # doubled each time
WAIT_SECONDS = 60.0  # all waits of a client together; GitHub asks for 60 if it names no time
MAX_PAGES = 100
MAX_REDIRECTS = 3
REDIRECTS = (301, 302, 307, 308)
TEXT_LIMIT = 300
# The author of comments that are posted with the token of a workflow, to which GitHub refuses /user.
WORKFLOW_LOGIN = "github-actions[bot]"
WAYS_OUT = {
    401: "GITHUB_TOKEN is wrong or has expired; pass ${{ github.token }} and run the job again",
    403: "a pull request from a fork or from Dependabot gets a token that only reads; for any other, give the job "
    "`permissions: pull-requests: write` and check that the conversation is not locked",
    404: "there is no such pull request, or the token may not see it; check PR_NUMBER and GITHUB_REPOSITORY",
    410: "the conversation was deleted, or is disabled in the repository's settings",
    422: "GitHub does not accept the text of the comment; shorten the names and reasons in the contracts",
    429: "too many requests with this token; run the job again later",
}
SHOW_COMMENT = "mutation ($id: ID!) { unminimizeComment(input: {subjectId: $id}) { clientMutationId } }"
OTHER_WAY_OUT = "check GITHUB_API_URL, the proxy and GitHub's status page, and run the job again"

T = TypeVar("T")


class GitHubError(DataContractError):
    """GitHub did not answer, or refused; `status` is None if it did not answer."""

    def __init__(self, reason: str, way_out: str, status: int | None = None) -> None:
        super().__init__(f"{reason}; {way_out}")
        self.reason = reason
        self.way_out = way_out
        self.status = status


class UnclearPostError(GitHubError):
    """It is not known whether the comment was created."""


class Comment(NamedTuple):
    """`node_id` is the name that GraphQL has for it; None where the server has no GraphQL."""

    id: int
    login: str
    body: str
    node_id: str | None


class GitHub:
    """A repository's pull requests, and the comments of one of them.

    Raises: GitHubError; its text is one line, and contains neither the token nor a workflow command.
    """

    def __init__(self, api_url: str, token: str, repository: str, pull_request: int) -> None:
        self._api_url = api_url.rstrip("/")
        self._repository_url = f"{self._api_url}/repos/{repository}"
        self._issues_url = f"{self._repository_url}/issues"
        self._comments_url = f"{self._issues_url}/{pull_request}/comments"
        # GitHub Enterprise has REST at /api/v3, and GraphQL at /api/graphql.
        self._graphql_url = f"{self._api_url.removesuffix('/v3')}/graphql"
        self._token = token
        self._waited_seconds = 0.0
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"})
        # Not as a header: requests would replace it by what .netrc has for the host.
        self._session.auth = self._authorize

    def get_login(self) -> str:
        """The author of the comments that are posted with this token."""
        try:
            return _parse(self._send("GET", f"{self._api_url}/user"), lambda user: str(user["login"]))
        except GitHubError as error:
            if error.status in (403, 404):
                return WORKFLOW_LOGIN
            raise

    def get_comments(self) -> list[Comment]:
        """All comments of the pull request, oldest first."""
        # By id, as a page may repeat comments of the page before.
        comments: dict[int, Comment] = {}
        url = f"{self._comments_url}?per_page=100"
        for _ in range(MAX_PAGES):
            response = self._send("GET", url)
            page = _parse(response, lambda answers: [_to_comment(answer) for answer in answers])
            comments |= {comment.id: comment for comment in page}
            if "next" not in response.links:
                return sorted(comments.values())
            url = self._on_same_host(url, response.links["next"]["url"])
        raise GitHubError(f"the pull request has more than {MAX_PAGES} pages of comments", "open a new pull request")

    def find_pull_requests(self, owner_and_branch: str, commit: str, repository: str) -> list[int]:
        """The numbers of the open pull requests of a branch, `owner:branch`, whose last commit is `commit`."""
        query = urlencode({"state": "open", "per_page": "100", "head": owner_and_branch})
        response = self._send("GET", f"{self._repository_url}/pulls?{query}")

        def is_wanted(head: Any) -> bool:
            # The repository is null if the fork was deleted.
            return bool(head["sha"] == commit and head["repo"] and head["repo"]["full_name"] == repository)

        return _parse(response, lambda pulls: [int(pull["number"]) for pull in pulls if is_wanted(pull["head"])])

    def create_comment(self, body: str) -> Comment:
        """Raises: UnclearPostError after a wait; the caller then looks whether the comment is there."""
        return _parse(self._send("POST", self._comments_url, {"body": body}), _to_comment)

    def update_comment(self, comment: Comment, body: str) -> None:
        self._send("PATCH", f"{self._issues_url}/comments/{comment.id}", {"body": body})

    def show_comment(self, comment: Comment) -> None:
        """The comment is not hidden afterwards, whoever hid it."""
        response = self._send("POST", self._graphql_url, {"query": SHOW_COMMENT, "variables": {"id": comment.node_id}})
        # GraphQL answers with 200 also if it refuses.
        if messages := _parse(response, lambda answer: [str(error["message"]) for error in answer.get("errors", ())]):
            raise GitHubError(self._clean(f"POST {self._graphql_url}: {'; '.join(messages)}"), WAYS_OUT[403])

    def create_check(self, commit: str, name: str, conclusion: str, title: str, summary: str, url: str) -> None:
        """The commit has one more check, whose title the merge box shows."""
        output = {"title": title, "summary": summary}
        check = {"name": name, "head_sha": commit, "conclusion": conclusion, "details_url": url, "output": output}
        self._send("POST", f"{self._repository_url}/check-runs", check)

    def delete_comment(self, comment: Comment) -> None:
        """The comment is gone afterwards; it may have been gone before."""
        try:
            self._send("DELETE", f"{self._issues_url}/comments/{comment.id}")
        except GitHubError as error:
            if error.status != 404:
                raise

    def _send(self, method: str, url: str, payload: dict[str, Any] | None = None) -> requests.Response:
        """The successful answer, after a wait for a rate limit, and after a failure unless the request is a POST.

        urllib3's Retry cannot do it: it does not see the headers and text by which GitHub marks a 403 as a limit.
        """
        for attempt in range(1, ATTEMPTS + 1):
            is_limit, seconds = False, RETRY_SECONDS * 2 ** (attempt - 1)
            try:
                response = self._exchange(method, url, payload)
            # requests lets a ValueError through if the proxy or a redirect is not a URL.
            except (requests.RequestException, ValueError) as cause:
                reason = f"{method} {url}: no answer, {_describe(cause)}"
                error = GitHubError(self._clean(reason), OTHER_WAY_OUT)
            else:
                if response.ok:
                    return response
                is_limit = _is_limit(response)
                # GitHub uses either status for a limit.
                status = 429 if is_limit else response.status_code
                reason = f"{method} {url}: HTTP {response.status_code}, {_get_message(response)}"
                error = GitHubError(self._clean(reason), WAYS_OUT.get(status, OTHER_WAY_OUT), status)
                if status < 500 and not is_limit:
                    raise error
                seconds = _get_wait_seconds(response, is_limit, seconds)
            is_unclear = method == "POST" and not is_limit
            if attempt == ATTEMPTS and not is_unclear:
                break
            self._wait(seconds, error)
            if is_unclear:
                raise UnclearPostError(error.reason, error.way_out, error.status)
        raise error

    def _exchange(self, method: str, url: str, payload: dict[str, Any] | None) -> requests.Response:
        """The answer, after redirects to the same host. requests would follow any, and turn a POST into a GET."""
        for _ in range(1 + MAX_REDIRECTS):
            response = self._session.request(method, url, json=payload, timeout=TIMEOUT_SECONDS, allow_redirects=False)
            if response.status_code not in REDIRECTS or "Location" not in response.headers:
                return response
            url = self._on_same_host(url, response.headers["Location"])
        raise GitHubError(f"{method}: more than {MAX_REDIRECTS} redirects", OTHER_WAY_OUT)

    def _on_same_host(self, url: str, next_url: str) -> str:
        """`next_url` as an absolute URL. Raises: GitHubError if it is on another host, which would get the token."""
        try:
            next_url = urljoin(url, next_url)
            if urlsplit(next_url)[:2] == urlsplit(self._api_url)[:2]:
                return next_url
        except ValueError:
            pass
        reason = f"the answer leads from {self._api_url} to {next_url}, which must not receive the token"
        raise GitHubError(self._clean(reason), "check GITHUB_API_URL")

    def _wait(self, seconds: float, error: GitHubError) -> None:
        """Raises: GitHubError instead, if all waits together would exceed WAIT_SECONDS."""
        if self._waited_seconds + seconds > WAIT_SECONDS:
            limit = f"the wait of {seconds:.0f} s would exceed the limit of {WAIT_SECONDS:.0f} s for all waits"
            raise GitHubError(f"{error.reason}; {limit}", error.way_out, error.status)
        print(f"{error.reason}; waiting for {seconds:g} s", flush=True)
        time.sleep(seconds)
        self._waited_seconds += seconds

    def _clean(self, text: str) -> str:
        # GitHub's runner reads "##[" as the start of a command, anywhere in a line.
        text = re.sub(r"[^ -~]", " ", text.replace(self._token, "***")).replace("##[", "## [")
        return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}..."

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _parse(response: requests.Response, convert: Callable[[Any], T]) -> T:
    try:
        return convert(json.loads(response.content))
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        reason = f"HTTP {response.status_code}, but not an answer of GitHub's API"
        raise GitHubError(reason, OTHER_WAY_OUT) from error


def _to_comment(answer: Any) -> Comment:
    # The user is null if the account was deleted, and the body is null if it is empty.
    login, body = (answer["user"] or {}).get("login"), answer["body"] or ""
    return Comment(int(answer["id"]), str(login), str(body), answer.get("node_id"))


def _is_limit(response: requests.Response) -> bool:
    """Whether GitHub refuses because of a rate limit. Source: "Rate limits for the REST API"."""
    headers = response.headers
    return response.status_code == 429 or (
        response.status_code == 403
        and (
            "Retry-After" in headers
            or headers.get("X-RateLimit-Remaining") == "0"
            or b"rate limit" in response.content.lower()
        )
    )


def _get_wait_seconds(response: requests.Response, is_limit: bool, otherwise: float) -> float:
    def get_number(name: str) -> int | None:
        value = response.headers.get(name, "")
        return int(value) if re.fullmatch(r"[0-9]{1,12}", value) else None

    retry_after, reset = get_number("Retry-After"), get_number("X-RateLimit-Reset")
    if retry_after is not None:
        return retry_after
    if not is_limit:
        return otherwise
    if reset is not None and get_number("X-RateLimit-Remaining") == 0:
        return max(0, reset - int(time.time())) + 1
    return WAIT_SECONDS


def _get_message(response: requests.Response) -> str:
    """GitHub's message, with the details of a 422; otherwise the status in words."""
    try:
        details = _parse(response, lambda answer: [error["message"] for error in answer.get("errors", ())])
        return ": ".join(map(str, [_parse(response, lambda answer: answer["message"]), *details]))
    except GitHubError:
        return response.reason


def _describe(cause: Exception) -> str:
    """The class of the error and the system's message; the rest of its text may contain a proxy's password."""
    error: BaseException | None = cause
    while error and not isinstance(getattr(error, "strerror", None), str):
        error = error.__cause__ or error.__context__
    return ", ".join([type(cause).__name__, *([str(getattr(error, "strerror", ""))] if error else [])])
