-- FIX-M17
-- Was:    the device sync updated 5 fields, so a changed driver or plate never arrived.
-- Holds:  every field with a value in one of the newest 200 answers of the device list
--         is in devices, unless a later answer of list or detail has another value.

{% set newest %}
    (
        select answer.*
        from {{ source('raw', 'device_list') }} as answer
        where {{ has_read('device_attributes', 'answer._dlt_load_id') }}
        order by answer.fetched_at desc
        limit 200
    )
{% endset %}

{% set details %}
    (
        select answer.*
        from {{ source('raw', 'device_detail') }} as answer
        where
            {{ has_read('device_attributes', 'answer._dlt_load_id') }}
            and answer.fetched_at >= (
                select min(listed.fetched_at) from {{ newest }} as listed
            )
    )
{% endset %}

with

answers as (

    {% for table, landed in [('device_list', newest), ('device_detail', details)] -%}
    select
        '{{ table }}' as source,
        imei,
        fetched_at,
        record_id,
        to_jsonb(device) - array[
            'request',
            'fetched_at',
            'record_id',
            'load_id',
            'body',
            'is_usable',
            'problems'
        ] as answer
    from {{ records(table, landed) }} as device
    where is_usable
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

answered as (

    select distinct on (answers.source, answers.imei, field.key)
        answers.source,
        answers.imei,
        answers.fetched_at,
        field.key as attribute,
        field.value
    from answers
    cross join lateral jsonb_each_text(answers.answer) as field
    where field.value is not null
    order by
        answers.source asc,
        answers.imei asc,
        field.key asc,
        answers.fetched_at desc,
        answers.record_id desc

),

listed as (

    select * from answered
    where
        source = 'device_list'
        and not exists (
            select from answered as later
            where
                later.source = 'device_detail'
                and later.imei = answered.imei
                and later.attribute = answered.attribute
                and later.fetched_at >= answered.fetched_at
                and later.value != answered.value
        )

),

devices as (

    select
        imei,
        fuel_l_per_100km,
        to_jsonb(device) as known
    from {{ ref('devices') }} as device

)

select
    listed.imei,
    listed.attribute,
    listed.value
from listed
left join devices
    on listed.imei = devices.imei
where
    case
        when listed.attribute = 'fuel_100km'
            then devices.fuel_l_per_100km is distinct from listed.value::numeric(6, 2)
        else not exists (
            select from jsonb_each_text(devices.known) as field
            where field.value = listed.value
        )
    end
