"""What raw already knows: accounts, devices, and which windows were fetched for which device.

The loader keeps no state of its own. After a kill or an outage, what is missing is what raw
does not hold: asked windows minus the windows of completed answers.
"""

from collections import defaultdict
from datetime import datetime, timedelta

import psycopg

from loader.ask import Window
from loader.endpoints import Endpoint

# Newest completed answer per request, of loads that count.
NEWEST_CALLS = """
    select distinct on (request) request, _dlt_load_id
    from raw.api_calls
    where
        endpoint = %(endpoint)s
        and code = '0'
        and _dlt_load_id in (select load_id from raw.complete_loads)
    order by request, started_at desc
"""

COVERED = """
    with answered as (
        -- Batches repeat, so the windows are united per batch before it is taken apart.
        select imeis, range_agg(tstzrange(window_start, window_end)) as windows
        from raw.api_calls
        where
            endpoint = %(endpoint)s
            and started_at >= %(calls_since)s
            and not exists (
                select from raw.remade_tables
                where table_name = %(table)s and made_at > api_calls.started_at
            )
            and window_end > %(start)s
            and window_start < %(end)s
            and _dlt_load_id in (select load_id from raw.complete_loads)
        group by imeis
    )
    select imei, range_agg(windows) as windows
    from answered
    cross join lateral unnest(string_to_array(imeis, ',')) as imei
    group by imei
"""

GAPS = f"""
    with covered as ({COVERED}),

    wanted as (
        select
            device.imei,
            covered.windows,
            case
                when not %(from_first_window)s then %(start)s
                when covered.windows is null then %(first_start)s
                else greatest(%(start)s, lower(covered.windows))
            end as start
        from unnest(%(imeis)s::text[]) as device (imei)
        left join covered using (imei)
    )

    select wanted.imei, lower(gap), upper(gap)
    from wanted
    cross join lateral unnest(
        tstzmultirange(tstzrange(wanted.start, %(end)s))
        - coalesce(wanted.windows, '{{}}'::tstzmultirange)
    ) as gap
    order by 1, 2
"""

# FIX-M14: any vehicle whose fix is newer than what its last trail covered can have moved. The
# one vendor field the loader looks at, found by pattern so that no poison can stop it.
MOVED = """
    select device.imei
    from unnest(%(imeis)s::text[], %(since)s::timestamptz[]) as device (imei, since)
    where exists (
        select 1
        from raw.location_list
        where
            location_list.imei = device.imei
            and location_list.fetched_at >= device.since
            and substring(location_list.body from '"gpsTime"\\s*:\\s*"([^"]*)"')
            >= to_char(device.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
    )
"""

FIRST_LOOK = timedelta(days=1)  # how far a poll looks back when it never asked before
HORIZON = timedelta(days=30)  # gaps older than this are for backfill


def accounts(connection: psycopg.Connection, root: str) -> list[str]:
    """The account tree below and with `root`, as the newest answers tell it."""
    children = defaultdict(list)
    for parent, child in connection.execute(
        f"""
        with newest as ({NEWEST_CALLS})
        select
            child_list.request::jsonb ->> 'target',
            substring(child_list.body from '"account"\\s*:\\s*"([^"]*)"')
        from raw.child_list
        inner join newest using (request, _dlt_load_id)
        """.encode(),
        {"endpoint": "child_list"},
    ):
        children[parent].append(child)
    tree = [root]
    for account in tree:
        tree += [child for child in children[account] if child and child not in tree]
    return tree


def devices(connection: psycopg.Connection, tree: list[str]) -> dict[str, str]:
    """IMEI -> account, each device once, as the newest device lists of these accounts tell it."""
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
    """(value, account) of a named field in the newest answers of an endpoint."""
    rows = connection.execute(
        f"""
        with newest as ({NEWEST_CALLS})
        select distinct
            substring(body from '"' || %(name)s || '"\\s*:\\s*"([^"]*)"') as value,
            request::jsonb ->> 'account' as account
        from raw.{table}
        inner join newest using (request, _dlt_load_id)
        order by 1
        """.encode(),
        {"endpoint": table, "name": name},
    )
    return [(value, account) for value, account in rows if value]


def gaps(
    connection: psycopg.Connection,
    endpoint: Endpoint,
    imeis: list[str],
    start: datetime,
    end: datetime,
) -> dict[str, list[Window]]:
    """Per device, the parts of [start, end) that no completed answer covers: for a backfill."""
    return _gaps(connection, endpoint, imeis, start, end, from_first_window=False)


def due(
    connection: psycopg.Connection, endpoint: Endpoint, imeis: list[str], now: datetime
) -> dict[str, list[Window]]:
    """Per device, the windows a poll should ask for: what is missing since it first asked.

    Each reaches back by the endpoint's look-back, for what the vendor completed or got late.
    """
    missing = _gaps(connection, endpoint, imeis, now - HORIZON, now, from_first_window=True)
    if endpoint.only_moved:
        # Who sent nothing new is not asked, so that points which a tracker stored while it had
        # no signal, and sends later, still lie in the window of the first trail after that.
        since = {imei: spans[0][0] for imei, spans in missing.items()}
        rows = connection.execute(
            MOVED.encode(), {"imeis": list(since), "since": list(since.values())}
        )
        missing = {imei: missing[imei] for (imei,) in rows}
    return {
        imei: [(start - endpoint.look_back, end) for start, end in spans]
        for imei, spans in missing.items()
    }


def _gaps(
    connection: psycopg.Connection,
    endpoint: Endpoint,
    imeis: list[str],
    start: datetime,
    end: datetime,
    *,
    from_first_window: bool,
) -> dict[str, list[Window]]:
    rows = connection.execute(
        GAPS.encode(),
        {
            "endpoint": endpoint.name,
            "table": endpoint.table,
            "imeis": imeis,
            "start": start,
            "end": end,
            "first_start": end - FIRST_LOOK,
            "from_first_window": from_first_window,
            # A window is asked for after it has ended; nothing older can cover it.
            "calls_since": start,
        },
    )
    found: dict[str, list[Window]] = defaultdict(list)
    for imei, lower, upper in rows:
        found[imei].append((lower, upper))
    return dict(found)
