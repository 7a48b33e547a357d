-- FIX-N03
-- Was:    a time of another GPS epoch was believed.
-- Holds:  no report is earlier than its arrival by 1,024 weeks or more.

{{ reports_by_time("< report.fetched_at - interval '7168 days'") }}
