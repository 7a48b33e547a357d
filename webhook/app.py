"""The receiver: it answers success once a push is on disk.

No route reads the fields of a push: the drain cuts out the records, and staging names the fields.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from webhook import refusals, spool_file
from webhook.intake import Intake
from webhook.metrics import ReceiverMetrics
from webhook.openapi import DESCRIBED, described
from webhook.push_paths import PUSHES, SUCCESS, TAG, TAG_SUCCESS
from webhook.push_route import ROUTE, BareRoute, PushPath
from webhook.push_token import AcceptedTokens
from webhook.receiver_settings import ReceiverSettings
from webhook.spool import Spool

log = structlog.get_logger()


def make_app(settings: ReceiverSettings, spool_class: type[Spool] = Spool) -> FastAPI:
    """Build the app. Its lifespan opens and closes the spool."""
    metrics = ReceiverMetrics()
    spool = spool_class(settings.spool_path, settings.spool_min_free_bytes, metrics.committed)
    intake = Intake(
        AcceptedTokens(settings.tokens), settings.networks, settings.webhook_max_body_bytes
    )
    success = dict.fromkeys(PUSHES, SUCCESS) | {TAG: TAG_SUCCESS}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await spool.open()
        log.info("receiving", spool=str(spool.path), networks=settings.webhook_allowed_networks)
        yield
        await spool.close()
        log.info("stopped, the spool is closed")

    app = FastAPI(
        title="Fireside webhook",
        description=__doc__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )

    def answer(push: str) -> Response:
        metrics.answered(push, 200)
        return Response(success[push], media_type="application/json")

    async def receive(push: PushPath, request: Request) -> Response:
        """Keep a push: a form, JSON, or any other bytes. An empty body only tests the URL."""
        intake.check_network(request)
        body = await intake.body(request)
        if body:
            await intake.check_token(request, body)
            await spool.append(f"/{push}", request.headers.get("content-type", ""), body)
            metrics.kept(len(body))
        return answer(push)

    app.router.add_api_route(
        ROUTE, receive, methods=["POST"], route_class_override=BareRoute, **DESCRIBED
    )

    @app.get(ROUTE)
    @app.head(ROUTE, include_in_schema=False)
    async def probe(push: PushPath, request: Request) -> Response:
        """Answer that pushes are received here; keep nothing."""
        intake.check_network(request)
        return answer(push)

    @app.get("/health")
    async def health() -> Response:
        """Answer that the process is alive."""
        return JSONResponse({"status": "alive"})

    @app.get("/ready", responses={503: {"description": "Not ready; `problems` says why."}})
    async def ready() -> Response:
        """Answer whether the spool can be written, has room, and is being drained."""
        failure = await spool.take_if_free()
        problems = [failure] if failure else await asyncio.to_thread(_problems, settings)
        return JSONResponse({"problems": problems}, 503 if problems else 200)

    @app.get("/metrics", responses={401: {"description": "A token is needed from this network."}})
    async def figures(request: Request) -> Response:
        """Return the metrics for Prometheus."""
        await intake.check_scraper(request)
        measured = await asyncio.to_thread(spool_file.measure, spool.path)
        return Response(metrics.text(measured), media_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        intake.check_network(request)
        await intake.check_token(request)
        return JSONResponse(described(app))

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        intake.check_network(request)
        await intake.check_token(request)
        token = quote(request.query_params.get("token", ""), safe="")
        return get_swagger_ui_html(openapi_url=f"openapi.json?token={token}", title=app.title)

    refusals.install(app, metrics)
    return app


def _problems(settings: ReceiverSettings) -> list[str]:
    """Why the receiver is not ready; empty if it is."""
    try:
        spool_file.try_to_write(settings.spool_path)
        figures = spool_file.measure(settings.spool_path)
    except (OSError, sqlite3.Error) as error:
        return [f"the spool cannot be written: {error}"]
    problems = []
    if figures.free_bytes < settings.spool_min_free_bytes:
        problems.append(f"only {figures.free_bytes} bytes are free on the disk of the spool")
    if figures.oldest_age_s > settings.spool_max_age_seconds:
        problems.append(f"the oldest push has waited {figures.oldest_age_s:.0f} s for the drain")
    return problems
