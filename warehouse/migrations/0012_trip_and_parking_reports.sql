-- trips and parking_events now have the reports that count, and trip_reports and parking_reports all
-- reports. The ledger notes which time of which device a build has changed in them, because a report that no
-- longer counts leaves the tables that copied it. What was in trips and parking_events becomes the first
-- reports, and not all of raw again: some of it may be in archived files.
create table if not exists tracksolid.changed_spans (
    model text not null,
    build_id bigint not null,
    imei text not null,
    from_time timestamptz not null,
    to_time timestamptz not null,
    primary key (model, build_id, imei)
);
comment on table tracksolid.changed_spans is
    'One row per model, build and device (model, build_id, imei): the time in which the build changed it.';

do $$
declare
    renamed record;
begin
    for renamed in
        select
            names.*,
            pg_get_userbyid(known.relowner) as owner
        from (
            values
            ('trips', 'trip_reports', 'driving_time_s'),
            ('parking_events', 'parking_reports', 'duration_s')
        ) as names (counted, reports, duration)
        inner join pg_class as known
            on known.oid = to_regclass('tracksolid.' || names.counted)
        where to_regclass('tracksolid.' || names.reports) is null
    loop
        execute format(
            'create table tracksolid.%2$I (like tracksolid.%1$I, until_time timestamptz)',
            renamed.counted, renamed.reports
        );
        execute format(
            'insert into tracksolid.%2$I select old.*, null from tracksolid.%1$I as old',
            renamed.counted, renamed.reports
        );
        if renamed.counted = 'trips' then
            update tracksolid.trip_reports
            set
                driving_time_s = coalesce(
                    driving_time_s,
                    case when end_time >= start_time then extract(epoch from end_time - start_time) end
                ),
                distance_km = coalesce(
                    distance_km,
                    case
                        when
                            end_odometer_km - start_odometer_km
                            between 0 and 0.5 + 200 * extract(epoch from end_time - start_time) / 3600
                            then end_odometer_km - start_odometer_km
                    end
                )
            where driving_time_s is null or distance_km is null;
        else
            update tracksolid.parking_reports
            set duration_s = extract(epoch from end_time - start_time)
            where duration_s is null and end_time >= start_time;
        end if;
        execute format(
            'update tracksolid.%1$I set until_time = greatest('
            || 'coalesce(end_time, start_time + %2$I * interval ''1 second''),'
            || ' start_time + interval ''1 second'')',
            renamed.reports, renamed.duration
        );
        execute format(
            'alter table tracksolid.%1$I alter column until_time set not null,'
            || ' add primary key (imei, start_time, source)',
            renamed.reports
        );
        execute format(
            'create index on tracksolid.%1$I (imei, (until_time - start_time))', renamed.reports
        );
        execute format(
            'alter table tracksolid.%1$I owner to %2$I', renamed.reports, renamed.owner
        );
        execute format(
            'create index on tracksolid.%1$I (imei, (end_time - start_time))', renamed.counted
        );
        -- The reports go on where the old table was; what counts is computed from all of them.
        update tracksolid.claims set model = renamed.reports where model = renamed.counted;
    end loop;
end
$$;

do $$
begin
    if exists (select from pg_roles where rolname = 'fireside_dbt') then
        grant select, insert, update, delete on tracksolid.changed_spans to fireside_dbt;
    end if;
end
$$;
