-- FIX-M13
-- Was:    the parking request lacked acc_type and account, so the answer was empty; and
--         the duration was read from `seconds`, which the answer does not have.
-- Holds:  of the polled stops of the newest 7 days, at most one in ten lacks its
--         duration. If there are 20 trips or more and a parking call succeeded, there
--         are parked stops.

with

since as (

    select max(start_time) - interval '7 days' as start_time
    from {{ ref('trips') }}
    where source = 'poll'

),

trips as (

    select count(*) as trips_count
    from {{ ref('trips') }}
    where
        source = 'poll'
        and start_time > (select since.start_time from since)

),

stops as (

    select
        count(*) as stops_count,
        count(duration_s) as timed_count,
        count(*) filter (where kind = 'parked') as parked_count
    from {{ ref('parking_events') }}
    where
        source = 'poll'
        and start_time > (select since.start_time from since)

)

select
    stops.*,
    trips.trips_count
from stops
cross join trips
where
    stops.timed_count < 0.9 * stops.stops_count
    or (
        stops.parked_count = 0
        and trips.trips_count >= 20
        and exists (
            select from {{ ref('ingestion_log') }} as asked
            where
                -- Only calls for parked stops count; idling has its own calls.
                asked.endpoint = 'parking_report'
                and asked.is_success
                and asked.window_end_time > (select since.start_time from since)
        )
    )
