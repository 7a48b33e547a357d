{{ config(incremental_strategy='replace_all') }}

{% set texts = [
    'kpi_id', 'label', 'domain', 'unit', 'formula', 'rollup', 'numerator',
    'denominator', 'direction', 'cadence', 'tag', 'kpi_owner', 'reviewer', 'panel', 'kpi_status', 'gate', 'rules', 'model',
    'column',
] %}
{% set numbers = ['decimals', 'target', 'warn_at', 'critical_at', 'headline'] %}
{#- The order of the domains on every page, as in analyst/kpi/catalogue.py. #}
{% set domains = [
    'Fleet utilisation', 'Technician productivity', 'Dispatch', 'Driver behaviour',
    'Cost and fuel', 'Vehicle health', 'Zones', 'Readiness and data quality',
] %}

with

defined as (

    {% for kpi in kpis() -%}
    {%- for rule in kpi.rules %}{% do known_rule("'" ~ rule ~ "'", kpi.file) %}{% endfor %}
    select
        {% for name in texts -%}
        {{ literal(kpi.get(name)) }}::text as kpi_{{ name }},
        {% endfor -%}
        {% for name in numbers -%}
        {{ literal(kpi.get(name)) }}::numeric(16, 3) as kpi_{{ name }}
        {{- ',' if not loop.last }}
        {% endfor -%}
    {{ 'union all' if not loop.last }}
    {% else -%}
    select
        {% for name in texts -%}
        null::text as kpi_{{ name }},
        {% endfor -%}
        {% for name in numbers -%}
        null::numeric(16, 3) as kpi_{{ name }}{{ ',' if not loop.last }}
        {% endfor -%}
    where false
    {%- endfor %}

),

assumed as (

    -- A KPI is assumed if one of its rules is not agreed, in any city.
    select
        defined.kpi_kpi_id,
        string_agg(distinct rules.rule, ', ' order by rules.rule) as assumed_rules
    from defined
    inner join {{ ref('operating_rules') }} as rules
        on rules.rule = any(string_to_array(defined.kpi_rules, ', '))
    where not rules.agreed
    group by defined.kpi_kpi_id

),

register as (

    select
        ---------- definition
        defined.kpi_kpi_id as kpi_id,
        defined.kpi_label as label,
        defined.kpi_domain as domain,
        '#!/overview/' || replace(lower(defined.kpi_domain), ' ', '-') as docs_path,
        defined.kpi_unit as unit,
        case defined.kpi_unit when '%' then 'percent' else 'suffix:' || defined.kpi_unit end
            as display_unit,
        defined.kpi_decimals::integer as decimals,
        (row_number() over (
            order by
                array_position(
                    array[{% for domain in domains %}'{{ domain }}'{{ ', ' if not loop.last }}{% endfor %}],
                    defined.kpi_domain
                ),
                defined.kpi_kpi_id
        ))::integer as register_rank,
        defined.kpi_headline::integer as headline_rank,
        defined.kpi_formula as formula,
        defined.kpi_rollup as rollup,
        defined.kpi_numerator as numerator,
        defined.kpi_denominator as denominator,
        defined.kpi_direction as direction,

        ---------- bands
        defined.kpi_target as target,
        defined.kpi_warn_at as warn_at,
        defined.kpi_critical_at as critical_at,

        ---------- bands in ascending order, as Grafana needs them
        {% for direction, first, second in [
            ('higher', 'critical_at', 'warn_at'), ('lower', 'warn_at', 'critical_at'),
        ] -%}
        case
            when
                defined.kpi_direction = '{{ direction }}'
                and defined.kpi_{{ first }} < defined.kpi_{{ second }}
                then -1000000000
        end::numeric(16, 3) as {{ direction }}_base,
        case
            when defined.kpi_direction = '{{ direction }}' then defined.kpi_{{ first }}
        end::numeric(16, 3) as {{ direction }}_warn,
        case
            when defined.kpi_direction = '{{ direction }}' then defined.kpi_{{ second }}
        end::numeric(16, 3)
            as {{ direction }}_{{ 'ok' if direction == 'higher' else 'critical' }},
        {% endfor %}
        ---------- responsibility
        defined.kpi_cadence as cadence,
        defined.kpi_tag as tag,
        defined.kpi_kpi_owner as kpi_owner,
        defined.kpi_reviewer as reviewer,
        defined.kpi_panel as panel,
        defined.kpi_kpi_status as kpi_status,

        ---------- rules and origin
        defined.kpi_gate as gate,
        defined.kpi_rules as rules,
        assumed.assumed_rules,
        assumed.assumed_rules is not null as is_assumed,
        defined.kpi_model as model_name,
        defined.kpi_column as column_name
    from defined
    left join assumed
        on defined.kpi_kpi_id = assumed.kpi_kpi_id

)

select * from register
