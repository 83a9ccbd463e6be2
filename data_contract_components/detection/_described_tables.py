"""The tables that get a contract: which ones are meant, their columns and their comments."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase

from data_contract_components.data_assets._query_postgres_helper import PostgresDB, read_sql
from data_contract_components.detection._get_data_catalog import SQL_DIRECTORY, CatalogColumn, get_data_catalog
from data_contract_components.errors import DataContractError

TableName = tuple[str, str]
COLUMN_COMMENTS_SQL = read_sql(SQL_DIRECTORY / "column_comments.sql")


class NoContractError(DataContractError):
    """No contract was written."""


@dataclass(frozen=True)
class DescribedTable:
    """A table's columns, and the comments of some of them by name."""

    columns: list[CatalogColumn] = field(default_factory=list)
    comments: dict[str, str] = field(default_factory=dict)


def get_described_tables(database: PostgresDB, names: Collection[TableName]) -> dict[TableName, DescribedTable]:
    """The tables of these names, in two queries; without those that are not there, or have no column."""
    tables: dict[TableName, DescribedTable] = {}
    for column in CatalogColumn.from_df(get_data_catalog(database, names)):
        if (name := (column.table_schema, column.table_name)) in names:
            tables.setdefault(name, DescribedTable()).columns.append(column)
    parameters = {"table_schemas": [schema for schema, _ in names], "table_names": [name for _, name in names]}
    for table_schema, table_name, column_name, comment in database.get_rows(COLUMN_COMMENTS_SQL, parameters):
        if table := tables.get((table_schema, table_name)):
            table.comments[column_name] = comment
    return tables


def find_tables(words: Iterable[str], table_schema: str | None, table_names: Collection[TableName]) -> list[TableName]:
    """Those of `table_names` that the words mean, in their order.

    A word is TABLE, in `table_schema` (None: public), or SCHEMA.TABLE, and either may be a shell pattern. Where it is a
    table's very name, it means no other.
    Raises: NoContractError for a word that means no table.
    """
    found: set[TableName] = set()
    for word in words:
        exact = {table for table in table_names if word in _render_names(table, table_schema, word)}
        matches = exact or {
            table
            for table in table_names
            if any(fnmatchcase(name, word) for name in _render_names(table, table_schema, word))
        }
        if not matches:
            raise MissingTableError(word, table_schema, table_names)
        found |= matches
    return [table for table in table_names if table in found]


def _render_names(table: TableName, table_schema: str | None, word: str) -> list[str]:
    """What `word` may call the table. A pattern without a dot stays within the schema."""
    names = [table[1]] if table[0] == (table_schema or "public") else []
    return [*names, ".".join(table)] if "." in word and table_schema in (None, table[0]) else names


class MissingTableError(NoContractError):
    """No table has the name, or matches the pattern."""

    def __init__(self, word: str, table_schema: str | None, table_names: Collection[TableName]) -> None:
        tables = {name if "." not in word else f"{schema}.{name}": (schema, name) for schema, name in table_names}
        nearest = [tables[text] for text in get_close_matches(word, tables, n=1)]
        way_out = f'; did you mean "{nearest[0][1]}" in schema "{nearest[0][0]}" (--schema)?' if nearest else ""
        super().__init__(f'the database has no table "{word}" in schema "{table_schema or "public"}"{way_out}')
        self.word = word
