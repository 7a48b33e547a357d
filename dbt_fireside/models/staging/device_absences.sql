{{ config(incremental_strategy='replace_all') }}

with

listings as (

    select
        imei,
        listed_day,
        lead(listed_day, 1, 'infinity') over (
            partition by imei order by listed_day
        ) as next_listed_day
    from {{ ref('device_listings') }}

),

account_days as (

    select
        account,
        {{ day_of('start_time') }} as day,
        bool_or(is_success) as is_answered,
        sum(records_count) filter (where is_success) as records_count
    from {{ ref('ingestion_log') }}
    where method = 'jimi.user.device.list'
    group by account, {{ day_of('start_time') }}

),

list_days as (

    -- A device is missing only if the lists of all accounts are known. Lists without
    -- any device say nothing.
    select day
    from account_days
    group by day
    having bool_and(is_answered) and sum(records_count) > 0

),

absences as (

    -- FIX-N09: a device that complete lists no longer name has left the account. One
    -- list may be cut short, so the rule left_lists says how many must lack the device.
    select
        listings.imei,
        min(list_days.day) as left_day,
        listings.next_listed_day as back_day
    from listings
    inner join list_days
        on
            listings.listed_day < list_days.day
            and listings.next_listed_day > list_days.day
    where listings.next_listed_day > listings.listed_day + 1
    group by listings.imei, listings.listed_day, listings.next_listed_day
    having count(*) >= {{ rule('left_lists') }}

)

select * from absences
