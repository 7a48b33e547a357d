"""From records to a response body that keeps its records apart, so that one can be spoilt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

encode = msgspec.json.Encoder().encode


class ApiError(Exception):
    """A failure that the API reports with HTTP 200 and a code (docs/TRACKSOLID_API.md#codes)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def reply(self) -> ReplyBody:
        body = {"code": self.code, "message": self.message, "result": None, "data": None}
        return ReplyBody(encode(body), (), b"")


@dataclass(frozen=True, slots=True)
class ReplyBody:
    """A response body: `head`, the records joined by commas, and `tail`."""

    head: bytes
    records: Sequence[bytes]
    tail: bytes

    @property
    def body(self) -> bytes:
        return self.head + b",".join(self.records) + self.tail


def in_result(records: Sequence[bytes], *, data: Any = None, empty: bytes = b"null") -> ReplyBody:
    """A reply with a list in `result`. Without records, most methods send null instead of [].

    Where each method puts its records: docs/TRACKSOLID_API.md#envelope.
    """
    tail = b',"data":' + encode(data) + b"}"
    if not records:
        return ReplyBody(_SUCCESS + b'"result":' + empty, (), tail)
    return ReplyBody(_SUCCESS + b'"result":[', records, b"]" + tail)


def object_in_result(record: Mapping[str, Any]) -> ReplyBody:
    """A reply with one object in `result`."""
    return ReplyBody(_SUCCESS + b'"result":', (encode(record),), b',"data":null}')


def in_object(
    place: str, key: str, records: Sequence[bytes], beside: Mapping[str, Any]
) -> ReplyBody:
    """A reply with a list at `place.key`, where place is result or data, and totals beside it."""
    other = b'"data":null,' if place == "result" else b'"result":null,'
    totals = encode(beside)[1:-1] + b"," if beside else b""
    head = _SUCCESS + other + f'"{place}":{{'.encode() + totals + f'"{key}":['.encode()
    return ReplyBody(head, records, b"]}}")


_SUCCESS = b'{"code":0,"message":"success",'
