"""Step 2 of the flow: what the database holds, in the words of information_schema, one row per column."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from data_contract_components.data_assets._query_postgres_helper import (
    INSUFFICIENT_PRIVILEGE,
    PostgresDB,
    get_url_variable,
    read_sql,
)
from data_contract_components.errors import CatalogHiddenError, QueryError

# The values of one column, by the names of the catalog's columns.
CatalogRow = dict[str, Any]

TABLE_KEY = ("table_catalog", "table_schema", "table_name")
COLUMN_KEY = (*TABLE_KEY, "column_name")
# Those that a contract has keys for, besides data_type.
CONSTRAINT_COLUMNS = (
    "primaryKey",
    "is_nullable",
    "is_updatable",
    "character_maximum_length",
    "numeric_precision",
    "numeric_scale",
    "datetime_precision",
    "interval_type",
    "udt_name",
    "domain_name",
    "collation_name",
    "column_default",
    "is_identity",
    "is_generated",
    "enum",
    "unique",
    "references",
    "array_element_data_type",
    "array_element_character_maximum_length",
    "array_element_numeric_precision",
    "array_element_numeric_scale",
    "array_element_datetime_precision",
    "array_element_udt_name",
    "array_element_dimensions",
)
# `not_enforced` is NULL, or has the reasons why PostgreSQL does not enforce what is declared, by the contract's keys.
CATALOG_COLUMNS = (*COLUMN_KEY, "table_type", "data_type", "constraint_type", *CONSTRAINT_COLUMNS, "not_enforced")

SQL_DIRECTORY = Path(__file__).parent / "sql"
# Compiling the query takes longer than running it, so the settings turn that off as well.
CATALOG_SQL = read_sql(SQL_DIRECTORY / "catalog.sql")
SETTINGS_SQL = read_sql(SQL_DIRECTORY / "catalog_settings.sql")
TABLE_NAMES_SQL = read_sql(SQL_DIRECTORY / "table_names.sql")


def get_data_catalog(
    database: PostgresDB | None = None, tables: Collection[tuple[str, str]] | None = None
) -> pd.DataFrame:
    """The columns of the tables and views with one of the schemas and one of the names in `tables`; None: of all.

    Shape: one row per (table_catalog, table_schema, table_name, column_name), unique, ordered by table and position;
        columns are CATALOG_COLUMNS, NULL is pd.NA (None for the lists `enum` and `references`).
    Units: numeric_precision in bits for integers, decimal digits for numeric; datetime_precision in digits of a second.
    Raises: DatabaseUnavailableError, CatalogHiddenError, QueryError; nothing is changed, and no row of a table read.
    Source: PostgreSQL manual, "information_schema.columns", "pg_attribute", "pg_type", "pg_constraint" and "pg_index".
    """
    # Two simple conditions, as a join with the pairs takes longer; the few tables too many do no harm.
    parameters = {
        "table_schemas": None if tables is None else sorted({schema for schema, _ in tables}),
        "table_names": None if tables is None else sorted({name for _, name in tables}),
    }
    database = database or PostgresDB()
    try:
        return database.query(SETTINGS_SQL + CATALOG_SQL, parameters)
    except QueryError as error:
        if error.sql_state != INSUFFICIENT_PRIVILEGE:
            raise
        role = f"of {get_url_variable()}"
        with suppress(QueryError):  # in a transaction that has failed, nothing can be asked any more
            role = str(database.query("select current_user::text as role")["role"][0])
        raise CatalogHiddenError(role, error.reason) from error


def get_table_names(database: PostgresDB | None = None) -> list[tuple[str, str]]:
    """Schema and name of every table and view, in their order, without alembic's own and the parts of a table."""
    tables_df = (database or PostgresDB()).query(TABLE_NAMES_SQL)
    return list(tables_df.itertuples(index=False, name=None))


def to_rows(df: pd.DataFrame) -> list[CatalogRow]:
    """The rows as dicts of Python's own values, NULL as None."""
    # Column by column: DataFrame.to_dict takes fifty times as long.
    names = [str(name) for name in df.columns]
    values = (df[name].array.to_numpy(dtype="object", na_value=None).tolist() for name in names)
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
