-- Question: How many jobs does a technician close in a day?
-- Tag:      MONTHLY
-- Status:   Needs data: jobs of the job system (orchestrate.py import-jobs)
-- Read:     One row per month and technician, over the days on which the technician
--           closed a job. Compare within one kind of service: a migration takes longer
--           than a fault.

select
    date_trunc('month', closed_day)::date as first_day_of_month,
    technician,
    count(*) as jobs_count,
    count(distinct closed_day) as days_count,
    (count(*)::numeric / count(distinct closed_day))::numeric(9, 1) as jobs_per_day,
    string_agg(distinct service_type, ', ' order by service_type) as service_types
from {{ ref('fact_jobs') }}
where
    closed_day is not null
    and technician is not null
group by date_trunc('month', closed_day), technician
order by first_day_of_month desc, jobs_per_day desc, technician asc
