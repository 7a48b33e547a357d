"""Writes the fleet baseline to a file: as Markdown, or as an HTML page that needs no network."""

from html import escape
from pathlib import Path

from markdown import markdown

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 Arial, Helvetica, sans-serif; color: #1d2733; max-width: 62rem;
       margin: 2rem auto; padding: 0 1rem; }}
h1, h2 {{ color: #0b3c5d; }}
h2 {{ border-bottom: 2px solid #0b3c5d; padding-bottom: .2rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; margin: .6rem 0 1rem; }}
th, td {{ border-bottom: 1px solid #d9dfe5; padding: .25rem 1rem .25rem 0; text-align: left;
         vertical-align: top; }}
th {{ color: #5b6876; font-weight: 600; }}
@page {{ size: A4; margin: 15mm; }}
@media print {{ body {{ font-size: 9.5pt; margin: 0; max-width: none; }}
  tr {{ break-inside: avoid; }} h2 {{ break-after: avoid; }}
  thead {{ display: table-header-group; }} }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def write(text: str, to: Path) -> None:
    """Write the report `text` (Markdown) to `to`: as HTML if the name ends in .html."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if to.suffix == ".html":
        title = text.splitlines()[0].lstrip("# ")
        text = PAGE.format(title=escape(title), body=markdown(text, extensions=["tables"]))
    to.write_text(text, encoding="utf-8")
