{#- No two rows share these columns; null counts as a value. -#}
{% test unique_by(model, columns) %}

select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}
