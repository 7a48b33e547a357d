-- Which rows of raw are in files instead: a full refresh without them would lose them for good, so it is
-- refused while a row is in here. operations/maintenance/archive.py writes a row in the transaction that
-- deletes the file's rows from raw, and removes it in the one that brings them back.
create table if not exists raw.archived_files (
    file text primary key, -- where it was written, on the machine that wrote it
    table_name text not null,
    loads text [] not null,
    row_count bigint not null,
    archived_at timestamptz not null default now()
);
comment on table raw.archived_files is
    'One row per file (file) that holds rows of raw which raw itself no longer has.';

do $$
begin
    if exists (select from pg_roles where rolname = 'fireside_loader') then
        grant select, insert, delete on raw.archived_files to fireside_loader;
        grant select on raw.archived_files to fireside_dbt;
    end if;
end
$$;
