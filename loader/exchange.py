"""One call of the API: send it, time it, take the reply apart and judge it by status and code."""

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime

from loader.http import RateLimited, Refused, TemporaryFailure, TokenRefused, Transport
from loader.question import Call, Question, ReplyPage
from loader.slicing import NotSliceable, SlicedReply, slice_reply


def exchange(
    transport: Transport, question: Question, parameters: dict[str, str], token: str, attempt: int
) -> tuple[ReplyPage, TemporaryFailure | Refused | None]:
    """Make one call; returns its page, and the error if it failed.

    `parameters` are the method's own, without the token, which never reaches raw. The error is
    returned, not raised, so that a failed call can be recorded too.
    """
    endpoint = question.endpoint
    call = Call(
        call_id=uuid.uuid4().hex,
        endpoint=endpoint.name,
        method=endpoint.method,
        account=question.account,
        request=json.dumps({"method": endpoint.method} | parameters),
        imeis=question.imeis,
        started_at=datetime.now(UTC),
        attempt=attempt,
    )
    try:
        response = transport.post(
            endpoint.method,
            parameters | {"access_token": token},
            endpoint.timeout_s,
            urgent=endpoint.urgent,
        )
    except TemporaryFailure as failure:
        return _page(call, message=str(failure)), failure
    body = response.content
    call = replace(call, http_status=response.status_code)
    if response.status_code != 200:
        fault = TemporaryFailure(f"HTTP {response.status_code}")
        return _page(call, message=str(fault)), fault
    try:
        reply = slice_reply(body, endpoint.records)
    except NotSliceable as reason:
        fault = TemporaryFailure(f"the reply cannot be taken apart: {reason}")
        # The whole body is kept: if all attempts fail, it goes to raw.rejected.
        return replace(_page(call, message=str(fault)), whole=body, problem=str(reason)), fault
    call = replace(call, code=reply.code, message=reply.message)
    if error := _error_of(reply):
        return _page(call, envelope=reply.envelope), error
    page = _page(call, envelope=reply.envelope, records=reply.records)
    if reply.problem:
        page = replace(page, whole=body, problem=reply.problem)
    return page, None


def _page(
    call: Call, *, message: str = "", envelope: bytes | None = None, records: tuple[bytes, ...] = ()
) -> ReplyPage:
    """The page of a call that ends now."""
    now = datetime.now(UTC)
    call = replace(
        call,
        duration_ms=(now - call.started_at).total_seconds() * 1000,
        message=message or call.message,
        envelope=envelope,
        records=len(records),
    )
    return ReplyPage(call, records, now)


def _error_of(reply: SlicedReply) -> TemporaryFailure | Refused | None:
    """The error that the reply's code means; None for success (docs/TRACKSOLID_API.md#codes)."""
    text = f"code {reply.code} {reply.message!r}"
    match reply.code:
        case "0":
            return None
        case "1006":
            return RateLimited(text)
        case "1004":
            return TokenRefused(text)
        case "-1":
            return TemporaryFailure(text)
        case _:
            return Refused(reply.code, text)
