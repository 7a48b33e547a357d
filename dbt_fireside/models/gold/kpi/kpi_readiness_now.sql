{{ config(materialized='view') }}

with

devices as materialized (

    -- Materialized, because otherwise each count would compute the freshness of every
    -- device again.
    select
        city,
        cost_centre,
        freshness,
        fix_age_s
    from {{ ref('vehicle_status_now') }}

),

last_sweep as (

    select max(start_time) as sweep_time
    from {{ ref('ingestion_log') }}
    where
        method = 'jimi.user.device.location.list'
        and is_success

),

readiness as (

    select
        ---------- ids
        cut.scope,
        cut.scope_value,

        ---------- measures
        (count(*) filter (where devices.freshness = 'fresh'))::integer as fresh_count,
        (count(*) filter (where devices.freshness = 'stale'))::integer as stale_count,
        (count(*) filter (
            where devices.freshness = 'never_reported'
        ))::integer as never_reported_count,
        (min(devices.fix_age_s) / 60.0)::numeric(12, 1) as newest_fix_age_min,
        (
            extract(epoch from now() - min(last_sweep.sweep_time)) / 60
        )::numeric(12, 1) as last_sweep_age_min
    from devices
    cross join last_sweep
    {{ scopes({'city': 'devices.city', 'cost_centre': 'devices.cost_centre'}) }}
    group by cut.scope, cut.scope_value

)

select * from readiness
