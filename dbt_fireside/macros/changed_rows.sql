{#-
Devices whose row in dim_vehicles has changed since this model copied its columns.
    select vehicle.imei from dim_vehicles as vehicle left join …carried_vehicles as carried …
-#}
{% macro changed_vehicles() -%}
    select vehicle.imei
    from {{ ref('dim_vehicles') }} as vehicle
    left join {{ ledger('carried_vehicles') }} as carried
        on
            carried.model = '{{ this.name }}'
            and vehicle.imei = carried.imei
    where carried.vehicle_version is distinct from vehicle.vehicle_version
{%- endmacro %}


{#-
Post-hook of the facts that copy columns of dim_vehicles (config `copies_vehicles`): for each
device, note the version of its row in dim_vehicles that the fact now holds.
    insert into …carried_vehicles as carried (model, imei, vehicle_version) select … on conflict …
-#}
{% macro note_copied_vehicles() %}
    {%- if config.get('copies_vehicles') %}
    insert into {{ ledger('carried_vehicles') }} as carried (model, imei, vehicle_version)
    select
        '{{ this.name }}',
        vehicle.imei,
        vehicle.vehicle_version
    from ({{ changed_vehicles() }}) as changed
    inner join {{ ref('dim_vehicles') }} as vehicle
        on changed.imei = vehicle.imei
    on conflict (model, imei) do update set vehicle_version = excluded.vehicle_version;
    {%- endif %}
{% endmacro %}


{#-
One row per device and alarm type with new reports: the period of the alarms that these reports
can change. It ends where no other report is near (rule same_alarm). A model with config
`copies_vehicles` also computes all alarms of a changed vehicle again.
    select span.*, … as first_day from (select imei, alarm_type, … as from_time, …) as span
-#}
{% macro changed_alarms(copies_vehicles=config.get('copies_vehicles')) -%}
    select
        span.*,
        {{ day_of('span.from_time') }} as first_day
    from (
        select
            changed.imei,
            changed.alarm_type,
            {%- for end, at_or_before, before, at_or_after, minus, order in [
                ('from_time', '<=', '<', '>=', '-', 'desc'),
                ('to_time', '>=', '>', '<=', '+', 'asc'),
            ] %}
            (
                select report.alarm_time
                from {{ ref('alarm_reports') }} as report
                where
                    report.imei = changed.imei
                    and report.alarm_type = changed.alarm_type
                    and report.alarm_time {{ at_or_before }} changed.{{ end }}
                    and not exists (
                        select from {{ ref('alarm_reports') }} as near
                        where
                            near.imei = changed.imei
                            and near.alarm_type = changed.alarm_type
                            and near.alarm_time {{ before }} report.alarm_time
                            and near.alarm_time {{ at_or_after }} report.alarm_time
                            {{ minus }} {{ rule('same_alarm') }} * interval '1 second'
                    )
                order by report.alarm_time {{ order }}
                limit 1
            ) as {{ end }}{{ ',' if not loop.last }}
            {%- endfor %}
        from (
            select
                imei,
                alarm_type,
                min(alarm_time) as from_time,
                max(alarm_time) as to_time
            from {{ ref('alarm_reports') }}
            where {{ is_claimed('load_id') }}
            group by imei, alarm_type
        ) as changed
        {%- if copies_vehicles and has_rows() %}
        union all
        select
            alarm.imei,
            alarm.alarm_type,
            min(alarm.alarm_time) as from_time,
            max(alarm.alarm_time) as to_time
        from ({{ changed_vehicles() }}) as changed
        inner join {{ ref('alarms') }} as alarm
            on changed.imei = alarm.imei
        group by alarm.imei, alarm.alarm_type
        {%- endif %}
    ) as span
{%- endmacro %}
