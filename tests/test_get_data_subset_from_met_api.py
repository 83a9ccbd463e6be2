import contextlib
import functools
import io
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from data_contract_components.data_assets.db_migrations.raw_data import get_data_subset_from_met_api as module
from tests import ROOT, WAIT_SECONDS, run_on_terminal, wait_until

MODULE = "data_contract_components.data_assets.db_migrations.raw_data.get_data_subset_from_met_api"
BASE_PATH = "/public/collection"
PROMISE = "the same command"


def record(object_id: int) -> dict[str, Any]:
    """What a loader trips over: CR LF, quotes, CJK, half a surrogate pair, a line separator; and some length."""
    return {
        "objectID": object_id,
        "title": f"\u7d75 \u2028 caf\u00e9 \"{object_id}\" 'x' \\ \ud800",
        "dimensions": "4 3/8 in.\r\n(11.1 cm)\r",
        "measurements": [{"elementName": "Overall", "elementMeasurements": {"Height": 11.100000381}}],
        "tags": None,
        "objectBeginDate": -1353,
        "creditLine": "x" * (object_id % 7 * 500),
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Api"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = url.path.removeprefix(BASE_PATH)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.seen = Seen(time.monotonic(), path, query, self.headers["User-Agent"])
        self.server.seen.append(self.seen)
        answer = next(self.server.script.get(path, iter(())), None)
        (answer or answer_as_the_api)(self)

    def send(self, status: int, body: bytes, content_type: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


Answer = Callable[[Handler], None]


class Seen(NamedTuple):
    at: float
    path: str
    query: dict[str, str]
    user_agent: str

    @property
    def object_id(self) -> int:
        return int(self.path.rpartition("/")[2])


class Api(ThreadingHTTPServer):
    """The API with the objects 1 to `objects`; `script` holds what paths answer before they answer as the API does."""

    daemon_threads = True

    def __init__(self, objects: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.records: dict[int, dict[str, Any]] = {}
        self.add_records(objects)
        self.found_ids = list(reversed(self.records))
        self.total: int | None = None
        self.script: dict[str, Iterator[Answer]] = {}
        self.seen: list[Seen] = []
        self.is_over = threading.Event()

    def add_records(self, last_id: int) -> None:
        self.records |= {object_id: record(object_id) for object_id in range(1, last_id + 1)}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed, or that has not waited, is no error here."""


def answer_as_the_api(handler: Handler) -> None:
    seen, api = handler.seen, handler.server
    if seen.path == "/v1/search":
        handler.send(410, b'{"message": "This version has been withdrawn"}')
    elif seen.path == "/v1.1/search":
        offset, limit = int(seen.query["offset"]), int(seen.query["limit"])
        if limit > 500 or offset + limit > 10_000:
            handler.send(400, b'{"message": "Beyond the window"}')
        else:
            total = len(api.found_ids) if api.total is None else api.total
            page = {"total": total, "objectIDs": api.found_ids[offset : offset + limit] or None}
            handler.send(200, json.dumps(page).encode())
    elif seen.object_id in api.records:
        handler.send(200, json.dumps(api.records[seen.object_id]).encode())
    else:
        handler.send(404, b'{"message": "ObjectID not found"}')


def html(status: int, **headers: str) -> Answer:
    return lambda handler: handler.send(status, b"<html>Request unsuccessful</html>", "text/html", **headers)


def text(status: int, body: str) -> Answer:
    return lambda handler: handler.send(status, body.encode())


def hang(handler: Handler) -> None:
    handler.server.is_over.wait(WAIT_SECONDS)
    answer_as_the_api(handler)


def cut_off(handler: Handler, *, hanging: bool = False) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"objectID": 3, "ti')
    handler.wfile.flush()
    if hanging:
        hang(handler)
    handler.close_connection = True


class DownloadTestCase(unittest.TestCase):
    objects = 6

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="download-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.out = self.directory / "out.json"
        self.journal = self.directory / "journal.jsonl"
        self.failed = self.directory / "failed_ids.json"
        self.api = Api(self.objects)
        thread = threading.Thread(target=self.api.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.api.server_close)
        self.addCleanup(self.api.shutdown)
        self.addCleanup(self.api.is_over.set)

    def script(self, object_id: int, *answers: Answer, forever: Answer | None = None) -> None:
        always = itertools.repeat(forever) if forever else ()
        self.api.script[f"/v1/objects/{object_id}"] = itertools.chain(answers, always)

    def ids_file(self, object_ids: Iterable[int]) -> list[str]:
        path = self.directory / "ids.json"
        path.write_text(json.dumps(list(object_ids)))
        return ["--ids-file", str(path)]

    def defaults(self) -> list[str]:
        """Options for the test's server and files; of an option that is given twice, the last one holds."""
        paths = ["--out", str(self.out), "--checkpoint", str(self.journal)]
        url = f"http://127.0.0.1:{self.api.server_port}{BASE_PATH}"
        return [*paths, "--base-url", url, "--rate-delay", "0.002", "--block-delay", "0.01", "--timeout", "10"]

    def start(self, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, *self.defaults(), *options],
            cwd=ROOT, env=os.environ | {"NO_PROXY": "127.0.0.1"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def download(self, *options: str, status: int = 0) -> tuple[str, str]:
        """What the download printed on standard output and on standard error."""
        return self.finish(self.start(*options), status)

    def start_until_3(self, *options: str) -> subprocess.Popen[str]:
        """A download of the ids 1 to 4, which waits for the answer to the third."""
        self.script(3, hang)
        process = self.start(*self.ids_file([1, 2, 3, 4]), *options)
        wait_until(lambda: 3 in self.asked_ids())
        return process

    def finish(self, process: subprocess.Popen[str], status: int = 0) -> tuple[str, str]:
        output, errors = process.communicate(timeout=WAIT_SECONDS)
        self.assertEqual(process.returncode, status, output + errors)
        self.assertNotIn("Traceback", errors)
        return output, errors

    def records(self) -> Any:
        return json.loads(self.out.read_text(encoding="utf-8"))

    def assert_records(self, object_ids: Iterable[int]) -> None:
        self.assertEqual(self.records(), [record(object_id) for object_id in object_ids])

    def failures(self) -> dict[int, str]:
        return {failure["objectID"]: failure["reason"] for failure in json.loads(self.failed.read_text())}

    def asked_ids(self) -> list[int]:
        return [seen.object_id for seen in self.api.seen if "objects" in seen.path]


class TestDownload(DownloadTestCase):
    def test_every_id_is_requested_once_and_the_records_are_in_the_order_of_the_ids(self) -> None:
        output, errors = self.download(*self.ids_file([5, 2, 5, 99, 1, 2]))
        self.assert_records([5, 2, 1])
        self.assertEqual(len(self.out.read_bytes().splitlines()), 5)
        self.assertEqual(self.asked_ids(), [5, 2, 99, 1])
        self.assertIn("asked 4 = fetched 3 + gone 1 + failed 0\n", output)
        self.assertIn(f"3 records in {self.out}\n", output)
        self.assertEqual(errors, "")
        self.assertFalse(self.failed.exists())
        self.assertIn("data-contracts-sandbox", self.api.seen[0].user_agent)

    def test_a_bar_is_shown_on_a_terminal(self) -> None:
        shown = run_on_terminal([MODULE, *self.defaults(), *self.ids_file([5, 99])], ROOT, NO_PROXY="127.0.0.1")
        self.assertRegex(shown, r"2/2 \[\d\d:\d\d<\d\d:\d\d")
        self.assertIn("asked 2 = fetched 1 + gone 1 + failed 0", shown)

    def test_the_journal_has_one_line_for_each_finished_id(self) -> None:
        self.script(2, forever=text(400, '{"message": "No"}'))
        self.download(*self.ids_file([1, 2, 99]), status=1)
        self.assertEqual(
            [json.loads(line) for line in self.journal.read_text(encoding="utf-8").split("\n")[:-1]],
            [
                {"objectID": 1, "outcome": "fetched", "record": record(1)},
                {"objectID": 2, "outcome": "failed", "reason": "HTTP 400: No"},
                {"objectID": 99, "outcome": "gone", "reason": "HTTP 404: ObjectID not found"},
            ],
        )

    def test_ids_may_be_one_per_line(self) -> None:
        ids_path = self.directory / "ids.txt"
        ids_path.write_bytes(b"\xef\xbb\xbf3\r\n\r\n 1 \r\n3")
        self.download("--ids-file", str(ids_path))
        self.assert_records([3, 1])

    def test_what_an_old_journal_has_as_fetched_or_gone_is_not_requested_again(self) -> None:
        all_ids = [1, 1, 99, 2, 3]
        for object_ids, limit, requested, outcomes, stored in (
            (all_ids, "2", [1, 99], "asked 2 = fetched 1 + gone 1 + failed 0\n", [1]),
            (all_ids, "3", [2], "asked 3 = fetched 2 + gone 1 + failed 0\n", [1, 2]),
            (all_ids, "1", [], "asked 1 = fetched 1 + gone 0 + failed 0\n", [1]),
            ([2, 99, 1], "9", [], "asked 3 = fetched 2 + gone 1 + failed 0\n", [2, 1]),
        ):
            self.api.seen.clear()
            output, _ = self.download(*self.ids_file(object_ids), "--limit", limit)
            self.assertEqual(self.asked_ids(), requested)
            self.assertIn(outcomes, output)
            self.assert_records(stored)

    def test_a_temporary_failure_is_repeated(self) -> None:
        answers: dict[str, list[Answer]] = {
            "403 with HTML": [html(403)] * 3,
            "200 with HTML": [html(200)] * 3,
            "no JSON object": [text(200, "[1]"), text(200, "null"), text(200, "")],
            "429": [html(429), html(429)],
            "500": [text(500, "{}"), html(503)],
            "closed": [lambda handler: setattr(handler, "close_connection", True)],
            "cut off": [cut_off, cut_off],
            "cut off, then silence": [functools.partial(cut_off, hanging=True)],
            "time-out": [hang, hang],
        }
        self.api.add_records(9)
        for object_id, passing in enumerate(answers.values(), 1):
            self.script(object_id, *passing)
        output, errors = self.download(*self.ids_file(range(1, 10)), "--timeout", "0.3")
        self.assertIn("asked 9 = fetched 9 + gone 0 + failed 0\n", output)
        self.assert_records(range(1, 10))
        self.assertIn("blocked by HTTP 403: Forbidden; waiting for 0.01 seconds", errors)
        times_asked = {object_id: len(passing) + 1 for object_id, passing in enumerate(answers.values(), 1)}
        self.assertEqual(Counter(self.asked_ids()), times_asked)

    def test_a_lasting_failure_is_repeated_a_few_times_and_again_by_the_next_run(self) -> None:
        block_attempts, repeats = module.ATTEMPTS, module.REPEATS + 1
        lasting: dict[int, tuple[Answer, str, int]] = {
            1: (html(403), "blocked by HTTP 403: Forbidden", block_attempts),
            2: (html(200), "blocked by HTTP 200: OK", block_attempts),
            3: (cut_off, "HTTP 200, and the answer is incomplete", block_attempts),
            4: (html(500), "HTTP 500: Internal Server Error", repeats),
            5: (hang, "Read timed out", repeats),
            6: (text(200, json.dumps(record(7))), "the record is that of objectID 7", 1),
            7: (html(404), "HTTP 404: Not Found", 1),
            8: (html(301, Location="https://example.org/"), "HTTP 301: https://example.org/", 1),
            9: (text(200, '{"message": "fine"}'), "the record is that of objectID null", 1),
            10: (html(429, Retry_After="soon"), "Invalid Retry-After header: soon", 1),
        }
        self.api.add_records(11)
        for object_id, (answer, _, _) in lasting.items():
            self.script(object_id, forever=answer)
        ids = self.ids_file([*lasting, 11, 99])
        output, _ = self.download(*ids, "--timeout", "0.1", status=1)
        self.assertIn("asked 12 = fetched 1 + gone 1 + failed 10\n", output)
        self.assertIn(str(self.failed), output)
        self.assertIn(PROMISE, output)
        self.assert_records([11])
        self.assertEqual(list(self.failures()), list(lasting))
        for object_id, (_, reason, requests) in lasting.items():
            with self.subTest(reason):
                self.assertIn(reason, self.failures()[object_id])
                self.assertEqual(self.asked_ids().count(object_id), requests)

        self.api.script.clear()
        self.api.seen.clear()
        output, _ = self.download(*ids)
        self.assertEqual(self.asked_ids(), list(lasting))
        self.assertIn("asked 12 = fetched 11 + gone 1 + failed 0\n", output)
        self.assert_records([*lasting, 11])
        self.assertFalse(self.failed.exists())

    def test_without_a_network_every_id_fails_with_the_reason(self) -> None:
        output, _ = self.download(*self.ids_file([1, 2]), "--base-url", unused_url(), status=1)
        self.assertIn("asked 2 = fetched 0 + gone 0 + failed 2\n", output)
        self.assertIn("Connection refused", self.failures()[1])
        self.assertEqual(self.records(), [])

    def test_requests_keep_their_distance_whatever_is_answered(self) -> None:
        self.script(2, html(500), html(503, Retry_After="1"), cut_off)
        self.script(3, hang, html(403), html(429, Retry_After="0"))
        options = ["--rate-delay", "0.1", "--timeout", "0.2", "--block-delay", "0.5"]
        self.download("--search-first", "--search-out", f"{self.out}.ids", *options)
        distances = [after.at - before.at for before, after in itertools.pairwise(self.api.seen)]
        asked = [seen.path.removeprefix("/v1/objects/") for seen in self.api.seen]
        self.assertEqual(asked, ["/v1.1/search", "6", "5", "4", "3", "3", "3", "3", "2", "2", "2", "2", "1"])
        self.assertGreaterEqual(min(distances), 0.1)
        self.assertGreaterEqual(distances[5], 0.5, "after the block")
        self.assertGreaterEqual(distances[9], 1, "after Retry-After")

    def test_out_is_complete_at_every_moment(self) -> None:
        self.out.write_text('["the old file"]')
        self.api.add_records(200)
        process = self.start(*self.ids_file(range(1, 201)), "--flush-every", "2")
        versions = {1: 0}
        while process.poll() is None:
            records = self.records()
            if records != ["the old file"]:
                self.assertEqual(records, [record(object_id) for object_id in range(1, len(records) + 1)])
            versions[len(records)] = versions.get(len(records), 0) + 1
        self.finish(process)
        self.assertEqual(self.records(), list(self.api.records.values()))
        self.assertGreater(len(versions), 5)


class TestSearch(DownloadTestCase):
    def search(self, *options: str, status: int = 0) -> tuple[str, str]:
        found_path = str(self.directory / "found.json")
        return self.download("--search-first", "--search-out", found_path, *options, status=status)

    def test_all_pages_are_requested_with_lower_case_filters(self) -> None:
        self.api.found_ids = [3, 1, 2, *range(1001, 2201)]
        _, errors = self.search("--limit", "2")
        self.assertEqual(json.loads((self.directory / "found.json").read_text()), self.api.found_ids)
        self.assert_records([3, 1])
        filters = {"q": "*", "isHighlight": "true", "hasImages": "true", "limit": "500"}
        queries = [seen.query for seen in self.api.seen if seen.path == "/v1.1/search"]
        self.assertEqual(queries, [filters | {"offset": offset} for offset in ("0", "500", "1000")])
        self.assertNotIn("the search counts", errors)

    def test_ids_beyond_the_window_are_counted_and_not_requested(self) -> None:
        self.api.found_ids = list(range(1, 12_346))
        _, errors = self.search("--limit", "1", "--rate-delay", "0")
        self.assertIn("the search counts 12345 objects and gives the ids of 10000\n", errors)
        self.assertEqual(len(self.api.seen), 20 + 1)
        self.assert_records([1])

    def test_a_page_without_ids_ends_the_search_and_is_reported(self) -> None:
        self.api.total = 700
        _, errors = self.search()
        self.assertIn("the search counts 700 objects and gives the ids of 6\n", errors)
        self.assert_records(self.api.found_ids)

    def test_a_search_that_is_blocked_for_a_while_is_repeated(self) -> None:
        self.api.script["/v1.1/search"] = iter([html(403), html(200), html(500), cut_off])
        self.search()
        self.assertEqual(len(self.records()), 6)

    def test_a_failed_search_reports_the_reason_and_changes_nothing(self) -> None:
        self.out.write_text("[]")
        cases: list[tuple[Answer, str]] = [
            (text(410, '{"message": "Withdrawn"}'), "HTTP 410: Withdrawn"),
            (text(404, '{"message": "No such page"}'), "HTTP 404: No such page"),
            (html(403), "blocked by HTTP 403: Forbidden"),
            (text(200, '{"total": 1, "objectIDs": ["1"]}'), "the answer has no total and ids"),
            (text(200, "{}"), "the answer has no total and ids"),
            (text(200, '{"total": 0, "objectIDs": null}'), "no object ids"),
        ]
        for answer, message in cases:
            with self.subTest(message):
                self.api.script["/v1.1/search"] = itertools.repeat(answer)
                output, errors = self.search(status=2)
                self.assertEqual(output, "")
                self.assertIn(message, errors)
                self.assertEqual(self.asked_ids(), [])
                self.assertEqual(self.out.read_text(), "[]")
        _, errors = self.search("--base-url", unused_url(), status=2)
        self.assertIn("Connection refused; try again later, or give the ids by --ids-file\n", errors)


class TestResume(DownloadTestCase):
    objects = 400

    def finished_ids(self) -> set[int]:
        """The ids of the journal's whole lines."""
        lines = self.journal.read_bytes().split(b"\n")[:-1] if self.journal.exists() else []
        return {json.loads(line)["objectID"] for line in lines}

    def test_killed_at_20_moments_it_ends_with_every_record_once(self) -> None:
        moments = random.Random(1870)
        ids = list(range(1, 411))  # the last ten are gone
        moments.shuffle(ids)
        passing = [html(403), html(200), html(500), html(429), cut_off]
        for object_id in moments.sample(ids, 60):
            self.script(object_id, moments.choice(passing))
        options = [*self.ids_file(ids), "--flush-every", "2", "--rate-delay", "0.001"]
        for _ in range(20):
            finished, start = self.finished_ids(), len(self.api.seen)
            process = self.start(*options)
            requests = start + moments.randrange(1, 20)
            wait_until(lambda: len(self.api.seen) >= requests)  # noqa: B023 - it is called in this round
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(0, 0.02))
            process.kill()
            process.communicate()
            self.assertEqual(process.returncode, -signal.SIGKILL)
            self.assertFalse(finished & set(self.asked_ids()[start:]), "a finished id was asked again")
            if self.out.exists():
                found = [row["objectID"] for row in self.records()]
                self.assertEqual(found, [object_id for object_id in ids if object_id in set(found)])
        self.assertLess(len(self.finished_ids()), len(ids))
        output, _ = self.download(*options)
        self.assert_records(object_id for object_id in ids if object_id <= 400)
        self.assertIn("asked 410 = fetched 400 + gone 10 + failed 0\n", output)
        self.assertEqual({path.name for path in self.directory.iterdir()}, {"ids.json", "journal.jsonl", "out.json"})

    def test_an_incomplete_last_line_is_dropped_and_its_id_requested_again(self) -> None:
        ids = self.ids_file([1, 2])
        self.download(*ids)
        whole = self.journal.read_bytes()
        first, second = whole.splitlines(keepends=True)
        for torn in (second[:-1], second[:-2], second[:30], second[:5], b"{", b"\0" * 9):
            with self.subTest(torn=torn[:40]):
                self.journal.write_bytes(first + torn)
                self.api.seen.clear()
                self.download(*ids)
                self.assertEqual(self.asked_ids(), [2])
                self.assertEqual(self.journal.read_bytes(), whole)
                self.assert_records([1, 2])

    def test_each_finished_id_is_in_the_journal_when_a_download_is_killed(self) -> None:
        process = self.start_until_3()
        process.kill()
        process.wait()
        self.assertEqual(self.finished_ids(), {1, 2})
        self.download(*self.ids_file([1, 2, 3, 4]))
        self.assertEqual(self.asked_ids(), [1, 2, 3, 3, 4])

    def test_ctrl_c_prints_that_the_same_command_continues(self) -> None:
        process = self.start_until_3()
        process.send_signal(signal.SIGINT)
        output, errors = self.finish(process, 130)
        self.assertEqual(output, "")
        self.assertTrue(errors.endswith(f"stopped; {PROMISE} continues\n"), errors)
        self.download(*self.ids_file([1, 2, 3, 4]))
        self.assertEqual(self.asked_ids(), [1, 2, 3, 3, 4])
        self.assert_records([1, 2, 3, 4])

    def test_a_second_download_leaves_the_journal_of_the_first_alone(self) -> None:
        first = self.start_until_3("--timeout", "60")
        before = self.journal.read_bytes()
        _, errors = self.download(*self.ids_file([1, 2, 3, 4]), status=2)
        self.assertIn(f"{self.journal}: another download writes it; name another --checkpoint\n", errors)
        self.assertEqual(self.asked_ids(), [1, 2, 3])
        self.assertEqual(self.journal.read_bytes(), before)
        self.api.is_over.set()
        self.finish(first)
        self.assert_records([1, 2, 3, 4])


class TestCouldNotRun(DownloadTestCase):
    def file(self, name: str, content: bytes) -> str:
        (self.directory / name).write_bytes(content)
        return str(self.directory / name)

    def test_it_reports_the_reason_requests_nothing_and_changes_nothing(self) -> None:
        ids = self.ids_file([1])
        missing, directory = str(self.directory / "none" / "x"), str(self.directory)
        foreign, gone = b'{"objectID": 1, "title": "x"}', b'{"objectID": 9, "outcome": "gone"}\n'
        not_journal = "not a line of a download's journal"
        cases: list[tuple[list[str], str]] = [
            ([], "one of the arguments --search-first --ids-file is required"),
            ([*ids, "--search-first"], "not allowed with argument"),
            ([*ids, "--limit", "0"], "argument --limit: 0 is not between 1 and"),
            ([*ids, "--flush-every", "x"], "argument --flush-every: invalid number value: 'x'"),
            ([*ids, "--rate-delay", "nan"], "argument --rate-delay: nan is not between 0 and"),
            ([*ids, "--timeout", "0"], "argument --timeout: 0 is not between 0.001 and"),
            ([*ids, "--base-url", "example.org"], "'example.org' is not an http or https URL"),
            ([*ids, "--out", str(self.journal)], "must be different files"),
            ([*ids, "--out", ids[1]], "must be different files"),
            ([*ids, "--checkpoint", str(self.failed)], "must be different files"),
            ([*ids, "--out", missing], f"{missing}: cannot be written"),
            ([*ids, "--out", directory], f"{directory}: cannot be written"),
            ([*ids, "--out", os.devnull], f"{os.devnull}: cannot be written"),
            ([*ids, "--checkpoint", missing], f"No such file or directory: '{missing}'"),
            (["--ids-file", missing], f"{missing}: cannot be read: "),
            (["--ids-file", self.file("empty", b" \n")], "no object ids; nothing was asked or written"),
            (["--ids-file", self.file("bytes", b"\xff\xfe1")], "cannot be read: 'utf-8' codec"),
            (["--ids-file", self.file("lines", b"1\n\nzwei\n")], "lines, line 3: 'zwei' is not an object id"),
            (["--ids-file", self.file("half", b"[1, 2")], "give a JSON array of ids, or one id per line"),
            (["--ids-file", self.file("array", b"[1, true]")], "array, element 2: True is not an object id"),
            (["--ids-file", self.file("zero", b"[0]")], "zero, element 1: 0 is not an object id"),
            ([*ids, "--checkpoint", self.file("text", b"a text\n")], f"text, line 1: {not_journal}"),
            ([*ids, "--checkpoint", self.file("object", foreign)], f"object, line 1: {not_journal}"),
            ([*ids, "--checkpoint", self.file("other", gone + foreign + b"\n")], f"other, line 2: {not_journal}"),
        ]
        self.journal.touch()
        before = {path: path.read_bytes() for path in self.directory.iterdir()}
        for options, message in cases:
            output, errors = io.StringIO(), io.StringIO()
            with self.subTest(options), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
                try:
                    status: object = module.main([*self.defaults(), *options])
                except SystemExit as error:  # argparse ends so
                    status = error.code
                self.assertEqual(status, 2)
                self.assertEqual(output.getvalue(), "")
                self.assertIn(message, errors.getvalue())
        self.assertEqual({path: path.read_bytes() for path in self.directory.iterdir()}, before)
        self.assertEqual(self.api.seen, [])

    def test_the_default_files_are_not_the_committed_sample(self) -> None:
        names = [module.OUT_PATH.name, module.SEARCH_OUT_PATH.name, module.FAILED_IDS_NAME]
        self.assertEqual(names, ["met_objects.json", "met_object_ids.json", "failed_ids.json"])


def unused_url() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
