-- The ledger of macros/claims.sql: which loads each build offered, and up to which build each model has
-- taken them. What was here before held a row per model and load; the live views that read it go along and
-- are made again by the next build, in which every model takes all of raw once more and changes nothing.
drop table if exists tracksolid.claimed_loads cascade;
drop table if exists tracksolid.changed_days;

create table if not exists tracksolid.builds (
    build_id bigint generated always as identity primary key,
    invocation_id text not null,
    began_at timestamptz not null default now()
);
create table if not exists tracksolid.offered_loads (
    load_id text primary key,
    build_id bigint not null
);
create index if not exists offered_loads_by_build on tracksolid.offered_loads (build_id);
create table if not exists tracksolid.claims (
    model text primary key,
    after_build_id bigint not null, -- 0 if it took all anew
    build_id bigint not null,
    content_id text -- of the small tables that it starts over with, and its own SQL
);
create table if not exists tracksolid.changed_days (
    model text not null,
    build_id bigint not null,
    first_day date not null,
    primary key (model, build_id)
);
create table if not exists tracksolid.first_times (
    model text not null,
    load_id text not null,
    first_time timestamptz not null,
    primary key (model, load_id)
);

comment on table tracksolid.builds is 'One row per run or build of dbt.';
comment on table tracksolid.offered_loads is
    'One row per load (load_id): the build that found it complete.';
comment on table tracksolid.claims is
    'One row per model that builds on what it has: it has taken what builds after after_build_id, up to'
    ' build_id, have brought.';
comment on table tracksolid.changed_days is
    'One row per model and build that changed it: from which day on.';
comment on table tracksolid.first_times is
    'One row per time series and load, until all have taken it: from when on its rows are.';

do $$
begin
    if exists (select from pg_roles where rolname = 'fireside_dbt') then
        grant select, insert, update, delete
        on
        tracksolid.builds, tracksolid.offered_loads, tracksolid.claims, tracksolid.changed_days,
        tracksolid.first_times
        to fireside_dbt;
    end if;
end
$$;
