-- Times and places that are not believed leave the tables of an older version; gold is computed
-- again from the rest by the next build, table by table.
set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0; -- ignored without TimescaleDB

alter table if exists tracksolid.position_history
alter column latitude drop not null,
alter column longitude drop not null,
add column if not exists refused_latitude numeric(9, 6),
add column if not exists refused_longitude numeric(9, 6);

do $$
declare
    report record;
begin
    for report in
        select columns.table_name, columns.column_name
        from (
            values
            ('position_history', 'gps_time'),
            ('newest_fixes', 'gps_time'),
            ('trips', 'start_time'),
            ('trips', 'end_time'),
            ('trip_reports', 'start_time'),
            ('trip_reports', 'end_time'),
            ('parking_events', 'start_time'),
            ('parking_events', 'end_time'),
            ('parking_reports', 'start_time'),
            ('parking_reports', 'end_time'),
            ('alarm_reports', 'alarm_time'),
            ('alarms', 'alarm_time'),
            ('device_events', 'event_time'),
            ('fault_codes', 'fault_time'),
            ('fuel_readings', 'reading_time'),
            ('heartbeats', 'heartbeat_time'),
            ('lbs_readings', 'reading_time'),
            ('obd_readings', 'reading_time'),
            ('temperature_readings', 'reading_time')
        ) as times (table_name, column_name)
        inner join information_schema.columns
            using (table_name, column_name)
        where columns.table_schema = 'tracksolid'
    loop
        execute format(
            'delete from tracksolid.%I where %2$I not between fetched_at - interval ''7167 days'''
            ' and fetched_at + interval ''5 minutes''',
            report.table_name, report.column_name
        );
    end loop;
    if to_regclass('tracksolid.claims') is not null then
        -- newest_fixes lacks the devices whose newest fix was not believed.
        delete from tracksolid.claims where model = 'newest_fixes';
        update tracksolid.claims set content_id = null where content_id is not null;
    end if;
end
$$;
