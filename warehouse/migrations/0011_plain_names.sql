-- Columns of tables and views of dbt have plain names: renamed here, so that nothing has to be built again.
do $$
declare
    renamed record;
begin
    for renamed in
        select names.*
        from (
            values
            ('tracksolid', 'alarm_reports', 'told_by', 'reported_by'),
            ('tracksolid', 'device_events', 'told_by', 'reported_by'),
            ('tracksolid', 'legacy_import', 'standing_count', 'kept_count'),
            ('tracksolid', 'legacy_import', 'refused_count', 'rejected_count'),
            ('tracksolid', 'legacy_import', 'doubtful_count', 'partly_kept_count'),
            ('dwh_gold', 'kpi_monthly', 'over_days', 'month_rollup'),
            ('dwh_gold', 'kpi_scoreboard', 'standing', 'status'),
            ('dwh_gold', 'jobs_open', 'standing', 'status'),
            ('dwh_gold', 'alert_events', 'sos_calls_count', 'sos_alarms_count'),
            ('dwh_gold', 'alert_events', 'tamperings_count', 'tamper_alarms_count'),
            ('dwh_gold', 'alert_service', 'bad_nights_count', 'failed_nights_count')
        ) as names (table_schema, table_name, old_name, new_name)
        inner join information_schema.columns as known
            on
                known.table_schema = names.table_schema
                and known.table_name = names.table_name
                and known.column_name = names.old_name
    loop
        execute format(
            'alter table %I.%I rename column %I to %I',
            renamed.table_schema, renamed.table_name, renamed.old_name, renamed.new_name
        );
    end loop;
end
$$;
