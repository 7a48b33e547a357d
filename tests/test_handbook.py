"""What is generated into git, and the lineage's end: both as the project is now."""

import re
from pathlib import Path
from typing import Any

import pytest

from analyst.docs import handbook
from analyst.kpi.catalogue import Catalogue
from settings import ROOT


def test_generated_pages_are_up_to_date(manifest_file: Path) -> None:
    documents = handbook.documents(Catalogue(manifest_file))
    stale = [path.name for path, text in documents.items() if text != path.read_text()]
    assert stale == [], "run make docs and commit what it wrote"


def test_missing_markers_are_reported() -> None:
    with pytest.raises(ValueError, match="put them back"):
        handbook.replaced("# Without markers", {"schema": ""})


def test_every_module_that_reads_tables_is_an_exposure(manifest: dict[str, Any]) -> None:
    """Who reads what is in the lineage, so that a change of a table shows whom it concerns."""
    tables = {
        f"{node['schema']}.{node['name']}": unique_id
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] in ("model", "seed", "snapshot")
    }
    exposed: dict[str, set[str]] = {}
    for exposure in manifest["exposures"].values():
        for reader in exposure["config"]["meta"]["readers"]:
            assert (ROOT / reader).exists(), reader
            exposed.setdefault(reader, set()).update(exposure["depends_on"]["nodes"])
    readers = 0
    for path in (
        *ROOT.glob("operations/**/*.py"),
        *ROOT.glob("analyst/**/*.py"),
        ROOT / "orchestrate.py",
    ):
        named = set(re.findall(r"(?:tracksolid|dwh_gold)\.\w+", path.read_text())) & tables.keys()
        if named:
            readers += 1
            name = path.relative_to(ROOT).as_posix()
            hidden = {tables[table] for table in named} - exposed.get(name, set())
            assert not hidden, f"{name} reads them: add them to an exposure"
    assert readers >= 3
