{#-
Odometer of a device at the end of a day, from the readings of trips and fixes on the day and in the
week before: the newest of the last five that fits another one; if none does, the oldest. Two
readings fit if a vehicle can have driven from one to the other (fastest_car).
    (with readings as (…), levels as (…) select … from levels as level order by … limit 1)
-#}
{% macro odometer_at(days) -%}
    {%- set fits -%}
                abs(one.odometer_km - other.odometer_km) <= {{ rule('moved_distance') }}
                or sign(one.odometer_km - other.odometer_km)
                = sign(extract(epoch from one.reading_time - other.reading_time))
                and abs(one.odometer_km - other.odometer_km) <= {{ rule('moved_distance') }}
                + {{ rule('fastest_car') }}
                * abs(extract(epoch from one.reading_time - other.reading_time)) / 3600
    {%- endset -%}
    (
        with readings as (
            (
                select
                    trip.end_odometer_km as odometer_km,
                    coalesce(trip.end_time, trip.start_time) as reading_time
                from {{ ref('trips') }} as trip
                where
                    trip.imei = {{ days }}.imei
                    and trip.start_time >= {{ days }}.day_start - interval '7 days'
                    and trip.start_time < {{ days }}.day_end
                    and trip.end_odometer_km > 0
                order by trip.start_time desc
                limit 5
            )
            union
            (
                select
                    fix.odometer_km,
                    fix.gps_time
                from (
                    select *
                    from {{ ref('fact_hourly_trail') }} as hourly
                    where
                        hourly.imei = {{ days }}.imei
                        and hourly.hour_start
                        >= {{ days }}.day_start - interval '7 days'
                        and hourly.hour_start < {{ days }}.day_end
                        and hourly.odometer_time is not null
                    order by hourly.hour_start desc
                    limit 5
                ) as hourly
                inner join {{ ref('position_history') }} as fix
                    on
                        hourly.imei = fix.imei
                        and hourly.hour_start <= fix.gps_time
                        and hourly.odometer_time >= fix.gps_time
                where fix.odometer_km > 0
                order by fix.gps_time desc
                limit 5
            )
            order by reading_time desc
            limit 5
        ),

        levels as (
            select
                one.odometer_km,
                one.reading_time,
                count(*) filter (where {{ fits }}) >= {{ rule('odometer_readings') }}
                    as is_level
            from readings as one
            cross join readings as other
            group by one.odometer_km, one.reading_time
        )

        select level.odometer_km
        from levels as level
        order by
            level.is_level desc,
            case when level.is_level then level.reading_time end desc,
            level.reading_time asc
        limit 1
    )
{%- endmacro %}
