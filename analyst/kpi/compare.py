"""Compares gold with a scratch schema: per table, and per KPI and city.

This file is longer than 200 lines: a query and the class of its rows are read together.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import psycopg
from psycopg import sql

from analyst.kpi.catalogue import Catalogue

BUILT = """
    select relname from pg_class
    where relnamespace = %s::regnamespace and relkind in ('r', 'p', 'v')
"""
# Types without an order (polygon, json) and columns whose type changed are compared as text.
COMMON_COLUMNS = """
    select
        old.attname,
        old_type.typcategory = new_type.typcategory
        and old_type.typcategory in ('B', 'D', 'N', 'S', 'T')
    from pg_attribute as old
    inner join pg_attribute as new on old.attname = new.attname
    inner join pg_type as old_type on old.atttypid = old_type.oid
    inner join pg_type as new_type on new.atttypid = new_type.oid
    where
        old.attrelid = %s::regclass and new.attrelid = %s::regclass
        and old.attnum > 0 and new.attnum > 0
        and not old.attisdropped and not new.attisdropped
    order by old.attnum
"""
PAIRED = """
    with paired as (
        select
            kpi_id,
            scope,
            scope_value,
            day,
            coalesce(old.day_start, new.day_start) + interval '1 day' <= now() as is_over,
            old.value as old_value,
            new.value as new_value,
            old.day is null as is_added,
            new.day is null as is_gone
        from dwh_gold.kpi_values as old
        full join {scratch}.kpi_values as new using (kpi_id, scope, scope_value, day)
        where scope in ('fleet', 'city')
    )
"""
# Show the newest day that is over, as today is incomplete.
CHANGES = """
    select
        kpi_id,
        scope_value,
        count(*) filter (where is_added) as added,
        count(*) filter (where is_gone) as gone,
        count(*) filter (
            where not is_added and not is_gone and old_value is distinct from new_value
        ) as changed,
        (array_agg(day order by is_over desc, day desc))[1] as newest_day,
        (array_agg(old_value order by is_over desc, day desc))[1] as old_value,
        (array_agg(new_value order by is_over desc, day desc))[1] as new_value
    from paired
    group by kpi_id, scope, scope_value
    having bool_or(is_added or is_gone or old_value is distinct from new_value)
    order by kpi_id asc, scope desc, scope_value asc
"""
# Ranked by relative change, so that km and per cent are comparable.
LARGEST = """
    , shared as (
        select
            *,
            abs(new_value - old_value) / greatest(abs(old_value), abs(new_value)) as share
        from paired
        where old_value != new_value
    ),

    largest as (
        select distinct on (kpi_id) *
        from shared
        order by kpi_id asc, share desc, day desc, scope desc, scope_value asc
    )

    select kpi_id, scope_value, day, old_value, new_value
    from largest
    order by share desc, kpi_id asc
    limit %s
"""


@dataclass(frozen=True)
class TableChange:
    """Numbers of rows that would be added, removed and changed.

    In a table without a primary key a changed row counts as added and as gone.
    """

    name: str
    added: int
    gone: int
    changed: int

    @property
    def differs(self) -> bool:
        return bool(self.added or self.gone or self.changed)


@dataclass(frozen=True)
class KpiChange:
    """Numbers of days of a KPI in a city, or the fleet, that would be added, gone and changed.

    `old_value` and `new_value` are of `newest_day`.
    """

    kpi_id: str
    city: str
    added: int
    gone: int
    changed: int
    newest_day: date
    old_value: Decimal | None
    new_value: Decimal | None


@dataclass(frozen=True)
class ValueChange:
    """One value before and after."""

    kpi_id: str
    city: str
    day: date
    old_value: Decimal
    new_value: Decimal


def table_changes(
    connection: psycopg.Connection,
    gold: Catalogue,
    project: Catalogue,
    scratch: str,
    passed_over: Collection[str],
) -> list[TableChange]:
    """Compare each table of the scratch schema with its table in gold or staging.

    `gold` and `project` are the catalogues before and after the change; `passed_over` names tables
    that are left out.
    """
    built = sorted(name for (name,) in connection.execute(BUILT.encode(), [scratch]))
    return [
        _compare(connection, gold, project, scratch, name)
        for name in built
        if name not in passed_over
    ]


def kpi_changes(connection: psycopg.Connection, scratch: str) -> list[KpiChange]:
    """Return the KPIs and cities whose values differ."""
    query = sql.SQL(PAIRED + CHANGES).format(scratch=sql.Identifier(scratch))
    return [KpiChange(*row) for row in connection.execute(query)]


def largest(connection: psycopg.Connection, scratch: str, limit: int = 10) -> list[ValueChange]:
    """Return the largest relative difference of each KPI, the worst `limit` of them."""
    query = sql.SQL(PAIRED + LARGEST).format(scratch=sql.Identifier(scratch))
    return [ValueChange(*row) for row in connection.execute(query, [limit])]


def _compare(
    connection: psycopg.Connection, gold: Catalogue, project: Catalogue, scratch: str, name: str
) -> TableChange:
    new = sql.Identifier(scratch, name)
    if name not in gold.tables:
        (count,) = connection.execute(sql.SQL("select count(*) from {}").format(new)).fetchall()[0]
        return TableChange(name, count, 0, 0)
    old = sql.Identifier(gold.tables[name].schema, name)
    ids = [identifier.as_string(connection) for identifier in (old, new)]
    columns = connection.execute(COMMON_COLUMNS.encode(), ids).fetchall()
    key = gold.tables[name].key
    has_key = key and key == project.tables[name].key
    query = _by_key(columns, key) if has_key else _by_content(columns)
    row = connection.execute(query.format(old=old, new=new)).fetchone()
    assert row is not None
    return TableChange(name, *row)


def _by_key(columns: list[tuple[str, bool]], key: tuple[str, ...]) -> sql.SQL:
    """Return a query that counts added, removed and changed rows by primary key."""
    different = [
        f'old."{name}" is distinct from new."{name}"'
        if is_comparable
        else f'old."{name}"::text is distinct from new."{name}"::text'
        for name, is_comparable in columns
        if name not in key
    ]
    names = ", ".join(f'"{name}"' for name in key)
    is_new, is_old = f'old."{key[0]}" is null', f'new."{key[0]}" is null'
    return sql.SQL(
        f"""
        select
            count(*) filter (where {is_new}),
            count(*) filter (where {is_old}),
            count(*) filter (
                where not {is_new} and not {is_old} and ({" or ".join(different) or "false"})
            )
        from {{old}} as old
        full join {{new}} as new using ({names})
        """
    )


def _by_content(columns: list[tuple[str, bool]]) -> sql.SQL:
    """Return a query that counts the rows that only one side has, duplicates included."""
    read = ", ".join(
        f'"{name}"' if is_comparable else f'"{name}"::text' for name, is_comparable in columns
    )
    old, new = (f"select {read} from {{{side}}}" for side in ("old", "new"))
    return sql.SQL(
        f"""
        select
            (select count(*) from ({new} except all {old}) as added),
            (select count(*) from ({old} except all {new}) as gone),
            0
        """
    )
