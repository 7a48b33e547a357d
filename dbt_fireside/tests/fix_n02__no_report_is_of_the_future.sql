-- FIX-N02
-- Was:    a time after its arrival was believed, so the fix was the newest for hours.
-- Holds:  no report is later than its arrival by more than an hour, or by more than the
--         rule clock_ahead if that is longer.

{% set longest_min = "greatest(" ~ rule('clock_ahead') ~ ", 60)" %}

{{ reports_by_time("> report.fetched_at + " ~ longest_min ~ " * interval '1 minute'") }}
