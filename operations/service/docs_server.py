"""Serves documentation and reports over HTTP, under /docs.

Panels and alerts link to /docs on Grafana's own host. The server has the folder public/, which the
nightly job fills, and the pages of docs/ as HTML. /health answers even before the first nightly
job. Start it with `python -m uvicorn operations.service.docs_server:app`.
"""

import re

from markdown import markdown
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from settings import ROOT

PUBLIC = ROOT / "public"
PUBLIC.mkdir(exist_ok=True)  # missing before the first nightly job
HANDBOOK = {page.stem: page for page in (ROOT / "docs").glob("*.md")}
OUTSIDE_LINK = re.compile(r'<a href="\.\./[^"]*">(.*?)</a>')  # to a file that is not served
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem}}
pre {{background: #f4f4f4; padding: .7rem; overflow-x: auto}}
td, th {{border-bottom: 1px solid #ddd; padding: .3rem; text-align: left; vertical-align: top}}
</style>
{body}
</html>
"""


async def _health(_: Request) -> PlainTextResponse:
    return PlainTextResponse("alive\n")


async def _handbook(request: Request) -> HTMLResponse:
    """Return a page of docs/ as HTML, with the heading anchors that alerts link to."""
    name = request.path_params["name"]
    if name not in HANDBOOK:
        raise HTTPException(404, f"no page {name}.md; choose one of {', '.join(sorted(HANDBOOK))}")
    body = markdown(HANDBOOK[name].read_text(), extensions=["fenced_code", "tables", "toc"])
    body = OUTSIDE_LINK.sub(r"\1", body)
    return HTMLResponse(PAGE.format(title=name, body=body))


pages = [
    Route("/{name}.md", _handbook),
    Mount("/pictures", StaticFiles(directory=ROOT / "docs/pictures")),
    Mount("/", StaticFiles(directory=PUBLIC, html=True)),
]
# A reverse proxy may strip the prefix /docs, so pages are served without it too.
app = Starlette(routes=[Route("/health", _health), Mount("/docs", routes=pages), *pages])
