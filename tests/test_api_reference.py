"""docs/TRACKSOLID_API.md against the code that it explains, and every mention of a page of docs."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from loader.endpoints import LOCATION_GET, Endpoint, endpoints
from loader.http import sign
from loader.pushes import PATHS
from settings import ROOT, Settings
from webhook.push_paths import PUSHES

REFERENCE = ROOT / "docs/TRACKSOLID_API.md"
ENDPOINTS = (*endpoints(Settings(poll_obd=True, parking_acc_types="0,on")), LOCATION_GET)
VENDOR_FIELDS = ROOT / "dbt_fireside/macros/vendor_fields.sql"
MENTION = re.compile(r"(?P<page>(?:[\w.-]+/)*[\w.-]+\.md\b)(?:#(?P<anchor>[\w-]+))?")
NO_PAGE = "NOSUCH.md"  # a missing page that tests/test_stack.py requests
LINK_HERE = re.compile(r"\]\(#([\w-]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def section(name: str) -> str:
    """The text below a heading of the reference, up to the next heading of its level or above."""
    text = CODE_BLOCK.sub("", REFERENCE.read_text())
    found = re.search(rf"^(#+) {re.escape(name)}$", text, re.MULTILINE)
    assert found, f"docs/TRACKSOLID_API.md has no section {name!r}"
    return re.split(rf"^#{{1,{len(found[1])}}} ", text[found.end() :], flags=re.MULTILINE)[0]


def words(text: str) -> set[str]:
    """Texts in backticks and each name in them: `msg.alertType` contains alertType."""
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+", code)}


def fields_read() -> dict[str, set[str]]:
    """Per raw table of the API: each field that staging reads, in all spellings."""
    source = VENDOR_FIELDS.read_text()
    read: dict[str, set[str]] = {}
    for part in ("polled_fields", "pushed_fields"):
        start = source.index("\n", source.index(f"{{% macro {part}()"))
        declared = yaml.safe_load(source[start : source.index("{% endmacro %}", start)])
        for table, fields in declared.items():
            if fields and table not in ("jobs", "services") and not table.startswith("legacy_"):
                read[table] = {
                    spelling
                    for name, field in fields.items()
                    for spelling in (name, *(field or {}).get("also", ()))
                }
    return read


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_endpoint_has_a_section_that_names_what_is_sent(endpoint: Endpoint) -> None:
    text = section(endpoint.table)
    assert f"`{endpoint.method}`" in text
    sent = {endpoint.subject_parameter, *(endpoint.window or ()), *endpoint.params}
    sent |= {name for name in (endpoint.account_parameter,) if name}
    if endpoint.paging:
        sent |= {endpoint.paging.parameter, "page_size"}
    assert sent - words(text) == set()


def test_every_push_path_has_a_row() -> None:
    rows = dict(re.findall(r"^\| `(/\S+)` \| \[?(\w+)", section("All push paths"), re.MULTILINE))
    assert {path.lower(): table for path, table in rows.items()} == PATHS
    assert {path.removeprefix("/") for path in PATHS} == set(PUSHES)


@pytest.mark.parametrize("table", fields_read())
def test_every_field_that_staging_reads_is_explained(table: str) -> None:
    """In the section of its table, or in the one that this section says has the same fields."""
    text = section(table)
    for other in re.findall(r"ields(?: of|.* as in) \[\w+\]\(#(\w+)\)", text):
        text += section(other)
    # The loader reads both spellings of the device; trails take it from the request.
    assert fields_read()[table] - words(text) - {"imei"} == set()


def test_the_signature_of_the_reference_is_right() -> None:
    block = re.search(
        r"^secret +(\S+)\nparameters (.*)\nsign +(\w+)$", REFERENCE.read_text(), re.M | re.S
    )
    assert block
    names = r"(\w+)=(.*?)(?=\s+\w+=|$)"
    assert sign(dict(re.findall(names, block[2], re.S)), block[1]) == block[3]


def test_every_mention_of_a_page_leads_to_a_page_and_a_heading() -> None:
    broken = []
    count = 0
    for path, text in tracked_texts():
        for found in MENTION.finditer(text.replace(NO_PAGE, "")):
            page = page_of(path, found["page"])
            count += 1
            if page is None or (found["anchor"] and found["anchor"] not in anchors(page)):
                broken.append(f"{path.relative_to(ROOT)}: {found[0]}")
        if path.suffix == ".md":
            here = anchors(path)
            broken += [
                f"{path.relative_to(ROOT)}: #{name}"
                for name in LINK_HERE.findall(text)
                if name not in here
            ]
    assert count > 100
    assert broken == []


def tracked_texts() -> list[tuple[Path, str]]:
    """Each text file in git, with its text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    texts = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in (".webp", ".gz", ".lock", ".parquet"):
            texts.append((path, path.read_text()))
    return texts


def page_of(mentioned_in: Path, name: str) -> Path | None:
    """The page, from the folder of the file that names it, from the root, or from docs/."""
    folders = (mentioned_in.parent, ROOT, ROOT / "docs")
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub and Forgejo make them."""
    text = CODE_BLOCK.sub("", page.read_text())
    slugs: list[str] = []
    for heading in HEADING.findall(text):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        slugs.append(f"{slug}-{slugs.count(slug)}" if slug in slugs else slug)
    return frozenset(slugs)
