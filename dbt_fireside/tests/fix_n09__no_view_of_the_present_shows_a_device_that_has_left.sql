-- FIX-N09
-- Was:    a device that had left the account was in service for ever, and views of the
--         present showed it, and disabled devices too.
-- Holds:  no view of the present shows such a device, and no day on which it did not
--         report counts it.

select status.imei
from {{ ref('vehicle_status_now') }} as status
inner join {{ ref('devices') }} as devices
    on status.imei = devices.imei
where
    not devices.is_enabled
    or exists (
        select from {{ ref('device_absences') }} as absence
        where absence.imei = status.imei and absence.back_day = 'infinity'
    )
union all
select metrics.imei
from {{ ref('fact_daily_fleet_metrics') }} as metrics
inner join {{ ref('device_absences') }} as absence
    on
        metrics.imei = absence.imei
        and metrics.day >= absence.left_day
        and metrics.day < absence.back_day
where metrics.is_in_service and not metrics.has_reported
