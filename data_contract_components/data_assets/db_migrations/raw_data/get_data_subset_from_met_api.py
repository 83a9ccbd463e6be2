"""Downloads real records for seed_db.py: requests The Met's API for one id after the other, and saves a JSON array.

The journal has a line for each finished id, and --out is written from it. So a download may be killed at any moment,
and the same command continues it. No record stays in memory.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import default_user_agent
from tqdm import tqdm
from urllib3.util import Retry

from data_contract_components.command import command
from data_contract_components.errors import DataContractError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse  # of urllib3 2

OUT_PATH = Path(__file__).with_name("met_objects.json")
SEARCH_OUT_PATH = Path(__file__).with_name("met_object_ids.json")
FAILED_IDS_NAME = "failed_ids.json"
BASE_URL = "https://collectionapi.metmuseum.org/public/collection"
SEARCH_PAGE_SIZE = 500
SEARCH_WINDOW = 10_000  # /v1.1/search returns no id beyond it
HIGHLIGHTS_WITH_IMAGES = {"q": "*", "isHighlight": "true", "hasImages": "true"}  # True would be ignored

REPEATS = 5  # without a connection, or on 429 and 5xx
ATTEMPTS = 4  # when the answer is a block, or is incomplete

ENTRY_START = b'{"objectID": '
OUTCOMES = ("fetched", "gone", "failed")


class DownloadError(DataContractError):
    """The download could not start or continue; the journal keeps its lines."""

    def __init__(self, place: object, reason: str, way_out: str) -> None:
        super().__init__(f"could not run: {place}: {reason}; {way_out}")


class RequestFailedError(DataContractError):
    """A request has no usable answer, also after it was repeated."""

    outcome = "failed"


class GoneError(RequestFailedError):
    """The API has no such object."""

    outcome = "gone"


class PacedRetry(Retry):
    """Repeats a request after at least `backoff_factor` seconds; urllib3 sends the first repeat at once."""

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        earliest = time.monotonic() + self.backoff_factor
        super().sleep(response)
        time.sleep(max(0.0, earliest - time.monotonic()))


class MetApi:
    """The API at `base_url`; two requests are at least `rate_delay` seconds apart."""

    def __init__(self, base_url: str, rate_delay: float, block_delay: float, timeout: float) -> None:
        self.base_url = base_url.rstrip("/")
        self._rate_delay = rate_delay
        self._block_delay = block_delay
        self._timeout = timeout
        self._earliest = 0.0
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"data-contracts-sandbox ({default_user_agent()})"
        statuses = [429, *range(500, 600)]
        retries = PacedRetry(REPEATS, backoff_factor=rate_delay, status_forcelist=statuses, raise_on_status=False)
        self._session.mount("https://", HTTPAdapter(max_retries=retries))
        self._session.mount("http://", HTTPAdapter(max_retries=retries))

    def get(self, path: str, **parameters: str | int) -> dict[str, Any]:
        """The JSON object at `path`.

        Raises: GoneError on a 404 with the API's message; RequestFailedError after the last repeat.
        """
        reason = ""
        for attempts_left in reversed(range(ATTEMPTS)):
            response = self._send(self.base_url + path, parameters)
            status = response.status_code
            try:
                with response:
                    answer = json.loads(response.content)
            except requests.RequestException:
                reason = f"HTTP {status}, and the answer is incomplete"
                continue
            except (ValueError, RecursionError):
                answer = None
            if status == 200 and isinstance(answer, dict):
                return answer
            message = answer.get("message") if isinstance(answer, dict) else None
            if status == 404 and message is not None:
                raise GoneError(f"HTTP 404: {message}")
            reason = f"HTTP {status}: {message or response.headers.get('Location') or response.reason}"
            if status not in (200, 403):
                break
            reason = f"blocked by {reason}"
            if attempts_left:
                tqdm.write(f"{reason}; waiting for {self._block_delay:g} seconds", file=sys.stderr)
                time.sleep(self._block_delay)
        raise RequestFailedError(reason)

    def _send(self, url: str, parameters: dict[str, str | int]) -> requests.Response:
        """The answer; its body is not read yet. A redirect is not followed, as it would not be delayed."""
        time.sleep(max(0.0, self._earliest - time.monotonic()))
        try:
            return self._session.get(url, params=parameters, timeout=self._timeout, allow_redirects=False, stream=True)
        except requests.RequestException as error:
            # urllib3's reason is the last failure, without a note on the repeats.
            reason = getattr(next(iter(error.args), None), "reason", None) or error
            raise RequestFailedError(str(reason)) from error
        finally:
            self._earliest = time.monotonic() + self._rate_delay

    def get_highlight_ids(self) -> list[int]:
        """The ids of the highlights with images, in the order of the search; a line on stderr if some are missing.

        Raises: DownloadError.
        """
        object_ids: list[int] = []
        total: Any = 1
        while len(object_ids) < min(total, SEARCH_WINDOW):
            limit = min(SEARCH_PAGE_SIZE, SEARCH_WINDOW - len(object_ids))
            try:
                page = self.get("/v1.1/search", **HIGHLIGHTS_WITH_IMAGES, offset=len(object_ids), limit=limit)
                total, page_ids = page.get("total"), page.get("objectIDs") or []
                if type(total) is not int or not isinstance(page_ids, list) or {type(i) for i in page_ids} - {int}:
                    raise RequestFailedError("the answer has no total and ids")
            except RequestFailedError as error:
                way_out = "try again later, or give the ids by --ids-file"
                raise DownloadError(f"{self.base_url}/v1.1/search", str(error), way_out) from error
            if not page_ids:
                break
            object_ids += page_ids
        object_ids = list(dict.fromkeys(object_ids))
        if len(object_ids) != total:
            print(f"the search counts {total} objects and gives the ids of {len(object_ids)}", file=sys.stderr)
        return object_ids

    def get_entry(self, object_id: int) -> dict[str, Any]:
        """The journal's entry for the id: its record, or the reason why there is none."""
        try:
            record = self.get(f"/v1/objects/{object_id}")
            if record.get("objectID") != object_id:
                raise RequestFailedError(f"the record is that of objectID {json.dumps(record.get('objectID'))}")
        except RequestFailedError as error:
            return {"objectID": object_id, "outcome": error.outcome, "reason": str(error)}
        return {"objectID": object_id, "outcome": "fetched", "record": record}


class Journal:
    """The outcome of each finished id, one JSON line each; the last line of an id counts.

    `file` is open for reading and appending, and locked. An incomplete last line, which a kill leaves, is cut off.
    Raises: DownloadError, and the file is unchanged.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.outcomes: dict[int, str] = {}
        self._offsets: dict[int, int] = {}
        self._file = file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(file.name, "another download writes it", "name another --checkpoint") from error
        file.seek(0)
        end = 0
        for number, line in enumerate(file, 1):
            try:
                entry = _parse_entry(line)
            except ValueError as error:
                place = f"{file.name}, line {number}"
                raise DownloadError(place, "not a line of a download's journal", "name another --checkpoint") from error
            if entry is None:
                break
            self._remember(entry, end)
            end += len(line)
        file.truncate(end)

    def append(self, entry: dict[str, Any]) -> None:
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(f"{_dumps(entry)}\n".encode("utf-8", "backslashreplace"))
        self._file.flush()
        self._remember(entry, offset)

    def get_entries(self, object_ids: Iterable[int], outcome: str) -> Iterator[dict[str, Any]]:
        """The entries with this outcome among `object_ids`, in that order."""
        for object_id in object_ids:
            if self.outcomes.get(object_id) == outcome:
                self._file.seek(self._offsets[object_id])
                yield json.loads(self._file.readline())

    def write_array(self, path: Path, elements: Iterable[object]) -> None:
        """The file is replaced at once by a JSON array of `elements`, one per line; the journal is on disk."""
        os.fsync(self._file.fileno())
        # One name per journal: no other download writes it, and what a killed one left is overwritten.
        part = path.with_name(f".{path.name}.{os.fstat(self._file.fileno()).st_ino}.part")
        with part.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("[")
            for position, element in enumerate(elements):
                file.write(f"{',' if position else ''}\n{_dumps(element)}")
            file.write("\n]\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def _remember(self, entry: dict[str, Any], offset: int) -> None:
        self.outcomes[entry["objectID"]] = entry["outcome"]
        self._offsets[entry["objectID"]] = offset


def _dumps(value: object) -> str:
    # Readable, and encoded with "backslashreplace": half a surrogate pair, which UTF-8 cannot encode, is then written
    # as JSON's escape for it.
    return json.dumps(value, ensure_ascii=False)


def _parse_entry(line: bytes) -> dict[str, Any] | None:
    """The entry in a line; None in an incomplete line. Raises: ValueError for a line that no download wrote."""
    is_complete = line.endswith(b"\n")
    try:
        entry = json.loads(line)
    except ValueError:
        # A file system may leave zeros of a write when the machine stops.
        if is_complete or (line[: len(ENTRY_START)] != ENTRY_START[: len(line)] and line.strip(b"\0")):
            raise
        return None
    is_entry = isinstance(entry, dict) and type(entry.get("objectID")) is int and entry.get("outcome") in OUTCOMES
    if not is_entry or isinstance(entry.get("record"), dict) != (entry["outcome"] == "fetched"):
        raise ValueError("is not an entry")
    return entry if is_complete else None


def read_ids_file(path: Path) -> list[int]:
    """The ids of a JSON array, or of a text with one id per line, in their order.

    Raises: DownloadError with the place of the first value that is not an id.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        is_array = text.lstrip().startswith("[")
        values = json.loads(text) if is_array else text.splitlines()
    except (OSError, ValueError, RecursionError) as error:
        way_out = "give a JSON array of ids, or one id per line"
        raise DownloadError(path, f"cannot be read: {error}", way_out) from error
    object_ids = []
    for number, value in enumerate(values, 1):
        digits = str(value).strip()
        if re.fullmatch(r"[1-9][0-9]{0,17}", digits):
            object_ids.append(int(digits))
        elif digits or is_array:
            place = f"{path}, {'element' if is_array else 'line'} {number}"
            raise DownloadError(place, f"{value!r} is not an object id", "correct it")
    return object_ids


def download(api: MetApi, journal: Journal, object_ids: list[int], out_path: Path, flush_every: int) -> None:
    """The journal has an outcome for each id, and --out and failed_ids.json are written from it."""
    missing_ids = [object_id for object_id in object_ids if journal.outcomes.get(object_id) in (None, "failed")]
    done = len(object_ids) - len(missing_ids)
    failed = 0
    with tqdm(total=len(object_ids), initial=done, unit="object", dynamic_ncols=True, disable=None) as progress_bar:
        for number, object_id in enumerate(missing_ids, 1):
            entry = api.get_entry(object_id)
            journal.append(entry)
            failed += entry["outcome"] == "failed"
            progress_bar.set_postfix(failed=failed, refresh=False)
            progress_bar.update()
            if number % flush_every == 0:
                _write_results(journal, object_ids, out_path)
    _write_results(journal, object_ids, out_path)


def _write_results(journal: Journal, object_ids: list[int], out_path: Path) -> None:
    journal.write_array(out_path, (entry["record"] for entry in journal.get_entries(object_ids, "fetched")))
    failures = [
        {"objectID": entry["objectID"], "reason": entry.get("reason")}
        for entry in journal.get_entries(object_ids, "failed")
    ]
    failed_path = out_path.parent / FAILED_IDS_NAME
    if failures:
        journal.write_array(failed_path, failures)
    else:
        failed_path.unlink(missing_ok=True)


@command("the same command continues")
def main(argv: list[str] | None = None) -> int:
    """0 when every id is fetched or gone, 1 when some failed, 2 when the download could not run, 130 after Ctrl-C."""
    arguments = _parse_arguments(argv)
    out_path: Path = arguments.out
    if not os.access(out_path.parent, os.W_OK) or (out_path.exists() and not out_path.is_file()):
        raise DownloadError(out_path, "cannot be written", "name another --out")
    api = MetApi(arguments.base_url, arguments.rate_delay, arguments.block_delay, arguments.timeout)
    object_ids = read_ids_file(arguments.ids_file) if arguments.ids_file else []
    with arguments.checkpoint.open("a+b") as file:
        journal = Journal(file)
        if arguments.search_first:
            object_ids = api.get_highlight_ids()
            journal.write_array(arguments.search_out, object_ids)
        object_ids = list(dict.fromkeys(object_ids))[: arguments.limit]
        if not object_ids:
            raise DownloadError(arguments.ids_file or "the search", "no object ids", "nothing was asked or written")
        download(api, journal, object_ids, out_path, arguments.flush_every)
    outcomes = Counter(journal.outcomes[object_id] for object_id in object_ids)
    print(f"asked {len(object_ids)} = {' + '.join(f'{outcome} {outcomes[outcome]}' for outcome in OUTCOMES)}")
    print(f"{outcomes['fetched']} records in {out_path}")
    if outcomes["failed"]:
        print(f"reasons in {out_path.parent / FAILED_IDS_NAME}; the same command requests the failed ones again")
    return 1 if outcomes["failed"] else 0


def _parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Fetch records of The Met. It may be stopped at any moment: the same command continues.",
        epilog="Exit status: 0 all fetched or gone, 1 some failed (failed_ids.json beside --out), 2 could not run.",
    )
    option = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--search-first", action="store_true", help="the highlights with images, as the API finds them")
    source.add_argument("--ids-file", type=Path, help="the objects with these ids: a JSON array, or one per line")
    option("--out", type=Path, default=OUT_PATH, help="the records, one JSON array (%(default)s)")
    option("--checkpoint", type=Path, default=OUT_PATH.with_suffix(".journal.jsonl"), help="the journal (%(default)s)")
    option("--search-out", type=Path, default=SEARCH_OUT_PATH, help="the ids that were found (%(default)s)")
    option("--rate-delay", type=_number(float), default=1.0, help="seconds between requests (%(default)s)")
    option("--flush-every", type=_number(int, 1), default=100, help="ids after which --out is written (%(default)s)")
    option("--limit", type=_number(int, 1), help="how many ids to request (all)")
    option("--base-url", default=BASE_URL, help="%(default)s")
    option("--block-delay", type=_number(float), default=65.0, help="seconds to wait when blocked (%(default)s)")
    option("--timeout", type=_number(float, 0.001), default=30.0, help="seconds without any answer (%(default)s)")
    arguments = parser.parse_args(argv)
    if not re.fullmatch(r"https?://[^/?#\s]+[^?#\s]*", arguments.base_url):
        parser.error(f"argument --base-url: {arguments.base_url!r} is not an http or https URL")
    ids_path = arguments.ids_file or arguments.search_out
    paths = (arguments.out, arguments.out.parent / FAILED_IDS_NAME, arguments.checkpoint, ids_path)
    if len({path.resolve() for path in paths}) < len(paths):
        parser.error(
            f"--out, {FAILED_IDS_NAME} beside it, --checkpoint and the file of the ids must be different files"
        )
    return arguments


def _number(kind: type[int] | type[float], lowest: float = 0) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not lowest <= kind(text) <= 1_000_000:
            raise argparse.ArgumentTypeError(f"{text} is not between {lowest:g} and 1000000")
        return kind(text)

    return number


if __name__ == "__main__":
    sys.exit(main())
