"""A server on 127.0.0.1 with the part of GitHub's API that is about comments and checks of a pull request."""

import itertools
import json
import re
import threading
import unittest
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests import WAIT_SECONDS

REPOSITORY = "museum/data-contracts"
PULL_REQUEST = 7
BOT = "github-actions[bot]"
# An installation's token, as a workflow has it; the same of a fork's pull request; one of a person.
TOKEN, READ_ONLY_TOKEN, PERSONAL_TOKEN = "ghs_Workflow0001", "ghs_ReadOnly0002", "ghp_Personal0003"
LOGINS = {TOKEN: BOT, READ_ONLY_TOKEN: BOT, PERSONAL_TOKEN: "octocat"}
NOT_ACCESSIBLE = {"message": "Resource not accessible by integration"}
NOT_FOUND = {"message": "Not Found"}


class Seen(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    authorization: str | None
    body: Any


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "GitHubServer"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(content) if content else None
        self.seen = Seen(self.command, url.path, query, self.headers["Authorization"], body)
        self.server.seen.append(self.seen)
        for matches, answers in self.server.scripts:
            if re.fullmatch(matches, f"{self.command} {url.path}") and (answer := next(answers, None)):
                return answer(self)
        return answer_as_github(self)

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server asks for these names

    def send(self, status: int, answer: Any = None, **headers: str) -> None:
        body = answer if isinstance(answer, bytes) else b"" if status == 204 else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


Answer = Callable[[Handler], None]


class GitHubServer(ThreadingHTTPServer):
    """One pull request; `comments` and `checks` are as the API has them, `seen` are the requests in their order.

    `hidden` are the node ids of the comments that somebody hid.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.comments: list[dict[str, Any]] = []
        self.checks: list[dict[str, Any]] = []
        self.hidden: set[str] = set()
        self.scripts: list[tuple[str, Iterator[Answer]]] = []
        self.seen: list[Seen] = []
        self.longest_body = 65_536
        self.is_over = threading.Event()
        self.lock = threading.Lock()
        self._ids = itertools.count(1_000_001)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait is not an error here."""

    def script(self, matches: str, *answers: Answer, forever: Answer | None = None) -> None:
        """Answers the requests whose "METHOD /path" matches with `answers` in turn, then as GitHub does."""
        self.scripts.append((matches, itertools.chain(answers, itertools.repeat(forever) if forever else ())))

    def add_comment(self, body: str, login: str = BOT) -> dict[str, Any]:
        with self.lock:
            number = next(self._ids)
            comment = {"id": number, "node_id": f"IC_{number}", "user": {"login": login, "type": "User"}, "body": body}
            self.comments.append(comment)
            return comment

    def methods(self) -> list[str]:
        """The methods of the requests that are about comments."""
        return [seen.method for seen in self.seen if "/comments" in seen.path]

    def environment(self, number: int = 1, attempt: int = 1, token: str = TOKEN, **more: str) -> dict[str, str]:
        """The variables of a run of the workflow."""
        return {
            "GITHUB_TOKEN": token,
            "GITHUB_API_URL": self.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": str(9_000_000_000 + number),
            "GITHUB_RUN_NUMBER": str(number),
            "GITHUB_RUN_ATTEMPT": str(attempt),
            "GITHUB_SHA": f"{number:040x}",
            "PR_NUMBER": str(PULL_REQUEST),
            "NO_PROXY": "127.0.0.1",
            **more,
        }


def start_github_server(test: unittest.TestCase) -> GitHubServer:
    """A server that runs until the end of the test."""
    server = GitHubServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    test.addCleanup(thread.join)
    test.addCleanup(server.server_close)
    test.addCleanup(server.shutdown)
    test.addCleanup(server.is_over.set)
    return server


def answer_as_github(handler: Handler) -> None:
    server, seen = handler.server, handler.seen
    token = (seen.authorization or "").removeprefix("Bearer ")
    comments_path = f"/repos/{REPOSITORY}/issues/{PULL_REQUEST}/comments"
    by_id = {f"/repos/{REPOSITORY}/issues/comments/{comment['id']}": comment for comment in server.comments}
    if token not in LOGINS:
        handler.send(401, {"message": "Bad credentials"})
    elif seen.path == "/user":
        handler.send(*((200, {"login": LOGINS[token]}) if token == PERSONAL_TOKEN else (403, NOT_ACCESSIBLE)))
    elif seen.path == "/graphql":
        refused = {"errors": [NOT_ACCESSIBLE]}
        server.hidden.discard("" if token == READ_ONLY_TOKEN else seen.body["variables"]["id"])
        handler.send(200, refused if token == READ_ONLY_TOKEN else {"data": {"unminimizeComment": None}})
    elif seen.path == f"/repos/{REPOSITORY}/check-runs":
        is_refused = token in (READ_ONLY_TOKEN, PERSONAL_TOKEN)  # only apps have checks
        server.checks += [] if is_refused else [seen.body]
        handler.send(*((403, NOT_ACCESSIBLE) if is_refused else (201, {"id": len(server.checks)})))
    elif seen.path != comments_path and seen.path not in by_id:
        handler.send(404, NOT_FOUND)
    elif seen.method == "GET":
        _send_page(handler)
    elif token == READ_ONLY_TOKEN:
        handler.send(403, NOT_ACCESSIBLE)
    elif seen.method == "DELETE":
        with server.lock:
            server.comments = [comment for comment in server.comments if comment is not by_id[seen.path]]
        handler.send(204)
    elif len(seen.body["body"]) > server.longest_body:
        too_long = {"field": "data", "message": f"Body is too long (maximum is {server.longest_body} characters)"}
        handler.send(422, {"message": "Validation Failed", "errors": [too_long]})
    elif seen.method == "POST":
        handler.send(201, server.add_comment(seen.body["body"], LOGINS[token]))
    else:
        by_id[seen.path]["body"] = seen.body["body"]
        handler.send(200, by_id[seen.path])


def _send_page(handler: Handler) -> None:
    server, query = handler.server, handler.seen.query
    size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
    last = max(1, -(-len(server.comments) // size))
    places = {"first": 1, "prev": page - 1, "next": page + 1, "last": last}
    links = [
        f'<{server.url}{handler.seen.path}?per_page={size}&page={place}>; rel="{name}"'
        for name, place in places.items()
        if 1 <= place <= last and place != page
    ]
    headers = {"Link": ", ".join(links)} if links else {}
    handler.send(200, server.comments[(page - 1) * size : page * size], **headers)


def refuse(status: int, message: str, **headers: str) -> Answer:
    return lambda handler: handler.send(status, {"message": message}, **headers)


def answer_html(status: int, **headers: str) -> Answer:
    return lambda handler: handler.send(status, b"<html>Unicorn!</html>", Content_Type="text/html", **headers)


def hang(handler: Handler) -> None:
    handler.server.is_over.wait(WAIT_SECONDS)
    handler.close_connection = True


def drop(handler: Handler) -> None:
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """Sends an answer that never ends, and never pauses for long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not handler.server.is_over.wait(0.05):
        handler.wfile.write(b" ")


def after_doing(answer: Answer) -> Answer:
    """Does what the request asks for, but sends `answer` to the client instead."""

    def do_and_answer(handler: Handler) -> None:
        send = handler.send
        handler.send = lambda *_, **__: None  # type: ignore[method-assign]
        answer_as_github(handler)
        handler.send = send  # type: ignore[method-assign]
        answer(handler)

    return do_and_answer
