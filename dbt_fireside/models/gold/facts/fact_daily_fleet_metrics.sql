{{ config(
    incremental_strategy='upsert_best',
    unique_key=['imei', 'day'],
    reads_from=[
        'trips', 'parking_events', 'alarms', 'position_history', 'heartbeats',
        'fault_codes', 'fuel_readings', 'obd_readings', 'fact_hourly_trail',
    ],
    recomputed_with=['alarm_types'],
    copies_vehicles=true,
    distributed_by='imei',
    indexes=[
        {'columns': ['day_start']},
        {'columns': ['day']},
        {'columns': ['vehicle_id', 'day_start']},
        {'columns': ['cost_centre', 'vehicle_id', 'day_start']},
    ],
) }}

-- depends_on: {{ ref('alarm_reports') }}

{% set alarm_classes = ['harsh_driving', 'speeding', 'power', 'tamper', 'sos'] %}

with

vehicles as (

    select * from {{ ref('dim_vehicles') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

{% if is_incremental() %}

events as (

    select
        imei,
        from_time as first_time,
        to_time as last_time
    from ({{ spans_changed_in(['trips', 'parking_events']) }}) as span
    union all
    {% for table, event_time in [
        ('heartbeats', 'heartbeat_time'),
        ('fault_codes', 'fault_time'),
        ('fuel_readings', 'reading_time'),
        ('obd_readings', 'reading_time'),
    ] -%}
    {{ claimed_spans(table, event_time) }}
    union all
    {% endfor -%}
    select
        imei,
        from_time as first_time,
        to_time as last_time
    from ({{ changed_alarms(copies_vehicles=false) }}) as new_alarms
    union all
    {{ judged_spans() }}

),

changed as (

    select
        imei,
        {{ day_of('min(first_time)') }} as first_day
    from events
    group by imei

),

next_day as (

    select max(day) + 1 as first_day from {{ this }}

),

recomputed_devices as (

    -- All days of a vehicle that is new or has changed are computed again. If dim_dates
    -- now begins earlier, so are all days of all vehicles.
    -- FIX-N05: a first build may come before there is any day, so then too.
    {{ changed_vehicles() }}
    union
    select vehicles.imei
    from vehicles
    where
        (select min(dates.day) from dates)
        < coalesce((select min(fact.day) from {{ this }} as fact), 'infinity')

),

changed_devices as (

    -- A device is computed again from its first changed day to the last day, because a
    -- stop or a last position affects later days. The other devices of its vehicle are
    -- computed again too, because only one of them represents the vehicle on a day.
    select
        vehicles.imei,
        min(
            case
                when recomputed_devices.imei is not null then '-infinity'
                else least(changed.first_day, next_day.first_day)
            end
        ) over (partition by vehicles.vehicle_id) as first_day
    from vehicles
    cross join next_day
    left join changed
        on vehicles.imei = changed.imei
    left join recomputed_devices
        on vehicles.imei = recomputed_devices.imei

),

{% else %}

changed_devices as (

    select
        imei,
        '-infinity'::date as first_day
    from vehicles

),

{% endif %}

device_days as (

    select
        changed_devices.imei,
        dates.day,
        dates.day_start,
        dates.day_end
    from changed_devices
    inner join dates
        on changed_devices.first_day <= dates.day

),

-- The following CTEs read an index by device and time, so their cost depends on the
-- number of rows to compute and not on the length of the history. They are
-- materialized, because otherwise the planner may run one of them again for each row of
-- another.

trip_totals as materialized (

    select
        device_days.imei,
        device_days.day,
        trips.*
    from device_days
    inner join lateral (
        select
            count(*)::integer as trips_count,
            -- FIX-N10: null, and not 0, if no trip of the day has a value.
            coalesce(sum(trip.distance_km), case when count(*) = 0 then 0 end)
                as distance_km,
            coalesce(sum(trip.driving_time_s), case when count(*) = 0 then 0 end)
                as driving_time_s,
            sum(trip.distance_km) filter (where trip.driving_time_s > 0) as timed_km,
            max(trip.max_speed_kmh) as max_speed_kmh,
            min(trip.start_time) as first_movement_time,
            max(trip.end_time) as last_movement_time,
            max(trip.fetched_at) as fetched_at
        from {{ ref('trips') }} as trip
        where
            trip.imei = device_days.imei
            and trip.start_time >= device_days.day_start
            and trip.start_time < device_days.day_end
    ) as trips on true

),

stops as (

    select
        device_days.imei,
        device_days.day,
        device_days.day_start,
        device_days.day_end,
        stop.kind,
        stop.start_time,
        stop.end_time,
        stop.fetched_at
    from device_days
    inner join lateral {{ starting_between(
        'parking_events',
        'device_days.imei',
        'device_days.day_start - ' ~ longest('parking_events', 'device_days.imei'),
        'device_days.day_end'
    ) }} as stop on true
    where
        stop.start_time < device_days.day_end
        and stop.end_time > greatest(stop.start_time, device_days.day_start)

),

stops_in_day as (

    select
        imei,
        day,
        kind,
        fetched_at,
        extract(
            epoch from least(end_time, day_end) - greatest(start_time, day_start)
        ) as duration_s
    from stops

),

stop_totals as materialized (

    select
        imei,
        day,
        count(*) as stops_count,
        sum(duration_s) filter (where kind = 'idling') as idle_time_s,
        sum(duration_s) filter (where kind = 'parked') as parked_time_s,
        max(fetched_at) as fetched_at
    from stops_in_day
    group by imei, day

),

alarm_totals as materialized (

    select
        device_days.imei,
        device_days.day,
        alarms.*
    from device_days
    inner join lateral (
        select
            count(*)::integer as alarms_count,
            {% for class in alarm_classes -%}
            count(*) filter (
                where alarm_type.alarm_class = '{{ class }}'
            )::integer as {{ class }}_alarms_count,
            {% endfor -%}
            max(alarm.fetched_at) as fetched_at
        from {{ ref('alarms') }} as alarm
        left join {{ ref('alarm_types') }} as alarm_type
            on alarm.alarm_type = alarm_type.alarm_type
        where
            alarm.imei = device_days.imei
            and alarm.alarm_time >= device_days.day_start
            and alarm.alarm_time < device_days.day_end
    ) as alarms on true

),

trail_totals as materialized (

    select
        device_days.day,
        hours.*
    from device_days
    inner join lateral (
        select
            hourly.imei,
            sum(hourly.fixes_count)::integer as fixes_count,
            sum(hourly.trail_km) as trail_km,
            sum(hourly.dense_trail_km) as dense_trail_km,
            min(hourly.min_external_voltage_v) as min_external_voltage_v,
            min(hourly.min_battery_pct) as min_battery_pct
        from {{ ref('fact_hourly_trail') }} as hourly
        where
            hourly.imei = device_days.imei
            and hourly.hour_start >= device_days.day_start
            and hourly.hour_start < device_days.day_end
        -- There is only one imei here. The group by lets Citus compute the sums on its
        -- nodes.
        group by hourly.imei
    ) as hours on true

),

last_positions as materialized (

    -- The last place known at the end of the day, however old it is.
    select
        device_days.imei,
        device_days.day,
        last_fix.latitude,
        last_fix.longitude,
        last_fix.fetched_at
    from device_days
    inner join lateral {{ last_place(
        'device_days.imei', 'device_days.day_end'
    ) }} as last_fix on true

),

odometers as materialized (

    -- FIX-N12: the odometer is the newest of the last five readings that fits another
    -- one. So a counter that was set, reset or replaced is known from its second
    -- reading on, and a single wild reading never is. If none fits, the oldest counts.
    select
        device_days.imei,
        device_days.day,
        reading.odometer_km
    from device_days
    inner join lateral {{ odometer_at('device_days') }} as reading on true -- noqa: ST05

),

engine_totals as materialized (

    select
        device_days.imei,
        device_days.day,
        heartbeats.min_battery_pct,
        faults.fault_codes_count,
        fuel.fuel_measured_l,
        fuel.fuel_measured_km
    from device_days
    inner join lateral (
        select min(beat.battery_pct) as min_battery_pct
        from {{ ref('heartbeats') }} as beat
        where
            beat.imei = device_days.imei
            and beat.heartbeat_time >= device_days.day_start
            and beat.heartbeat_time < device_days.day_end
    ) as heartbeats on true
    inner join lateral (
        select count(*)::integer as fault_codes_count
        from {{ ref('fault_codes') }} as fault
        where
            fault.imei = device_days.imei
            and fault.fault_time >= device_days.day_start
            and fault.fault_time < device_days.day_end
    ) as faults on true
    left join lateral ( -- noqa: ST05
        {{ measured_fuel('device_days') }}
    ) as fuel on true

),

joined as (

    select
        device_days.*,
        trip_totals.trips_count,
        trip_totals.distance_km,
        trip_totals.driving_time_s,
        trip_totals.timed_km,
        trip_totals.max_speed_kmh,
        trip_totals.first_movement_time,
        trip_totals.last_movement_time,
        odometers.odometer_km,
        stop_totals.idle_time_s,
        stop_totals.parked_time_s,
        alarm_totals.alarms_count,
        {% for class in alarm_classes -%}
        alarm_totals.{{ class }}_alarms_count,
        {% endfor -%}
        coalesce(trail_totals.fixes_count, 0) as fixes_count,
        trail_totals.trail_km,
        trail_totals.dense_trail_km,
        trail_totals.min_external_voltage_v,
        least(trail_totals.min_battery_pct, engine_totals.min_battery_pct)
            as min_battery_pct,
        engine_totals.fault_codes_count,
        engine_totals.fuel_measured_l,
        engine_totals.fuel_measured_km,
        last_positions.latitude as end_latitude,
        last_positions.longitude as end_longitude,
        vehicles.vehicle_id,
        vehicles.device_rank,
        vehicles.is_enabled,
        coalesce(periods.cost_centre, 'Unassigned') as cost_centre,
        periods.vehicle_class,
        periods.fuel_norm_l_per_100km,
        periods.assigned_city,
        coalesce(periods.city, 'Unassigned') as city,
        coalesce(vehicles.activation_time < device_days.day_end, true)
        and coalesce(vehicles.expiration_time > device_days.day_start, true)
            as is_active,
        greatest(
            trip_totals.fetched_at,
            stop_totals.fetched_at,
            alarm_totals.fetched_at,
            last_positions.fetched_at
        ) as data_as_of,
        case
            when
                trip_totals.trips_count + coalesce(stop_totals.stops_count, 0)
                + alarm_totals.alarms_count + coalesce(trail_totals.fixes_count, 0) > 0
                then 0
        end as zero
    from device_days
    inner join vehicles
        on device_days.imei = vehicles.imei
    inner join {{ ref('dim_vehicle_periods') }} as periods
        on
            vehicles.vehicle_id = periods.vehicle_id
            and device_days.day >= periods.valid_from
            and device_days.day < periods.valid_to
    inner join trip_totals
        on device_days.imei = trip_totals.imei and device_days.day = trip_totals.day
    left join stop_totals
        on device_days.imei = stop_totals.imei and device_days.day = stop_totals.day
    inner join alarm_totals
        on device_days.imei = alarm_totals.imei and device_days.day = alarm_totals.day
    left join trail_totals
        on device_days.imei = trail_totals.imei and device_days.day = trail_totals.day
    left join last_positions
        on
            device_days.imei = last_positions.imei
            and device_days.day = last_positions.day
    left join odometers
        on device_days.imei = odometers.imei and device_days.day = odometers.day
    inner join engine_totals
        on device_days.imei = engine_totals.imei and device_days.day = engine_totals.day

),

in_service as (

    -- The platform says only whether a device is disabled today, and its lists say when
    -- it has left. On the days on which it reported, it was in service.
    select
        *,
        is_active
        and (
            zero is not null
            or (
                coalesce(is_enabled, true)
                and not exists (
                    select from {{ ref('device_absences') }} as absence
                    where
                        absence.imei = joined.imei
                        and absence.left_day <= joined.day
                        and absence.back_day > joined.day
                )
            )
        ) as is_in_service
    from joined

),

measured as (

    -- A tracker that was replaced represents the vehicle until the new tracker reports.
    -- A dashcam represents the vehicle while the tracker is silent.
    select
        *,
        row_number() over (
            partition by vehicle_id, day
            order by
                (is_in_service and zero is not null) desc,
                is_in_service desc,
                device_rank asc
        ) = 1 as is_primary_device
    from in_service

),

coverage as (

    -- Readings that cover nearly all km of a day measure its fuel. Readings that begin
    -- at noon measure only what was driven since.
    select
        *,
        distance_km + zero as driven_km,
        fuel_norm_l_per_100km / 100 as norm_l_per_km,
        fuel_measured_km
        >= {{ rule('fuel_measured_share') }} / 100 * (distance_km + zero)
            as is_fuel_measured
    from measured

),

estimated as (

    select
        *,
        driven_km * norm_l_per_km as fuel_est_l,
        case
            when is_fuel_measured then 0
            when fuel_measured_km > 0
                then (driven_km - fuel_measured_km) * norm_l_per_km
            else driven_km * norm_l_per_km
        end as fuel_estimated_l
    from coverage

),

fuelled as (

    select
        *,
        case
            when is_fuel_measured
                then
                    fuel_measured_l
                    * greatest(driven_km / nullif(fuel_measured_km, 0), 1)
            when fuel_measured_km > 0 then fuel_measured_l + fuel_estimated_l
            else fuel_estimated_l
        end as fuel_l
    from estimated

),

fact as (

    -- Only a device that reported can have the value 0. For a silent device the column
    -- `zero` is null, so adding it to a value makes the value null.
    select
        ---------- ids
        fuelled.imei,
        fuelled.day,
        fuelled.day_start,
        fuelled.vehicle_id,
        fuelled.is_primary_device,

        ---------- groups
        fuelled.city,
        fuelled.assigned_city,
        fuelled.cost_centre,
        fuelled.vehicle_class,
        fuelled.is_in_service,
        fuelled.zero is not null as has_reported,
        -- A device without any fix by the end of the day is counted as never reported,
        -- and not as not moved.
        fuelled.zero is null and fuelled.end_latitude is null as is_never_reported,

        ---------- measures
        fuelled.trips_count + fuelled.zero as trips_count,
        (fuelled.distance_km + fuelled.zero)::numeric(12, 3) as distance_km,
        (fuelled.driving_time_s + fuelled.zero)::bigint as driving_time_s,
        coalesce(fuelled.idle_time_s, fuelled.zero)::bigint as idle_time_s,
        coalesce(fuelled.parked_time_s, fuelled.zero)::bigint as parked_time_s,
        (
            fuelled.timed_km / nullif(fuelled.driving_time_s / 3600.0, 0)
        )::numeric(12, 2) as avg_speed_kmh,
        fuelled.max_speed_kmh::numeric(6, 2) as max_speed_kmh,
        fuelled.first_movement_time,
        fuelled.last_movement_time,
        fuelled.alarms_count + fuelled.zero as alarms_count,
        {% for class in alarm_classes -%}
        fuelled.{{ class }}_alarms_count + fuelled.zero as {{ class }}_alarms_count,
        {% endfor -%}
        fuelled.fixes_count,
        coalesce(fuelled.trail_km, fuelled.zero)::numeric(12, 3) as trail_km,
        coalesce(fuelled.dense_trail_km, fuelled.zero)::numeric(12, 3)
            as dense_trail_km,
        fuelled.odometer_km::numeric(12, 3) as odometer_km,
        fuelled.min_external_voltage_v::numeric(7, 3) as min_external_voltage_v,
        fuelled.min_battery_pct::numeric(5, 2) as min_battery_pct,
        fuelled.fault_codes_count + fuelled.zero as fault_codes_count,

        ---------- position at the end of the day
        fuelled.end_latitude,
        fuelled.end_longitude,

        ---------- shares and estimates
        (
            100 * (fuelled.driving_time_s + fuelled.zero)
            / nullif({{ shift_s('fuelled.day', 'fuelled.city') }}, 0)
        )::numeric(12, 2) as utilisation_pct,
        fuelled.fuel_measured_l::numeric(12, 3) as fuel_measured_l,
        fuelled.fuel_measured_km::numeric(12, 3) as fuel_measured_km,
        fuelled.fuel_est_l::numeric(12, 3) as fuel_est_l,
        fuelled.fuel_l::numeric(12, 3) as fuel_l,
        case when fuelled.fuel_l is not null then fuelled.fuel_estimated_l end
        ::numeric(12, 3) as fuel_estimated_l,
        (fuelled.fuel_l * fuel_price.value)::numeric(14, 2) as fuel_cost,

        ---------- lineage
        fuelled.data_as_of
    from fuelled
    left join {{ ref('operating_rules') }} as fuel_price
        on
            fuel_price.rule = 'fuel_price'
            and fuelled.city = fuel_price.city

)

select * from fact
