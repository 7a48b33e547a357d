{% set columns = graph.nodes['model.dbt_fireside.live_positions'].columns | list
    if execute else [] %}
-- The names of tables omit the database, because PostgreSQL parses this text again in a copy
-- of the database.
with

kept as (

    insert into {{ ref('newest_fixes').include(database=false) }} as known
    ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ ref('live_positions').include(database=false) }}
    order by imei -- the same order as a build, so that the two cannot deadlock
    on conflict (imei) do update set
        {%- for column in columns if column != 'imei' %}
        {{ column }} = excluded.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    where
        (excluded.gps_time, excluded.source_rank, known.fetched_at)
        > (known.gps_time, known.source_rank, excluded.fetched_at)
    returning known.imei

)

select count(*) from kept
