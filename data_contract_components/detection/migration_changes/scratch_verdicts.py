"""What PostgreSQL says of the consumers' queries in a scratch database, where they can be tried and nothing is lost."""

from collections.abc import Mapping

import psycopg2
from psycopg2.extensions import cursor

from data_contract_components.contract_definition.contract_spec import ConsumerQuery, Contract
from data_contract_components.data_assets._query_postgres_helper import INSUFFICIENT_PRIVILEGE
from data_contract_components.data_assets._scratch_databases import ScratchDatabase
from data_contract_components.detection._consumer_queries import (
    ROLLBACK_SQL,
    ConsumerState,
    Verdict,
    find_queries,
    get_automatic_columns,
    is_undecided,
    judge_queries,
    make_name,
    make_refusal,
    prepared,
)

PARAMETER_TYPES_SQL = "select parameter_types::text[] from pg_catalog.pg_prepared_statements where name = %s"
# The view's columns, and then what its rule depends on, which is what the view reads.
VIEW_SQL = """
select null, null, attname || ' ' || pg_catalog.format_type(atttypid, atttypmod), attnum
from pg_catalog.pg_attribute
where attrelid = %(view)s::pg_catalog.regclass
union all
select distinct pg_namespace.nspname::text, pg_class.relname::text, pg_attribute.attname::text, null::smallint
from pg_catalog.pg_rewrite
join pg_catalog.pg_depend
    on pg_depend.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and pg_depend.objid = pg_rewrite.oid
join pg_catalog.pg_class
    on pg_depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and pg_class.oid = pg_depend.refobjid
join pg_catalog.pg_namespace on pg_namespace.oid = pg_class.relnamespace
left join pg_catalog.pg_attribute
    on pg_attribute.attrelid = pg_class.oid and pg_attribute.attnum = pg_depend.refobjsubid
    and pg_depend.refobjsubid <> 0
where pg_rewrite.ev_class = %(view)s::pg_catalog.regclass and pg_class.oid <> pg_rewrite.ev_class
order by 4, 1, 2, 3
"""
IS_SUPERUSER_SQL = "select rolsuper from pg_catalog.pg_roles where rolname operator(pg_catalog.=) current_user"

# The same schemas for another role, which has another "$user".
KEEP_SCHEMAS_SQL = """
select pg_catalog.set_config('search_path', coalesce(string_agg(quote_ident(name), ', ' order by position), ''), true)
from unnest(pg_catalog.current_schemas(false)) with ordinality as schemas (name, position)
"""


def get_scratch_state(*contracts: Mapping[str, Contract], database: ScratchDatabase) -> ConsumerState:
    """What the database says, after its migrations. Readers' queries are not run, and everything is rolled back.

    Raises: UndecidedQueryError; QueryError; DatabaseUnavailableError.
    """
    verdicts = judge_queries(find_queries(*contracts), database.url, judge_in_scratch_database, may_write=True)
    return ConsumerState(verdicts, get_automatic_columns(*contracts, url=database.url))


def judge_in_scratch_database(open_cursor: cursor, query: ConsumerQuery) -> Verdict:
    """The verdict in an open transaction, which is as before afterwards."""
    with prepared(open_cursor, query) as (name, statement, refusal):
        if refusal:
            return Verdict(refusal)
        types: list[str] = []
        if statement.has_parameters:
            open_cursor.execute(PARAMETER_TYPES_SQL, (name,))
            ((types,),) = open_cursor.fetchall()
        if query.role == "reader":
            return _analyse(open_cursor, statement.render(lambda number: f"cast(null as {types[number - 1]})"))
        if types:
            return Verdict(not_tried="its parameters have no values")
        return _try(open_cursor, query, name)


def _analyse(open_cursor: cursor, sql: str) -> Verdict:
    """The result's columns, and what the query reads, by way of a view."""
    view = make_name()
    names: list[str] = []
    try:
        try:
            open_cursor.execute(f"create temporary view {view} as {sql}")
        except psycopg2.errors.DuplicateColumn:
            open_cursor.execute(ROLLBACK_SQL)
            # A view has no two columns of one name, and a result may have.
            open_cursor.execute(f"declare {view} no scroll cursor for {sql}")
            open_cursor.execute(f"fetch 0 from {view}")
            names = [column.name for column in open_cursor.description or ()]
            aliases = ", ".join(f"column_{number}" for number in range(len(names)))
            open_cursor.execute(f"create temporary view {view} ({aliases}) as {sql}")
        open_cursor.execute(VIEW_SQL, {"view": f"pg_temp.{view}"})
    except psycopg2.Error as error:
        if error.pgcode is None:
            raise
        # No view can be made of it, as of one that changes rows in a WITH.
        return Verdict()
    rows = open_cursor.fetchall()
    columns = [text for *_, text, number in rows if number is not None]
    if names:
        columns = [f"{name} {text.partition(' ')[2]}" for name, text in zip(names, columns, strict=True)]
    return Verdict(columns=tuple(columns), reads=frozenset(tuple(row[:3]) for row in rows if row[3] is None))


def _try(open_cursor: cursor, query: ConsumerQuery, name: str) -> Verdict:
    """The verdict of running a writer's query, with the constraints that are deferred."""
    try:
        _leave_superuser(open_cursor)
        if query.rows:
            try:
                open_cursor.execute(query.rows)
            except psycopg2.Error as error:
                return Verdict(not_tried=f"the rows that it needs are refused: {error.diag.message_primary or error}")
        open_cursor.execute(f"execute {name}")
        open_cursor.execute("set constraints all immediate")
        return Verdict()
    except psycopg2.Error as error:
        if error.pgcode is None:
            raise
        if is_undecided(error.pgcode) and error.pgcode != INSUFFICIENT_PRIVILEGE:  # which a policy of rows gives, too
            return Verdict(not_tried=f"{error.diag.message_primary} (SQL state {error.pgcode})")
        return Verdict(failure=make_refusal(error, query.statement))


def _leave_superuser(open_cursor: cursor) -> None:
    """Until the savepoint is rolled back, the role is none that may do everything: one that may read and write rows.

    The role is created for that, and nobody else ever sees it. Where the current role is no superuser, it stays.
    """
    open_cursor.execute(IS_SUPERUSER_SQL)
    ((is_superuser,),) = open_cursor.fetchall()
    if is_superuser:
        role = make_name()
        # Within the savepoint of one query, as it locks the other two roles.
        open_cursor.execute(f"create role {role} in role pg_read_all_data, pg_write_all_data")
        open_cursor.execute(KEEP_SCHEMAS_SQL)
        open_cursor.execute(f"set local role {role}")
