{{ config(
    incremental_strategy='tails_anew',
    unique_key=['imei', 'start_time'],
    takes_from=['trips', 'parking_events'],
    starts_over_with=['operating_rules'],
    carries_vehicles=true,
    indexes=[{'columns': ['vehicle_id', 'start_time']}],
) }}

with

vehicles as (

    select * from {{ ref('dim_vehicles') }}

),

news as (

    {% for table in ['trips', 'parking_events'] -%}
    select
        new_{{ table }}.imei,
        new_{{ table }}.start_time
    from (
        {{ news_of(table) }}
    ) as new_{{ table }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

touched as (

    -- News change nothing before the state that held when they begin; silence before
    -- them may turn out to be shorter, so that the state before it counts.
    select
        news.imei,
        {% if is_incremental() -%}
        coalesce(
            (
                select max(known.start_time)
                from {{ this }} as known
                where
                    known.imei = news.imei
                    and known.start_time < min(news.start_time)
                    and known.state != 'no_signal'
            ),
            '-infinity'
        )
        {%- else -%}
        '-infinity'::timestamptz
        {%- endif %} as first_time
    from news
    group by news.imei

),

driven as (

    select
        touched.imei,
        touched.first_time,
        trip.start_time,
        trip.end_time,
        'driving' as state
    from touched
    inner join {{ ref('trips') }} as trip
        on
            touched.imei = trip.imei
            -- No trip lasts a day: of those that begin before, none else reaches over.
            and touched.first_time - interval '1 day' <= trip.start_time

),

stood as (

    -- Stops of a kind follow each other: of those before only the newest reaches over.
    select
        touched.imei,
        touched.first_time,
        stop.start_time,
        stop.end_time,
        case when stop.kind = 'idling' then 'idling' else 'parked' end as state
    from touched
    inner join lateral (
        select begun.* from {{ ref('parking_events') }} as begun
        where
            begun.imei = touched.imei
            and begun.start_time >= touched.first_time
        {% for is_idling in ['true', 'false'] %}
        union all
        (
            select earlier.* from {{ ref('parking_events') }} as earlier
            where
                earlier.imei = touched.imei
                and earlier.start_time < touched.first_time
                and coalesce(earlier.kind = 'idling', false) = {{ is_idling }}
            order by earlier.start_time desc
            limit 1
        )
        {% endfor %}
    ) as stop on true

),

told as (

    select * from driven
    where end_time > greatest(start_time, first_time)
    union all
    select * from stood
    where end_time > greatest(start_time, first_time)

),

edges as (

    select
        told.imei,
        edge.instant,
        sum(edge.step) filter (where told.state = 'driving') as driving_step,
        sum(edge.step) filter (where told.state = 'idling') as idling_step,
        sum(edge.step) filter (where told.state = 'parked') as parked_step
    from told
    inner join lateral (
        values
        (greatest(told.start_time, told.first_time), 1),
        (told.end_time, -1)
    ) as edge (instant, step) on true
    group by told.imei, edge.instant

),

pieces as (

    -- From edge to edge, what is going on: standing inside a trip is standing.
    select
        imei,
        instant,
        lead(instant) over edge_by_edge as next_instant,
        case
            when sum(idling_step) over edge_by_edge > 0 then 'idling'
            when sum(parked_step) over edge_by_edge > 0 then 'parked'
            when sum(driving_step) over edge_by_edge > 0 then 'driving'
        end as told_state
    from edges
    window edge_by_edge as (partition by imei order by instant)

),

filled as (

    -- Nothing told for a short while: it goes on. For long: nobody knows.
    select
        imei,
        instant,
        coalesce(
            told_state,
            case
                when
                    next_instant - instant
                    > {{ rule('fresh_fix_age') }} * interval '1 hour'
                    then 'no_signal'
                else lag(told_state) over (partition by imei order by instant)
            end
        ) as state
    from pieces

),

compared as (

    select
        *,
        lag(state) over (partition by imei order by instant) as state_before,
        max(instant) over (partition by imei) as known_until
    from filled

),

changes as (

    select
        *,
        lead(instant) over (partition by imei order by instant) as end_time
    from compared
    where state is distinct from state_before

),

states as (

    select
        ---------- ids
        changes.imei,
        changes.instant as start_time,
        changes.end_time,
        coalesce(vehicles.vehicle_id, changes.imei) as vehicle_id,
        coalesce(vehicles.is_primary_device, true) as is_primary_device,

        ---------- the state
        changes.state,
        extract(epoch from changes.end_time - changes.instant)::integer as duration_s,
        coalesce(changes.end_time, changes.known_until) as known_until
    from changes
    left join vehicles
        on changes.imei = vehicles.imei

)

select * from states
