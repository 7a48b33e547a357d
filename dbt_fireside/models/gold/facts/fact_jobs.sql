{{ config(
    incremental_strategy='upsert_best',
    unique_key=['job_id'],
    reads_from=['jobs'],
    indexes=[{'columns': ['day']}, {'columns': ['closed_time']}],
) }}

{% set job_day = day_of('coalesce(jobs.created_time, jobs.dispatched_time, now())') %}

with

jobs as (

    select
        *,
        coalesce(dispatched_time, created_time) as awaited_from,
        coalesce(
            closed_time,
            coalesce(dispatched_time, created_time)
            + {{ rule('job_match_window') }} * interval '1 hour'
        ) as awaited_to
    from {{ ref('jobs') }}

),

names as (

    -- A job may name a vehicle by its id or by the plate of one of its devices.
    select
        vehicle_id,
        vehicle_id as name,
        1 as rank
    from {{ ref('dim_vehicles') }}
    union all
    select
        vehicle_id,
        vehicle_number as name,
        2 as rank
    from {{ ref('dim_vehicles') }}

),

spellings as (

    select distinct on (spelling)
        {{ plate_key('name') }} as spelling,
        vehicle_id
    from names
    order by spelling asc, rank asc, vehicle_id asc

),

placed as (

    select
        jobs.*,
        vehicles.imei,
        vehicles.vehicle_id,
        coalesce(
            (
                select min(zones.city)
                from {{ ref('dim_zones') }} as zones
                where lower(zones.city) = lower(jobs.city)
            ),
            jobs.city,
            periods.city,
            'Unassigned'
        ) as known_city,
        coalesce(periods.cost_centre, 'Unassigned') as cost_centre,
        array[jobs.service_type, jobs.customer_class, 'default'] as sla_names
    from jobs
    left join spellings
        on
            nullif({{ plate_key('jobs.vehicle') }}, '')
            = spellings.spelling
    left join {{ ref('dim_vehicles') }} as vehicles
        on
            spellings.vehicle_id = vehicles.vehicle_id
            and vehicles.is_primary_device
    left join {{ ref('dim_vehicle_periods') }} as periods
        on
            spellings.vehicle_id = periods.vehicle_id
            and {{ job_day }} >= periods.valid_from
            and {{ job_day }} < periods.valid_to

),

arrivals as (

    select
        placed.*,
        coalesce(placed.arrived_time, stops.start_time) as known_arrived_time,
        case
            when placed.arrived_time is not null then 'job_system'
            when stops.start_time is not null then 'stop'
        end as arrival_source
    from placed
    left join lateral (
        select min(stop.start_time) as start_time
        from {{ ref('parking_events') }} as stop
        where
            stop.imei = placed.imei
            and stop.start_time between placed.awaited_from and placed.awaited_to
            and {{ great_circle_km(
                'stop.latitude', 'stop.longitude', 'placed.latitude', 'placed.longitude'
            ) }} <= {{ rule('job_match_radius') }}
    ) as stops on placed.arrived_time is null

),

repeats as (

    -- A repeat without any time counts, because it may lie in the window.
    select
        repeat_of as job_id,
        min(coalesce(
            created_time, dispatched_time, arrived_time, closed_time, '-infinity'
        )) as first_repeat_time
    from jobs
    where repeat_of != job_id
    group by repeat_of

),

measured as (

    select
        arrivals.*,
        {{ day_of('coalesce(arrivals.created_time, arrivals.dispatched_time)') }}
            as created_day,
        {{ day_of('arrivals.closed_time') }} as closed_day,
        -- Times that contradict each other give null.
        case
            when arrivals.known_arrived_time >= arrivals.awaited_from
                then extract(
                    epoch from arrivals.known_arrived_time - arrivals.awaited_from
                )
        end as response_s,
        case
            when arrivals.closed_time >= arrivals.known_arrived_time
                then extract(
                    epoch from arrivals.closed_time - arrivals.known_arrived_time
                )
        end as repair_s,
        case
            when arrivals.closed_time is not null then coalesce(
                repeats.first_repeat_time
                > arrivals.closed_time + {{ rule('repeat_window') }} * interval '1 day',
                true
            )
        end as is_first_time_fix,
        targets.sla_target_min
    from arrivals
    left join repeats
        on arrivals.job_id = repeats.job_id
    -- The rule for the service type applies, else the rule for the customer class, else
    -- the default rule. In each case a rule of the city comes first. If the rule that
    -- applies has no value, there is no target; the next rule is not used instead.
    left join lateral (
        select rules.value as sla_target_min
        from unnest(arrivals.sla_names) with ordinality as wanted (name, rank)
        inner join {{ ref('operating_rules') }} as rules
            on
                rules.rule = 'sla_arrival_'
                || lower(regexp_replace(wanted.name, '[^A-Za-z0-9]+', '_', 'g'))
        where rules.city is null or rules.city = arrivals.known_city
        order by wanted.rank asc, rules.city asc nulls last
        limit 1
    ) as targets on true

),

fact as (

    select
        ---------- ids
        job_id,
        repeat_of,
        coalesce(closed_day, created_day) as day,
        {{ start_of('coalesce(closed_day, created_day)') }} as day_start,
        created_day,
        closed_day,
        vehicle_id,
        imei,
        technician,

        ---------- groups
        known_city as city,
        cost_centre,
        service_type,
        customer_class,

        ---------- timestamps, UTC
        created_time,
        dispatched_time,
        known_arrived_time as arrived_time,
        closed_time,
        arrival_source,

        ---------- measures
        response_s::integer as response_s,
        repair_s::integer as repair_s,
        is_first_time_fix,
        sla_target_min,
        response_s <= 60 * sla_target_min as is_within_sla,

        ---------- place
        latitude,
        longitude,

        ---------- lineage
        fetched_at as data_as_of
    from measured

)

select fact.* from fact
{% if is_incremental() %}
-- A stop, a repeat, a plate or a rule may change any job, so all jobs are computed.
-- Only the jobs that changed are written.
left join {{ this }} as known
    on fact.job_id = known.job_id
where row(fact.*) is distinct from row(known.*)
{% endif %}
