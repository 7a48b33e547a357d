"""Draws docs/pictures/*.webp: four dashboards, the documentation's and the report's first page.

make pictures runs it after make demo. It reads the database NAME, and needs node, npm and Chromium.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlencode

import psycopg

from grafana.kit.files import DASHBOARDS, FILES
from grafana.pictures.answers import served
from grafana.pictures.browser import CannotDraw, Shot, bundle, chromium, shoot
from settings import ROOT, settings

FOLDER = ROOT / "docs" / "pictures"
IN_DOCS = ("noc-live", "daily-operations", "vehicle", "kpi-scoreboard")
FILE_OF = {"documentation": "index.html", "report": "report.html"}
WIDTH, WALL, PHONE = 1600, 1920, 390  # pixels
SCREEN = 1080  # height of a wall screen and of the parts of pages that the documentation shows
# The vehicle of the picture: the one that drove most on the newest day that is over.
VEHICLE = """
    select vehicle_id from dwh_gold.vehicle_days
    where day = (select max(day) from dwh_gold.dim_dates where is_over)
    order by distance_km desc nulls last, vehicle_id limit 1
"""


def pages(work: Path, to: Path) -> Iterator[Shot]:
    """The pictures of the first pages of the documentation and of the report."""
    for name in ("documentation", "report"):
        yield {
            "name": name,
            "url": (work / FILE_OF[name]).as_uri(),
            "width": WIDTH,
            "height": SCREEN,
            "file": str(to / f"{name}.webp"),
        }


def write_page(name: str, database: str, work: Path) -> None:
    """Writes the documentation, or the report of the month of a week ago."""
    month = (datetime.now(UTC) - timedelta(days=7)).strftime("%Y-%m")
    commands = {
        "documentation": ["docs", "--folder", str(work)],
        "report": ["report", "--month", month, "--to", str(work / FILE_OF["report"])],
    }
    program = [sys.executable, str(ROOT / "orchestrate.py"), *commands[name], "--db", database]
    # The command opens the database itself, not with the rights that exec has given.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    done = subprocess.run(
        program, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise CannotDraw(f"orchestrate.py {commands[name][0]} failed with {done.returncode}")


def dashboards(address: str, vehicle: str, to: Path, *, every: bool) -> Iterator[Shot]:
    """The pictures of dashboards; `every`: all of them, in each width, theme and choice."""
    two = [("var-city", "Nairobi"), ("var-city", "Mombasa")]
    for uid in DASHBOARDS if every else IN_DOCS:
        own = [("var-vehicle", vehicle), ("from", "now-1d/d")] if uid == "vehicle" else []
        kinds: dict[str, tuple[int, int | None, list[tuple[str, str]]]] = {
            "": (WIDTH, None if every else SCREEN, own)
        }
        if every:
            kinds |= {
                "-wall": (WALL, SCREEN, own),
                "-phone": (PHONE, None, own),
                "-light": (WIDTH, None, [*own, ("theme", "light")]),
                "-two-cities": (WIDTH, None, [*own, *two]),
                "-one-vehicle": (WIDTH, None, [("var-vehicle", vehicle)]),
            }
        for end, (width, height, chosen) in kinds.items():
            yield {
                "name": uid + end,
                "url": f"{address}/page.html?{urlencode([('uid', uid), *chosen])}",
                "width": width,
                "height": height,
                "file": str(to / f"{uid}{end}{'.png' if every else '.webp'}"),
            }


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 drawn, 1 not drawn."""
    parser = argparse.ArgumentParser(prog="python -m grafana.pictures", description=__doc__)
    parser.add_argument("--db", default="fireside_demo", metavar="NAME")
    parser.add_argument(
        "--all", type=Path, metavar="FOLDER", help="draw all dashboards, in all ways, to FOLDER"
    )
    parser.add_argument("names", nargs="*", metavar="PICTURE", help="only these, such as noc*")
    given = parser.parse_args(arguments)
    work, to = settings().work_dir / "pictures", (given.all or FOLDER).resolve()
    to.mkdir(parents=True, exist_ok=True)
    try:
        program = chromium()
        folders = {"/": bundle(work), "/dashboards/": FILES[0].parent}
        with psycopg.connect(dbname=given.db) as connection:
            ((vehicle,),) = connection.execute(VEHICLE.encode())
        with served(given.db, folders) as address:
            shots = list(dashboards(address, vehicle, to, every=given.all is not None))
            if not given.all:
                shots += pages(work, to)
            shots = [s for s in shots if any(fnmatch(s["name"], w) for w in given.names or "*")]
            for name in {"documentation", "report"} & {shot["name"] for shot in shots}:
                write_page(name, given.db, work)
            shoot(work, shots, program)
    except (CannotDraw, psycopg.Error) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
