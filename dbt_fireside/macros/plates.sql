{#-
A plate without its case, spaces and dashes, so that two spellings are equal.
plate_key('plate')  ->  regexp_replace(upper(plate), '[^A-Z0-9]', '', 'g')
-#}
{% macro plate_key(spelling) -%}
    regexp_replace(upper({{ spelling }}), '[^A-Z0-9]', '', 'g')
{%- endmacro %}
