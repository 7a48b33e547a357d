-- Extensions that this server offers, in schema public, where every role finds their types and functions: the
-- files from 0001 on run with tracksolid as their schema, and 0004 would make them there. An own error of one
-- costs only itself. Without its library, loaded at the start of the server, TimescaleDB would end this session.
do $$
begin
    if current_setting('shared_preload_libraries') like '%timescaledb%' then
        create extension if not exists timescaledb schema public;
    end if;
exception
    when insufficient_privilege then
        raise warning 'TimescaleDB, if there is any, is left alone: %', sqlerrm;
end
$$;
do $$
begin
    if exists (select from pg_available_extensions where name = 'postgis') then
        -- Where 0004 has made it, no column could use it yet.
        if exists (
            select from pg_extension
            where extname = 'postgis' and extnamespace = to_regnamespace('tracksolid')
        ) then
            drop extension postgis;
        end if;
        create extension if not exists postgis schema public;
    end if;
exception
    when insufficient_privilege or dependent_objects_still_exist then
        raise warning 'PostGIS is left alone: %', sqlerrm;
end
$$;
