{#-
Fuel that a sensor has measured on a day of a device, litres, and the km of the day that its
readings cover. `of` names a row with imei, day_start and day_end. It has no row without
readings. For a lateral join.
    with readings as (…), … select …fuel_measured_l, …fuel_measured_km … limit 1
-#}
{% macro measured_fuel(of) %}
    with readings as (
        select
            fuel.reading_time,
            fuel.sensor,
            fuel.fuel_l
        from {{ ref('fuel_readings') }} as fuel
        where
            fuel.imei = {{ of }}.imei
            and fuel.fuel_l is not null
            and fuel.reading_time >= {{ of }}.day_start - interval '1 day'
            and fuel.reading_time < {{ of }}.day_end
        union all
        select
            obd.reading_time,
            'obd' as sensor,
            obd.fuel_l
        from {{ ref('obd_readings') }} as obd
        where
            obd.imei = {{ of }}.imei
            and obd.fuel_l is not null
            and obd.reading_time >= {{ of }}.day_start - interval '1 day'
            and obd.reading_time < {{ of }}.day_end
    ),

    marked as (
        select
            *,
            max(reading_time) filter (where reading_time < {{ of }}.day_start)
                over (partition by sensor) as last_time_before
        from readings
    ),

    levels as (
        select
            *,
            fuel_l >= lag(fuel_l) over readings_in_order
            + {{ rule('refuel_volume') }} as is_refuelled
        from marked
        where reading_time >= coalesce(last_time_before, {{ of }}.day_start)
        window readings_in_order as (partition by sensor order by reading_time)
    ),

    numbered as (
        select
            *,
            count(*) filter (where is_refuelled)
                over (partition by sensor order by reading_time) as tank
        from levels
    ),

    -- From one refuelling to the next, the fuel used is the first level minus the
    -- last. Of a tank that began before the day, the part counts that belongs to
    -- the km of the day.
    tanks as (
        select
            sensor,
            min(reading_time) as from_time,
            max(reading_time) as to_time,
            (array_agg(fuel_l order by reading_time))[1]
            - (array_agg(fuel_l order by reading_time desc))[1] as used_l
        from numbered
        group by sensor, tank
        having count(*) > 1 and max(reading_time) >= {{ of }}.day_start
    ),

    driven as (
        select
            tanks.sensor,
            tanks.used_l,
            coalesce(km.day_km, 0) as day_km,
            coalesce(
                km.day_km / nullif(km.tank_km, 0),
                extract(
                    epoch from
                    tanks.to_time - greatest(tanks.from_time, {{ of }}.day_start)
                ) / extract(epoch from tanks.to_time - tanks.from_time)
            ) as day_share
        from tanks
        left join lateral (
            select
                {% for km, since in [
                    ('tank_km', 'tanks.from_time'),
                    ('day_km', 'greatest(tanks.from_time, ' ~ of ~ '.day_start)'),
                ] -%}
                sum(
                    trip.distance_km
                    * {{ overlap_s(
                        'trip.start_time', 'trip.end_time', since, 'tanks.to_time'
                    ) }}
                    / nullif(extract(epoch from trip.end_time - trip.start_time), 0)
                ) as {{ km }}{{ ',' if not loop.last }}
                {% endfor %}
            from {{ ref('trips') }} as trip
            where
                trip.imei = {{ of }}.imei
                and trip.start_time >= tanks.from_time - interval '1 day'
                and trip.start_time < tanks.to_time
        ) as km on true
    )

    -- If a vehicle has several sensors, the one that covers most of the day counts.
    select
        greatest(sum(driven.used_l * driven.day_share), 0) as fuel_measured_l,
        sum(driven.day_km) as fuel_measured_km
    from driven
    group by driven.sensor
    order by sum(driven.day_km) desc, driven.sensor asc
    limit 1
{% endmacro %}
