-- raw.complete_loads is the one place that knows when a load counts: dlt has noted it with status 0.
-- dlt makes raw._dlt_loads at the first landing, which is too late for the view, so it is made here with
-- dlt's own columns; dlt uses the table that it finds. Nothing else of dlt's is made here.
create table if not exists raw._dlt_loads (
    load_id text not null,
    schema_name text,
    status bigint not null,
    inserted_at timestamptz not null,
    schema_version_hash text
);

do $$
declare
    changed record;
    owner name := (select nspowner::regrole from pg_namespace where nspname = 'raw');
begin
    -- A loader that was killed between making dlt's tables and finishing them has left varchar,
    -- which PostgreSQL does not change under a view.
    for changed in
        select column_name as name
        from information_schema.columns
        where
            table_schema = 'raw'
            and table_name = '_dlt_loads'
            and data_type = 'character varying'
    loop
        execute format('alter table raw._dlt_loads alter column %I type text', changed.name);
    end loop;
    -- A killed loader may note a load twice: readers that count loads count distinct ids.
    create or replace view raw.complete_loads as
    select
        load_id,
        inserted_at
    from raw._dlt_loads
    where status = 0;
    comment on view raw.complete_loads is
        'One row per note of a complete load (load_id): only rows of these loads count.';
    -- Without separate roles the schema belongs to the login that migrates.
    execute format('alter table raw._dlt_loads owner to %s', owner);
    execute format('alter view raw.complete_loads owner to %s', owner);
    if exists (select from pg_roles where rolname = 'fireside_dbt') then
        grant select on raw._dlt_loads, raw.complete_loads to fireside_dbt;
    end if;
end
$$;
