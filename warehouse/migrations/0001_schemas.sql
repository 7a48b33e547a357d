-- What neither dlt nor dbt owns: schemas, the token cache, the planner's settings. Indexes on
-- raw are made by loader/landing.py, right after dlt has made the tables.

create schema if not exists raw;
create schema if not exists tracksolid;
create schema if not exists dwh_gold;

create table if not exists tracksolid.api_token_cache (
    account text not null,
    app_key text not null,
    access_token text,
    refresh_token text,
    expires_at timestamptz,
    obtained_at timestamptz,
    login_at timestamptz,      -- last login that was tried: the vendor allows one a minute
    renewing_until timestamptz, -- lease of the one process that renews; the others wait
    primary key (account, app_key)
);

comment on table tracksolid.api_token_cache is
    'One row per account and app key: the API token that all processes share.';

-- Compiling costs more than it saves in queries of a few milliseconds, such as the live view.
do $$
begin
    execute format('alter database %I set jit = off', current_database());
exception
    when insufficient_privilege then
        raise warning 'not the owner of this database: jit stays as it is';
end
$$;
