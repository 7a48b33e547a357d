{{ config(materialized='view') }}

with

silence as (

    -- vehicle_states ends with the last report. Whether the state still holds depends
    -- on the current time.
    select
        states.imei,
        states.vehicle_id,
        states.is_primary_device,
        states.known_until as start_time,
        null::timestamptz as end_time,
        'no_signal' as state
    from {{ ref('vehicle_states') }} as states
    where
        states.end_time is null
        and states.known_until
        < now() - {{ rule('fresh_fix_age') }} * interval '1 hour'

),

timeline as (

    select
        imei,
        vehicle_id,
        is_primary_device,
        start_time,
        end_time,
        state
    from {{ ref('vehicle_states') }}
    union all
    select * from silence

),

coded as (

    select
        imei,
        vehicle_id,
        is_primary_device,
        start_time,
        end_time,
        state,
        {{ state_code('state') }} as state_code
    from timeline

)

select * from coded
