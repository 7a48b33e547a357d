{{ config(materialized='view') }}

with

last_positions as (

    -- job_runs is up to date; ingestion_log is updated only by the next build.
    select
        greatest(
            (
                select job.succeeded_at
                from {{ source('service', 'job_runs') }} as job
                where job.job = 'location_list' and job.rows > 0
            ),
            (
                select max(call.start_time)
                from {{ ref('ingestion_log') }} as call
                where
                    call.method = 'jimi.user.device.location.list'
                    and call.is_success
                    and call.records_count > 0
            )
        ) as newest_time

),

missed as (

    -- There is one sweep per minute (loader/endpoints.py).
    select floor(extract(epoch from now() - newest_time) / 60) as sweeps_count
    from last_positions

),

jobs as (

    select
        count(*) filter (
            where
            job != 'nightly'
            and failures_in_a_row >= {{ rule('alert_job_failures') }}
        ) as failing_jobs_count,
        count(*) filter (
            where
            job = 'nightly'
            and (
                failures_in_a_row > 0
                or coalesce(succeeded_at, started_at)
                < now() - {{ rule('alert_nightly_age') }} * interval '1 hour'
            )
        ) as failed_nights_count
    from {{ source('service', 'job_runs') }}

),

freshness as (

    select count(*) filter (where status like '%error') as stale_sources_count
    from {{ source('service', 'dbt_run_history') }}
    where
        resource_type = 'source'
        and run_id = (
            select newest.run_id
            from {{ source('service', 'dbt_run_history') }} as newest
            where newest.resource_type = 'source'
            order by newest.started_at desc
            limit 1
        )

),

spool as (

    select coalesce(sum(pushes_waiting), 0) as waiting_pushes_count
    from {{ source('service', 'spool_status') }}
    where
        oldest_waiting_at
        < now() - {{ rule('alert_spool_age') }} * interval '1 minute'

),

rejected as (

    select count(*) as records_count
    from {{ ref('rejected_records') }}
    where
        not is_kept
        and fetched_at > now() - interval '1 hour'

),

alerts as (

    select
        'All cities' as city,
        case
            when missed.sweeps_count >= {{ rule('alert_missed_sweeps') }}
                then missed.sweeps_count
            else 0
        end::integer as missed_sweeps_count,
        jobs.failing_jobs_count::integer as failing_jobs_count,
        jobs.failed_nights_count::integer as failed_nights_count,
        freshness.stale_sources_count::integer as stale_sources_count,
        spool.waiting_pushes_count::integer as waiting_pushes_count,
        case
            when rejected.records_count > {{ rule('alert_rejected_records') }}
                then rejected.records_count
            else 0
        end::integer as rejected_records_count
    from missed
    cross join jobs
    cross join freshness
    cross join spool
    cross join rejected

)

select * from alerts
