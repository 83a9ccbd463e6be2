import json
import os
from typing import Any

from data_contract_components.prevention.contract_report.contract_report import to_json
from data_contract_components.prevention.post_fork_comment import LOG_NAME, MAX_BYTES, REPORT_NAME, main
from data_contract_components.prevention.post_pull_request_comment import MARKER
from tests.example_report import example_report
from tests.github_server import PULL_REQUEST, REPOSITORY, refuse
from tests.test_post_pull_request_comment import PostTestCase

PULLS = f"/repos/{REPOSITORY}/pulls"
FORK = "reader/data-contracts"
SHA = "c" * 40
RUN = {
    "id": 42,
    "run_number": 5,
    "run_attempt": 2,
    "head_sha": SHA,
    "head_branch": "a branch&state=closed",
    "head_repository": {"full_name": FORK, "owner": {"login": "reader"}},
}


def a_pull_request(number: int = PULL_REQUEST, sha: str = SHA, fork: str | None = FORK) -> dict[str, Any]:
    return {"number": number, "head": {"sha": sha, "repo": fork and {"full_name": fork}}}


class TestPostForkComment(PostTestCase):
    def post_to(self, *pull_requests: dict[str, Any], status: int = 0) -> str:
        """What the program prints where GitHub has these pull requests."""
        self.github.script(f"GET {PULLS}", lambda handler: handler.send(200, pull_requests))
        return self.run_for_fork(status)

    def run_for_fork(self, status: int) -> str:
        event = self.directory / "event.json"
        event.write_text(json.dumps({"workflow_run": RUN}))
        environment = self.github.environment(GITHUB_EVENT_PATH=str(event), PR_NUMBER="")
        return self.run_main(main, [str(self.directory)], status, environment)

    def assert_refused(self, message: str) -> None:
        self.assertEqual(self.post_to(a_pull_request(), status=2), f"{message}\n")
        self.assertEqual(self.github.seen, [])

    def test_the_pull_request_of_the_commit_gets_the_comment_of_the_run_that_checked_it(self) -> None:
        self.post_to(a_pull_request())
        (comment,) = self.github.comments
        self.assertTrue(comment["body"].startswith(MARKER.format(5, 2, "violations")), comment["body"])
        self.assertIn("FAILED (failures=1)", comment["body"])
        self.assertIn(SHA, comment["body"])

    def test_only_open_pull_requests_of_that_branch_are_asked_for(self) -> None:
        self.post_to(a_pull_request())
        (seen,) = (seen for seen in self.github.seen if seen.path == PULLS)
        self.assertEqual(seen.query, {"state": "open", "per_page": "100", "head": "reader:a branch&state=closed"})

    def test_a_pull_request_with_another_commit_or_from_another_fork_gets_none(self) -> None:
        others = [a_pull_request(sha="d" * 40), a_pull_request(fork="other/data-contracts"), a_pull_request(fork=None)]
        self.assertIn("[]; nothing posted", self.post_to(*others))
        self.assertEqual(self.github.comments, [])

    def test_of_two_pull_requests_of_one_commit_none_is_chosen(self) -> None:
        self.assertIn("[7, 8]; nothing posted", self.post_to(a_pull_request(), a_pull_request(8)))
        self.assertEqual(self.github.comments, [])

    def test_without_a_report_it_could_not_be_checked(self) -> None:
        self.report.unlink()
        self.post_to(a_pull_request())
        self.assertIn("could not be checked", self.github.comments[0]["body"])

    def test_a_link_is_refused(self) -> None:
        for path in (self.report, self.log):
            with self.subTest(path=path.name):
                path.rename(self.directory / "elsewhere")
                path.symlink_to(self.directory / "elsewhere")
                self.assert_refused(f"{path.name} is not a regular file")
                (self.directory / "elsewhere").replace(path)

    def test_what_is_not_a_regular_file_is_refused(self) -> None:
        self.log.unlink()
        os.mkfifo(self.log)
        self.assert_refused(f"{LOG_NAME} is not a regular file")

    def test_a_file_too_large_is_refused(self) -> None:
        self.log.write_bytes(b" " * (MAX_BYTES + 1))
        self.assert_refused(f"{LOG_NAME} has {MAX_BYTES + 1} bytes, more than {MAX_BYTES}")

    def test_what_is_not_a_report_is_refused_without_a_word_of_it(self) -> None:
        text = to_json(example_report())
        for content, reason in (
            (b"", "$: is not valid JSON"),
            (b"\xff", "it is not UTF-8 text"),
            (b"[" * 100_000, "$: is not valid JSON"),
            (b'"\\n::error::"', "$: expected an object"),
            (
                text.replace('"violations",', '"\\n::error::",', 1).encode(),
                '$.outcome: expected one of "passed", "violations", "could not check"',
            ),
            (text.replace('"data-eng@museum.org"', "null").encode(), "$.contracts[0].owner.email: expected a string"),
            (text.replace('"line": 18', '"line": "\\n::error::"').encode(), "$.contracts[0].line: expected an integer"),
        ):
            self.report.write_bytes(content)
            self.assert_refused(f"{REPORT_NAME} is not a contract report: {reason}")

    def test_a_refusal_of_github_is_reported(self) -> None:
        self.github.script(f"GET {PULLS}", refuse(403, "Resource not accessible by integration"))
        self.assertIn("403", self.run_for_fork(2))
        self.assertEqual(self.github.comments, [])
