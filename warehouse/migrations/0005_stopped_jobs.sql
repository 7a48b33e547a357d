-- A run that a redeploy stopped is no failure: it is caught up at the next start.

alter table dwh_gold.job_runs drop constraint job_runs_status_check;
alter table dwh_gold.job_runs add constraint job_runs_status_check
check (status in ('running', 'ok', 'failed', 'stopped'));
