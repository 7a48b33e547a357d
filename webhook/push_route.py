"""The route of a push: it matches the listed paths in any case of letters, with little overhead."""

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor

from webhook.push_paths import PUSHES


class PushConvertor(Convertor[str]):
    """Matches a listed path and nothing else, so that an unknown path gets 404."""

    # The vendor's documents differ in letter case, and a slash at the end is a common mistake.
    regex = f"(?i:{'|'.join(map(re.escape, PUSHES))})/?"

    def convert(self, value: str) -> str:
        return value.lower().rstrip("/")

    def to_string(self, value: str) -> str:
        return value


class BareRoute(APIRoute):
    """Calls its endpoint with the request and the parameters of the path, nothing else.

    FastAPI's handling of declared parameters takes a third of the time of a push.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            answer: Response = await self.endpoint(request=request, **request.path_params)
            return answer

        return handle


register_url_convertor("push", PushConvertor())
ROUTE = "/{push:push}"
PushPath = Annotated[str, Path(json_schema_extra={"enum": list(PUSHES)})]
