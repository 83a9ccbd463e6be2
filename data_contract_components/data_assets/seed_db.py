"""Fills the tables that the migrations built with the records of a JSON file: python -m …data_assets.seed_db [FILE]."""

import argparse
import datetime
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection, cursor
from psycopg2.extras import execute_values
from tqdm import tqdm

from data_contract_components.data_assets._query_postgres_helper import connect, database_url
from data_contract_components.errors import DataContractError, QueryError

RECORDS_PATH = Path(__file__).parent / "db_migrations" / "raw_data" / "objects.json"
BATCH_RECORDS = 2_000
CHUNK_CHARACTERS = 1 << 20
MAXIMUM_RECORD_CHARACTERS = 1 << 24
INTEGER_MAXIMUM = 2**31 - 1

BLANKS = re.compile(r"[ \t\r\n]*")
_END = object()

MISSING_COLUMNS_SQL = """
select wanted.table_name || '.' || wanted.column_name
from unnest(%s::text[], %s::text[]) with ordinality as wanted (table_name, column_name, position)
left join pg_catalog.pg_attribute as attributes
    on attributes.attrelid = pg_catalog.to_regclass(pg_catalog.quote_ident(wanted.table_name))
    and attributes.attname = wanted.column_name and not attributes.attisdropped
where attributes.attname is null
order by wanted.position
"""
SUMMARY_SQL = """
select
    (select count(*) from object),
    (select count(*) from object_copyright where is_public_domain),
    (select count(*) from object_images where primary_image is not null or additional_images <> '{}')
"""
DEPARTMENTS_SQL = """
select coalesce(department, '(none)'), count(*) from object_gallery_info group by 1 order by 2 desc, 1 limit 5
"""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


class UnreadableRecordsError(DataContractError):
    """The file holds no JSON array of records, so nothing was loaded."""


class UnfitTablesError(DataContractError):
    """The tables are not those that the migrations of this checkout build, so nothing was loaded."""

    def __init__(self, missing_columns: list[str]) -> None:
        super().__init__(
            f"the database lacks {', '.join(missing_columns)}; nothing was changed.\n"
            "Build the tables with `alembic upgrade head` in data_contract_components/data_assets. Where a migration "
            "changed them on purpose, change TABLES in seed_db.py with it."
        )
        self.missing_columns = missing_columns


@dataclass(frozen=True)
class RejectedRecord:
    """A record that no table can hold: where it stands in the file, from 1, and why."""

    position: int
    object_id: Any
    reason: str
    record: Any

    def __str__(self) -> str:
        return f"record {self.position}, objectID {json.dumps(self.object_id)}: {self.reason}"


def _to_text(value: Any) -> str | None:
    """The text as it is; None for "", which is how the API says that it does not know."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("is no text")
    if "\0" in value:
        raise ValueError("has a NUL character, which PostgreSQL cannot store")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("has half of a surrogate pair, which is no character") from None
    return value


def _to_boolean(value: Any) -> bool | None:
    if value is None or value == "":
        return None
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _to_timestamp(value: Any) -> datetime.datetime | None:
    """The time in UTC, without a zone as the column has none; a time without an offset is taken as UTC."""
    text = _to_text(value)
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
        return moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError(f"is no date: {text}") from None


def _to_texts(value: Any) -> list[str] | None:
    if value is None or value == "":
        return None
    if not isinstance(value, list) or not all(isinstance(element, str) for element in value):
        raise ValueError("is no list of texts")
    return [_to_text(element) or "" for element in value]


def _to_json_texts(value: Any) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise ValueError("is no list")
    texts = [json.dumps(element, ensure_ascii=False) for element in value]
    if any("\\u0000" in text for text in texts):
        raise ValueError("has a NUL character, which PostgreSQL cannot read out of JSON")
    return [_to_text(text) or "" for text in texts]


Converter = Callable[[Any], Any]

# Column: the API's key, and how its value becomes the column's. The column object_id comes first in every table.
TABLES: dict[str, dict[str, tuple[str, Converter]]] = {
    "object": {"title": ("title", _to_text), "artist_display_name": ("artistDisplayName", _to_text)},
    "object_history": {
        "period": ("period", _to_text),
        "culture": ("culture", _to_text),
        "object_date": ("objectDate", _to_text),
    },
    "object_physical_properties": {
        "medium": ("medium", _to_text),
        "dimensions": ("dimensions", _to_text),
        "classification": ("classification", _to_text),
    },
    "object_gallery_info": {
        "gallery_number": ("GalleryNumber", _to_text),
        "department": ("department", _to_text),
        "accession_number": ("accessionNumber", _to_text),
    },
    "object_tags": {"tags": ("tags", _to_json_texts)},
    "object_images": {
        "primary_image": ("primaryImage", _to_text),
        "additional_images": ("additionalImages", _to_texts),
    },
    "object_copyright": {
        "primary_image": ("primaryImage", _to_text),
        "is_public_domain": ("isPublicDomain", _to_boolean),
    },
    "object_api_metadata": {"metadata_date": ("metadataDate", _to_timestamp)},
}
# psycopg2 sends a list as an array of text, which PostgreSQL does not turn into other arrays by itself.
CASTS: dict[Converter, str] = {_to_json_texts: "%s::json[]", _to_texts: "%s::text[]"}


def read_records(path: Path, on_progress: Callable[[int], object] = lambda _: None) -> Iterator[Any]:
    """The elements of the file's JSON array, one after the other, so that memory does not grow with the file.

    `on_progress` is given the number of bytes that were read since it was called last.
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
    """The element behind the separator at `position`, and where it ends; _END behind the array.

    Raises: ValueError, also where the buffer ends too early.
    """
    position = _skip_blanks(buffer, position)
    is_closed = separator == "," and buffer.startswith("]", position)
    if not is_closed:
        if not buffer.startswith(separator, position):
            raise json.JSONDecodeError(f"a JSON array of records has {separator!r} here", buffer, position)
        position = _skip_blanks(buffer, position + 1)
        is_closed = separator == "[" and buffer.startswith("]", position)
    if not is_closed:
        return DECODER.raw_decode(buffer, position)
    end = _skip_blanks(buffer, position + 1)
    if end < len(buffer):
        raise json.JSONDecodeError("nothing may follow the JSON array of records", buffer, end)
    return _END, end


def _skip_blanks(buffer: str, position: int) -> int:
    match = BLANKS.match(buffer, position)
    return match.end() if match else position


def convert_records(records: Iterator[Any], rejected: list[RejectedRecord]) -> Iterator[dict[str, tuple[Any, ...]]]:
    """The rows, by table, of each record that the tables can hold; the others are added to `rejected`."""
    object_ids: set[int] = set()
    for position, record in enumerate(records, start=1):
        object_id = record.get("objectID") if isinstance(record, dict) else None
        try:
            if not isinstance(record, dict):
                raise ValueError("is no JSON object")
            if not isinstance(object_id, int) or isinstance(object_id, bool):
                raise ValueError("objectID is no whole number")
            if abs(object_id) > INTEGER_MAXIMUM:
                raise ValueError("objectID is larger than an integer column holds")
            if object_id in object_ids:
                raise ValueError("objectID was there before")
            rows = {table: (object_id, *_convert(record, columns)) for table, columns in TABLES.items()}
        except ValueError as error:
            rejected.append(RejectedRecord(position, object_id, str(error), record))
        else:
            object_ids.add(object_id)
            yield rows


def _convert(record: dict[str, Any], columns: dict[str, tuple[str, Converter]]) -> Iterator[Any]:
    for key, converter in columns.values():
        try:
            yield converter(record.get(key))
        except ValueError as error:
            raise ValueError(f"{key} {error}") from error


def load_records(cur: cursor, records: Iterator[Any], *, skip_rejected: bool) -> tuple[int, list[RejectedRecord]]:
    """How many records the eight tables hold now, in place of what they held, and which were rejected.

    Nothing is committed. When a record is rejected and `skip_rejected` is false, what the tables hold is of no use.
    """
    cur.execute(f"truncate {', '.join(TABLES)}")
    rejected: list[RejectedRecord] = []
    rows_of_batch: list[dict[str, tuple[Any, ...]]] = []
    count = 0
    for rows in convert_records(records, rejected):
        if skip_rejected or not rejected:
            rows_of_batch.append(rows)
        if len(rows_of_batch) == BATCH_RECORDS:
            count += _insert(cur, rows_of_batch)
    return count + _insert(cur, rows_of_batch), rejected


def _insert(cur: cursor, rows_of_batch: list[dict[str, tuple[Any, ...]]]) -> int:
    """The number of records that were inserted; the list is empty then."""
    count = len(rows_of_batch)
    for table, columns in TABLES.items():
        casts = ", ".join(["%s", *(CASTS.get(converter, "%s") for _, converter in columns.values())])
        statement = f"insert into {table} (object_id, {', '.join(columns)}) values %s"
        rows = [rows[table] for rows in rows_of_batch]
        execute_values(cur, statement, rows, template=f"({casts})", page_size=BATCH_RECORDS)
    rows_of_batch.clear()
    return count


def ensure_tables_fit(cur: cursor) -> None:
    """The database has each table and column of TABLES. Raises: UnfitTablesError, which names those that it lacks."""
    wanted = [(table, column) for table, columns in TABLES.items() for column in ("object_id", *columns)]
    tables, columns = zip(*wanted, strict=True)
    cur.execute(MISSING_COLUMNS_SQL, (list(tables), list(columns)))
    if missing := [name for (name,) in cur]:
        raise UnfitTablesError(missing)


def find_count_differences(cur: cursor, expected: int) -> list[str]:
    """The tables that do not hold `expected` rows, in words."""
    cur.execute(" union all ".join(f"select '{table}', count(*) from {table}" for table in TABLES))
    return [f"{table}: expected {expected}, found {found}" for table, found in cur if found != expected]


def render_summary(cur: cursor) -> str:
    cur.execute(SUMMARY_SQL)
    objects, public_domain, with_images = cur.fetchone() or (0, 0, 0)
    cur.execute(DEPARTMENTS_SQL)
    lines = [f"{objects:,} objects, {public_domain:,} in the public domain, {with_images:,} with images"]
    return "\n".join([*lines, "top departments:", *(f"{count:>8,}  {department}" for department, count in cur)])


def main(arguments: list[str] | None = None) -> int:
    """0: loaded whole, or --check found no difference; 1: records were rejected, or tables differ; 2: could not run."""
    parser = argparse.ArgumentParser(description="Load the museum's records into the tables that the migrations built.")
    parser.add_argument("file", type=Path, nargs="?", default=RECORDS_PATH, help="a JSON array (default: %(default)s)")
    parser.add_argument("--skip-rejected", action="store_true", help="load the records that fit, and exit with 1")
    parser.add_argument("--rejected-file", type=Path, help="where the rejected ones go (default: beside FILE)")
    parser.add_argument("--check", action="store_true", help="only compare the tables' row counts with the file")
    options = parser.parse_args(arguments)
    try:
        with closing(connect(database_url())) as open_connection:
            return _check(open_connection, options.file) if options.check else _seed(open_connection, options)
    except (DataContractError, OSError) as error:
        print(error, file=sys.stderr)
    except psycopg2.Error as error:
        print(QueryError(error.pgcode, str(error).strip()), file=sys.stderr)
    return 2


def _seed(open_connection: connection, options: argparse.Namespace) -> int:
    with open_connection.cursor() as cur:
        ensure_tables_fit(cur)
        count, rejected = load_records(cur, _read_with_progress(options.file), skip_rejected=options.skip_rejected)
        if not count and not rejected:
            raise UnreadableRecordsError(f"{options.file} holds no record; nothing was changed")
        for record in rejected:
            print(record, file=sys.stderr)
        if rejected and not options.skip_rejected:
            print(f"{len(rejected)} rejected; nothing was changed (--skip-rejected loads the others)", file=sys.stderr)
            return 1
        if rejected:
            path = options.rejected_file or options.file.with_suffix(".rejected.json")
            path.write_text(json.dumps([vars(record) for record in rejected], indent=1), encoding="utf-8")
            print(f"{len(rejected)} rejected, see {path}", file=sys.stderr)
        open_connection.commit()
        print(render_summary(cur))
    return 1 if rejected else 0


def _check(open_connection: connection, path: Path) -> int:
    with open_connection.cursor() as cur:
        ensure_tables_fit(cur)
        expected = sum(1 for _ in convert_records(_read_with_progress(path), []))
        differences = find_count_differences(cur, expected)
    print("\n".join(differences) or f"each of the {len(TABLES)} tables holds the {expected:,} objects of {path.name}")
    return 1 if differences else 0


def _read_with_progress(path: Path) -> Iterator[Any]:
    size_bytes = path.stat().st_size
    with tqdm(total=size_bytes, unit="B", unit_scale=True, desc=path.name, delay=1, leave=False) as progress:
        yield from read_records(path, progress.update)


if __name__ == "__main__":
    sys.exit(main())
