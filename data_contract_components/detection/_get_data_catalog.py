"""Step 2 of the flow: what the database holds, in the words of information_schema, one row per column."""

import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import pandas as pd

from data_contract_components.contract_definition.contract_spec import TableName
from data_contract_components.data_assets._query_postgres_helper import (
    INSUFFICIENT_PRIVILEGE,
    PostgresDB,
    get_url_variable,
    read_sql,
)
from data_contract_components.detection._table_constraints import TableConstraint
from data_contract_components.errors import CatalogHiddenError, QueryError


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """One row of the catalog, whose columns are these fields in this order; None is NULL.

    `not_enforced` has the reasons why PostgreSQL does not enforce what is declared, by the contract's keys.
    `table_constraints` stands in the row of the table's first column only.
    """

    table_catalog: str
    table_schema: str
    table_name: str
    column_name: str
    table_type: str
    data_type: str
    constraint_type: str | None
    primaryKey: bool  # noqa: N815, as it is the contract's key
    is_nullable: bool
    is_updatable: bool
    character_maximum_length: int | None
    numeric_precision: int | None
    numeric_scale: int | None
    datetime_precision: int | None
    interval_type: str | None
    udt_name: str
    domain_name: str | None
    collation_name: str | None
    column_default: str | None
    is_identity: bool
    is_generated: bool
    enum: list[str] | None
    unique: bool
    references: list[dict[str, str]] | None
    physicalType: str  # noqa: N815
    fields: dict[str, str] | None
    generation_expression: str | None
    array_element_data_type: str | None
    array_element_character_maximum_length: int | None
    array_element_numeric_precision: int | None
    array_element_numeric_scale: int | None
    array_element_datetime_precision: int | None
    array_element_udt_name: str | None
    array_element_dimensions: int | None
    not_enforced: dict[str, str] | None
    table_constraints: list[dict[str, Any]] | None

    @property
    def constraints(self) -> list[TableConstraint]:
        """Those of the table where this is its first column; otherwise none."""
        return [TableConstraint(**constraint) for constraint in self.table_constraints or []]

    @classmethod
    def from_df(cls, df: pd.DataFrame) -> list[Self]:
        """One for each row of a frame that has a column for each field."""
        # Column by column: DataFrame.to_dict takes fifty times as long.
        names = (field.name for field in fields(cls))
        return list(map(cls, *(df[name].array.to_numpy(dtype="object", na_value=None).tolist() for name in names)))


CATALOG_COLUMNS = tuple(field.name for field in fields(CatalogColumn))
TABLE_KEY = ("table_catalog", "table_schema", "table_name")
# What a contract has keys for, besides data_type.
CONSTRAINT_COLUMNS = CATALOG_COLUMNS[CATALOG_COLUMNS.index("primaryKey") : CATALOG_COLUMNS.index("not_enforced")]

SQL_DIRECTORY = Path(__file__).parent / "sql"
# Compiling the query takes longer than running it, so the settings turn that off as well.
CATALOG_SQL = read_sql(SQL_DIRECTORY / "catalog.sql")
SETTINGS_SQL = read_sql(SQL_DIRECTORY / "catalog_settings.sql")
TABLE_NAMES_SQL = read_sql(SQL_DIRECTORY / "table_names.sql")


def get_data_catalog(database: PostgresDB | None = None, tables: Collection[TableName] | None = None) -> pd.DataFrame:
    """The columns of the tables and views with one of the schemas and one of the names in `tables`; None: of all.

    Shape: one row per (table_catalog, table_schema, table_name, column_name), unique, ordered by table and position;
        columns are CATALOG_COLUMNS, NULL is pd.NA (None where others are lists or objects).
    Units: numeric_precision in bits for integers, decimal digits for numeric; datetime_precision in digits of a second.
    Raises: DatabaseUnavailableError, CatalogHiddenError, QueryError; nothing is changed, and no row of a table read.
    Source: PostgreSQL manual, "information_schema.columns", "pg_attribute", "pg_type", "pg_constraint" and "pg_index".
    """
    database = database or PostgresDB()
    try:
        return database.query(SETTINGS_SQL + CATALOG_SQL, _get_parameters(tables))
    except QueryError as error:
        if error.sql_state != INSUFFICIENT_PRIVILEGE:
            raise
        role = f"of {get_url_variable()}"
        with suppress(QueryError):  # in a transaction that has failed, nothing can be asked any more
            role = str(database.query("select current_user::text as role")["role"][0])
        raise CatalogHiddenError(role, error.reason) from error


def _get_parameters(tables: Collection[TableName] | None) -> dict[str, list[str] | None]:
    # Two simple conditions, as a join with the pairs takes longer; the few tables too many do no harm.
    return {
        "table_schemas": None if tables is None else sorted({schema for schema, _ in tables}),
        "table_names": None if tables is None else sorted({name for _, name in tables}),
    }


class PreparedCatalog:
    """The catalog of one table, for a transaction that changes it and reads it again and again.

    Raises: QueryError.
    """

    def __init__(self, transaction: PostgresDB, table: TableName) -> None:
        # Planning the query takes several times as long as running it. The name is unique also in the session that a
        # pooler gives to somebody else afterwards. The values are in the text, as a plan for any table is a slow one.
        self._transaction, self._name = transaction, f"contracts_{secrets.token_hex(6)}_catalog"
        transaction.get_rows(f"{SETTINGS_SQL}prepare {self._name} as {CATALOG_SQL}", _get_parameters({table}))

    def get_columns(self) -> list[CatalogColumn]:
        """The table's columns as they are now, those of get_data_catalog()."""
        return [CatalogColumn(*row) for row in self._transaction.get_rows(f"{SETTINGS_SQL}execute {self._name}")]


def get_table_names(database: PostgresDB | None = None) -> list[TableName]:
    """Schema and name of every table and view, in their order, without alembic's own and the parts of a table."""
    tables_df = (database or PostgresDB()).query(TABLE_NAMES_SQL)
    return list(tables_df.itertuples(index=False, name=None))
