-- Who may do what: fireside_loader writes raw, fireside_dbt reads raw and owns tracksolid and
-- dwh_gold, grafana_ro reads dwh_gold. The login of DATABASE_URL becomes the first two in turn.
-- Without the right to create roles everything stays with that login, all or nothing.
do $$
declare
    role record;
    object record;
begin
    for role in
        select *
        from (
            values
            ('fireside_loader', 'nologin'),
            ('fireside_dbt', 'nologin'),
            ('grafana_ro', 'login connection limit 30')
        ) as wanted (name, attributes)
        where not exists (select from pg_roles where rolname = wanted.name)
    loop
        -- Roles belong to the server: another database may be migrated right now. Who comes
        -- second waits until the first has committed, and finds the role.
        begin
            execute format('create role %I %s', role.name, role.attributes);
        exception
            when duplicate_object or unique_violation then
                null;
        end;
    end loop;
    if not pg_has_role('fireside_loader', 'set') or not pg_has_role('fireside_dbt', 'set') then
        execute format(
            'grant fireside_loader, fireside_dbt to %I with inherit true, set true', current_user
        );
    end if;

    ---------- public: what everybody may do by default
    -- A dashboard's query may hold several statements: only the role's rights defend.
    execute format('revoke temporary on database %I from public', current_database());
    revoke create on schema public from public;

    ---------- grafana_ro: limits that its sessions start with
    for object in
        select *
        from (
            values
            ('default_transaction_read_only', 'on'),
            ('statement_timeout', '30s'),
            ('idle_in_transaction_session_timeout', '30s'),
            ('search_path', 'dwh_gold')
        ) as wanted (setting, value)
    loop
        execute format(
            'alter role grafana_ro in database %I set %I = %L',
            current_database(), object.setting, object.value
        );
    end loop;

    ---------- raw: written by the loader, read by dbt
    alter schema raw owner to fireside_loader;
    grant usage on schema raw to fireside_dbt;
    alter default privileges for role fireside_loader in schema raw
    grant select on tables to fireside_dbt;

    ---------- tracksolid and dwh_gold: owned by dbt; the token cache is the loader's
    alter schema tracksolid owner to fireside_dbt;
    alter schema dwh_gold owner to fireside_dbt;
    -- dbt makes temporary tables, and a preview a schema of its own.
    execute format('grant create, temporary on database %I to fireside_dbt', current_database());
    grant usage on schema tracksolid to fireside_loader;
    grant select, insert, update on tracksolid.api_token_cache to fireside_loader;

    ---------- dwh_gold: read by Grafana, also what dbt and later migrations will make
    grant usage on schema dwh_gold to grafana_ro;
    alter default privileges for role fireside_dbt in schema dwh_gold
    grant select on tables to grafana_ro;
    alter default privileges in schema dwh_gold
    grant select on tables to fireside_dbt, grafana_ro;

    ---------- what a database that is already in use holds
    for object in
        select
            class.oid::regclass as name,
            case
                when namespace.nspname = 'raw' then 'fireside_loader' else 'fireside_dbt'
            end as owner
        from pg_class as class
        inner join pg_namespace as namespace on class.relnamespace = namespace.oid
        where
            namespace.nspname in ('raw', 'tracksolid', 'dwh_gold')
            and class.relkind in ('r', 'p', 'v', 'm')
            -- What migrations made stays with those who may change it: the token, this ledger.
            and class.relname <> 'api_token_cache'
            and class.relname not like 'schema\_migrations%'
    loop
        execute format('alter table %s owner to %I', object.name, object.owner);
    end loop;
    for object in
        select oid::regprocedure as name from pg_proc where pronamespace = 'dwh_gold'::regnamespace
    loop
        execute format('alter routine %s owner to fireside_dbt', object.name);
    end loop;
    grant select on all tables in schema raw to fireside_dbt;
    grant select on all tables in schema dwh_gold to grafana_ro;
exception
    when insufficient_privilege then
        raise warning 'no separate roles: % (%). Everything runs as %; to separate it later see docs/CONNECTIONS.md',
            sqlerrm, sqlstate, current_user;
end
$$;

-- Large objects are open to everybody by default, and only a superuser can close them.
do $$
begin
    if (select rolsuper from pg_roles where rolname = current_user) then
        revoke execute on function
        lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea), lo_put(oid, bigint, bytea)
        from public;
    end if;
end
$$;
