"""From a request and the fault rules to the reply that is sent: the true one or a spoilt one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sandbox.faults import (
    ODDITIES,
    ON_CALLS,
    ON_RECORDS,
    ON_REPORTS,
    WRONG,
    WRONG_EVERYWHERE,
    Fault,
    FaultRule,
    Script,
)
from sandbox.issued_tokens import IssuedTokens
from sandbox.method_dispatch import REPORTS, MethodDispatch
from sandbox.poison import odd, poison
from sandbox.reply import ApiError, ReplyBody
from sandbox.wrong_reports import wrong

_CODES = {
    Fault.RATE_LIMITED: ApiError(1006, "Illegal access, request frequency is too high"),
    Fault.TOKEN_EXPIRED: ApiError(1004, "Illegal access, token exception!"),
    Fault.SYSTEM_BUSY: ApiError(-1, "System is busy"),
}
_SHORT_PAGE = 50
_FIRST_PAGE = {"start_row": "0", "page_no": "1"}
_HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A response body, and what the HTTP server does with it.

    `stall_s` is how many seconds to wait before answering.
    """

    body: bytes
    fault: Fault | None = None
    stall_s: float = 0.0
    status: int = 200
    content_type: str = "application/json;charset=UTF-8"

    @property
    def sent_body(self) -> bytes:
        """The part of the body that is sent: nothing on a reset, half on a cut-off."""
        if self.fault is Fault.RESET:
            return b""
        return self.body[: len(self.body) // 2] if self.fault is Fault.CUT_OFF else self.body


_WITHOUT_ANSWER = {
    Fault.RESET: Outcome(b"", Fault.RESET),
    Fault.HTTP_500: Outcome(_HTML, Fault.HTTP_500, status=500, content_type="text/html"),
    Fault.HTML_PAGE: Outcome(_HTML, Fault.HTML_PAGE, content_type="text/html"),
}


class Conduct:
    """Decides for each request whether its reply is spoilt, and how. Thread-safe."""

    def __init__(self, dispatch: MethodDispatch, tokens: IssuedTokens, script: Script) -> None:
        self._dispatch = dispatch
        self._tokens = tokens
        self._script = script

    def outcome(self, params: Mapping[str, str]) -> Outcome:
        """The outcome of a call with these form parameters."""
        rule = self._script.next(params.get("method", ""), ON_CALLS)
        if rule is None:
            return self._answered(params)
        if rule.fault in _WITHOUT_ANSWER:
            return _WITHOUT_ANSWER[rule.fault]
        if rule.fault in _CODES:
            if rule.fault is Fault.TOKEN_EXPIRED:
                self._tokens.revoke(params.get("access_token"))
            return Outcome(_CODES[rule.fault].reply.body, rule.fault)
        return self._answered_badly(params, rule)

    def _answered_badly(self, params: Mapping[str, str], rule: FaultRule) -> Outcome:
        """The true reply, but late, cut in half, or with another page; or a refusal."""
        if rule.fault is Fault.STALL:
            return replace(self._answered(params), fault=rule.fault, stall_s=rule.seconds)
        if rule.fault is Fault.FOREIGN_DEVICE and self._dispatch.names_first_device(params):
            return Outcome(ApiError(1002, "Illegal device").reply.body, rule.fault)
        acted_on = params
        if rule.fault is Fault.REPEATED_PAGE:
            acted_on = {name: _FIRST_PAGE.get(name, value) for name, value in params.items()}
        body = self._dispatch.answer(params, acted_on).body
        if rule.fault is Fault.NOT_JSON:
            body = body[: len(body) // 2]
        if rule.fault is Fault.EMPTY_TEXT:
            body = body.replace(b'"result":null', b'"result":""')
        return Outcome(body, rule.fault)

    def _answered(self, params: Mapping[str, str]) -> Outcome:
        method = params.get("method", "")
        changed = self._script.next(method, ON_REPORTS) if method in REPORTS else None
        fault = changed.fault if changed else None
        reply = self._dispatch.answer(params, fault=fault)
        rule = self._script.next(method, ON_RECORDS) if reply.records else None
        if rule is None:
            return Outcome(reply.body, fault)
        return Outcome(_spoilt(reply, rule.fault).body, rule.fault)


def _spoilt(reply: ReplyBody, fault: Fault) -> ReplyBody:
    """The reply with other records, or with one spoilt record in the middle."""
    records = list(reply.records)
    if fault in WRONG_EVERYWHERE:
        return replace(reply, records=[wrong(record, fault) for record in records])
    if fault is Fault.SHUFFLED:
        return replace(reply, records=records[1::2] + records[::2])
    if fault is Fault.SHORT_PAGE:
        return replace(reply, records=records[:_SHORT_PAGE])
    if fault is Fault.GONE:
        return replace(reply, records=records[:-1])
    if fault in ODDITIES:
        return replace(reply, records=[odd(record, fault) for record in records])
    middle = len(records) // 2
    spoil = wrong if fault in WRONG else poison
    records[middle] = spoil(records[middle], fault)
    return replace(reply, records=records)
