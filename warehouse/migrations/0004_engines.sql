-- From which time on the rows of a load are: what TimescaleDB needs to leave old chunks alone. A load
-- that is not in here may be of any time, which costs a look into all chunks and nothing else.
create table if not exists raw.load_times (
    load_id text primary key,
    first_fetched_at timestamptz not null
);
comment on table raw.load_times is
    'One row per load (load_id), as far as is known: when the first of its records arrived.';
alter table if exists tracksolid.claimed_loads add column if not exists first_time timestamptz;

do $$
begin
    if exists (select from pg_roles where rolname = 'fireside_loader') then
        grant select, insert on raw.load_times to fireside_loader;
        grant select on raw.load_times to fireside_dbt;
    end if;
end
$$;

-- Extensions that this server offers; an own error of one costs only itself. Without its library,
-- loaded at the start of the server, TimescaleDB would end this session.
do $$
begin
    if current_setting('shared_preload_libraries') like '%timescaledb%' then
        create extension if not exists timescaledb;
    end if;
exception
    when insufficient_privilege then
        raise warning 'TimescaleDB, if there is any, is left alone: %', sqlerrm;
end
$$;
do $$
begin
    if exists (select from pg_available_extensions where name = 'postgis') then
        create extension if not exists postgis;
    end if;
exception
    when insufficient_privilege then
        raise warning 'PostGIS is left alone: %', sqlerrm;
end
$$;
