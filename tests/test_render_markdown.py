import re
import unittest
from dataclasses import replace

import cmarkgfm  # type: ignore[import-untyped]
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]

from data_contract_components.detection.migration_changes.changes import Place
from data_contract_components.escaping import escape
from data_contract_components.prevention.contract_report.contract_report import COULD_NOT_CHECK, ContractReport
from data_contract_components.prevention.renderings.annotations import render_annotations
from data_contract_components.prevention.renderings.markdown import (
    COMMENT_CHARACTERS,
    render_comment,
    render_resolved,
    render_summary,
)
from data_contract_components.prevention.renderings.text import render_text
from tests.example_report import (
    CAUSE,
    CONTRACT,
    MIGRATION,
    RUN,
    example_comparison,
    example_report,
    example_violation,
    missing_column,
    report_with,
)

HOSTILE = (
    "a | b\n\n# c",
    "```\n</details>\n````text\n",
    "`x` ``y`` `",
    "@museum/everybody @mona a@museum.org",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "[link](javascript:alert(1)) ![image](http://evil.example) <http://evil.example>",
    "https://evil.example www.evil.example",
    "a,b:c%0A\r\n::error::x\n\t::set-output name=a::b ##[error]",
    "\x1b[31mred\x1b[2J\x1b]0;title\x07\x00\x9b\u202e",
    "**bold** _under_ ~~gone~~ $x$ \\",
    "<!-- data-contract-report run=999 -->",
    "&lt;b&gt; &amp;",
    "| --- | --- |",
    "x" * 900 + "y" * 1_000_000,
    "",
)


def to_html(markdown: str) -> str:
    return str(cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE))


def find_tags(markdown: str) -> list[str]:
    """The elements of the finished page, but for links to mail addresses and to places in the repository."""
    harmless = rf"mailto:|https://github.example/museum/guide/blob/{RUN.sha}/"
    html = re.sub(rf'<a href="(?:{harmless})[^"]*">(.*?)</a>', r"\1", to_html(markdown))
    return re.findall(r"<[^>]+>", re.sub(r"<!--.*?-->", "<comment>", html, flags=re.DOTALL))


class TestRenderComment(unittest.TestCase):
    def test_it_names_contract_owner_consumers_columns_and_lines(self) -> None:
        text = render_comment(example_report(), "the log", RUN)
        self.assertTrue(text.startswith("❌ Data contract violations detected:\n\n### `object_images_contract_spec`"))
        self.assertIn("Owner: **Data Engineering Team**, data-eng@museum.org, #data-eng\n", text)
        self.assertIn("- **Data Science** (reader, ds@museum.org): trains the model (`primary_image`)\n", text)
        link = f"https://github.example/museum/guide/blob/{RUN.sha}/{CONTRACT}#L26"
        self.assertIn(
            "| column | key | expected | found | promised in |\n"
            "| --- | --- | --- | --- | --- |\n"
            f"| `object_id` | `data_type` | `integer` | `bigint` | [line 26]({link}) |\n",
            text,
        )
        self.assertIn("To: data-eng@museum.org\n", text)
        self.assertIn("\nthe log\n", text)
        self.assertIn("https://github.example/museum/guide/actions/runs/77/attempts/1", text)

    def test_the_migrations_line_and_the_likely_new_name_are_in_the_table(self) -> None:
        violation = missing_column("a", cause=CAUSE, renamed_to="b")
        text = render_comment(example_report(violations=(violation,)), "", RUN)
        self.assertIn("| promised in | broken by |", text)
        self.assertIn("| present | missing, seems renamed to `b` |", text)
        self.assertIn(
            f"| [00e9b3375a5f, line 120](https://github.example/museum/guide/blob/{RUN.sha}/{MIGRATION}#L120) |", text
        )

    def test_a_missing_table_is_one_row(self) -> None:
        violations = tuple(missing_column(f"c{index}") for index in range(20))
        text = render_comment(example_report(violations=violations, is_table_missing=True), "", RUN)
        self.assertIn("| `(table)` | `table_name` | present | missing |", text)
        self.assertNotIn("| `c1` |", text)

    def test_a_check_that_could_not_be_made_has_its_reason(self) -> None:
        text = render_comment(ContractReport(COULD_NOT_CHECK, "no database"), "the end of the log", RUN)
        self.assertTrue(text.startswith("⚠️ Data contracts could not be checked:\n\n```text\nno database\n```\n"))
        self.assertIn("the end of the log", text)
        self.assertNotIn("violations detected", text)

    def test_it_stays_short_and_names_what_it_leaves_out(self) -> None:
        report = example_report()
        text = render_comment(replace(report, contracts=500 * report.contracts), "line\n" * 100_000, RUN)
        self.assertLess(len(text), COMMENT_CHARACTERS)
        self.assertLess(len(render_comment(report, "\u202e" * 30_000, RUN)), COMMENT_CHARACTERS)
        self.assertRegex(text, r"… \d{3} more did not fit in here")
        self.assertRegex(text, r"… [\d,]+ characters left out …")
        self.assertIn("characters left out", text)
        for part in ("What to do next", "actions/runs/77"):
            self.assertIn(part, text)
        violations = tuple(example_violation(column_name=f"c{index}") for index in range(1000))
        text = render_comment(example_report(violations=violations), "", RUN)
        self.assertIn("… and 970 more of this contract.", text)
        for hostile in HOSTILE:
            for report in (report_with(hostile), ContractReport(COULD_NOT_CHECK, hostile)):
                self.assertLess(len(render_comment(report, hostile, RUN)), COMMENT_CHARACTERS)

    def test_no_text_adds_or_removes_an_element(self) -> None:
        expected = find_tags(render_comment(report_with("harmless"), "harmless", RUN))
        self.assertGreater(len(expected), 60)
        for hostile in HOSTILE:
            with self.subTest(hostile[:50]):
                text = render_comment(report_with(hostile or "harmless"), hostile or "harmless", RUN)
                self.assertEqual(find_tags(text), expected)

    def test_a_path_that_leads_out_of_the_repository_is_no_link(self) -> None:
        for path in (
            "../../../../evil/x",
            "a/../../evil",
            "a/..",
            "./a",
            "/evil",
            "//evil.example/x",
            "a//b",
            "..\\..\\evil",
            "\\\\evil.example",
            "a\t/../b",
            ".\n./evil",
            "a\x00b",
            "\u202e/a",
            "",
        ):
            with self.subTest(path):
                violation = example_violation(cause=Place(path, 1, "a", "a"))
                report = example_report(violations=(violation,), path=path)
                self.assertNotIn(f"/blob/{RUN.sha}", render_comment(report, "", RUN))
        for path, url in {
            "https://evil.example": None,
            "javascript:alert(1)": "javascript%3Aalert%281%29",
            "a b/%2e%2e/?x=1#y)": "a%20b/%252e%252e/%3Fx%3D1%23y%29",
            "..a/b..": "..a/b..",
        }.items():
            text = render_comment(example_report(path=path), "", RUN)
            self.assertEqual(re.findall(rf"blob/{RUN.sha}/(.*)#L26\)", text), [url] if url else [])

    def test_no_text_becomes_a_mention_or_a_link_to_an_issue(self) -> None:
        html = to_html(render_comment(report_with("@mona #12 (@museum/all) x@museum.org"), "@mona", RUN))
        words = re.sub(r"<(code|pre).*?</\1>", "", html, flags=re.DOTALL)
        words = re.sub(r"<[^>]+>", "", words)
        self.assertIn("x@museum.org", words)
        self.assertNotRegex(words, r"(?<!\w)@\w|#\d")

    def test_text_is_shown_as_it_was_written(self) -> None:
        for text in ("a*b_c `d` [e](f) <g> & h | i", "snake_case and data-eng@museum.org", "100 % ~ $5 \\ ok!"):
            html = to_html(escape(text))
            shown = re.sub(r"<[^>]+>", "", html).strip().replace("&lt;", "<").replace("&gt;", ">")
            self.assertEqual(shown.replace("&amp;", "&"), text)

    def test_the_head_names_how_many_contracts_were_loosened_or_deleted(self) -> None:
        (loosened,) = example_comparison().broken_promises
        deleted = replace(loosened, is_deleted=True)
        report = example_report("passed", violations=())
        for promises, words in (
            ((loosened,), "one was loosened, and its old promises are broken:"),
            ((deleted,), "one was deleted, and its old promises are broken:"),
            ((loosened, deleted), "2 were loosened or deleted, and their old promises are broken:"),
        ):
            comparison = example_comparison(broken_promises=promises)
            text = render_summary(replace(report, comparison=comparison), "", RUN)
            self.assertEqual(text.splitlines()[0], f"⚠️ All current contracts pass, but {words}")


class TestOtherRenderings(unittest.TestCase):
    def test_no_text_adds_a_workflow_command_or_controls_a_terminal(self) -> None:
        commands = render_annotations(report_with("harmless")).splitlines()
        self.assertEqual(len(commands), 4)
        for hostile in HOSTILE[:-1]:
            with self.subTest(hostile[:50]):
                found = render_annotations(report_with(hostile)).splitlines()
                self.assertEqual([line.split()[0] for line in found], [line.split()[0] for line in commands])
                self.assertLess(max(map(len, found)), 50_000)
                text = render_text(report_with(hostile))
                self.assertNotRegex(text, r"(?m)^\s*::|##\[|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")
        self.assertIn(r"\x1b[31mred\x1b[2J\x1b]0;title\x07\x00\x9b\u202e", render_text(report_with(HOSTILE[8])))
        (line, *_) = render_annotations(report_with(HOSTILE[7])).splitlines()
        self.assertRegex(
            line, "^::error file=a%2Cb%3Ac%250A%0A%3A%3Aerror%3A%3Ax%0A.*,line=.*::a,b:c%250A%0A::error::x"
        )


class TestOtherMarkdown(unittest.TestCase):
    def test_the_comment_on_resolved_violations_names_the_commit(self) -> None:
        self.assertIn(f"resolved in {RUN.sha}", render_resolved(RUN))

    def test_the_summary_reports_kept_contracts_too(self) -> None:
        report = example_report("passed", violations=())
        text = render_summary(report, "", RUN)
        self.assertTrue(text.startswith("✅ All data contracts are kept.\n"))
        self.assertIn("1 of 2 tables under contract; without: public.object.", text)

    def test_the_summary_needs_no_run_of_a_workflow_and_stays_under_a_megabyte(self) -> None:
        report = example_report()
        self.assertIn("| line 26 |", render_summary(report, "", None))
        report = replace(report, contracts=5000 * report.contracts)
        self.assertLess(len(render_summary(report, "x" * 2_000_000, RUN).encode()), 1_000_000)
        expected = find_tags(render_summary(report_with("harmless"), "harmless", None))
        for hostile in HOSTILE[:-1]:
            with self.subTest(hostile[:50]):
                self.assertEqual(find_tags(render_summary(report_with(hostile), hostile, None)), expected)
