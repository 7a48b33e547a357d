{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_daily_fleet_metrics'],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}],
) }}

with

prices as (

    select
        city,
        value as price,
        split_part(unit, '/', 1) as currency
    from {{ ref('operating_rules') }}
    where rule = 'fuel_price'

),

vehicle_days as (

    select
        metrics.day,
        metrics.day_start,
        metrics.city,
        metrics.cost_centre,
        metrics.vehicle_id,
        metrics.distance_km,
        metrics.idle_time_s / 3600.0 as idle_h,
        metrics.fuel_measured_l,
        -- Fuel is measured if the vehicle has a sensor, else it is the norm times the
        -- distance.
        coalesce(metrics.fuel_measured_l, metrics.fuel_est_l) as fuel_l,
        prices.price,
        prices.currency,
        {{ rule('co2_per_litre') }} as co2_kg_per_l,
        {{ rule('idle_fuel') }} as idle_l_per_h
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    left join prices
        on metrics.city = prices.city
    where
        metrics.is_primary_device
        and metrics.is_in_service
        and metrics.has_reported
        and {{ has_changed('metrics.day') }}

),

summed as (

    select
        vehicle_days.day,
        vehicle_days.day_start,
        cut.scope,
        cut.scope_value,
        sum(vehicle_days.fuel_l) as fuel_l,
        sum(vehicle_days.fuel_l) filter (where vehicle_days.fuel_measured_l is null)
            as estimated_l,
        sum(vehicle_days.distance_km) filter (where vehicle_days.fuel_l is not null)
            as fuelled_km,
        sum(vehicle_days.fuel_l * vehicle_days.co2_kg_per_l) as co2_kg,
        -- Two currencies cannot be added, and one vehicle without a price makes the
        -- total cost unknown.
        case
            when
                count(distinct vehicle_days.currency) = 1
                and count(*) = count(vehicle_days.price)
                then min(vehicle_days.currency)
        end as currency,
        sum(vehicle_days.fuel_l * vehicle_days.price) as fuel_cost,
        sum(vehicle_days.idle_h * vehicle_days.idle_l_per_h) as idle_fuel_l,
        sum(vehicle_days.idle_h * vehicle_days.idle_l_per_h * vehicle_days.price)
            as idle_cost
    from vehicle_days
    {{ scopes({
        'city': 'vehicle_days.city',
        'cost_centre': 'vehicle_days.cost_centre',
        'vehicle': 'vehicle_days.vehicle_id',
    }) }}
    group by vehicle_days.day, vehicle_days.day_start, cut.scope, cut.scope_value

),

fuel as (

    select
        ---------- ids
        day,
        day_start,
        scope,
        scope_value,
        currency,

        ---------- fuel
        fuel_l::numeric(14, 3) as fuel_l,
        (
            100 * coalesce(estimated_l, 0) / nullif(fuel_l, 0)
        )::numeric(5, 2) as fuel_estimated_pct,
        -- Below 1 km there is no consumption per km: most of the fuel is burnt at a
        -- standstill.
        case
            when fuelled_km >= 1 then 100 * fuel_l / fuelled_km
        end::numeric(9, 2) as fuel_l_per_100km,
        co2_kg::numeric(14, 3) as co2_kg,
        idle_fuel_l::numeric(14, 3) as idle_fuel_l,

        ---------- money
        case when currency is not null then fuel_cost end::numeric(16, 2) as fuel_cost,
        case
            when currency is not null and fuelled_km >= 1 then fuel_cost / fuelled_km
        end::numeric(9, 2) as fuel_cost_per_km,
        case when currency is not null then idle_cost end::numeric(16, 2) as idle_cost
    from summed

),

month_days as (

    -- The earlier days of the month are already in the table; this run computes the
    -- others.
    select
        day,
        scope,
        scope_value,
        currency,
        idle_cost
    from fuel
    {%- if is_incremental() %}
    union all
    select
        day,
        scope,
        scope_value,
        currency,
        idle_cost
    from {{ this }}
    where
        day >= date_trunc('month', {{ first_changed_day() }})
        and not {{ has_changed('day') }}
    {%- endif %}

),

months_to_date as (

    select
        day,
        scope,
        scope_value,
        case
            when
                count(*) over month_to_date = count(currency) over month_to_date
                and min(currency) over month_to_date
                = max(currency) over month_to_date
                then sum(idle_cost) over month_to_date
        end::numeric(16, 2) as idle_cost_month_to_date
    from month_days
    window month_to_date as (
        partition by scope, scope_value, date_trunc('month', day)
        order by day
    )

)

select
    fuel.*,
    months_to_date.idle_cost_month_to_date
from fuel
inner join months_to_date
    on
        fuel.day = months_to_date.day
        and fuel.scope = months_to_date.scope
        and fuel.scope_value = months_to_date.scope_value
