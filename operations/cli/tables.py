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
    optional: Sequence[str] = (),
    total: Sequence[object] = (),
) -> None:
    """Print a table; each row has one value per column, `total` is the last row.

    `right` names the columns of numbers. No word is ever cut. If the terminal is too narrow, the
    `optional` columns are left out, the last one first; then cells wrap between words. A table that
    still does not fit is printed as a block of lines per row.
    """
    cells = [[str(value) for value in row] for row in [*rows, *([total] if total else [])]]
    if title:
        say(title, style="bold")
    if not console.is_terminal:
        for line in aligned([list(columns), *cells], columns, right):
            typer.echo(line)
        typer.echo()
        return
    shown = list(range(len(columns)))
    headings = [column.replace("_", " ") for column in columns]
    texts = [[headings[at], *(row[at] for row in cells)] for at in shown]
    while not (fitting := _widths([texts[at] for at in shown], wrap=False)):
        if columns[shown[-1]] not in optional:
            fitting = _widths([texts[at] for at in shown], wrap=True)
            break
        shown.pop()
    if not fitting:
        for row in cells:
            print_facts(dict(zip(columns, row, strict=True)))
        return
    widths, gap = fitting
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False)
    for at, width in zip(shown, widths, strict=True):
        table.add_column(
            Text(headings[at], "bold"),
            width=width,
            justify="right" if columns[at] in right else "left",
            overflow="fold",
        )
    for row in cells:
        is_total = bool(total) and row is cells[-1]
        table.add_row(*(Text(row[at], "bold" if is_total else "") for at in shown))
    console.print(table)
    if len(shown) < len(columns):
        say(f"Not shown for lack of width: {', '.join(columns[len(shown) :])}", style="dim")
    console.print()


def print_facts(facts: Mapping[str, object]) -> None:
    """Print one line per fact, name and text; facts that are None or empty are left out."""
    known = {name: str(fact).strip() for name, fact in facts.items() if fact not in (None, "")}
    if not console.is_terminal:
        for line in aligned([list(fact) for fact in known.items()], ("name", "text")):
            typer.echo(line)
        typer.echo()
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


def aligned(
    rows: Sequence[Sequence[str]], columns: Sequence[str], right: Collection[str] = ()
) -> list[str]:
    """Return the rows as lines with aligned columns, without spaces at the end."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        (" " * GAP)
        .join(
            text.rjust(width) if column in right else text.ljust(width)
            for text, width, column in zip(row, widths, columns, strict=True)
        )
        .rstrip()
        for row in rows
    ]


def _widths(texts: Sequence[Sequence[str]], *, wrap: bool) -> tuple[list[int], int] | None:
    """Return (widths of the columns, gap between them) that fit the terminal; None if none do.

    With `wrap` the widest columns shrink, down to their longest word.
    """
    whole = [max(map(len, column)) for column in texts]
    least = [max((len(word) for text in column for word in text.split()), default=0)
             for column in texts]  # fmt: skip
    for gap in (GAP, 1):
        widths, room = list(whole), console.width - gap * (len(texts) - 1)
        while wrap and sum(widths) > room:
            wide = [at for at in range(len(texts)) if widths[at] > least[at]]
            if not wide:
                break
            widths[max(wide, key=lambda at: widths[at])] -= 1
        if sum(widths) <= room:
            return widths, gap
    return None
