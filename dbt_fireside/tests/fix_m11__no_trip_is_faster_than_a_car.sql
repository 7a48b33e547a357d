-- FIX-M11
-- Was:    distances were multiplied by 1000, so kilometres became millimetres.
-- Holds:  of the trips of the newest 7 days, at most one in twenty is faster than 250
--         km/h.

with

recent as (

    select
        distance_km,
        driving_time_s
    from {{ ref('trips') }}
    where start_time > (
        select max(newest.start_time) - interval '7 days'
        from {{ ref('trips') }} as newest
    )

),

too_fast as (

    select
        count(*) as trips_count,
        count(*) filter (
            where distance_km > 250 * driving_time_s / 3600.0 + 1
        ) as too_fast_count
    from recent

)

select *
from too_fast
where too_fast_count > trips_count / 20.0
