{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_daily_fleet_metrics'],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}],
) }}

with

reporting as (

    -- Costs in several currencies are added up in the reporting currency.
    select unit as currency
    from {{ ref('operating_rules') }}
    where rule = 'reporting_currency'

),

prices as (

    select
        prices.city,
        prices.value as price,
        split_part(prices.unit, '/', 1) as currency,
        reporting.currency as reporting_currency,
        prices.value * case
            when split_part(prices.unit, '/', 1) = reporting.currency then 1
            else rates.value
        end as reporting_price
    from {{ ref('operating_rules') }} as prices
    cross join reporting
    left join {{ ref('operating_rules') }} as rates
        on
            rates.rule like 'exchange_rate_%'
            and rates.unit
            = reporting.currency || '/' || split_part(prices.unit, '/', 1)
    where prices.rule = 'fuel_price'

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
        metrics.fuel_l,
        metrics.fuel_estimated_l,
        prices.price,
        prices.currency,
        prices.reporting_price,
        prices.reporting_currency,
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

scoped as (

    -- Costs are in the reporting currency, so that they add up and compare. The scope
    -- currency has those of each currency itself.
    select
        vehicle_days.*,
        cut.scope,
        cut.scope_value,
        case
            when cut.scope = 'currency' then vehicle_days.price
            else vehicle_days.reporting_price
        end as scope_price,
        case
            when cut.scope = 'currency' then vehicle_days.currency
            else vehicle_days.reporting_currency
        end as scope_currency
    from vehicle_days
    {{ scopes({
        'city': 'vehicle_days.city',
        'cost_centre': 'vehicle_days.cost_centre',
        'vehicle': 'vehicle_days.vehicle_id',
        'currency': 'vehicle_days.currency',
    }) }}

),

summed as (

    -- A vehicle without a norm or a price is left out of the sums and counted beside
    -- them.
    select
        day,
        day_start,
        scope,
        scope_value,
        sum(fuel_l) as fuel_l,
        sum(fuel_estimated_l) as estimated_l,
        sum(distance_km) filter (where fuel_l is not null) as fuelled_km,
        count(*) filter (where fuel_l is null) as vehicles_without_fuel_count,
        coalesce(sum(distance_km) filter (where fuel_l is null), 0) as km_without_fuel,
        sum(fuel_l * co2_kg_per_l) as co2_kg,
        min(scope_currency) filter (where scope_price is not null) as currency,
        sum(fuel_l * scope_price) as fuel_cost,
        sum(distance_km) filter (where fuel_l * scope_price is not null) as costed_km,
        count(*) filter (where fuel_l * scope_price is null)
            as vehicles_without_cost_count,
        coalesce(sum(distance_km) filter (where fuel_l * scope_price is null), 0)
            as km_without_cost,
        sum(idle_h * idle_l_per_h) as idle_fuel_l,
        sum(idle_h * idle_l_per_h * scope_price) as idle_cost
    from scoped
    group by day, day_start, scope, scope_value

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
        estimated_l::numeric(14, 3) as fuel_estimated_l,
        (100 * estimated_l / nullif(fuel_l, 0))::numeric(5, 2) as fuel_estimated_pct,
        fuelled_km::numeric(14, 3) as fuelled_km,
        -- Below 1 km there is no consumption per km: most of the fuel is burnt at a
        -- standstill.
        case
            when fuelled_km >= 1 then 100 * fuel_l / fuelled_km
        end::numeric(9, 2) as fuel_l_per_100km,
        co2_kg::numeric(14, 3) as co2_kg,
        idle_fuel_l::numeric(14, 3) as idle_fuel_l,
        vehicles_without_fuel_count::integer as vehicles_without_fuel_count,
        km_without_fuel::numeric(14, 3) as km_without_fuel,

        ---------- money
        fuel_cost::numeric(16, 2) as fuel_cost,
        costed_km::numeric(14, 3) as costed_km,
        case when costed_km >= 1 then fuel_cost / costed_km end::numeric(9, 2)
            as fuel_cost_per_km,
        vehicles_without_cost_count::integer as vehicles_without_cost_count,
        km_without_cost::numeric(14, 3) as km_without_cost,
        idle_cost::numeric(16, 2) as idle_cost
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
                min(currency) over month_to_date = max(currency) over month_to_date
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
