"""The unit tests of all models: values in, values out, whatever the tables hold."""

from databases import Built

from warehouse import dbt_runner


def test_unit_tests_of_all_models_pass(built_empty: Built) -> None:
    select = ["test", "--select", "test_type:unit"]
    dbt_runner.run(built_empty.settings, built_empty.database, select, lambda *_: None)
