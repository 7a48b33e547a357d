"""Compares the API's devices with the database: missing, gone, silent, fields not filled in."""

from loader.newest_answers import NEWEST_CALLS
from warehouse.database import Database, DatabaseError

COLUMNS = ("finding", "imei", "device", "account", "detail")

# The command polls first: raw.device_list then has the API's devices, and tracksolid.devices has
# those of the last build.
FINDINGS = f"""
    with newest as ({NEWEST_CALLS}),

    in_api as (
        select device_list.imei, min(device_list.request::jsonb ->> 'target') as account
        from raw.device_list
        inner join newest using (request, _dlt_load_id)
        where device_list.imei is not null
        group by device_list.imei
    ),

    known as (
        select devices.*, status.freshness, status.gps_time
        from tracksolid.devices
        left join dwh_gold.vehicle_status_now as status using (imei)
    ),

    findings as (
        select 'not in database' as finding, imei, account, 'run orchestrate.py build' as detail
        from in_api
        where not exists (select from known where known.imei = in_api.imei)

        union all

        select 'not in API', imei, account, 'left the account, or its account left the tree'
        from known
        where not exists (select from in_api where in_api.imei = known.imei)

        union all

        select 'never reported', imei, account, 'check SIM and activation'
        from known
        where freshness = 'never_reported'

        union all

        select 'stale', imei, account, to_char(gps_time, '"newest fix" YYYY-MM-DD HH24:MI UTC')
        from known
        where freshness = 'stale'

        union all

        select 'no ' || lack, imei, account, 'set it in Tracksolid; the nightly sync brings it'
        from known
        cross join lateral unnest(array_remove(array[
            case when driver_name is null then 'driver name' end,
            case when vehicle_number is null then 'plate' end,
            case when sim is null then 'SIM number' end
        ], null)) as lack
    )

    select
        findings.finding, findings.imei, known.device_name, findings.account, findings.detail
    from findings
    left join known using (imei)
    order by findings.finding, known.device_name, findings.imei
"""


def findings(database: Database) -> list[tuple[str | None, ...]]:
    """Return a row per device and finding, with the values of COLUMNS.

    Raises DatabaseError if gold was never built.
    """
    with database.connect() as connection:
        built = connection.execute("select to_regclass('dwh_gold.vehicle_status_now')").fetchone()
        if built is None or built[0] is None:
            raise DatabaseError("there is nothing to compare with yet: run orchestrate.py build")
        return connection.execute(FINDINGS.encode(), {"endpoint": "device_list"}).fetchall()
