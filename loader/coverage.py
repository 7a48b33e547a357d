"""The windows of each device that are missing in raw: the wanted ones minus the answered ones.

The loader keeps no state of its own, so after a kill or an outage it still finds every gap.
"""

from collections import defaultdict
from datetime import datetime, timedelta

import psycopg

from loader.endpoints import Endpoint
from loader.question import Window

# Per device: the windows that complete answers cover.
COVERED = """
    with answered as (
        -- The same batches of devices are asked again and again, so windows are united per batch
        -- before the batch is split into devices.
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

# Per device: the parts of [start, end) that are not covered. A poll (from_first_window) starts at
# the device's first window, or at first_start if it has none.
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

# FIX-M14: devices that may have moved, because the sweep has a newer fix than the trail. gpsTime is
# found by a pattern, because a malformed record must not stop the loader.
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

FIRST_LOOK = timedelta(days=1)  # how far back the first poll of a device goes
HORIZON = timedelta(days=30)  # polls leave older gaps to a backfill


def gaps(
    connection: psycopg.Connection,
    endpoint: Endpoint,
    imeis: list[str],
    start: datetime,
    end: datetime,
) -> dict[str, list[Window]]:
    """For a backfill: the parts of [start, end) that no complete answer covers, by IMEI."""
    return _gaps(connection, endpoint, imeis, start, end, from_first_window=False)


def due(
    connection: psycopg.Connection, endpoint: Endpoint, imeis: list[str], now: datetime
) -> dict[str, list[Window]]:
    """For a poll: the windows up to `now` that are missing since the first poll, by IMEI.

    Each window starts earlier by the endpoint's look-back, to fetch data that came late or has
    changed.
    """
    missing = _gaps(connection, endpoint, imeis, now - HORIZON, now, from_first_window=True)
    if endpoint.only_moved:
        # A device without a new position is not asked about, so its window stays open. A tracker
        # without signal sends its points later: they are still in the window then.
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
            # A window is fetched after it has ended, so earlier calls cannot cover any of it.
            "calls_since": start,
        },
    )
    found: dict[str, list[Window]] = defaultdict(list)
    for imei, lower, upper in rows:
        found[imei].append((lower, upper))
    return dict(found)
