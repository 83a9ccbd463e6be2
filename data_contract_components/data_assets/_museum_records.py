"""Reads the museum's records from a JSON file and converts them to rows of the eight tables; needs no database."""

import datetime
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from data_contract_components.errors import DataContractError

CHUNK_CHARACTERS = 1 << 20
MAXIMUM_RECORD_CHARACTERS = 1 << 24
INTEGER_MAXIMUM = 2**31 - 1

# By table: object_id, then the columns of TABLES in their order.
Rows = dict[str, tuple[Any, ...]]

BLANKS = r"[ \t\r\n]*"
# Where an array begins, and where an element of it ended; group 2 is the end of the array.
SEPARATORS = {
    "[": re.compile(rf"{BLANKS}(\[{BLANKS}(\]{BLANKS})?)?"),
    ",": re.compile(rf"{BLANKS}(,{BLANKS}|(\]{BLANKS}))?"),
}
# Not where the backslash is itself escaped, which stands for the text "\\u0000".
ESCAPED_NUL = re.compile(r"(?<!\\)(\\\\)*\\u0000")
_END = object()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


class UnreadableRecordsError(DataContractError):
    """The file has no JSON array of records, so nothing was loaded."""


@dataclass(frozen=True)
class RejectedRecord:
    """A record that the tables cannot store: its position in the file, from 1, and the reason."""

    position: int
    object_id: Any
    reason: str

    def __str__(self) -> str:
        return f"record {self.position}, objectID {json.dumps(self.object_id)}: {self.reason}"


def _to_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a text")
    if "\0" in value:
        raise ValueError("has a NUL character, which PostgreSQL cannot store")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("has half of a surrogate pair, which is not a character") from None
    return value


def _to_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _to_timestamp(value: Any) -> datetime.datetime:
    """The time in UTC, without a zone as the column has none; a time without an offset counts as UTC."""
    text = _to_text(value)
    try:
        moment = datetime.datetime.fromisoformat(text)
        return moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError(f"is not a date: {text}") from None


def _to_texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(element, str) for element in value):
        raise ValueError("is not a list of texts")
    return [_to_text(element) for element in value]


def _to_json_texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("is not a list")
    try:
        texts = [json.dumps(element, ensure_ascii=False, allow_nan=False) for element in value]
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if any(ESCAPED_NUL.search(text) for text in texts):
        raise ValueError("has a NUL character, which PostgreSQL cannot read out of JSON")
    return [_to_text(text) for text in texts]


# The API's key for each column; every table begins with the column object_id.
TABLES = {
    "object": {"title": "title", "artist_display_name": "artistDisplayName"},
    "object_history": {"period": "period", "culture": "culture", "object_date": "objectDate"},
    "object_physical_properties": {"medium": "medium", "dimensions": "dimensions", "classification": "classification"},
    "object_gallery_info": {
        "gallery_number": "GalleryNumber",
        "department": "department",
        "accession_number": "accessionNumber",
    },
    "object_tags": {"tags": "tags"},
    "object_images": {"primary_image": "primaryImage", "additional_images": "additionalImages"},
    "object_copyright": {"primary_image": "primaryImage", "is_public_domain": "isPublicDomain"},
    "object_api_metadata": {"metadata_date": "metadataDate"},
}
# Of the keys that are not texts.
CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "tags": _to_json_texts,
    "additionalImages": _to_texts,
    "isPublicDomain": _to_boolean,
    "metadataDate": _to_timestamp,
}


def read_records(path: Path, on_progress: Callable[[int], object] = lambda _: None) -> Iterator[Any]:
    """The elements of the file's JSON array, one by one, so that memory does not grow with the file.

    `on_progress` is called with the number of bytes that were read since its last call.
    Raises: UnreadableRecordsError with the line, possibly after some elements.
    """
    line = 1
    try:
        with path.open("rb") as binary_file, TextIOWrapper(binary_file, encoding="utf-8-sig", newline="") as file:
            buffer, position, separator, is_at_end = "", 0, "[", False
            while True:
                try:
                    element, end = _decode_element(buffer, position, separator)
                    is_whole = end < len(buffer) or is_at_end  # the 12 at the end of a chunk may be the start of 123
                except ValueError as error:
                    if is_at_end or len(buffer) - position > MAXIMUM_RECORD_CHARACTERS:
                        line += buffer.count("\n", position, getattr(error, "pos", len(buffer)))
                        raise UnreadableRecordsError(f"{path}, line {line}: {getattr(error, 'msg', error)}") from error
                    is_whole = False
                if is_whole:
                    if element is _END:
                        return
                    yield element
                    line += buffer.count("\n", position, end)
                    position, separator = end, ","
                else:
                    before = binary_file.tell()
                    chunk = file.read(CHUNK_CHARACTERS)
                    on_progress(binary_file.tell() - before)
                    buffer, position, is_at_end = buffer[position:] + chunk, 0, not chunk
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableRecordsError(f"{path}, after line {line}: {error}") from error


def _decode_element(buffer: str, position: int, separator: str) -> tuple[Any, int]:
    """The element after the separator at `position`, and where it ends; _END after the array.

    Raises: ValueError, also where the buffer ends too early.
    """
    match = SEPARATORS[separator].match(buffer, position)
    assert match  # also nothing matches
    if not match[1]:
        raise json.JSONDecodeError(f"a JSON array of records has {separator!r} here", buffer, match.end())
    if not match[2]:
        return DECODER.raw_decode(buffer, match.end())
    if match.end() < len(buffer):
        raise json.JSONDecodeError("nothing may follow the JSON array of records", buffer, match.end())
    return _END, match.end()


def convert_records(records: Iterator[Any], rejected: list[RejectedRecord]) -> Iterator[Rows]:
    """The rows, by table, of each record that the tables can store; the others are added to `rejected`."""
    object_ids: set[int] = set()
    for position, record in enumerate(records, start=1):
        object_id = record.get("objectID") if isinstance(record, dict) else None
        try:
            if not isinstance(record, dict):
                raise ValueError("is not a JSON object")
            if not isinstance(object_id, int) or isinstance(object_id, bool):
                raise ValueError("objectID is not a whole number")
            if abs(object_id) > INTEGER_MAXIMUM:
                raise ValueError("objectID is too large for an integer column")
            if object_id in object_ids:
                raise ValueError("objectID occurs twice")
            rows = {table: (object_id, *_convert(record, columns)) for table, columns in TABLES.items()}
        except ValueError as error:
            rejected.append(RejectedRecord(position, object_id, str(error)))
            continue
        object_ids.add(object_id)
        yield rows


def _convert(record: dict[str, Any], columns: dict[str, str]) -> Iterator[Any]:
    for key in columns.values():
        value = record.get(key)
        try:
            # The API's value for an unknown text, truth value or image is "".
            if value is None or (value == "" and key != "tags"):
                yield None
            else:
                convert: Callable[[Any], Any] = CONVERTERS.get(key, _to_text)
                yield convert(value)
        except ValueError as error:
            raise ValueError(f"{key} {error}") from error
