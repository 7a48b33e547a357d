"""Accounts, devices and other values, read from the newest answers that raw holds."""

from collections import defaultdict
from collections.abc import Iterator

import psycopg

from loader.slicing import text_at

# The newest successful call of each request to an endpoint, in loads that are complete.
NEWEST_CALLS = """
    select distinct on (request) request, _dlt_load_id
    from raw.api_calls
    where
        endpoint = %(endpoint)s
        and code = '0'
        and _dlt_load_id in (select load_id from raw.complete_loads)
    order by request, started_at desc
"""


def accounts(connection: psycopg.Connection, root: str) -> list[str]:
    """The account `root` and all accounts below it, each after its parent."""
    children = defaultdict(list)
    for parent, child in _bodies(connection, "child_list", "target"):
        children[parent].append(text_at(child, "account"))
    tree = [root]
    for account in tree:
        tree += [child for child in children[account] if child and child not in tree]
    return tree


def devices(connection: psycopg.Connection, tree: list[str]) -> dict[str, str]:
    """IMEI -> account of each device that the device lists of these accounts contain."""
    rows = connection.execute(
        f"""
        with newest as ({NEWEST_CALLS})
        select distinct on (device_list.imei)
            device_list.imei, asked.account
        from raw.device_list
        inner join newest using (request, _dlt_load_id)
        cross join lateral (select device_list.request::jsonb ->> 'target' as account) as asked
        where device_list.imei is not null and asked.account = any(%(tree)s)
        -- A device that two accounts list belongs to the one further down the tree.
        order by device_list.imei, array_position(%(tree)s, asked.account) desc
        """.encode(),
        {"endpoint": "device_list", "tree": tree},
    )
    return dict(rows.fetchall())


def values(connection: psycopg.Connection, table: str, name: str) -> list[tuple[str, str]]:
    """(value, account) of the field `name` in a table of raw, sorted by value."""
    found = {
        (text_at(body, name), account) for account, body in _bodies(connection, table, "account")
    }
    return sorted((value, account) for value, account in found if value)


def _bodies(connection: psycopg.Connection, table: str, asked: str) -> Iterator[tuple[str, bytes]]:
    """The parameter `asked` of the request, and the record, of each newest answer in this table."""
    rows = connection.execute(
        f"""
        with newest as ({NEWEST_CALLS})
        select request::jsonb ->> %(asked)s, body
        from raw.{table}
        inner join newest using (request, _dlt_load_id)
        """.encode(),
        {"endpoint": table, "asked": asked},
    )
    return ((value, body.encode()) for value, body in rows)
