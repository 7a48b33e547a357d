"""Documentation and reports over HTTP, under /docs.

Run by `python -m uvicorn operations.service.docs_server:app`.

Panels and alerts link to /docs on Grafana's own host. Serves the folder public/ that the nightly
job fills, and the pages of docs/ as HTML; /health answers before the first night.
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
PUBLIC.mkdir(exist_ok=True)  # before the first night there is none
HANDBOOK = {page.stem: page for page in (ROOT / "docs").glob("*.md")}
LEAVING = re.compile(r'<a href="\.\./[^"]*">(.*?)</a>')  # to a file that is not served
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
    """A page of docs/, with the anchors that alerts link to."""
    name = request.path_params["name"]
    if name not in HANDBOOK:
        raise HTTPException(404, f"no page {name}.md; there are {', '.join(sorted(HANDBOOK))}")
    body = markdown(HANDBOOK[name].read_text(), extensions=["fenced_code", "tables", "toc"])
    body = LEAVING.sub(r"\1", body)
    return HTMLResponse(PAGE.format(title=name, body=body))


pages = [
    Route("/{name}.md", _handbook),
    Mount("/", StaticFiles(directory=PUBLIC, html=True)),
]
# A proxy may take the prefix off.
app = Starlette(routes=[Route("/health", _health), Mount("/docs", routes=pages), *pages])
