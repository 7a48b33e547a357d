"""Generated pages in git are up to date, and exposures name every reader of the tables."""

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
    assert stale == [], "stale pages: run make docs and commit the result"


def test_missing_markers_are_reported() -> None:
    with pytest.raises(ValueError, match="put them back"):
        handbook.replaced("# Without markers", {"schema": ""})


def test_every_module_that_reads_tables_is_an_exposure(manifest: dict[str, Any]) -> None:
    """The lineage then shows which modules a change of a table affects."""
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
        mentioned = (
            set(re.findall(r"(?:tracksolid|dwh_gold)\.\w+", path.read_text())) & tables.keys()
        )
        if mentioned:
            readers += 1
            name = path.relative_to(ROOT).as_posix()
            missing = {tables[table] for table in mentioned} - exposed.get(name, set())
            assert not missing, f"{name} reads {missing}: add them to an exposure"
    assert readers >= 3
