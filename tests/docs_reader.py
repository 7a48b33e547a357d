"""Reads the documentation page index.html: its embedded markdown, or the page in chromium."""

import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Protocol

from waiting import TIMEOUT_S

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
LINK = re.compile(r"\[([^]]*)\]\(([^)]*)\)")
Table = list[list[str]]  # the header first


class DocsPage(Protocol):
    """The documentation, read in one of two ways."""

    def tables(self, name: str) -> list[Table]: ...
    def links(self, name: str) -> list[str]: ...


class EmbeddedDocs:
    """Reads the markdown in the manifest that is embedded in the file."""

    def __init__(self, file: Path) -> None:
        text = file.read_text()
        start = text.index(
            '{"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/man'
        )
        self.manifest, _ = json.JSONDecoder().raw_decode(text, start)

    def text(self, name: str) -> str:
        return self.manifest["docs"][f"doc.dbt_fireside.__{name}__"]["block_contents"]

    def tables(self, name: str) -> list[Table]:
        tables = re.findall(r"(?:^\|.*\n?)+", self.text(name), re.MULTILINE)
        return [
            [self.cells(line) for n, line in enumerate(table.splitlines()) if n != 1]
            for table in tables
        ]

    def cells(self, line: str) -> list[str]:
        plain = (LINK.sub(r"\1", cell).strip(" *") for cell in line.split("|")[1:-1])
        return [unescape(cell) for cell in plain]

    def links(self, name: str) -> list[str]:
        return [address for _, address in LINK.findall(self.text(name))]


class BrowserDocs:
    """Reads the page that chromium renders, without network access."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.doms: dict[str, BodyParser] = {}

    def open(self, address: str) -> "BodyParser":
        if address not in self.doms:
            assert BROWSER is not None
            dom = subprocess.run(
                [
                    BROWSER,
                    *("--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
                    *("--virtual-time-budget=20000", "--host-resolver-rules=MAP * ~NOTFOUND"),
                    f"{self.file.as_uri()}{address}",
                ],
                capture_output=True,
                text=True,
                check=True,
                timeout=TIMEOUT_S,
            ).stdout
            self.doms[address] = BodyParser(dom)
        return self.doms[address]

    def tables(self, name: str) -> list[Table]:
        return self.open(f"#!/overview/{name}").tables

    def links(self, name: str) -> list[str]:
        return self.open(f"#!/overview/{name}").links


class BodyParser(HTMLParser):
    """Collects the tables, links and text of the body."""

    def __init__(self, dom: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.links: list[str] = []
        self.text = ""
        self.in_cell = False
        self.feed(dom[dom.index("<body") :])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.in_cell = True
        elif tag == "a":
            self.links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self.in_cell &= tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell:
            self.tables[-1][-1][-1] += data
