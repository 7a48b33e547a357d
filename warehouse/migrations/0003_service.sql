-- What the orchestrator writes about itself, in gold where dashboards may read it.

create table if not exists dwh_gold.dbt_run_history (
    run_id text not null,
    command text not null,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    node text not null,
    resource_type text not null,
    name text not null,
    status text not null,
    duration_s numeric,
    rows_affected bigint,
    failures bigint,
    message text,
    age_s numeric,
    primary key (run_id, node)
);

create index if not exists dbt_run_history_by_time on dwh_gold.dbt_run_history (started_at);

create table if not exists dwh_gold.job_runs (
    job text primary key,
    status text not null check (status in ('running', 'ok', 'failed')),
    started_at timestamptz not null,
    finished_at timestamptz,
    succeeded_at timestamptz,
    next_run_at timestamptz,
    duration_s numeric,
    rows bigint,
    message text,
    failures_in_a_row integer not null default 0
);

create table if not exists dwh_gold.spool_status (
    is_only boolean primary key default true check (is_only),
    measured_at timestamptz not null,
    pushes_waiting bigint not null,
    oldest_waiting_at timestamptz,
    bytes bigint not null
);

comment on table dwh_gold.dbt_run_history is
    'One row per run of dbt and node (run_id, node): how it ended, also of runs that failed.';
comment on table dwh_gold.job_runs is
    'One row per job of the orchestrator: how it ran the last time.';
comment on table dwh_gold.spool_status is
    'Exactly one row: what waits in the spool of the webhook.';
