import re

from data_contract_components.prevention.contract_report.contract_report import (
    ChangedFile,
    ContractReport,
    LineRange,
)
from data_contract_components.prevention.contract_report.pull_request_diff import PullRequestDiff
from data_contract_components.prevention.renderings.annotations import render_annotations
from tests import CONTRACTS, VERSIONS
from tests.repositories import CONTRACT, SEED, render_revision, setUpModule
from tests.test_report_changes import PullRequestTestCase

__all__ = ["setUpModule"]


class TestPullRequestDiff(PullRequestTestCase):
    """Pull requests that are checked out as GitHub does it: merged into a base that has moved on."""

    def merge(self) -> None:
        """What is checked out merges `feature` into `main`; the parents are HEAD^1 and HEAD^2."""
        self.git("checkout", "-q", "--detach", "main")
        self.git("merge", "-q", "--no-ff", "--no-edit", "feature")

    def check_merge(self) -> tuple[int, ContractReport]:
        self.merge()
        return self.report("--base", "HEAD^1", "--head", "HEAD^2")

    def change_main(self, path: object, old: str, new: str) -> None:
        self.git("checkout", "-q", "main")
        self.replace(path, old, new)  # type: ignore[arg-type]
        self.commit()
        self.git("checkout", "-q", "feature")

    def line_of_head(self, path: object, text: str) -> int:
        return self.git("show", f"feature:{path}").split(text)[0].count("\n") + 1

    def assert_all_in_diff(self, report: ContractReport) -> list[str]:
        """The places of the annotations, each of which is a line that the pull request changed."""
        changed = {
            f"file={file.path},line={line}"
            for file in report.diff or ()
            for lines in file.lines
            for line in range(lines.first, lines.last + 1)
        }
        places = [command.split(" ", 1)[1].split(",title=")[0] for command in render_annotations(report).splitlines()]
        self.assertEqual([place for place in places if place not in changed], [])
        return places

    def test_a_cause_is_the_changed_line_of_its_call_as_the_head_counts_it(self) -> None:
        self.replace_block()
        self.commit()
        self.change_main(SEED, "import sqlalchemy as sa\n", "import sqlalchemy as sa\n" + 21 * "# longer\n")
        status, report = self.check_merge()
        self.assertEqual((status, report.comparison and report.comparison.error), (1, None))
        first, second = report.contracts[0].violations
        assert first.cause and second.cause
        self.assertEqual(first.cause.line, self.line_of_head(SEED, '"image",'))
        self.assert_all_in_diff(report)
        # Each is within what `git diff` says of the two branches.
        heads = re.findall(r"(?m)^@@ .*\+(\d+)(?:,(\d+))? @@", self.git("diff", "-U0", "main...feature"))
        ranges = [LineRange(int(start), int(start) + int(count or 1) - 1) for start, count in heads]
        self.assertEqual(report.diff, (ChangedFile(str(SEED), tuple(ranges)),))

    def test_a_column_that_is_no_longer_created_is_shown_beside_the_deleted_lines(self) -> None:
        block = self.read(SEED)
        start = block.rindex("        sa.Column(", 0, block.index('"primary_image",', block.index('"object_images",')))
        end = block.index("        sa.Column(", block.index('"additional_images",', start) - 40)
        self.write(SEED, block[:start] + block[end:])
        self.commit()
        _, report = self.check_merge()
        (violation,) = report.contracts[0].violations
        assert violation.cause
        self.assertEqual(self.assert_all_in_diff(report), [f"file={SEED},line={violation.cause.line}"])

    def test_a_promise_of_the_pull_request_is_shown_where_it_was_changed(self) -> None:
        self.write_contract(
            lambda spec: spec["schema"]["properties"]["primary_image"].update(constraints={"data_type": "jsonb"})
        )
        self.commit()
        _, report = self.check_merge()
        places = self.assert_all_in_diff(report)
        line = self.line_of_head(CONTRACT, '"jsonb"')
        self.assertEqual(places[0], f"file={CONTRACT},line={line}")

    def test_a_promise_that_only_the_base_has_is_named_without_a_line(self) -> None:
        path = self.write_revision("b", 'op.drop_column("object_images", "primary_image")')
        self.commit()
        self.git("checkout", "-q", "main")
        self.git("mv", str(CONTRACT), str(CONTRACTS / "images_contract_spec.json"))
        self.commit()
        _, report = self.check_merge()
        (contract,) = report.contracts
        self.assertEqual((contract.line, contract.violations[0].line), (None, None))
        self.assertEqual(self.assert_all_in_diff(report), [f"file={path},line=9"])

    def test_what_no_file_of_the_diff_did_is_on_its_first_line_and_names_its_place(self) -> None:
        self.git("checkout", "-q", "main")
        self.write(VERSIONS / "helper.txt", "select 1")
        body = 'text = open(__file__.replace("b_helper.py", "helper.txt")).read()\nop.execute(text)'
        (self.root / VERSIONS / "b_helper.py").write_text(render_revision("b", "00e9b3375a5f", body))
        self.commit_to_main()
        self.write(VERSIONS / "helper.txt", "alter table object_images drop primary_image")
        self.commit()
        _, report = self.check_merge()
        self.assertEqual(self.assert_all_in_diff(report), [f"file={VERSIONS}/helper.txt,line=1"])
        self.assertIn(f"broken by {VERSIONS}/b_helper.py:10", render_annotations(report))

    def test_what_the_base_breaks_already_is_not_put_on_a_line_of_another_change(self) -> None:
        self.git("checkout", "-q", "main")
        self.write_revision("b", 'op.drop_column("object_images", "primary_image")')
        self.commit_to_main()
        self.write(VERSIONS.parents[3] / "README.md", "Another file.\n")
        self.commit()
        _, report = self.check_merge()
        line = next(line for line in render_annotations(report).splitlines())
        self.assertTrue(line.startswith("::warning title="), line)
        self.assertIn(f"promised in {CONTRACT}:", line)

    def test_a_file_that_git_does_not_know_yet_is_changed_as_a_whole(self) -> None:
        path = self.write_revision("b", 'op.drop_column("object_images", "primary_image")')
        _, report = self.report()
        number_of_lines = self.read(path).count("\n")
        self.assertEqual(report.diff, (ChangedFile(str(path), (LineRange(1, number_of_lines),)),))

    def test_lines_are_moved_past_each_change_of_the_base(self) -> None:
        text = "".join(f"{number}\n" for number in range(1, 31))
        self.git("checkout", "-q", "main")
        self.write(VERSIONS / "numbers.txt", text)
        self.commit_to_main()
        self.write(VERSIONS / "numbers.txt", text.replace("20\n", "20\nnew\n"))
        self.commit()
        main = text.replace("1\n2\n", "").replace("5\n", "5\na\nb\n").replace("10\n", "ten\n").replace("28\n", "")
        self.git("checkout", "-q", "main")
        self.write(VERSIONS / "numbers.txt", main)
        self.commit()
        self.merge()
        diff = PullRequestDiff(self.root, "HEAD^1", "HEAD^2")
        merged, head = (
            self.read(VERSIONS / "numbers.txt").split("\n"),
            self.git("show", f"feature:{VERSIONS}/numbers.txt").split("\n"),
        )
        self.assertEqual(diff.find_head_line("../site-packages/a_revision.py", 3), 3)
        for line, content in enumerate(merged[:-1], start=1):
            with self.subTest(line):
                found = diff.find_head_line(f"{VERSIONS}/numbers.txt", line)
                self.assertEqual(found and head[found - 1], content if content in head else None)
