"""Every fix in fixes.yml has its three marks in dbt: comment, unit test, data test.

A fix of the loader has its comment in loader/ and its tests in the file that the register names.
"""

from typing import Any

import pytest
import yaml

from analyst.docs.registers import guard_prefix
from settings import ROOT
from warehouse.dbt_runner import PROJECT

REGISTER = yaml.safe_load((PROJECT / "fixes.yml").read_text())["fixes"]
FIXES = [fix["id"] for fix in REGISTER if "tested_in" not in fix]
OF_THE_LOADER = {fix["id"]: fix["tested_in"] for fix in REGISTER if "tested_in" in fix}


@pytest.mark.parametrize("fix", FIXES)
def test_fix_has_a_data_test_that_can_fail_the_build(fix: str, manifest: dict[str, Any]) -> None:
    tests = [
        node["config"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["name"].startswith(guard_prefix(fix))
    ]
    assert tests
    for config in tests:
        assert config["enabled"]
        assert config["severity"].lower() == "error"
        assert (config["error_if"], config["where"], config["limit"]) == ("!= 0", None, None)


@pytest.mark.parametrize("fix", FIXES)
def test_fix_has_a_unit_test(fix: str, manifest: dict[str, Any]) -> None:
    tests = [
        test["config"]
        for test in manifest["unit_tests"].values()
        if test["name"].startswith(guard_prefix(fix))
    ]
    assert tests
    assert all(config["enabled"] for config in tests)


@pytest.mark.parametrize("fix", FIXES)
def test_fix_is_marked_in_a_model(fix: str, manifest: dict[str, Any]) -> None:
    marked = [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and f"-- {fix}:" in node["raw_code"]
    ]
    assert marked


@pytest.mark.parametrize("fix", OF_THE_LOADER)
def test_fix_of_the_loader_is_marked_and_tested(fix: str) -> None:
    code = "".join(file.read_text() for file in (ROOT / "loader").glob("*.py"))
    assert f"{fix}: " in code
    test = f"def test_{guard_prefix(fix).removesuffix('__')}_"
    assert test in (ROOT / OF_THE_LOADER[fix]).read_text()


def test_every_model_and_column_is_described(manifest: dict[str, Any]) -> None:
    """Also: descriptions start with the grain, and contracts are enforced (no unlisted column)."""
    undescribed = []
    for node in manifest["nodes"].values():
        if node["resource_type"] in ("model", "seed", "snapshot"):
            if not node["description"].startswith("One row per "):
                undescribed.append(node["name"])
            undescribed += [
                f"{node['name']}.{name}"
                for name, column in node["columns"].items()
                if not column["description"].strip()
            ]
            if node["resource_type"] == "model":
                assert node["config"]["contract"]["enforced"], node["name"]
    assert undescribed == []


def test_every_fix_test_is_in_the_register(manifest: dict[str, Any]) -> None:
    """A test named fix_… whose id is missing from fixes.yml guards something unknown."""
    named = [
        node["name"]
        for node in [*manifest["nodes"].values(), *manifest["unit_tests"].values()]
        if node["resource_type"] in ("test", "unit_test") and node["name"].startswith("fix_")
    ]
    assert [n for n in named if not n.startswith(tuple(map(guard_prefix, FIXES)))] == []
