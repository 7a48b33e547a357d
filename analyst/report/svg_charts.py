"""Draws charts as inline SVG: they need no network and no script, and suit the colour-blind."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import altair as alt
import vl_convert
from markupsafe import Markup

# Okabe and Ito's colours, which colour-blind people can distinguish; Unassigned is grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#000000")
UNASSIGNED = ("Unassigned", "#999999")
FONT = "Arial"
WIDTH, HEIGHT, ROW_HEIGHT = 420, 180, 18
TEXT = {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"}


class DayValue(NamedTuple):
    """A value of a city on a day of the month; None leaves a gap in the line."""

    place: str
    day: int
    value: float | None


def per_day(
    points: Sequence[DayValue], days: int, unit: str, *, stacked: bool, from_zero: bool = True
) -> Markup:
    """Draw the days of a month: stacked bars of the cities, or a line per city.

    `days` is the length of the month; the y axis shows `unit` and starts at 0 if `from_zero`.
    """
    shown = {p.place for p in points if p.value or not stacked}  # zero has no bar
    places = sorted(shown, key=lambda place: (place == UNASSIGNED[0], place))
    chart = alt.Chart(_data(p for p in points if p.place in shown)).encode(
        x=alt.X(
            "day:O",
            title="Day of the month",
            scale=alt.Scale(domain=list(range(1, days + 1))),
            axis=alt.Axis(labelAngle=0, labelOverlap=True, domainColor="#888888"),
        ),
        y=alt.Y("value:Q", title=unit, scale=alt.Scale(zero=from_zero)),
        color=_colours(places, symbol="square" if stacked else "stroke"),
    )
    if stacked:
        return _svg(chart.mark_bar())
    # Each place has its own dash, so that lines differ on a black-and-white print.
    dashes = alt.StrokeDash("place:N", title=None, scale=alt.Scale(domain=places))
    lines = chart.mark_line(strokeWidth=2).encode(strokeDash=dashes)
    return _svg(lines + chart.mark_point(size=18, filled=True, opacity=1))


def ranking(counts: Sequence[tuple[str, int]], unit: str) -> Markup:
    """Draw a horizontal bar with its number for each (name, count), in the order given."""
    base = alt.Chart(
        alt.InlineData(values=[{"name": name, "count": n} for name, n in counts])
    ).encode(
        x=alt.X("count:Q", title=unit),
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=220)),
    )
    bars = base.mark_bar(color=COLOURS[0])
    numbers = base.mark_text(align="left", dx=4).encode(text=alt.Text("count:Q", format=","))
    return _svg(bars + numbers, height=ROW_HEIGHT * len(counts))


def _data(points: Iterable[DayValue]) -> alt.InlineData:
    return alt.InlineData(values=[point._asdict() for point in points])


def _colours(places: Sequence[str], symbol: str) -> alt.Color:
    own = [place for place in places if place != UNASSIGNED[0]]
    colour = {place: COLOURS[n % len(COLOURS)] for n, place in enumerate(own)} | dict([UNASSIGNED])
    scale = alt.Scale(domain=list(places), range=[colour[place] for place in places])
    legend = alt.Legend(orient="top", title=None, symbolType=symbol) if len(places) > 1 else None
    return alt.Color("place:N", scale=scale, legend=legend)


def _svg(chart: alt.Chart | alt.LayerChart, height: int = HEIGHT) -> Markup:
    drawn: dict[str, Any] = (
        chart.properties(width=WIDTH, height=height, background="transparent")
        .configure(font=FONT, aria=False)
        .configure_view(stroke=None)
        .configure_axis(gridColor="#e4e8ec", labelColor="#444444", titleColor="#444444", **TEXT)
        .configure_legend(labelFontSize=11)
        .to_dict()
    )
    svg = vl_convert.vegalite_to_svg(drawn)
    # Inside HTML an SVG needs no namespace, and so the page names no address at all.
    return Markup(re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg))  # noqa: S704 - vl-convert escapes
