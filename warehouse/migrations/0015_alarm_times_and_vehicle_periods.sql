-- alarm_reports notes whether a report has a time of its own (has_alarm_time). The next build
-- reads all reports of raw again, which replaces rows and deletes none.
delete from tracksolid.claims where model = 'alarm_reports';

-- A row of the seed vehicles may have a first day.
alter table if exists tracksolid.vehicles add column if not exists valid_from date;
