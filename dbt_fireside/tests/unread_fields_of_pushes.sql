-- Warns about fields in the newest pushes that no column reads: one row per table and
-- field. Add a field to macros/vendor_fields.sql once its meaning is known.

{{ config(severity='warn') }}

{% set tables = [
    'obd_readings', 'fuel_readings', 'temperature_readings', 'lbs_readings',
    'fault_codes', 'heartbeats', 'device_events', 'trip_reports',
] %}

with

newest as (

    {% for table in tables -%}
    select
        '{{ table }}' as table_name,
        pushed.extra
    from {{ ref(table) }} as pushed
    where
        pushed.extra is not null
        and pushed.load_id in (
            select offered.load_id
            from {{ offered_loads() }} as offered
            order by offered.load_id desc
            limit 200
        )
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    newest.table_name,
    member.key,
    count(*) as records_count
from newest
cross join lateral jsonb_object_keys(newest.extra) as member (key)
group by newest.table_name, member.key
