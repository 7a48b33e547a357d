{{ config(indexes=[{'columns': ['scope', 'scope_value', 'day']}]) }}

with

jobs as (

    select
        fact_jobs.*,
        cut.scope,
        cut.scope_value
    from {{ ref('fact_jobs') }} as fact_jobs
    {{ scopes({
        'city': 'fact_jobs.city',
        'cost_centre': 'fact_jobs.cost_centre',
        'vehicle': 'fact_jobs.vehicle_id',
        'technician': 'fact_jobs.technician',
    }) }}

),

imported as (

    -- The imported files cover the days from the first closed job to the last event.
    -- (An old job that is still open says nothing about the days after it.)
    select
        coalesce(min(closed_day), min(created_day)) as first_day,
        greatest(max(created_day), max(closed_day)) as last_day
    from {{ ref('fact_jobs') }}

),

days as (

    select
        dates.day,
        dates.day_start,
        dates.day - dates.weekday + 1 as monday,
        coalesce(
            dates.day between imported.first_day and imported.last_day, false
        ) as is_covered
    from {{ ref('dim_dates') }} as dates
    cross join imported

),

first_date as (

    select min(day) as day from days

),

subjects as (

    select
        'fleet' as scope,
        'Fleet' as scope_value
    union
    select
        scope,
        scope_value
    from jobs

),

closed as (

    select
        closed_day as day,
        scope,
        scope_value,
        count(*) as jobs_count,
        count(technician) as attributed_jobs_count,
        -- Technicians are counted per city, so that the fleet is the mean of its
        -- cities.
        count(distinct technician || ', ' || city) as technicians_count,
        count(*) filter (where is_first_time_fix) as first_time_fixes_count,
        sum(response_s) as response_s,
        count(response_s) as responses_count,
        sum(repair_s) as repair_s,
        count(repair_s) as repairs_count,
        count(*) filter (where is_within_sla) as within_sla_count,
        count(is_within_sla) as with_target_count
    from jobs
    where closed_day is not null
    group by closed_day, scope, scope_value

),

week_to_date as (

    select
        days.day,
        closed.scope,
        closed.scope_value,
        sum(closed.jobs_count) as jobs_count,
        100 * sum(closed.first_time_fixes_count) / sum(closed.jobs_count)
            as first_time_fix_pct,
        sum(closed.response_s) / 60 / nullif(sum(closed.responses_count), 0)
            as mtta_min,
        sum(closed.repair_s) / 60 / nullif(sum(closed.repairs_count), 0) as mttr_min,
        100 * sum(closed.within_sla_count) / nullif(sum(closed.with_target_count), 0)
            as sla_compliance_pct
    from days
    inner join closed
        on closed.day between days.monday and days.day
    where days.is_covered
    group by days.day, closed.scope, closed.scope_value

),

changes as (

    -- The number of open jobs changes by the jobs of each day. Earlier jobs count on
    -- the first day.
    select
        jobs.scope,
        jobs.scope_value,
        greatest(jobs.created_day, first_date.day) as day,
        1 as jobs_count
    from jobs
    cross join first_date
    where jobs.created_day is not null
    union all
    select
        jobs.scope,
        jobs.scope_value,
        greatest(jobs.created_day, jobs.closed_day, first_date.day) as day,
        -1 as jobs_count
    from jobs
    cross join first_date
    where
        jobs.created_day is not null
        and jobs.closed_day is not null

),

changed as (

    select
        scope,
        scope_value,
        day,
        sum(jobs_count) as jobs_count
    from changes
    group by scope, scope_value, day

),

measured as (

    select
        ---------- ids
        days.day,
        days.day_start,
        subjects.scope,
        subjects.scope_value,

        ---------- figures of the day
        case when days.is_covered then coalesce(closed.jobs_count, 0) end::integer
            as jobs_closed_count,
        (
            closed.attributed_jobs_count::numeric / nullif(closed.technicians_count, 0)
        )::numeric(9, 2) as jobs_per_technician,
        case
            when days.is_covered
                then coalesce(sum(changed.jobs_count) over (
                    partition by subjects.scope, subjects.scope_value order by days.day
                ), 0)
        end::integer as jobs_open_count,

        closed.attributed_jobs_count::integer as attributed_jobs_count,
        closed.technicians_count::integer as technicians_count,
        closed.first_time_fixes_count::integer as first_time_fixes_count,
        (closed.response_s / 60.0)::numeric(14, 2) as response_min,
        closed.responses_count::integer as responses_count,
        (closed.repair_s / 60.0)::numeric(14, 2) as repair_min,
        closed.repairs_count::integer as repairs_count,
        closed.within_sla_count::integer as within_sla_count,
        closed.with_target_count::integer as with_target_count,

        ---------- figures of the ISO week to date
        week_to_date.first_time_fix_pct::numeric(5, 2) as first_time_fix_pct,
        week_to_date.mtta_min::numeric(12, 2) as mtta_min,
        week_to_date.mttr_min::numeric(12, 2) as mttr_min,
        week_to_date.sla_compliance_pct::numeric(5, 2) as sla_compliance_pct
    from days
    cross join subjects
    left join closed
        on
            days.day = closed.day
            and subjects.scope = closed.scope
            and subjects.scope_value = closed.scope_value
    left join week_to_date
        on
            days.day = week_to_date.day
            and subjects.scope = week_to_date.scope
            and subjects.scope_value = week_to_date.scope_value
    left join changed
        on
            days.day = changed.day
            and subjects.scope = changed.scope
            and subjects.scope_value = changed.scope_value

),

field_service as (

    -- The fleet, cities and cost centres have a row for every day, because kpi_values
    -- needs one. Vehicles and technicians have rows for the weeks of their jobs.
    select *
    from measured
    where
        scope in ('fleet', 'city', 'cost_centre')
        or jobs_open_count > 0
        or first_time_fix_pct is not null

)

select * from field_service
