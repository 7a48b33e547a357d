"""The demo's last page: rows per table, seconds per stage, yesterday's fleet by city."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from analyst.values import number
from loader.fetcher import Summary
from operations.cli.tables import print_table, say
from settings import Settings
from warehouse.database import Database

COUNTED = (
    "devices",
    "position_history",
    "trips",
    "parking_events",
    "alarms",
    "heartbeats",
    "obd_readings",
    "fuel_readings",
    "temperature_readings",
    "device_events",
)
# The newest day that is over; of recordings, which may be old, the last day with a trip.
YESTERDAY = """
    select coalesce(
        max(day) filter (where day < (now() at time zone %(zone)s)::date),
        max(day)
    )
    from dwh_gold.fact_daily_fleet_metrics
    where trips_count > 0
"""

FLEET = """
    with readiness as (
        select
            city,
            count(*) filter (where freshness = 'fresh') as fresh,
            count(*) filter (where freshness = 'stale') as stale,
            count(*) filter (where freshness = 'never_reported') as never_reported
        from dwh_gold.vehicle_status_now
        group by city
    ),

    activity as (
        select scope_value as city, used.*, health.alarms_count
        from dwh_gold.kpi_fleet_utilisation_daily as used
        inner join dwh_gold.kpi_vehicle_health_daily as health
            using (day, scope, scope_value)
        where day = %(day)s and scope = 'city'
    )

    select
        city, vehicles_count, moved_count, distance_km, driving_h, idle_h, alarms_count,
        coalesce(fresh, 0), coalesce(stale, 0), coalesce(never_reported, 0)
    from activity
    full join readiness using (city)
    order by vehicles_count desc nulls last, city
"""
FLEET_HEADINGS = (
    "city", "vehicles", "moved", "km", "driving h", "idle h", "alarms",
    "fresh", "stale", "never reported",
)  # fmt: skip
NEXT_STEPS = """\
  make docs DB={db}    all KPIs and tables: public/index.html
  .venv/bin/python orchestrate.py kpi list --db {db}
  make psql DB={db}    then, for instance:
    select * from dwh_gold.vehicle_days order by distance_km desc limit 10;"""


def row_counts(database: Database) -> dict[str, int]:
    """Return the number of rows of each table of raw, and of the tables COUNTED of tracksolid."""
    with database.connect() as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables"
            " where schemaname = 'raw' and tablename !~ '^_dlt'"
            " or schemaname = 'tracksolid' and tablename = any(%s) order by 1, 2",
            [list(COUNTED)],
        ).fetchall()
        counts = {}
        for schema, table in tables:
            name = f"{schema}.{table}"
            row = connection.execute(f"select count(*) from {name}".encode()).fetchone()
            counts[name] = row[0] if row else 0
    return counts


def show(
    settings: Settings,
    database: Database,
    summaries: list[Summary],
    before: dict[str, int],
    took: dict[str, float],
) -> None:
    """Print the rows that the demo landed, how long it took, and yesterday's fleet by city.

    `before` has the row counts from before the demo, `took` the seconds per stage, `summaries` the
    results of the polls.
    """
    with database.connect() as connection:
        values = {"zone": settings.fleet_timezone}
        row = connection.execute(YESTERDAY.encode(), values).fetchone()
        day: date | None = row[0] if row else None
        fleet = connection.execute(FLEET.encode(), {"day": day}).fetchall()
    print_rows(row_counts(database), before)
    stages = [(stage, f"{seconds:.1f}") for stage, seconds in took.items()]
    print_table(("stage", "seconds"), stages, "Time", right=["seconds"])
    print_fleet(day, fleet)
    for summary in summaries:
        for fault in summary.errors:
            say(f"not loaded: {fault}", style="red")
    say("Where to look next", style="bold")
    for line in NEXT_STEPS.format(db=database.name).splitlines():
        say(line, is_whole=True)


def print_rows(counts: dict[str, int], before: dict[str, int]) -> None:
    """Print the number of rows of each table that has any, now and since `before`."""
    landed = [
        (table, f"{rows:,}", f"{rows - before.get(table, 0):,}")
        for table, rows in counts.items()
        if rows
    ]
    title = "Rows: raw keeps every delivery, tracksolid has each thing once"
    print_table(("table", "rows", "new"), landed, title, right=("rows", "new"))
    empty = len(counts) - len(landed)
    say(f"{empty} other tables of raw are empty: this fleet has no such pushes or imports.\n")


def print_fleet(day: date | None, fleet: Sequence[Sequence[object]]) -> None:
    """Print a row per city, with the columns of FLEET_HEADINGS."""
    title = f"The fleet on {day:%A, %d %B %Y}" if day else "No trips"
    cells = [[_cell(value) for value in row] for row in fleet]
    print_table(FLEET_HEADINGS, cells, title, right=FLEET_HEADINGS[1:])


def _cell(value: object) -> str:
    """Return the text of a cell: counts are whole, km and hours have one decimal."""
    if value is None or isinstance(value, Decimal):
        return number(value, 1)
    return f"{value:,}" if isinstance(value, int) else str(value)
