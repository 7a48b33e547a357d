"""Builds a dashboard from rows of panels: positions, ids, and settings that all share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.models.dashboard import (
    AnnotationContainer,
    Dashboard,
    DashboardCursorSync,
    DashboardDashboardTemplating,
    DashboardDashboardTime,
    DashboardLink,
    DashboardLinkType,
    GridPos,
    Panel,
    RowPanel,
    VariableModel,
)

from grafana.kit.query import carried, docs

WIDTH = 24  # columns of Grafana's grid; a unit of height is 30 pixels
TAG = "fleet"


@dataclass(frozen=True)
class Shelf:
    """Panels side by side; equally wide without `widths`. `folded`: the title of a closed row."""

    height: int
    panels: Sequence[Panel]
    widths: Sequence[int] = ()
    folded: str | None = None


def board(
    uid: str,
    title: str,
    question: str,
    variables: Sequence[VariableModel],
    shelves: Iterable[Shelf],
    time_from: str,
    refresh: str = "",
) -> Dashboard:
    """A dashboard. `uid` is its permanent address; `question` is what it answers."""
    return Dashboard(
        uid=uid,
        title=title,
        description=question,
        tags=[TAG],
        timezone="Africa/Nairobi",
        editable=True,
        graph_tooltip=DashboardCursorSync.CROSSHAIR,
        time=DashboardDashboardTime(from_val=time_from, to="now"),
        refresh=refresh,
        week_start="monday",
        templating=DashboardDashboardTemplating([*carried(variables), docs()]),
        annotations=AnnotationContainer(list_val=[]),
        links=[
            DashboardLink(
                title="Dashboards",
                type_val=DashboardLinkType.DASHBOARDS,
                tags=[TAG],
                as_dropdown=True,
                include_vars=True,
                keep_time=True,
            )
        ],
        panels=list(_placed(shelves)),
    )


def _placed(shelves: Iterable[Shelf]) -> Iterable[Panel | RowPanel]:
    y, number = 0, 0
    for shelf in shelves:
        x = 0
        top = y + 1 if shelf.folded else y
        widths = shelf.widths or [WIDTH // len(shelf.panels)] * len(shelf.panels)
        for made, width in zip(shelf.panels, widths, strict=True):
            number += 1
            made.id_val = number
            made.grid_pos = GridPos(h=shelf.height, w=width, x=x, y=top)
            x += width
        if shelf.folded:
            number += 1
            yield RowPanel(
                collapsed=True,
                title=shelf.folded,
                id_val=number,
                grid_pos=GridPos(h=1, w=WIDTH, x=0, y=y),
                panels=list(shelf.panels),
            )
            y = top
        else:
            yield from shelf.panels
            y += shelf.height
