{{ config(materialized='view') }}

with

events as (

    -- Recent events, found by columns with an index.
    select
        alarms.city,
        alarms.alarm_class as kind
    from {{ ref('fact_alarms') }} as alarms
    where
        alarms.severity = 'high'
        and alarms.alarm_time
        > now() - {{ rule('alert_event_age') }} * interval '1 minute'
    union all
    select
        trips.city,
        'after-hours trip' as kind
    from {{ ref('fact_trips') }} as trips
    where
        trips.is_primary_device
        and trips.is_after_hours
        and trips.day_start > now() - interval '3 days'
        and trips.end_time
        > now() - {{ rule('alert_event_age') }} * interval '1 minute'

),

-- Every city has a row, even without events, because Grafana treats a missing row as
-- "no data".
cities as (

    select city
    from {{ ref('dim_zones') }}
    where kind = 'city'
    union
    select city
    from {{ ref('dim_vehicles') }}
    union
    select 'Unassigned' as city

),

alerts as (

    select
        cities.city,
        (count(*) filter (where events.kind = 'after-hours trip'))::integer
            as after_hours_trips_count,
        (count(*) filter (where events.kind = 'power'))::integer as power_cuts_count,
        (count(*) filter (where events.kind = 'sos'))::integer as sos_alarms_count,
        (count(*) filter (where events.kind = 'tamper'))::integer as tamper_alarms_count
    from cities
    left join events
        on cities.city = events.city
    group by cities.city

)

select * from alerts
