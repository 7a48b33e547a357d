{#- Every value that is not null is between min and max, both included. -#}
{% test in_range(model, column_name, min, max) %}

select {{ column_name }}
from {{ model }}
where {{ column_name }} not between {{ min }} and {{ max }}

{% endtest %}
