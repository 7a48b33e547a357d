{{ config(
    incremental_strategy='replace_from_first_change',
    unique_key=['imei', 'start_time'],
    reads_from=['trips', 'parking_events'],
    copies_vehicles=true,
    indexes=[{'columns': ['vehicle_id', 'start_time']}],
) }}

with

vehicles as (

    select * from {{ ref('dim_vehicles') }}

),

changed as (

    {% for table in ['trips', 'parking_events'] -%}
    select
        new_{{ table }}.imei,
        new_{{ table }}.start_time
    from (
        {{ changed_rows_of(table) }}
    ) as new_{{ table }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

changed_devices as (

    -- New trips and stops change nothing before the state in which they begin. They may
    -- shorten a no_signal before them, so the states are computed again from the state
    -- before that no_signal.
    select
        changed.imei,
        {% if is_incremental() -%}
        coalesce(
            (
                select max(known.start_time)
                from {{ this }} as known
                where
                    known.imei = changed.imei
                    and known.start_time < min(changed.start_time)
                    and known.state != 'no_signal'
            ),
            '-infinity'
        )
        {%- else -%}
        '-infinity'::timestamptz
        {%- endif %} as first_time
    from changed
    group by changed.imei

),

driving as (

    select
        changed_devices.imei,
        changed_devices.first_time,
        trip.start_time,
        trip.end_time,
        'driving' as state
    from changed_devices
    inner join {{ ref('trips') }} as trip
        on
            changed_devices.imei = trip.imei
            -- No trip lasts a day, so a trip that began a day earlier ends before
            -- first_time.
            and changed_devices.first_time - interval '1 day' <= trip.start_time

),

stops as (

    -- Stops of one kind do not overlap. So among the earlier stops, only the newest can
    -- last until first_time.
    select
        changed_devices.imei,
        changed_devices.first_time,
        stop.start_time,
        stop.end_time,
        case when stop.kind = 'idling' then 'idling' else 'parked' end as state
    from changed_devices
    inner join lateral (
        select started.* from {{ ref('parking_events') }} as started
        where
            started.imei = changed_devices.imei
            and started.start_time >= changed_devices.first_time
        {% for is_idling in ['true', 'false'] %}
        union all
        (
            select earlier.* from {{ ref('parking_events') }} as earlier
            where
                earlier.imei = changed_devices.imei
                and earlier.start_time < changed_devices.first_time
                and coalesce(earlier.kind = 'idling', false) = {{ is_idling }}
            order by earlier.start_time desc
            limit 1
        )
        {% endfor %}
    ) as stop on true

),

recorded as (

    select * from driving
    where end_time > greatest(start_time, first_time)
    union all
    select * from stops
    where end_time > greatest(start_time, first_time)

),

edges as (

    select
        recorded.imei,
        edge.instant,
        sum(edge.step) filter (where recorded.state = 'driving') as driving_step,
        sum(edge.step) filter (where recorded.state = 'idling') as idling_step,
        sum(edge.step) filter (where recorded.state = 'parked') as parked_step
    from recorded
    inner join lateral (
        values
        (greatest(recorded.start_time, recorded.first_time), 1),
        (recorded.end_time, -1)
    ) as edge (instant, step) on true
    group by recorded.imei, edge.instant

),

pieces as (

    -- Each piece between two edges has one state. A stop during a trip is a stop.
    select
        imei,
        instant,
        lead(instant) over edge_by_edge as next_instant,
        case
            when sum(idling_step) over edge_by_edge > 0 then 'idling'
            when sum(parked_step) over edge_by_edge > 0 then 'parked'
            when sum(driving_step) over edge_by_edge > 0 then 'driving'
        end as recorded_state
    from edges
    window edge_by_edge as (partition by imei order by instant)

),

filled as (

    -- A short gap belongs to the state before it; a long one is no_signal.
    select
        imei,
        instant,
        coalesce(
            recorded_state,
            case
                when
                    next_instant - instant
                    > {{ rule('fresh_fix_age') }} * interval '1 hour'
                    then 'no_signal'
                else lag(recorded_state) over (partition by imei order by instant)
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
