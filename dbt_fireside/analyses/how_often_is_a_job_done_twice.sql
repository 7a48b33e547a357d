-- Question: How often does a customer need a second visit for the same fault?
-- Tag:      MONTHLY
-- Status:   Needs data: jobs of the job system (orchestrate.py import-jobs)
-- Read:     One row per technician, over all known jobs. With few jobs a bad rate may
--           be chance, so look at the count first. The best technicians get the hard
--           cases, so a low rate is a question, not a verdict. The period in which a
--           second visit counts is assumed.

select
    technician,
    city,
    count(*) as closed_count,
    count(*) filter (where not is_first_time_fix) as second_visits_count,
    (
        100.0 * count(*) filter (where is_first_time_fix)
        / nullif(count(is_first_time_fix), 0)
    )::numeric(5, 1) as first_time_fix_pct
from {{ ref('fact_jobs') }}
where closed_time is not null
group by technician, city
order by first_time_fix_pct asc nulls last, closed_count desc, technician asc
