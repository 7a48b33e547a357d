-- A raw table that somebody dropped is made anew, empty: what was asked for before that does not count
-- as fetched any more.
create table if not exists raw.remade_tables (
    table_name text not null,
    made_at timestamptz not null default now()
);
comment on table raw.remade_tables is
    'One row per time that the loader found a table of raw gone and made it anew, empty.';

do $$
begin
    if exists (select from pg_roles where rolname = 'fireside_loader') then
        grant select, insert on raw.remade_tables to fireside_loader;
    end if;
end
$$;
