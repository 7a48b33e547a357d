-- Which version of its vehicle the rows of a device carry stood in each of these rows; now the ledger has
-- it, once per fact and device (macros/news_of.sql). The views on the facts go along with the column and
-- are made again by the next build, which takes all facts of all vehicles once more and changes nothing.
create table if not exists tracksolid.carried_vehicles (
    model text not null,
    imei text not null,
    vehicle_version text not null,
    primary key (model, imei)
);
comment on table tracksolid.carried_vehicles is
    'One row per fact and device: the version of its row in dim_vehicles that the fact''s rows carry.';

alter table if exists dwh_gold.fact_trips drop column if exists vehicle_version cascade;
alter table if exists dwh_gold.fact_stops drop column if exists vehicle_version cascade;
alter table if exists dwh_gold.fact_alarms drop column if exists vehicle_version cascade;
alter table if exists dwh_gold.vehicle_states drop column if exists vehicle_version cascade;
alter table if exists dwh_gold.fact_daily_fleet_metrics drop column if exists vehicle_version cascade;

do $$
begin
    if exists (select from pg_roles where rolname = 'fireside_dbt') then
        grant select, insert, update, delete on tracksolid.carried_vehicles to fireside_dbt;
    end if;
end
$$;
