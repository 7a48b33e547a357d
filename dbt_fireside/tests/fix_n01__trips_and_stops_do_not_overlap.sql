-- FIX-N01
-- Was:    a trip or stop that was reported again with another start, merged or split
--         was counted twice.
-- Holds:  no two trips of a device, and no two stops of one kind, overlap by more than
--         the operating rule report_touch. Checked for the newest 30 days.

with

intervals as (

    select
        'trip' as kind,
        imei,
        start_time,
        end_time
    from {{ ref('trips') }}
    union all
    select
        coalesce(kind, 'stop') as kind,
        imei,
        start_time,
        end_time
    from {{ ref('parking_events') }}

),

recent as (

    select * from intervals
    where start_time > (
        select max(newest.start_time) - interval '30 days'
        from {{ ref('trips') }} as newest
    )

),

compared as (

    select
        *,
        max(end_time) over (
            partition by kind, imei
            order by start_time
            rows between unbounded preceding and 1 preceding
        ) as end_before
    from recent

)

select * from compared
where
    end_time - start_time > {{ rule('report_touch') }} * interval '1 second'
    and end_before - start_time > {{ rule('report_touch') }} * interval '1 second'
