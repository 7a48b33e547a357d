"""Every package that the product imports is declared in pyproject.toml."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from settings import ROOT

PRODUCT = ("analyst", "grafana", "loader", "operations", "sandbox", "warehouse", "webhook")
OWN = {*PRODUCT, "logs", "orchestrate", "settings"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> dict[str, set[str]]:
    """The top-level packages that the product imports, each with the files that do."""
    found: dict[str, set[str]] = {}
    files = [
        *ROOT.glob("*.py"),
        *(path for name in PRODUCT for path in ROOT.glob(f"{name}/**/*.py")),
    ]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top not in OWN and top not in sys.stdlib_module_names:
                    found.setdefault(top, set()).add(str(path.relative_to(ROOT)))
    return found


def declared(*groups: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = list(project["project"]["dependencies"])
    for group in groups:
        lines += project["dependency-groups"][group]
    return {normal(re.split(r"[\[<>=!;~ ]", line)[0]) for line in lines}


def test_every_import_is_declared() -> None:
    distributions = packages_distributions()
    known, for_development = declared(), declared("dev")
    undeclared = {}
    for package, files in imported().items():
        names = {normal(name) for name in distributions.get(package, [package])}
        # The stand-in and the dashboards' generator run on a developer's machine only.
        at_work = {file for file in files if not file.startswith(("sandbox/", "grafana/"))}
        if not names & (known if at_work else for_development):
            undeclared[package] = sorted(files)
    assert undeclared == {}


def test_the_check_sees_imports() -> None:
    found = imported()
    assert "loader/landing.py" in found["dlt"]
    assert "psycopg" in found
    assert {"pathlib", "loader"}.isdisjoint(found)
