-- Question: Which alarms are raised most, and are they increasing?
-- Tag:      DASHBOARD
-- Status:   Ready
-- Read:     One row per kind of alarm: the last 7 days beside the 7 days before. Many
--           alarms from few vehicles: check the devices. Few alarms from many vehicles:
--           this is how the fleet drives.

with

newest as (

    select max(day) as day
    from {{ ref('fact_alarms') }}

)

select
    alarms.alarm_class,
    alarms.alarm_name,
    alarms.severity,
    count(*) filter (where alarms.day > newest.day - 7) as alarms_count,
    count(*) filter (where alarms.day <= newest.day - 7) as alarms_week_before_count,
    count(distinct alarms.vehicle_id) as vehicles_count
from {{ ref('fact_alarms') }} as alarms
inner join newest
    on alarms.day > newest.day - 14
group by alarms.alarm_class, alarms.alarm_name, alarms.severity
order by alarms_count desc, alarms.alarm_class asc, alarms.alarm_name asc
