import contextlib
import io
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

from data_contract_components.detection.migration_changes.changes import ContractChange, Place
from data_contract_components.prevention import post_pull_request_comment
from data_contract_components.prevention.contract_report.contract_report import (
    Comparison,
    ContractReport,
    Outcome,
    to_json,
)
from data_contract_components.prevention.github import api
from data_contract_components.prevention.post_pull_request_comment import MARKER, MARKER_PATTERN, VARIABLES, main
from tests import ROOT, WAIT_SECONDS, wait_until
from tests.example_report import example_report, missing_column
from tests.github_server import (
    BOT,
    LOGINS,
    PERSONAL_TOKEN,
    READ_ONLY_TOKEN,
    Handler,
    after_doing,
    answer_html,
    drip,
    drop,
    hang,
    refuse,
    start_github_server,
)

MODULE = "data_contract_components.prevention.post_pull_request_comment"
HEAD_LINE = "❌ Data contract violations detected:"
UNCHECKED = "could not be checked"
WARNING = "::warning title=The comment on the pull request could not be written::"
WARNINGS = (
    WARNING,
    "::warning title=A hidden comment could not be shown again::",
    "::warning title=The sentence in the merge box could not be written::",
)
LOG_END = "alembic.util.exc.CommandError: the end of the log"


def a_report(outcome: Outcome = "violations", error: str | None = None) -> ContractReport:
    missing = tuple(map(missing_column, ("primary_image", "additional_images")))
    return replace(example_report(outcome, violations=missing if outcome == "violations" else ()), error=error)


def marked(number: int, attempt: int = 1, outcome: str = "violations") -> str:
    return f"{MARKER.format(number, attempt, outcome)}\nolder text"


class PostTestCase(unittest.TestCase):
    timeout_seconds = deadline_seconds = float(WAIT_SECONDS)

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="comment-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.report, self.log = self.directory / "contract_report.json", self.directory / "test_output.log"
        self.log.write_text(f"FAILED (failures=1)\n{LOG_END}\n")
        self.write_report()
        self.github = start_github_server(self)

    def write_report(self, outcome: Outcome = "violations", error: str | None = None) -> None:
        self.report.write_text(to_json(a_report(outcome, error)))

    def start(self, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "--report", str(self.report), "--log", str(self.log)],
            cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def finish(self, process: subprocess.Popen[str], status: int = 0) -> str:
        output, _ = process.communicate(timeout=WAIT_SECONDS)
        self.assertEqual(process.returncode, status, output)
        return self.harmless(output)

    def harmless(self, output: str) -> str:
        self.assertNotIn("Traceback", output)
        self.assertNotIn("##[", output)
        for line in output.splitlines():
            self.assertTrue(line.startswith(WARNINGS) or not line.lstrip().startswith("::"), output)
        for token in LOGINS:
            self.assertNotIn(token, output)
        return output

    def post(self, number: int = 1, attempt: int = 1, **environment: str) -> str:
        return self.run_program(0, self.github.environment(number, attempt, **environment))

    def run_program(self, status: int, environment: dict[str, str]) -> str:
        return self.run_main(main, ["--report", str(self.report), "--log", str(self.log)], status, environment)

    def run_main(
        self, main: Callable[[list[str]], int], arguments: list[str], status: int, environment: dict[str, str]
    ) -> str:
        """What the program prints. It runs in this process, as a hundred processes would take a minute."""
        with (
            mock.patch.dict(os.environ, environment),
            mock.patch.multiple(api, RETRY_SECONDS=0.01, TIMEOUT_SECONDS=self.timeout_seconds),
            mock.patch.object(post_pull_request_comment, "DEADLINE_SECONDS", self.deadline_seconds),
            contextlib.redirect_stdout(io.StringIO()) as output,
            contextlib.redirect_stderr(output),
        ):
            result = main(arguments)
        self.assertEqual(result, status, output.getvalue())
        return self.harmless(output.getvalue())

    def warning(self, number: int = 1, attempt: int = 1, **environment: str) -> str:
        """The text of the warning with which the run ends."""
        last_line = self.post(number, attempt, **environment).splitlines()[-1]
        self.assertTrue(last_line.startswith(WARNING), last_line)
        self.assertIn("The result of the check is unaffected", last_line)
        return last_line.removeprefix(WARNING)

    def bodies(self) -> list[str]:
        return [comment["body"] for comment in self.github.comments]

    def body(self) -> str:
        (body,) = self.bodies()
        return body

    def assert_marked(self, body: str, number: int, attempt: int = 1, outcome: str = "violations") -> None:
        match = MARKER_PATTERN.match(body)
        self.assertEqual(match and match.groups(), (str(number), str(attempt), outcome))

    def assert_posted(self, number: int, outcome: str = "violations", **environment: str) -> str:
        """Runs the program, and returns its output; its comment is then the only one."""
        output = self.post(number, 1, **environment)
        self.assert_marked(self.body(), number, outcome=outcome)
        return output

    def restart(self, *comments: str) -> None:
        """The pull request has these comments only, and GitHub answers as usual."""
        self.github.comments, self.github.checks, self.github.seen, self.github.scripts = [], [], [], []
        for body in comments:
            self.github.add_comment(body)


class TestDecision(PostTestCase):
    def test_the_first_violation_creates_a_comment_that_names_contract_owner_and_columns(self) -> None:
        output = self.finish(self.start(**self.github.environment(3, 2)))
        self.assert_marked(self.body(), 3, 2, "violations")
        words = (HEAD_LINE, "object_images_contract_spec", "Data Engineering Team", "data-eng@museum.org")
        for word in (*words, "primary", "additional"):
            self.assertIn(word, self.body())
        self.assertIn(f"comment {self.github.comments[0]['id']} created, outcome violations", output)
        self.assertEqual(self.github.methods(), ["GET", "POST", "GET"])
        self.assertEqual(self.github.seen[1].query, {"per_page": "100"})

    def test_the_next_run_updates_it_in_place(self) -> None:
        self.github.add_comment("Looks good to me", "octocat")
        self.github.add_comment(marked(3))
        self.assertIn("updated, outcome violations", self.post(4))
        self.assertEqual(self.bodies()[0], "Looks good to me")
        self.assert_marked(self.bodies()[1], 4)
        self.assertIn(HEAD_LINE, self.bodies()[1])
        self.assertEqual(self.github.methods(), ["GET", "PATCH"])

    def test_the_comment_turns_green_when_the_contracts_are_kept_again_and_red_when_they_are_not(self) -> None:
        self.post(1)
        self.write_report("passed")
        self.assert_posted(2, "resolved")
        self.assertIn("resolved in", self.body())
        self.assertIn(f"{2:040x}"[:7], self.body())
        self.assertNotIn(HEAD_LINE, self.body())
        self.write_report()
        self.assert_posted(3)
        self.assertIn(HEAD_LINE, self.body())

    def test_a_comparison_that_failed_resolves_nothing_and_has_its_reason(self) -> None:
        self.post(1)
        comparison = Comparison("main", error="git knows no commit")
        self.report.write_text(to_json(replace(a_report("could not check"), comparison=comparison)))
        self.assert_posted(2, "could-not-check")
        self.assertIn("⚠️ All current contracts pass, but they could not be compared", self.body())
        self.assertIn("git knows no commit", self.body())
        self.assertNotIn("resolved in", self.body())

    def test_nothing_is_posted_if_the_contracts_were_never_broken(self) -> None:
        self.write_report("passed")
        self.assertIn("nothing posted", self.post())
        self.assertEqual(self.github.methods(), ["GET"])

    def test_a_resolved_comment_keeps_its_commit_and_an_older_run_that_ends_late_changes_nothing(self) -> None:
        self.github.add_comment(marked(1, 1, "resolved"))
        self.write_report("passed")
        self.post(3)
        self.assertEqual(self.body(), marked(3, 1, "resolved"))
        self.write_report("violations")
        self.assertIn("left unchanged", self.post(2))
        self.assertEqual(self.body(), marked(3, 1, "resolved"))

    def test_an_older_run_leaves_the_comment_of_a_newer_one_and_a_re_run_overwrites_it(self) -> None:
        outcomes: tuple[Outcome, ...] = ("violations", "passed")
        newer = (10, 10)
        for older, outcome in itertools.product([(9, 30), (10, 9)], outcomes):
            with self.subTest(older=older, outcome=outcome):
                self.restart(marked(*newer))
                self.write_report(outcome)
                self.assertIn("run 10, attempt 10: left unchanged", self.post(*older))
                self.assertEqual(self.body(), marked(*newer))
                self.assertEqual(self.github.methods(), ["GET"])
        self.restart(marked(10, 9))
        self.post(10, 10)
        self.assert_marked(self.body(), 10, 10, "resolved")

    def test_the_comment_is_found_on_the_second_page(self) -> None:
        for number in range(150):
            self.github.add_comment(f"comment {number}", "octocat")
        self.github.comments[120] |= {"user": {"login": BOT}, "body": marked(1)}
        self.post(2)
        self.assertEqual(len(self.github.comments), 150)
        self.assert_marked(self.bodies()[120], 2)
        self.assertEqual(self.github.methods(), ["GET", "GET", "PATCH"])

    def test_a_comment_with_our_marker_by_another_author_is_ignored_and_kept(self) -> None:
        self.github.add_comment(marked(999, 9), "mallory")
        self.github.add_comment(f"> quoted\n{marked(998)}")
        self.github.comments.append({"id": 1, "user": None, "body": marked(997)})
        strangers = self.bodies()
        self.post(2)
        self.assertEqual(self.bodies()[:3], strangers)
        self.assert_marked(self.bodies()[3], 2)

    def test_with_a_persons_token_the_comment_is_by_that_person(self) -> None:
        self.github.add_comment(marked(999))
        for number in (1, 2):
            self.post(number, token=PERSONAL_TOKEN)
        self.assertEqual([comment["user"]["login"] for comment in self.github.comments], [BOT, "octocat"])
        self.assert_marked(self.bodies()[1], 2)

    def test_the_token_of_another_app_keeps_one_comment_too(self) -> None:
        self.addCleanup(LOGINS.pop, "ghs_OtherApp0004")
        LOGINS["ghs_OtherApp0004"] = "other-app[bot]"
        for number in (1, 2):
            self.assert_posted(number, token="ghs_OtherApp0004")


class TestAsking(PostTestCase):
    """The contracts are kept, but one promises less than in the base: its owner must agree."""

    def setUp(self) -> None:
        super().setUp()
        change = ContractChange(
            "object_images_contract_spec",
            Place("a.json", 3),
            "$.schema",
            "loosened",
            1,
            2,
            "Data Science",
            "ds@museum.org",
        )
        comparison = Comparison("main", "a" * 40, contract_changes=(change,))
        self.report.write_text(to_json(replace(a_report("passed"), comparison=comparison)))

    def test_a_comment_asks_once_and_is_kept_up_to_date(self) -> None:
        for number in (1, 2):
            self.assert_posted(number, "asks")
            self.assertIn("must agree", self.body())
            self.assertNotIn("resolved", self.body())
        self.assertEqual(self.github.checks[0]["conclusion"], "neutral")
        sentence = "1 contract kept, but less is promised than before: Data Science must agree"
        self.assertEqual(self.github.checks[0]["output"]["title"], sentence)

    def test_violations_that_were_fixed_so_are_not_resolved(self) -> None:
        self.github.add_comment(marked(1))
        self.assert_posted(2, "asks")
        self.assertNotIn("resolved", self.body())

    def test_it_is_resolved_when_nothing_promises_less_any_more(self) -> None:
        self.github.add_comment(marked(1, 1, "asks"))
        self.write_report("passed")
        self.assert_posted(2, "resolved")


class TestHiddenComment(PostTestCase):
    def post_to_hidden(self, outcome: str, report: Outcome, api_path: str = "") -> str:
        """What the program prints where somebody hid a comment with this outcome."""
        self.github.comments = []
        self.github.add_comment(marked(1, 1, outcome))
        self.github.hidden = {self.github.comments[0]["node_id"]}
        self.write_report(report, "no database" if report == "could not check" else None)
        return self.post(2, GITHUB_API_URL=self.github.url + api_path)

    def test_it_is_shown_again_when_it_turns_red(self) -> None:
        outcomes: tuple[Outcome, ...] = ("violations", "could not check")
        for report in outcomes:
            self.post_to_hidden("resolved", report)
            self.assertEqual(self.github.hidden, set())

    def test_it_stays_hidden_while_it_is_green_and_if_it_was_hidden_when_it_was_red(self) -> None:
        cases: tuple[tuple[str, Outcome], ...] = (
            ("resolved", "passed"),
            ("violations", "violations"),
            ("violations", "passed"),
        )
        for outcome, report in cases:
            self.post_to_hidden(outcome, report)
            self.assertEqual(len(self.github.hidden), 1)

    def test_a_refusal_is_a_warning_and_the_comment_is_written(self) -> None:
        refusal = [{"message": "Resource not accessible by integration"}]
        for answer in (lambda handler: handler.send(200, {"errors": refusal}), answer_html(502, Retry_After="0")):
            self.github.scripts = []
            self.github.script("POST /graphql", forever=answer)
            output = self.post_to_hidden("resolved", "violations")
            self.assertIn("\n::warning title=A hidden comment could not be shown again::POST ", f"\n{output}")
            self.assert_marked(self.body(), 2)

    def test_a_server_of_ones_own_has_graphql_beside_its_rest(self) -> None:
        self.github.script("GET /api/v3/.*/comments", lambda handler: handler.send(200, self.github.comments))
        self.github.script("PATCH .*", lambda handler: handler.send(200, self.github.comments[0]))
        self.post_to_hidden("resolved", "violations", "/api/v3")
        self.assertIn("/api/graphql", [seen.path for seen in self.github.seen])


class TestSentence(PostTestCase):
    def check(self) -> tuple[str, str]:
        """The conclusion and the title of the one check."""
        (check,) = self.github.checks
        self.assertEqual((check["name"], check["head_sha"]), ("Data contracts", f"{1:040x}"))
        return check["conclusion"], check["output"]["title"]

    def test_the_merge_box_has_the_broken_contract_and_its_owner_in_a_check_that_does_not_fail(self) -> None:
        output = self.post()
        sentence = "1 contract broken: object_images_contract_spec (owner: Data Engineering Team)"
        self.assertEqual(self.check(), ("neutral", sentence))
        self.assertIn(f"check created: {sentence}\n", output)

    def test_it_has_the_reason_if_nothing_could_be_checked(self) -> None:
        self.write_report("could not check", "cannot reach the database:\n" + "a reason " * 30)
        self.post()
        conclusion, sentence = self.check()
        self.assertEqual((conclusion, len(sentence)), ("neutral", 140))
        self.assertTrue(sentence.startswith("Not checked: cannot reach the database: a reason"), sentence)

    def test_kept_contracts_are_a_success(self) -> None:
        self.write_report("passed")
        self.post()
        self.assertEqual(self.check(), ("success", "1 contract kept"))

    def test_a_token_that_may_not_is_no_warning(self) -> None:
        output = self.post(token=PERSONAL_TOKEN)
        self.assertIn("created, outcome violations\nno check with the sentence in the merge box, which needs", output)
        self.assertNotIn("::warning", output)

    def test_any_other_failure_is_a_warning(self) -> None:
        self.github.script("POST .*/check-runs", forever=answer_html(502, Retry_After="0"))
        self.assertIn("\n::warning title=The sentence in the merge box could not be written::POST", self.post())
        self.assert_marked(self.body(), 1)

    def test_an_older_run_of_the_same_commit_writes_its_own(self) -> None:
        self.github.add_comment(marked(9))
        self.post(1)
        self.assertEqual(self.check()[0], "neutral")


class TestReportAndLog(PostTestCase):
    def test_could_not_check_is_posted_like_a_violation(self) -> None:
        self.write_report("could not check", "cannot reach the database")
        self.assert_posted(1, "could-not-check")
        self.assertIn(UNCHECKED, self.body())
        self.assertIn("cannot reach the database", self.body())
        self.assertNotIn(HEAD_LINE, self.body())

    def test_a_report_that_cannot_be_read_is_could_not_check_with_the_end_of_the_log(self) -> None:
        contents = {
            "missing": None,
            "empty": b"",
            "cut off": b'{"outcome": "viol',
            "no UTF-8": b"\xff\xfe\x00",
            "too deep": b"[" * 100_000,
            "a list": b"[]",
            "another outcome": to_json(a_report()).replace('"violations"', '"fine"', 1).encode(),
            "a part only": b'{"outcome": "violations", "contracts": [{}]}',
        }
        for number, (name, content) in enumerate(contents.items(), 1):
            with self.subTest(name):
                self.report.unlink(missing_ok=True)
                if content is not None:
                    self.report.write_bytes(content)
                self.assert_posted(number, "could-not-check")
                self.assertIn(UNCHECKED, self.body())
                self.assertIn(LOG_END, self.body())

    def test_a_missing_log_is_named(self) -> None:
        self.log.unlink()
        self.post()
        self.assertIn(HEAD_LINE, self.body())
        self.assertIn("No such file", self.body())

    def test_a_log_of_any_bytes_is_posted_without_the_token(self) -> None:
        token = self.github.environment()["GITHUB_TOKEN"]
        self.log.write_bytes(b"\xff\xfe\x00 " + token.encode() + b" end")
        self.write_report("could not check", f"\ud800 {token}")
        self.post()
        self.assertNotIn(token, self.body())
        self.assertIn("***", self.body())
        self.assertEqual(self.body().encode("utf-8", "replace").decode(), self.body())


class TestRaces(PostTestCase):
    def race(self, first: int, second: int) -> tuple[str, str]:
        """The output of two runs; neither sees a comment, and `first` posts before `second`."""
        is_listed, posts = threading.Barrier(2), iter((first, second))

        def list_together(handler: Handler) -> None:
            handler.send(200, [])
            is_listed.wait(WAIT_SECONDS)

        def post_in_turn(handler: Handler) -> None:
            number = int(MARKER_PATTERN.match(handler.seen.body["body"])[1])  # type: ignore[index]
            wait_until(lambda: len(self.github.comments) == (number != first))
            handler.send(201, self.github.add_comment(handler.seen.body["body"]))
            next(posts)

        def list_both(handler: Handler) -> None:
            wait_until(lambda: next(posts, None) is None)
            handler.send(200, self.github.comments)

        self.github.script("GET .*/comments", list_together, list_together, list_both)
        self.github.script("POST .*/comments", post_in_turn, post_in_turn)
        processes = [self.start(**self.github.environment(number)) for number in (first, second)]
        first_output, second_output = map(self.finish, processes)
        return first_output, second_output

    def test_of_two_comments_the_oldest_stays_with_the_newest_text(self) -> None:
        for first, second in ((5, 6), (6, 5)):
            with self.subTest(first=first, second=second):
                self.github.comments, self.github.seen = [], []
                self.race(first, second)
                self.assertEqual(self.github.methods().count("POST"), 2)
                self.assert_marked(self.body(), 6)
                self.assertEqual(self.github.comments[0]["id"] % 2, 1)

    def test_an_older_run_deletes_its_comment_if_a_newer_run_has_posted_first(self) -> None:
        self.github.add_comment(marked(6))
        self.github.script("GET .*/comments", lambda handler: handler.send(200, []))
        self.assertIn("left unchanged", self.post(5))
        self.assertEqual(self.github.methods(), ["GET", "POST", "GET", "DELETE"])
        self.assertEqual(self.body(), marked(6))

    def test_the_next_run_deletes_what_an_interrupted_race_has_left(self) -> None:
        for is_kept, *left in (
            (False, "resolved", "violations"),
            (True, "resolved", "violations"),
            (True, "violations", "resolved"),
        ):
            with self.subTest(is_kept=is_kept, left=left):
                self.restart(marked(5, 1, left[0]), "Looks good to me", marked(6, 1, left[1]))
                ids = [comment["id"] for comment in self.github.comments]
                self.write_report("passed" if is_kept else "violations")
                self.post(7)
                self.assertEqual([comment["id"] for comment in self.github.comments], ids[:2])
                self.assert_marked(self.bodies()[0], 7, outcome="resolved" if is_kept else "violations")

    def test_of_two_comments_that_a_race_has_left_the_newer_one_counts(self) -> None:
        self.github.add_comment(marked(5))
        self.github.add_comment(marked(9))
        self.assertIn("left unchanged", self.post(7))
        self.assertEqual(self.bodies(), [marked(5), marked(9)])

    def test_a_surplus_comment_may_be_deleted_already(self) -> None:
        self.github.add_comment(marked(1))
        self.github.add_comment(marked(2))
        self.github.script("DELETE .*", after_doing(refuse(404, "Not Found")))
        self.assertIn("updated", self.post(3))
        self.assert_marked(self.body(), 3)


class TestRefusals(PostTestCase):
    def test_a_refusal_is_quoted_with_what_to_do_and_changes_nothing(self) -> None:
        self.github.longest_body = 100
        update = ["GET", "PATCH"]
        fork = "403, Resource not accessible by integration; .* fork .* Dependabot .* pull-requests: write"
        too_long = (
            r"422, Validation Failed: Body is too long \(maximum is 100 characters\); .* does not accept the text"
        )
        cases: tuple[tuple[str, dict[str, str], list[str]], ...] = (
            ("401, Bad credentials; GITHUB_TOKEN is wrong or has expired", {"token": "ghs_wrong"}, []),
            (fork, {"token": READ_ONLY_TOKEN}, update),
            ("404, Not Found; there is no such .* PR_NUMBER and GITHUB_REPOSITORY", {"PR_NUMBER": "8"}, ["GET"]),
            ("410, This issue was deleted; the conversation was deleted", {}, update),
            (too_long, {}, update),
        )
        for comments in ([marked(1)], []):
            for pattern, environment, methods in cases:
                with self.subTest(pattern, comments=comments):
                    self.restart(*comments)
                    if pattern.startswith("410"):
                        self.github.script("(PATCH|POST) .*", refuse(410, "This issue was deleted"))
                    warning = self.warning(2, 1, **environment)
                    self.assertRegex(warning, f"HTTP {pattern}")
                    self.assertNotIn("ghs_wrong", warning)
                    self.assertEqual(self.bodies(), comments)
                    writes = methods if comments else [method.replace("PATCH", "POST") for method in methods]
                    self.assertEqual(self.github.methods(), writes)
                    if pattern.startswith("401"):
                        self.assertEqual(len(self.github.seen), 1)

    def test_a_short_rate_limit_is_waited_for_and_reported(self) -> None:
        reset = {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(int(time.time()) - 100)}
        for status, headers in ((403, {"Retry_After": "0"}), (429, {"Retry_After": "0"}), (403, reset)):
            for methods, comments in ((["GET", "POST", "POST", "GET"], ()), (["GET", "PATCH", "PATCH"], (marked(1),))):
                with self.subTest(status=status, methods=methods, **headers):
                    self.restart(*comments)
                    self.github.script(f"{methods[1]} .*", refuse(status, "Slow down", **headers))
                    output = self.assert_posted(2)
                    self.assertRegex(output, rf"HTTP {status}, Slow down; waiting for [01] s\n")
                    self.assertEqual(self.github.methods(), methods)

    def test_a_rate_limit_on_the_login_is_waited_for(self) -> None:
        self.github.script("GET /user", refuse(403, "API rate limit exceeded", Retry_After="0"))
        self.post(token=PERSONAL_TOKEN)
        self.assertEqual([seen.path for seen in self.github.seen[:2]], ["/user", "/user"])
        self.assertEqual(self.github.comments[0]["user"]["login"], "octocat")

    def test_a_long_rate_limit_is_not_waited_for(self) -> None:
        reset = {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(int(time.time()) + 3_000)}
        for status, headers in ((429, {"Retry_After": "61"}), (403, reset), (429, {"Retry_After": "9" * 12})):
            with self.subTest(status=status, **headers):
                self.restart()
                self.github.script("POST .*", refuse(status, "Slow down", **headers))
                warning = self.warning()
                self.assertRegex(warning, r"the wait of \d+ s would exceed the limit of 60 s for all waits")
                self.assertIn("run the job again later", warning)
                self.assertEqual(self.bodies(), [])

    def test_the_waits_count_together(self) -> None:
        self.github.script("POST .*", forever=refuse(429, "Too many requests", Retry_After="1"))
        with mock.patch.object(api, "WAIT_SECONDS", 1.0):
            self.assertIn("the wait of 1 s would exceed the limit of 1 s for all waits", self.warning())
        self.assertEqual(self.github.methods(), ["GET", "POST", "POST"])

    def test_a_rate_limit_without_a_time_is_waited_for_a_minute(self) -> None:
        self.github.script("POST .*", refuse(403, "You have exceeded a secondary rate limit"))
        process = self.start(**self.github.environment())
        assert process.stdout
        self.assertIn("; waiting for 60 s", process.stdout.readline())
        process.kill()

    def test_no_text_of_the_server_becomes_a_command_or_shows_the_token(self) -> None:
        token = self.github.environment()["GITHUB_TOKEN"]
        evil = f"100%\r\n::error::x\u2028::stop-commands::x ##[add-mask]x \x1b[31m {token} " + "long " * 1_000
        self.github.script("POST .*", refuse(418, evil))
        warning = self.warning()
        self.assertIn("100%25  ::error::x ::stop-commands::x ## [add-mask]x  [31m *** long", warning)
        self.assertLess(len(warning), 1_000)
        self.github.scripts = []
        self.github.script("POST .*", refuse(502, evil, Retry_After="0"))
        self.assert_posted(2)


class TestFailures(PostTestCase):
    def test_get_and_patch_are_repeated_after_502_to_504(self) -> None:
        self.github.add_comment(marked(1))
        for method, status in (("GET", 502), ("PATCH", 503), ("PATCH", 504)):
            self.github.script(f"{method} .*", answer_html(status, Retry_After="0"))
        self.assert_posted(2)
        self.assertEqual(self.github.methods(), ["GET", "PATCH", "PATCH", "PATCH"])

    def test_a_502_without_an_end_is_a_warning(self) -> None:
        self.github.script("GET .*", forever=answer_html(502, Retry_After="0"))
        self.assertIn("HTTP 502, Bad Gateway", self.warning())
        self.assertEqual(len(self.github.seen), 3)

    def test_a_post_that_has_arrived_is_not_repeated(self) -> None:
        self.timeout_seconds = 0.5
        for name, answer in {"502": answer_html(502, Retry_After="0"), "no answer": drop, "a hang": hang}.items():
            with self.subTest(name):
                self.restart()
                self.github.script("POST .*", after_doing(answer))
                self.assertIn("created", self.assert_posted(1))
                self.assertEqual(self.github.methods(), ["GET", "POST", "GET", "GET"])

    def test_a_post_is_repeated_only_if_its_comment_is_not_there(self) -> None:
        self.github.script("POST .*", answer_html(502, Retry_After="0"))
        self.post()
        self.assertEqual(self.github.methods(), ["GET", "POST", "GET", "POST", "GET"])
        self.assert_marked(self.body(), 1)

    def test_after_rate_limits_too_a_failed_post_is_not_repeated_if_its_comment_is_there(self) -> None:
        limit = refuse(429, "Too many requests", Retry_After="0")
        self.github.script("POST .*", limit, limit, after_doing(answer_html(502, Retry_After="0")))
        self.assertIn("created", self.assert_posted(1))

    def test_a_comment_on_two_pages_counts_once(self) -> None:
        comment = self.github.add_comment(marked(1))
        link = f'<{self.github.url}/repos/museum/data-contracts/issues/7/comments?page=1>; rel="next"'
        self.github.script("GET .*/comments", lambda handler: handler.send(200, [comment], Link=link))
        self.assert_posted(2)

    def test_a_post_that_never_arrives_is_a_warning(self) -> None:
        self.github.script("POST .*", forever=answer_html(503, Retry_After="0"))
        self.assertIn("POST", self.warning())
        self.assertEqual(self.github.methods(), ["GET", "POST"] * 3 + ["GET"])

    def test_a_server_that_hangs_is_a_warning(self) -> None:
        self.github.script("GET /user", forever=hang)
        self.timeout_seconds = 0.1
        self.assertIn("no answer, ReadTimeout", self.warning())
        self.assertEqual(len(self.github.seen), 3)

    def test_an_answer_without_an_end_is_a_warning_at_the_deadline(self) -> None:
        self.github.script("GET .*/comments", forever=drip)
        self.deadline_seconds = 0.5
        self.assertIn("not finished after 0.5 s", self.warning())

    def test_without_a_network_the_reason_is_named(self) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{closed.getsockname()[1]}"
            self.assertIn("no answer, ConnectionError, Connection refused", self.warning(GITHUB_API_URL=url))

    def test_a_server_that_is_not_github_is_recognized(self) -> None:
        for answer in (answer_html(200), refuse(200, "hello"), lambda handler: handler.send(200, [{"id": "x"}])):
            self.github.scripts = []
            self.github.script("GET .*/comments", answer)
            self.assertIn("not an answer of GitHub's API; check GITHUB_API_URL", self.warning())
        self.assertEqual(self.bodies(), [])

    def test_a_redirect_on_the_same_host_is_followed_with_the_same_request(self) -> None:
        moved = "/repos/museum/data-contracts/issues/7/comments"
        for status in (301, 307):
            self.restart()
            for method in ("GET", "POST"):
                self.github.script(f"{method} /repos/old/name/.*", refuse(status, "Moved", Location=moved))
            self.github.script("GET /repos/old/name/.*", refuse(status, "Moved", Location=self.github.url + moved))
            self.assert_posted(1, GITHUB_REPOSITORY="old/name")

    def test_the_token_goes_to_no_other_host(self) -> None:
        other = start_github_server(self)
        location = f"{other.url}/repos/museum/data-contracts/issues/7/comments"
        answers = {
            "redirect": refuse(307, "Moved", Location=location),
            "next page": lambda handler: handler.send(200, [], Link=f'<{location}?page=2>; rel="next"'),
            "no address in a link": lambda handler: handler.send(200, [], Link='<http://[>; rel="next"'),
        }
        for name, answer in answers.items():
            with self.subTest(name):
                self.github.scripts = []
                self.github.script("GET .*/comments", answer)
                self.assertIn("which must not receive the token", self.warning())
                self.assertEqual(other.seen, [])

    def test_a_wrong_address_is_a_warning_without_its_password(self) -> None:
        self.github.script("GET .*", forever=refuse(307, "Moved", Location="http://["))
        self.assertIn("no answer, ValueError; check GITHUB_API_URL, the proxy", self.warning())
        proxy = "http://user:secret[@127.0.0.1"
        self.assertNotIn("secret", self.warning(NO_PROXY="", no_proxy="", HTTP_PROXY=proxy, http_proxy=proxy))

    def test_pages_and_redirects_without_an_end_are_a_warning(self) -> None:
        def same_page(handler: Handler) -> None:
            handler.send(200, [], Link='<?page=1>; rel="next"')

        self.github.script("GET .*/comments", forever=same_page)
        self.assertIn("more than 100 pages", self.warning())
        self.github.scripts = []
        self.github.script("GET .*/comments", forever=refuse(302, "Moved", Location="?"))
        self.assertIn("more than 3 redirects", self.warning())


class TestCalledWrongly(PostTestCase):
    def test_each_missing_or_wrong_variable_is_named(self) -> None:
        for name in VARIABLES:
            with self.subTest(name):
                output = self.run_program(2, self.github.environment() | {name: ""})
                self.assertIn(f"{name} is not set", output)
                self.assertIn("PR_NUMBER: ${{ github.event.pull_request.number }}", output)
        wrong = {"PR_NUMBER": "seven", "GITHUB_RUN_ATTEMPT": "0", "GITHUB_API_URL": "file:///", "GITHUB_SHA": "main"}
        output = self.run_program(2, self.github.environment() | wrong)
        for name in wrong:
            self.assertIn(f"{name} does not match", output)
        self.assertEqual(self.github.seen, [])

    def test_a_token_with_a_line_end_is_not_shown(self) -> None:
        token = self.github.environment()["GITHUB_TOKEN"]
        self.assertIn(
            "GITHUB_TOKEN does not match", self.finish(self.start(**self.github.environment(token=f"{token}\n")), 2)
        )


if __name__ == "__main__":
    unittest.main()
