"""Prints tables and facts: they fit the terminal; in a pipe nothing is wrapped or cut."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import typer
from rich.table import Table
from rich.text import Text

from operations.cli.command import console

GAP = 2  # spaces between columns; 1 if the terminal is too narrow


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    title: str = "",
    *,
    right: Collection[str] = (),
    total: Sequence[object] = (),
) -> None:
    """Print a table; each row has one value per column, `total` is the last row.

    `right` names the columns of numbers. No word is ever cut. If the terminal is too narrow, cells
    wrap between words. A table that still does not fit is printed as a block of lines per row.
    """
    cells = [[str(value) for value in row] for row in [*rows, *([total] if total else [])]]
    if title:
        say(title, style="bold")
    if not console.is_terminal:
        _print_aligned([list(columns), *cells], _whole_widths(columns, cells), columns, right)
        return
    fitting = _fitting(columns, cells, wrap=False) or _fitting(columns, cells, wrap=True)
    if fitting:
        _print_cells(columns, cells, *fitting, right, has_total=bool(total))
        return
    for row in cells:
        if total and row is cells[-1]:
            say("Total", style="bold")
        print_facts(dict(zip(columns, row, strict=True)))


def print_groups(
    columns: Sequence[str],
    groups: Mapping[str, Sequence[Sequence[str]]],
    *,
    right: Collection[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Print a table per group, with its title; all have the same columns, and the same widths.

    If the terminal is too narrow, the `optional` columns are left out, the last one first; then
    each group gets widths of its own, so that a row takes a second line only if it has to.
    """
    everything = [row for rows in groups.values() for row in rows]
    shown = len(columns)
    if console.is_terminal:
        while columns[shown - 1] in optional and not _fitting(
            columns[:shown], [row[:shown] for row in everything], wrap=False
        ):
            shown -= 1
    columns, left_out = columns[:shown], columns[shown:]
    everything = [row[:shown] for row in everything]
    common = _fitting(columns, everything, wrap=False)
    for title, rows in groups.items():
        say(title, style="bold")
        cells = [list(row[:shown]) for row in rows]
        if not console.is_terminal:
            widths = _whole_widths(columns, everything)
            _print_aligned([list(columns), *cells], widths, columns, right)
        elif fitting := (
            common or _fitting(columns, cells, wrap=False) or _fitting(columns, cells, wrap=True)
        ):
            _print_cells(columns, cells, *fitting, right)
        else:
            for row in cells:
                print_facts(dict(zip(columns, row, strict=True)))
    if left_out:
        say(f"Not shown for lack of width: {', '.join(left_out)}", style="dim")


def print_facts(facts: Mapping[str, object]) -> None:
    """Print one line per fact, name and text; facts that are None or empty are left out."""
    known = {name: str(fact).strip() for name, fact in facts.items() if fact not in (None, "")}
    if not console.is_terminal:
        facts_as_rows = [list(fact) for fact in known.items()]
        _print_aligned(facts_as_rows, _whole_widths(("", ""), facts_as_rows), ("name", "text"))
        return
    lines = Table.grid(padding=(0, GAP, 0, 0))
    lines.add_column(no_wrap=True)
    lines.add_column(overflow="fold")
    for name, text in known.items():
        lines.add_row(Text(name, "bold"), Text(text))
    console.print(lines)
    console.print()


def say(text: str, *, style: str = "", is_whole: bool = False) -> None:
    """Print a line. On a terminal it wraps between words, unless `is_whole`: a path to copy."""
    soft = is_whole or not console.is_terminal
    console.print(Text(text, style), soft_wrap=soft)


def _print_aligned(
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    columns: Sequence[str],
    right: Collection[str] = (),
) -> None:
    """Print whole cells in aligned columns, without spaces at the end, and an empty line."""
    for row in rows:
        cells = (
            text.rjust(width) if column in right else text.ljust(width)
            for text, width, column in zip(row, widths, columns, strict=True)
        )
        typer.echo((" " * GAP).join(cells).rstrip())
    typer.echo()


def _print_cells(
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    widths: Sequence[int],
    gap: int,
    right: Collection[str],
    *,
    has_total: bool = False,
) -> None:
    """Print cells on a terminal, wrapped to these widths, and an empty line."""
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False)
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            Text(_heading(column), "bold"),
            width=width,
            justify="right" if column in right else "left",
            overflow="fold",
        )
    for row in cells:
        is_total = has_total and row is cells[-1]
        table.add_row(*(Text(text, "bold" if is_total else "") for text in row))
    console.print(table)
    console.print()


def _fitting(
    columns: Sequence[str], cells: Sequence[Sequence[str]], *, wrap: bool
) -> tuple[list[int], int] | None:
    """Return (widths of the columns, gap between them) that fit the terminal; None if none do.

    With `wrap` the widest columns shrink, down to their longest word.
    """
    headings = list(map(_heading, columns))
    whole = _whole_widths(headings, cells)
    words = [[max(map(len, text.split()), default=0) for text in row] for row in [headings, *cells]]
    least = [max(lengths) for lengths in zip(*words, strict=True)]
    for gap in (GAP, 1):
        widths, room = list(whole), console.width - gap * (len(columns) - 1)
        while wrap and sum(widths) > room:
            wide = [at for at in range(len(columns)) if widths[at] > least[at]]
            if not wide:
                break
            widths[max(wide, key=lambda at: widths[at])] -= 1
        if sum(widths) <= room:
            return widths, gap
    return None


def _whole_widths(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """Return the widths of the columns if no cell wraps."""
    return [max(map(len, texts)) for texts in zip(columns, *cells, strict=True)]


def _heading(column: str) -> str:
    return column.replace("_", " ")
