"""README, CONTRIBUTING and docs/: short enough, and every link and command in them exists."""

import re
import subprocess
from pathlib import Path

import pytest
import typer.main
import yaml

from orchestrate import app
from settings import ROOT

README = ROOT / "README.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^ *```\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
MAKE_TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
BACKUP = (ROOT / "operations/maintenance/backup.sh").read_text()
SERVICES = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
# Options of docker compose run, exec and logs that take a value.
WITH_VALUE = {"-e", "-v", "--entrypoint", "--since", "--user"}


def pages() -> list[Path]:
    """Every Markdown page in git, or not yet in git but not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).exists()]


PAGES = pages()


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def code(page: Path) -> list[str]:
    """The lines of a page's code blocks and its inline code; comments behind # are left out."""
    text = page.read_text()
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    lines += CODE.findall(BLOCK.sub("", text))
    return [re.sub(r"(^|\s)#\s.*", "", line).strip() for line in lines]


def test_readme_is_for_a_reader_in_a_hurry() -> None:
    assert len(README.read_text().splitlines()) <= 120


def test_readme_names_every_folder() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    folders = {name.partition("/")[0] for name in listed.splitlines() if "/" in name}
    rows = re.findall(r"^\| (`.*?) \|", README.read_text(), re.MULTILINE)
    named = {name.removesuffix("/") for row in rows for name in CODE.findall(row)}
    assert {name for name in folders if not name.startswith(".")} - named == set()
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_table_of_contents_lists_every_page_of_docs() -> None:
    listed = set(LINK.findall((ROOT / "docs/README.md").read_text()))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - listed == {"README.md"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = [link.partition("#")[0] for link in LINK.findall(BLOCK.sub("", page.read_text()))]
    local = {link for link in links if link and not re.match(r"[a-z]+:", link)}
    assert {link for link in local if not (page.parent / link).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_exists(page: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    targets = set(MAKE_TARGET.findall((ROOT / "Makefile").read_text()))
    wrong: list[str] = []
    for line in code(page):
        for words in re.findall(
            r"(?:orchestrate\.py|(?:^|[&;] *)fleet) ((?:[a-z][\w-]* ?)+)", line
        ):
            first, *rest = words.split()
            known = commands["kpi"].commands if first == "kpi" and rest else commands
            if (rest[0] if first == "kpi" and rest else first) not in known:
                wrong.append(line)
        made = re.findall(r"(?:^|[&;] *)make ([a-z-]+)", line)
        wrong += [line for target in made if target not in targets]
        # pip and pytest are tools; ours have a __main__.py.
        modules = re.findall(r"(?:^|[&;] *)(?:python|\S*/python) -m (?!pip|pytest)(\w+)", line)
        wrong += [line for name in modules if not (ROOT / name / "__main__.py").exists()]
        benchmarks = re.findall(r"(?:-m benchmarks|make bench ARGS=)\s?(\w+)", line)
        wrong += [line for name in benchmarks if not (ROOT / f"benchmarks/{name}.py").exists()]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_compose_command_names_a_service_and_a_mode_of_the_backup(page: Path) -> None:
    for line in code(page):
        for command, rest in re.findall(
            r"docker compose (exec|run|logs|stop|restart|up|build) (.*)", line
        ):
            words = rest.split()
            while words and words[0].startswith("-"):
                words = words[2 if words[0] in WITH_VALUE else 1 :]
            named = words[:1] if command in ("exec", "run") else words
            for service in named:
                if not re.fullmatch(r"[a-z_]+", service):
                    break  # a pipe, or what follows &&
                assert service in SERVICES, line
        for mode in re.findall(r"sh /backup\.sh (\w+)", line):
            assert re.search(rf"^{mode}\)", BACKUP, re.MULTILINE), (
                f"backup.sh has no {mode}: {line}"
            )
