{{ config(
    incremental_strategy='replace_from_first_change',
    unique_key=['imei', 'start_time'],
    counted=['trips', 'parking_events'],
    reads_from=['trips', 'parking_events'],
    copies_vehicles=true,
    indexes=[{'columns': ['vehicle_id', 'start_time']}],
) }}

with

vehicles as (

    select * from {{ ref('dim_vehicles') }}

),

changed as (

    select
        imei,
        from_time
    from ({{ spans_changed_in(['trips', 'parking_events']) }}) as span
    {%- if has_rows() %}
    union all
    select
        imei,
        '-infinity' as from_time
    from ({{ changed_vehicles() }}) as vehicle
    {%- endif %}

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
                    and known.start_time < min(changed.from_time)
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

recorded as (

    -- FIX-N05: a trip or stop that began before the first changed state may last into
    -- it, however long that is.
    {% for table, state in [
        ('trips', "'driving'"),
        ('parking_events', "case when started.kind = 'idling' then 'idling' else 'parked' end"),
    ] -%}
    select
        changed_devices.imei,
        greatest(started.start_time, changed_devices.first_time) as start_time,
        started.end_time,
        {{ state }} as state
    from changed_devices
    inner join lateral {{ starting_between(
        table,
        'changed_devices.imei',
        'changed_devices.first_time - ' ~ longest(table, 'changed_devices.imei'),
        "'infinity'"
    ) }} as started on true
    where started.end_time > greatest(started.start_time, changed_devices.first_time)
    {{ 'union all' if not loop.last }}
    {% endfor %}

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
        (recorded.start_time, 1),
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
