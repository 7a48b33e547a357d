"""Colours of the dashboards: each has one meaning, and text on it is legible in both themes."""

import json
import re

import pytest

from grafana.kit.colours import CODES, COUNTS, MEANINGS, SPEEDS, STATES, VIOLATIONS, WORDS, YES_NO
from grafana.kit.files import DASHBOARDS, panels

LEGIBLE = 4.5  # WCAG 2.2, level AA, for text
DARK_TEXT, LIGHT_TEXT = "#202226", "#F7F8FA"


def channels(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def text_on(colour: str) -> str:
    """The text that Grafana writes on a filled cell or tile, in either theme."""
    red, green, blue = channels(colour)
    return DARK_TEXT if (299 * red + 587 * green + 114 * blue) / 1000 > 180 else LIGHT_TEXT


def luminance(colour: str) -> float:
    """The relative luminance of WCAG."""
    parts = [value / 255 for value in channels(colour)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_in_wcag() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colour", MEANINGS)
def test_text_on_each_colour_is_legible(colour: str) -> None:
    assert contrast(colour, text_on(colour)) >= LEGIBLE


def test_each_meaning_has_one_colour_and_each_word_one_meaning() -> None:
    assert len(set(MEANINGS.values())) == len(MEANINGS)
    looks = [STATES, CODES, SPEEDS, WORDS, COUNTS, VIOLATIONS, YES_NO]
    colours: dict[str, str] = {}
    for word, colour in (look for some in looks for look in some.values()):
        assert colour in {*MEANINGS, "transparent"}, word
        assert colours.setdefault(word, colour) == colour, f"{word} has two colours"


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_dashboard_uses_only_colours_with_a_meaning(uid: str) -> None:
    used = set(re.findall(r'"(#[0-9A-Fa-f]{3,8})"', json.dumps(DASHBOARDS[uid])))
    assert used <= MEANINGS.keys()


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_colour_is_behind_the_text_and_has_no_gradient(uid: str) -> None:
    """Coloured text cannot be legible on both themes; a gradient has two more colours."""
    for panel in panels(DASHBOARDS[uid]):
        if panel["type"] == "stat":
            assert panel["options"]["colorMode"] in ("background_solid", "none"), panel["title"]
        for override in panel["fieldConfig"]["overrides"]:
            cells = [p["value"] for p in override["properties"] if p["id"] == "custom.cellOptions"]
            for cell in cells:
                assert cell["type"] != "color-text", panel["title"]
                if cell["type"] == "color-background":
                    assert cell["mode"] == "basic", panel["title"]
