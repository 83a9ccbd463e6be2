import functools
import http.server
import itertools
import json
import re
import select
import shutil
import subprocess
import tempfile
import threading
import unittest
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from data_contract_components.detection.migration_changes.changes import Place
from data_contract_components.prevention.contract_report.contract_report import (
    Consumer,
    ContractReport,
    Outcome,
    Owner,
    ReportedClause,
    ReportSource,
    Table,
)
from data_contract_components.prevention.renderings.html_page import LONGEST_TEXT, render_html
from data_contract_components.prevention.renderings.markdown import render_comment
from data_contract_components.prevention.renderings.next_steps import find_next_steps
from tests import WAIT_SECONDS, read_data
from tests.example_report import (
    CAUSE,
    RUN,
    example_comparison,
    example_contract,
    example_violation,
    filled,
    missing_column,
    with_every_text,
)

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMIUM_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-pipe",
)
HOSTILE_TEXT = (
    "</p></style></title></script><script>window.ran = 1</script><img src=/x onerror='window.ran = 1'>"
    '" autofocus tabindex=1 onfocus="window.ran = 1" style="position: fixed" \' javascript:window.ran=1 <!-- ]]> '
    "&lt;b&gt; &#60; ``` | @all ::error:: \x1b[31m \x00 \u202egnp.exe \u2066 \ud800 \u00a0 \r\n é"
)

BROKEN_CONTRACT = example_contract(
    doc="The images of the objects.",
    line=16,
    status="deprecated",
    sunset="2031-12-31",
    consumers=(
        Consumer("Data Science", "reader", "trains the model on links", "ds@museum.org", "#ds", ("primary_image",)),
    ),
    clauses=(
        ReportedClause("object_id", "data_type", "integer", 23, "broken"),
        ReportedClause("object_id", "numeric_precision", 32.0, 24, "kept"),
        ReportedClause("primary_image", "data_type", "text", 33, "missing"),
    ),
    violations=(
        missing_column("primary_image", cause=CAUSE, renamed_to="image"),
        example_violation(line=23, is_earlier=True),
    ),
)
KEPT_CONTRACT = example_contract(
    contract_name="object_contract_spec",
    table_name="object",
    owner=Owner("Backend", "backend@museum.org"),
    consumers=(Consumer("App", "writer", "shows them"),),
    clauses=tuple(ReportedClause(name, "data_type", "text", 23, "kept") for name in ("title", "medium")),
    violations=(),
)
SOURCE = ReportSource(
    "2026-11-26T12:30:00Z",
    "a" * 40,
    "update-objects-images-schema",
    'PostgreSQL at host "postgres", port 5432, database "postgres"',
    7,
)
COMPARISON = example_comparison("word", base="main", base_commit="4f0c" * 10, error="no such revision")


def make_report(outcome: Outcome = "violations", **changes: Any) -> ContractReport:
    report = ContractReport(
        outcome, contracts=(KEPT_CONTRACT, BROKEN_CONTRACT), tables_without_contract=(Table("public", "object_tags"),)
    )
    return replace(report, **changes)


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text without style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.text += data


class TestPage(unittest.TestCase):
    def test_every_text_of_the_report_is_on_the_page(self) -> None:
        texts: list[str] = []

        def collect(text: str) -> str:
            texts.append(text)
            return text

        report = make_report(error="a reason", comparison=COMPARISON)
        with_every_text(report, collect)
        page = Page(render_html(report)).text
        self.assertGreater(len(texts), 60)
        self.assertEqual([text for text in texts if text not in page and text != "postgres"], [])

    def test_the_outcome_comes_first_and_in_words(self) -> None:
        outcomes: tuple[tuple[Outcome, str | None, str], ...] = (
            ("passed", None, "Passed: 1 contract kept"),
            ("violations", None, "Violations: 1 of 2 contracts broken"),
            ("could not check", "a reason", "Could not check"),
        )
        for outcome, error, words in outcomes:
            with self.subTest(outcome):
                contracts = (KEPT_CONTRACT,) if outcome == "passed" else (KEPT_CONTRACT, BROKEN_CONTRACT)
                report = make_report(outcome, error=error, contracts=contracts)
                lines = render_html(report).partition("<h1>")[2].splitlines()
                self.assertIn(f">{words}</p>", lines[1])

    def test_broken_contracts_come_before_those_that_are_reported_not_checked_or_kept(self) -> None:
        contracts = (
            replace(KEPT_CONTRACT, contract_name="kept"),
            replace(KEPT_CONTRACT, contract_name="retired", enforcement="unchecked"),
            replace(BROKEN_CONTRACT, contract_name="draft", enforcement="reported"),
            replace(BROKEN_CONTRACT, contract_name="broken"),
            replace(KEPT_CONTRACT, contract_name="gone", is_table_missing=True),
        )
        page = render_html(make_report(contracts=contracts))
        self.assertEqual(
            re.findall(r'<h3 id="name-\d+" class="find">(.*)</h3>', page),
            ["broken", "gone", "draft", "retired", "kept"],
        )
        text = Page(page).text
        for words in (
            "Broken: 2 violations",
            "The table is not in the database.",
            "Differs, only reported: 2 violations",
            "Not checked",
            "Kept",
            "A contract that is a draft or past its sunset differs too; this fails nothing.",
        ):
            self.assertIn(words, text)

    def test_expected_and_found_are_written_as_in_a_contract(self) -> None:
        def render_cells(**changes: Any) -> str:
            contract = replace(BROKEN_CONTRACT, violations=(example_violation(**changes),))
            return render_html(make_report(contracts=(contract,)))

        cases: tuple[tuple[dict[str, Any], str], ...] = (
            ({"expected": 32.0, "found": None}, "<td>32</td><td>null</td>"),
            ({"expected": False, "found": True}, "<td>false</td><td>true</td>"),
            ({"expected": ["a", "b"], "found": 1}, "<td>[&#34;a&#34;, &#34;b&#34;]</td><td>1</td>"),
            ({"key": "column_name", "expected": "a", "found": None}, "<td>present</td><td>missing</td>"),
            ({"key": "additionalColumns", "expected": None, "found": "a"}, "<td>absent</td><td>present</td>"),
        )
        for changes, cells in cases:
            with self.subTest(changes):
                self.assertIn(cells, render_cells(**changes))

    def test_when_nothing_was_checked_no_contract_is_kept_and_the_tables_are_not_known(self) -> None:
        report = make_report(
            "could not check", error="no database", contracts=(KEPT_CONTRACT,), tables_without_contract=()
        )
        text = Page(render_html(report)).text
        self.assertIn("Not checked1", text)
        self.assertIn("Kept0", text)
        self.assertIn("Tables without a contractnot known", text)
        self.assertIn("which tables have no contract is not known", text)

    def test_an_empty_report_is_a_page(self) -> None:
        page = Page(render_html(make_report("passed", contracts=(), tables_without_contract=())))
        self.assertIn("There is no contract to show.", page.text)
        self.assertIn("At a glance: 0 contracts", page.text)
        self.assertNotIn("Search", page.text)

    def test_it_says_what_was_checked_when_and_with_what_it_was_compared(self) -> None:
        text = Page(render_html(make_report(source=SOURCE))).text
        for words in (
            "Checked2026-11-26T12:30:00Z",
            'DatabasePostgreSQL at host "postgres", port 5432, database "postgres"',
            f"Commit{'a' * 40}",
            "Branchupdate-objects-images-schema",
            "Pull request7",
            "Basenothing: what changed in migrations and contracts was not looked at",
        ):
            self.assertIn(words, text)
        not_known = replace(SOURCE, commit=None, branch=None, database=None, pull_request=None)
        text = Page(render_html(make_report(source=not_known, comparison=replace(COMPARISON, error=None)))).text
        for words in ("Commitnot known", "Basemain, commit 4f0c"):
            self.assertIn(words, text)
        for words in ("Database", "Pull request"):
            self.assertNotIn(f"\n{words}", text)

    def test_the_next_steps_and_the_messages_are_those_of_the_comment(self) -> None:
        for report in (make_report(), make_report(comparison=replace(COMPARISON, error=None))):
            text, comment = Page(render_html(report)).text, render_comment(report, "", RUN)
            steps = [step for group in find_next_steps(report) for step in group.steps]
            self.assertGreater(len(steps), 3)
            self.assertEqual([step for step in steps if step not in text], [])
            messages = [
                fenced.partition("\n\nThe check:")[0] for fenced in re.findall(r"```text\n(To: [^`]*)```", comment)
            ]
            self.assertGreater(len(messages), 0)
            self.assertEqual([message for message in messages if message not in text], [])

    def test_the_place_of_what_could_not_be_checked_is_below_its_reason(self) -> None:
        report = ContractReport("could not check", "revision b fails", Place("versions/b_x.py", 9, "b"))
        text = Page(render_html(report)).text
        self.assertIn("revision b fails\nIn versions/b_x.py, line 9, revision b\n", text)
        self.assertIn("At a glance: not checked", text)
        self.assertIn("Contractsnot checked", text)
        self.assertNotIn("0 contracts", text)

    def test_a_change_has_the_lines_of_its_migration_and_contract(self) -> None:
        place = Place("versions/b_x.py", 9, "b", "op.drop_column")
        change = replace(COMPARISON.changes[0], place=place)
        report = make_report(comparison=replace(COMPARISON, error=None, changes=(change,)))
        text = Page(render_html(report)).text
        self.assertIn("versions/b_x.py, line 9, revision b: op.drop_column", text)

    def test_a_zero_has_no_colour(self) -> None:
        tile = r'<div( class="zero")?><dt><span class="state \w+">([^<]+)</span></dt><dd>(\d+)</dd>'
        tiles = re.findall(tile, render_html(make_report()))
        self.assertEqual(
            tiles,
            [
                ("", "Broken", "1"),
                (' class="zero"', "Differs, only reported", "0"),
                (' class="zero"', "Not checked", "0"),
                ("", "Kept", "1"),
            ],
        )

    def test_what_changed_is_shown_only_when_something_was_compared(self) -> None:
        self.assertNotIn('id="changes"', render_html(make_report()))
        text = Page(render_html(make_report(comparison=COMPARISON))).text
        self.assertIn("Could not compare with main", text)
        self.assertNotIn("3 changes", text)
        text = Page(render_html(make_report(comparison=replace(COMPARISON, error=None)))).text
        self.assertIn("Since main (4f0c4f0c4f0c4f0c4f0c4f0c4f0c4f0c4f0c4f0c): 3 changes.", text)
        self.assertIn("word.word.word2: word was word, is word", text)
        self.assertIn("Loosened and broken", text)

    def test_no_text_adds_a_tag_or_an_attribute(self) -> None:
        report = make_report(error="a reason", comparison=COMPARISON)

        def read_tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
            tags = Page(render_html(filled(report, text))).tags
            return [(tag, attributes) for tag, attributes in tags if tag not in ("bdi", "wbr")]

        self.assertEqual(read_tags(HOSTILE_TEXT), read_tags("plain"))

    def test_invisible_characters_are_escaped(self) -> None:
        page = render_html(filled(make_report(), HOSTILE_TEXT))
        self.assertEqual({character for character in page if not character.isprintable()}, {"\n"})
        self.assertIn(r"\x1b[31m \x00 \u202egnp.exe \u2066 \ud800 \xa0", page)
        page.encode()

    def test_text_in_another_writing_direction_is_isolated(self) -> None:
        page = render_html(filled(make_report(), "צוות"))
        self.assertGreater(page.count("<bdi>צוות</bdi>"), 50)
        # Within a sentence, it is the sentence that is isolated.
        self.assertNotIn("צוות", re.sub("<bdi>[^<]*</bdi>", "", page))

    def test_a_very_long_text_keeps_its_beginning_and_end(self) -> None:
        page = render_html(make_report("could not check", error="first" + "x" * 1_000_000 + "last"))
        self.assertIn("first", page)
        self.assertIn(f"\n… {1_000_009 - LONGEST_TEXT:,} characters left out …\n", page)
        self.assertIn("xlast<", page)
        self.assertLess(len(page), 50_000)

    def test_only_a_plain_mail_address_is_a_link(self) -> None:
        for address, is_link in {
            "data-eng@museum.org": True,
            "javascript:alert(1)//@museum.org": False,
            "a@museum.org?bcc=b@museum.org": False,
            "a@museum.org\n": False,
            "": False,
        }.items():
            with self.subTest(address):
                contract = replace(KEPT_CONTRACT, owner=Owner("x", address))
                tags = Page(render_html(make_report(contracts=(contract,)))).tags
                links = [str(attributes["href"]) for tag, attributes in tags if tag == "a"]
                self.assertEqual(f"mailto:{address}" in links, is_link)
                self.assertEqual({link[:1] for link in links if not link.startswith("mailto:")}, {"#"})

    def test_headings_descend_by_one_ids_are_unique_and_links_lead_somewhere(self) -> None:
        tags = Page(render_html(make_report(comparison=COMPARISON))).tags
        levels = [int(tag[1]) for tag, _ in tags if tag in ("h1", "h2", "h3", "h4")]
        self.assertEqual(levels[0], 1)
        self.assertEqual(levels.count(1), 1)
        self.assertTrue(all(after - before <= 1 for before, after in itertools.pairwise(levels)))
        ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
        self.assertEqual(len(ids), len(set(ids)))
        targets = {str(a["href"])[1:] for _, a in tags if str(a.get("href")).startswith("#")}
        targets |= {str(a[key]) for _, a in tags for key in ("aria-labelledby", "aria-describedby", "for") if key in a}
        self.assertLessEqual(targets, set(ids))
        self.assertTrue(all("scope" in attributes for tag, attributes in tags if tag == "th"))


class Chromium:
    """A headless Chromium, controlled over the pipe of its DevTools protocol: JSON texts that end in a zero byte."""

    def __init__(self, test_class: type[unittest.TestCase]) -> None:
        profile = tempfile.mkdtemp(prefix="chromium-")
        test_class.addClassCleanup(shutil.rmtree, profile, ignore_errors=True)
        # It reads from 3 and writes to 4.
        shell = ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1', "sh"]
        self.process = subprocess.Popen(
            [*shell, str(CHROMIUM), *CHROMIUM_OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        test_class.addClassCleanup(self.process.communicate)
        test_class.addClassCleanup(self.process.terminate)
        self.received = b""
        self.number = 0
        self.events: list[dict[str, Any]] = []
        self.session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Network", "Runtime", "Log", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Network.setCacheDisabled", cacheDisabled=True)

    def call(self, method: str, **parameters: Any) -> Any:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters} | self.session
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\0")
        return self.wait_for(lambda answer: answer.get("id") == self.number)["result"]

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message for which `condition` holds; the others are events."""
        assert self.process.stdout
        while True:
            while b"\0" not in self.received:
                if not select.select([self.process.stdout], [], [], WAIT_SECONDS)[0]:
                    raise TimeoutError("Chromium does not answer")
                part = self.process.stdout.read(1 << 20)
                if not part:
                    raise EOFError("Chromium has ended")
                self.received += part
            message, _, self.received = self.received.partition(b"\0")
            answer: dict[str, Any] = json.loads(message)
            if condition(answer):
                return answer
            self.events.append(answer)

    def open(self, url: str) -> None:
        self.events.clear()
        self.call("Page.navigate", url=url)
        if not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.wait_for(lambda answer: answer.get("method") == "Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def get_events(self, *methods: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event["method"] in methods]


@unittest.skipUnless(CHROMIUM, "neither chromium nor google-chrome is installed")
class TestPageInChromium(unittest.TestCase):
    browser: Chromium
    address: str
    directory: str
    requests: list[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory, cls.requests = cls.enterClassContext(tempfile.TemporaryDirectory()), []
        cls.browser = Chromium(cls)

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                cls.requests.append(self.path)

        handler = functools.partial(Handler, directory=cls.directory)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.address = f"http://127.0.0.1:{server.server_port}"

    def setUp(self) -> None:
        self.set_screen(1280)
        self.requests.clear()

    def set_screen(self, width: int, scheme: str = "light", media: str = "") -> None:
        self.browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
        self.browser.call("Emulation.setEmulatedMedia", media=media, features=[scheme_feature])

    def open(self, page: str) -> None:
        Path(self.directory, "report.html").write_text(page)
        self.browser.open(f"{self.address}/report.html")

    def search(self, words: str) -> None:
        self.browser.evaluate("search.focus(); search.select()")
        self.browser.call("Input.insertText", text=words)
        if not words:
            self.browser.press("Backspace", 8)

    def get_shown(self, selector: str) -> list[str]:
        shown: list[str] = self.browser.evaluate(
            f"[...document.querySelectorAll({json.dumps(selector)})].filter(part => part.checkVisibility())"
            ".map(part => part.innerText)"
        )
        return shown

    def get_complaints(self) -> list[dict[str, Any]]:
        return self.browser.get_events("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")

    def test_the_search_finds_contracts_tables_columns_and_owners(self) -> None:
        self.open(render_html(make_report()))
        for words, contracts, announced in (
            ("object_images", ["object_images_contract_spec"], "1 of 2 contracts and 1 of 3 tables match."),
            ("BACKEND  museum", ["object_contract_spec"], "1 of 2 contracts and 0 of 3 tables match."),
            ("medium", ["object_contract_spec"], "1 of 2 contracts and 0 of 3 tables match."),
            ("object_tags", [], "0 of 2 contracts and 1 of 3 tables match."),
            ("", ["object_images_contract_spec", "object_contract_spec"], ""),
        ):
            with self.subTest(words):
                self.search(words)
                self.assertEqual(self.get_shown(".contract h3"), contracts)
                self.assertEqual(self.browser.evaluate("matches.textContent"), announced)

    def test_the_search_opens_the_clauses_of_a_column_and_closes_them_again(self) -> None:
        self.open(render_html(make_report()))
        columns = "details.clauses tbody th"
        self.assertEqual(self.get_shown(columns), [])
        self.search("medium")
        self.assertEqual(self.get_shown(columns), ["medium"])
        self.search("")
        self.assertEqual(self.get_shown(columns), [])
        self.browser.evaluate("document.querySelectorAll('details.clauses')[1].open = true")
        self.search("medium")
        self.search("")
        self.assertEqual(self.get_shown(columns), ["title", "medium"])

    def test_the_keyboard_reaches_and_opens_everything_and_the_focus_is_visible(self) -> None:
        self.open(render_html(make_report()))
        order = [
            "A What to do next",
            "A Contracts",
            "A Tables",
            "INPUT search",
            "A data-eng@museum.org",
            "DIV Violations",
            "SUMMARY A message to the owner, ready to send",
            "SUMMARY 1 consumer",
            "A ds@museum.org",
            "SUMMARY 3 clauses: 1 broken, 1 missing, 1 kept",
            "A backend@museum.org",
            "SUMMARY 1 consumer",
            "SUMMARY 2 clauses: 2 kept",
            "DIV Tables and their contracts",
            "A object_contract_spec",
            "A object_images_contract_spec",
        ]
        for expected in order:
            self.browser.press("Tab", 9)
            focused = self.browser.evaluate(
                "(({tagName, innerText, ariaLabel, id}) => tagName + ' ' + (id || ariaLabel || innerText))"
                "(document.activeElement)"
            )
            self.assertEqual(focused, expected)
            self.assertEqual(
                self.browser.evaluate("getComputedStyle(document.activeElement).outline"), "rgb(11, 87, 176) solid 3px"
            )
            if focused.startswith("SUMMARY 3 clauses"):
                self.browser.press("Enter", 13, "\r")
                self.assertEqual(self.get_shown("#contract-1 details.clauses tbody th"), ["object_id", "primary_image"])
                self.browser.press(" ", 32, " ")
                self.assertEqual(self.get_shown("#contract-1 details.clauses tbody th"), [])

    def test_a_screen_reader_gets_landmarks_labels_states_and_table_headers(self) -> None:
        self.open(render_html(make_report(contracts=(BROKEN_CONTRACT, *[KEPT_CONTRACT] * 50))))
        self.browser.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        nodes = self.browser.call("Accessibility.getFullAXTree")["nodes"]
        read = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
        # content-visibility: auto would remove what is not on the screen.
        self.assertEqual(read.count(("article", "object_contract_spec")), 50)
        self.assertLessEqual(
            {
                ("banner", ""),
                ("navigation", "On this page"),
                ("main", ""),
                ("search", ""),
                ("searchbox", "Search contracts, tables, columns and owners"),
                ("status", ""),
                ("article", "object_images_contract_spec"),
                ("StaticText", "Broken: 2 violations"),
                ("table", "Violations"),
                ("columnheader", "Expected"),
                ("rowheader", "object_id data_type, line 23"),
                ("rowheader", "medium"),
                ("DisclosureTriangle", "2 clauses: 2 kept"),
            },
            set(read),
        )

    def test_the_text_has_contrast_in_light_and_in_dark(self) -> None:
        contracts = (
            BROKEN_CONTRACT,
            replace(BROKEN_CONTRACT, enforcement="reported"),
            KEPT_CONTRACT,
            replace(KEPT_CONTRACT, enforcement="unchecked"),
        )
        outcomes: tuple[Outcome, ...] = ("passed", "violations", "could not check")
        for scheme, background in (("light", "rgb(246, 247, 248)"), ("dark", "rgb(20, 23, 27)")):
            for outcome in outcomes:
                with self.subTest(scheme, outcome=outcome):
                    self.set_screen(1280, scheme)
                    self.open(render_html(make_report(outcome, contracts=contracts, error="a reason")))
                    body = "getComputedStyle(document.body).backgroundColor"
                    self.assertEqual(self.browser.evaluate(body), background)
                    contrasts = self.browser.evaluate(read_data("contrasts.js"))
                    self.assertGreater(len(contrasts), 100)
                    self.assertGreaterEqual(min(contrasts), 4.5)

    def test_the_page_never_scrolls_sideways(self) -> None:
        for width in (320, 375, 1280):
            for text in ("word" * 500, HOSTILE_TEXT * 20):
                with self.subTest(width, text=text[:4]):
                    self.set_screen(width)
                    report = filled(make_report(error="why", comparison=COMPARISON), text)
                    self.open(render_html(report))
                    self.browser.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
                    self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), width)

    def test_a_long_name_on_a_phone_breaks_after_an_underscore(self) -> None:
        self.set_screen(375)
        name = "a_table_with_a_name_that_is_longer_than_a_phone_is_wide_contract_spec"
        self.open(render_html(make_report(contracts=(replace(KEPT_CONTRACT, contract_name=name),))))
        lines = self.browser.evaluate(read_data("lines.js"))
        self.assertGreater(len(lines), 1)
        self.assertEqual("".join(lines), name)
        self.assertEqual({line[-1] for line in lines[:-1]}, {"_"})

    def test_on_paper_it_is_light_and_without_search_and_navigation(self) -> None:
        self.set_screen(800, "dark", "print")
        self.open(render_html(make_report(error="why\n" * 100)))
        self.assertEqual(self.get_shown("nav, [role=search]"), [])
        self.assertEqual(self.browser.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")
        self.assertGreaterEqual(min(self.browser.evaluate(read_data("contrasts.js"))), 4.5)
        self.assertTrue(self.browser.evaluate("document.querySelector('pre.message').checkVisibility()"))
        # What scrolls on a screen is there as a whole.
        self.assertTrue(
            self.browser.evaluate("(part => part.scrollHeight <= part.clientHeight)(document.querySelector('pre'))")
        )

    def test_nothing_in_the_report_runs_is_loaded_or_makes_the_browser_complain(self) -> None:
        report = make_report(error="a reason", comparison=COMPARISON)
        for text in (HOSTILE_TEXT, HOSTILE_TEXT * 5_000):
            with self.subTest(len(text)):
                self.requests.clear()
                self.open(render_html(filled(report, text)))
                self.search("zzz")
                self.search("window.ran")
                self.assertEqual(len(self.get_shown("article.contract")), 2)
                self.assertIsNone(self.browser.evaluate("window.ran"))
                self.assertEqual(self.get_complaints(), [])
                self.assertEqual(self.requests, ["/report.html"])
                sent = [event["request"]["url"] for event in self.browser.get_events("Network.requestWillBeSent")]
                self.assertEqual(sent, [f"{self.address}/report.html"])

    def test_markup_that_was_not_escaped_would_not_run_or_load_anything(self) -> None:
        markup = """
            <script>window.ran = 1</script><script src="/x.js"></script><img src="/x.png" onerror="window.ran = 1">
            <link rel="stylesheet" href="/x.css"><iframe src="/x.html"></iframe><base href="/x/">
            <p id="probe" style="position: fixed">
        """
        page = render_html(make_report())
        self.open(page.replace("<main>", f"<main>{markup}"))
        self.assertIsNone(self.browser.evaluate("window.ran"))
        self.assertEqual(self.browser.evaluate("getComputedStyle(probe).position"), "static")
        self.assertEqual(self.requests, ["/report.html"])
        self.assertGreater(len(self.get_complaints()), 5)

    def test_without_javascript_only_the_search_is_missing(self) -> None:
        self.browser.call("Emulation.setScriptExecutionDisabled", value=True)
        self.addCleanup(self.browser.call, "Emulation.setScriptExecutionDisabled", value=False)
        self.open(render_html(make_report()))
        nodes = self.browser.call("Accessibility.getFullAXTree")["nodes"]
        read = {node["role"]["value"] for node in nodes if not node["ignored"]}
        self.assertNotIn("search", read)
        self.assertLessEqual({"banner", "navigation", "main", "article", "table", "DisclosureTriangle"}, read)
