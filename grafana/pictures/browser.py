"""Grafana's front-end packages from npm, bundled into one page; Chromium takes pictures of it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "browser"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Grafana's own fork of this grid is not on npm; the original runs once these are providers.
GRID = "node_modules/react-data-grid/lib/bundle.js"
CONTEXTS = (
    "RowSelectionContext",
    "DataGridDefaultRenderersContext",
    "HeaderRowSelectionChangeContext",
    "HeaderRowSelectionContext",
    "RowSelectionChangeContext",
)
Shot = dict[str, Any]


class CannotDraw(Exception):
    """A program is missing, or a picture cannot be taken; the text says which."""


def chromium() -> str:
    """The path of Chromium. Raises CannotDraw if a program is missing."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise CannotDraw(f"{program} is missing: install Node.js 20 or newer")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not found:
        raise CannotDraw("Chromium is missing: install it, or set CHROMIUM to its path")
    return found


def bundle(work: Path) -> Path:
    """Installs the packages of the lock (640 MB) once, and returns the folder of the page."""
    packages = work / "browser"
    lock = (SOURCE / "package-lock.json").read_text()
    installed = packages / "node_modules" / ".installed"
    if not installed.exists() or installed.read_text() != lock:
        shutil.rmtree(packages, ignore_errors=True)
        packages.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, packages)
        _run(packages, "npm", "ci", "--legacy-peer-deps", "--no-audit", "--no-fund", "--silent")
        grid = packages / GRID
        text = grid.read_text()
        for context in CONTEXTS:
            for call in ("jsx(", "jsxs("):
                text = text.replace(f"{call}{context}, {{", f"{call}{context}.Provider, {{")
        grid.write_text(text)
        installed.write_text(lock)
    for name in ("src", "page.html", "shoot.mjs"):
        _replace(SOURCE / name, packages / name)
    dist = packages / "dist"
    dist.mkdir(exist_ok=True)
    shutil.copy(packages / "node_modules/ol/ol.css", dist)
    shutil.copy(packages / "page.html", dist)
    images = packages / "node_modules/@grafana/ui/dist/public/img"
    shutil.copytree(images, dist / "public/build/img", dirs_exist_ok=True)
    _run(
        packages,
        "node_modules/.bin/esbuild",
        "src/page.jsx",
        "--bundle",
        "--format=esm",
        "--outfile=dist/page.js",
        "--jsx=automatic",
        '--define:process.env.NODE_ENV="production"',
        "--define:global=globalThis",
        *(f"--loader:.{kind}=dataurl" for kind in ("svg", "ttf", "woff2")),
        "--log-level=error",
    )
    return dist


def shoot(work: Path, shots: Iterable[Shot], chromium: str) -> None:
    """Takes each picture (name, url, width, file, height) and prints its size and faults."""
    _run(
        work / "browser",
        "node",
        "shoot.mjs",
        given=json.dumps(list(shots)),
        environment={**os.environ, "CHROMIUM": chromium},
    )


def _replace(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def _run(
    folder: Path,
    *command: str,
    given: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    done = subprocess.run(command, cwd=folder, input=given, text=True, env=environment, check=False)
    if done.returncode:
        raise CannotDraw(f"{command[0]} failed with exit code {done.returncode} in {folder}")
