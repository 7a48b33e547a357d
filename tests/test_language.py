"""Prose in the repository avoids words that made comments and messages hard to understand."""

import re
import subprocess

import pytest

from settings import ROOT

# word -> what to write instead.
RIDDLES = {
    "anew": "again, or the plain verb: rebuild, recreate, fetch again",
    "amid": "during",
    "whoever": "anyone who, or the name of the role",
    "of before": "earlier, previous",
    "in vain": "without success, or say what failed",
    "thrice": "three times",
    "who looks at": "the reader of",
    "ever more rarely": "with backoff",
}
WORDS = "|".join(RIDDLES).replace(" ", r"\s+")
RIDDLE = re.compile(rf"\b({WORDS})\b", re.IGNORECASE)
# Applied migrations never change, and this file has to name the words.
EXEMPT = ("warehouse/migrations/", "tests/test_language.py")
TEXT = (".py", ".md", ".sql", ".yml", ".yaml", ".sh", ".toml", ".j2", ".json", ".csv", ".cfg")


def tracked_texts() -> list[str]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True
    ).stdout
    return [
        path
        for path in listed.decode().split("\0")
        if (path.endswith(TEXT) or "." not in path.rpartition("/")[2])
        and not path.startswith(EXEMPT)
        and (ROOT / path).is_file()
    ]


def riddles_in(path: str) -> list[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    return [
        f"{path}:{text.count(chr(10), 0, found.start()) + 1}: write"
        f" {RIDDLES[' '.join(found[1].lower().split())]!r} instead of {found[1]!r}"
        for found in RIDDLE.finditer(text)
    ]


def test_prose_has_no_riddles() -> None:
    paths = tracked_texts()
    assert len(paths) > 300
    found = [riddle for path in paths for riddle in riddles_in(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("word", RIDDLES)
def test_each_riddle_is_found(word: str) -> None:
    across_lines = word.replace(" ", "\n    ").capitalize()
    assert RIDDLE.search(f"The table is made {across_lines}.")
    assert not RIDDLE.search(f"x{word}x")
