{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_trips'],
    distributed_by='imei',
    indexes=[{'columns': ['day']}],
) }}

with

trips as (

    -- A trip shortly after midnight ends the shift of the day before. So the trips of a
    -- day begin at the earliest departure for its shift.
    select
        *,
        day_start + interval '1 hour' * (
            {{ rule_for("'shift_start'", 'city') }}
            - {{ rule_for("'departure_before_shift'", 'city') }}
        ) as earliest_time,
        day_start + interval '1 hour' * {{ rule_for("'shift_start'", 'city') }}
            as shift_start_time,
        {{ shift_s('day', 'city') }} as shift_s
    from {{ ref('fact_trips') }}
    where {{ has_changed('day') }}

),

shift_trips as (

    select
        imei,
        day,
        min(start_time) as first_start_time,
        (array_agg(is_from_depot order by start_time))[1] as is_from_depot,
        max(end_time) as return_time,
        min(start_time) filter (
            where
            shift_s > 0
            and start_time < shift_start_time + shift_s * interval '1 second'
        ) as departure_time,
        (array_agg(driver_name order by start_time))[1] as driver_name,
        (array_agg(shift_start_time order by start_time))[1] as shift_start_time
    from trips
    where start_time >= earliest_time
    group by imei, day

)

select * from shift_trips
