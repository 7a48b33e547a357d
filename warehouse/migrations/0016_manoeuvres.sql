-- The list of alarm types says which manoeuvre an alarm reports. dbt adds columns to models, but
-- not to seeds.
alter table if exists tracksolid.alarm_types add column if not exists manoeuvre text;
