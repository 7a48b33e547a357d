-- FIX-M13
-- Was:    the duration was read from `seconds`, which the answer does not have.
-- Holds:  of the stops of the newest 7 days at most one in ten lacks its duration.

with

recent as (

    select duration_s
    from {{ ref('parking_events') }}
    where start_time > (
        select max(newest.start_time) - interval '7 days'
        from {{ ref('parking_events') }} as newest
    )

),

timed as (

    select
        count(*) as stops_count,
        count(duration_s) as timed_count
    from recent

)

select *
from timed
where timed_count < 0.9 * stops_count
