with

asked_period as (

    select
        {{ day_of('min(window_start_time)') }} as first_day,
        -- A request up to midnight does not include the day that begins then.
        {{ day_of("max(window_end_time) - interval '1 second'") }} as last_day,
        max(window_end_time) as last_time
    from {{ ref('ingestion_log') }}
    where
        method = 'jimi.device.track.mileage'
        and is_success

),

days as (

    select
        last_time,
        generate_series(first_day, last_day, interval '1 day')::date as day
    from asked_period

),

described as (

    select
        day,
        {{ start_of('day') }} as day_start,
        {{ start_of('day + 1') }} as day_end,
        extract(isoyear from day)::integer as iso_year,
        extract(week from day)::integer as iso_week,
        date_trunc('month', day)::date as month,
        extract(isodow from day)::integer as weekday,
        extract(isodow from day) in (6, 7) as is_weekend,
        {{ start_of('day + 1') }} <= last_time as is_over
    from days

)

select * from described
