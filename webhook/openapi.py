"""The description of pushes for OpenAPI. FastAPI cannot derive it: the receiver reads raw bytes."""

from typing import Any

from fastapi import FastAPI

_ANSWER = {
    "type": "object",
    "properties": {"code": {"type": "integer"}, "msg": {"type": "string"}},
    "required": ["code", "msg"],
}
_REFUSALS = {
    401: "No valid token.",
    403: "The network is not on the allow-list.",
    408: "The request did not arrive in time.",
    413: "The body is too long.",
    415: "Content-Encoding is not supported.",
    503: "Not kept: overload or a failure of the disk. Send it again after Retry-After seconds.",
}
_FORM = {
    "type": "object",
    "properties": {
        "token": {"type": "string"},
        "data_list": {"type": "string", "description": "A JSON array as text."},
        "msgType": {"type": "string"},
        "data": {"type": "string", "description": "One object of the Open API as text."},
    },
}

DESCRIBED: dict[str, Any] = {
    "openapi_extra": {
        "requestBody": {
            "content": {
                "application/x-www-form-urlencoded": {"schema": _FORM},
                "application/json": {"schema": {}},
            }
        },
        "security": [{"query": []}, {"header": []}, {"bearer": []}],
    },
    "responses": {
        200: {
            "description": "The push is on disk.",
            "content": {"application/json": {"schema": _ANSWER}},
        }
    }
    | {
        status: {"description": text, "content": {"application/json": {"schema": _ANSWER}}}
        for status, text in _REFUSALS.items()
    },
}
_SCHEMES = {
    "query": {"type": "apiKey", "in": "query", "name": "token"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Token"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI schema of the app, with the three ways to send a token outside the body."""
    schema = app.openapi()
    schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
    return schema
