-- Staging now rejects texts of more than 500 bytes and reads a speed of 255 as unknown. Rows of earlier builds
-- are corrected here, and the facts that copied them compute all of their rows again.
do $$
declare
    wrong record;
    changed bigint := 0;
    total bigint := 0;
begin
    for wrong in
        select
            known.table_name,
            known.column_name,
            case
                when known.column_name like '%speed_kmh' then format('%I = 255', known.column_name)
                else format('octet_length(%I) > 500', known.column_name)
            end as condition,
            -- A name is the key of device_drivers; without its value an attribute is nothing.
            known.table_name in ('device_drivers', 'device_attributes') as is_deleted
        from (
            values
            ('device_drivers', '{driver_name}'::text []),
            ('device_attributes', '{value}'),
            ('alarm_reports', '{alarm_name,fence_id,speed_kmh}'),
            ('alarms', '{alarm_name,fence_id,speed_kmh}'),
            ('device_events', '{timezone}'),
            ('fault_codes', '{fault_code}'),
            ('fuel_readings', '{unit,unit_code}'),
            ('geofences', '{fence_name,fence_type,alert_types,account}'),
            ('jobs', '{repeat_of,service_type,customer_class,city,technician,vehicle}'),
            ('newest_fixes', '{speed_kmh}'),
            ('obd_readings', '{vin,speed_kmh}'),
            ('position_history', '{speed_kmh}'),
            ('trip_reports', '{avg_speed_kmh,max_speed_kmh}'),
            ('trips', '{avg_speed_kmh,max_speed_kmh}')
        ) as names (table_name, column_names)
        inner join information_schema.columns as known
            on
                known.table_schema = 'tracksolid'
                and known.table_name = names.table_name
                and known.column_name = any(names.column_names)
    loop
        if wrong.is_deleted then
            execute format(
                'delete from tracksolid.%I where %s%s', wrong.table_name, wrong.condition,
                case when wrong.column_name = 'value' then ' and attribute <> ''reMark''' end
            );
        else
            execute format(
                'update tracksolid.%I set %I = null where %s',
                wrong.table_name, wrong.column_name, wrong.condition
            );
        end if;
        get diagnostics changed = row_count;
        total := total + changed;
    end loop;
    if total > 0 then
        update tracksolid.claims set content_id = 'outdated' where content_id is not null;
        -- They read raw again: an earlier value may count again.
        delete from tracksolid.claims where model in ('device_attributes', 'device_drivers');
    end if;
end
$$;
