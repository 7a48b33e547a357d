-- FIX-M13
-- Was:    the request lacked acc_type and account, so the answer was empty.
-- Holds:  every parking call of the newest 7 days has both.

with

recent as (

    select
        call_id,
        {{ json_object('request') }} as request
    from {{ ref('ingestion_log') }}
    where
        method = 'jimi.open.platform.report.parking'
        and start_time > (
            select max(newest.start_time) - interval '7 days'
            from {{ ref('ingestion_log') }} as newest
            where newest.method = 'jimi.open.platform.report.parking'
        )

)

select call_id
from recent
where
    coalesce(request ->> 'acc_type', '') = ''
    or coalesce(request ->> 'account', '') = ''
