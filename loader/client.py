"""From a question to its whole answer, with pages and retries; calls are recorded, no secrets."""

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import stamina
import stamina.instrumentation
import structlog

from loader.ask import Answer, Ask, Call, ReplyPage
from loader.call_budget import Stopped
from loader.endpoints import Paging
from loader.http import (
    TIME_FORMAT,
    RateLimited,
    Refused,
    TokenRefused,
    Transport,
    Unsettled,
)
from loader.slicing import NotSliceable, SlicedReply, imei_of, slice_reply
from loader.token import TokenCache
from settings import Settings

log = structlog.get_logger()
stamina.instrumentation.set_on_retry_hooks([])  # the client logs its retries itself

ATTEMPTS = 7
LONGEST_WAIT_S = 300.0
RATE_LIMIT_FACTOR = 10
NOT_YOURS = "1002"


class TracksolidClient:
    """Asks Tracksolid. Thread-safe."""

    def __init__(self, settings: Settings, transport: Transport, tokens: TokenCache) -> None:
        self._transport = transport
        self._tokens = tokens
        self._backoff_s = settings.tracksolid_backoff_seconds

    def ask(self, ask: Ask, answer: Answer | None = None) -> Answer:
        """Fetch all pages into the answer, page by page, and return it.

        The answer says what went wrong; only LoginRefused is raised. Once it is marked as
        stopped, or the loader stops, no further call is made: it keeps the pages it has.
        """
        answer = answer or Answer(ask)
        most = ask.endpoint.most_rows
        try:
            for parameters, paging in self._page_parameters(ask, answer):
                page = self._fetch_page(ask, parameters, answer)
                answer.pages.append(page)
                found = sum(len(page.records) for page in answer.pages)
                # Past the most of one query the API may refuse, or repeat itself.
                answer.is_cut = most is not None and found >= most
                is_last = page.problem or paging is None or len(page.records) < paging.size
                if answer.is_cut or is_last:
                    break
        except Stopped:
            answer.is_stopped = True
            return answer
        except (Unsettled, Refused) as error:
            answer.error = f"{ask}: {error}"
            answer.refused = error.code if isinstance(error, Refused) else None
            log.error("gave up", ask=str(ask), reason=str(error), attempts=len(answer.failed))
            return answer
        if not answer.is_cut:
            answer.pages[-1] = replace(answer.pages[-1], call=_completed(ask, answer.pages))
        return answer

    def _page_parameters(
        self, ask: Ask, answer: Answer
    ) -> Iterator[tuple[dict[str, str], Paging | None]]:
        endpoint = ask.endpoint
        parameters = {endpoint.asks: ",".join(ask.subject)} | endpoint.params
        if endpoint.account:
            parameters[endpoint.account] = ask.account
        if endpoint.window and ask.window:
            for name, instant in zip(endpoint.window, ask.window, strict=True):
                parameters[name] = instant.astimezone(UTC).strftime(TIME_FORMAT)
        if endpoint.paging is None:
            yield parameters, None
            return
        paging = endpoint.paging
        while True:
            at = paging.first + paging.step * len(answer.pages)
            yield parameters | {paging.parameter: str(at), "page_size": str(paging.size)}, paging

    def _fetch_page(self, ask: Ask, parameters: dict[str, str], answer: Answer) -> ReplyPage:
        rejected: str | None = None
        for attempt in stamina.retry_context(
            on=_wait_before_retry,
            attempts=ATTEMPTS,
            timeout=None,
            wait_initial=self._backoff_s,
            wait_max=LONGEST_WAIT_S,
            wait_jitter=self._backoff_s,
        ):
            with attempt:
                if answer.is_stopped:
                    raise Stopped
                # Each attempt has its own timestamp and sign: an old signature is refused.
                token = self._tokens.current(rejected)
                page, error = self._exchange(ask, parameters, token, attempt.num)
                if not error and page.records and _repeats(page, answer.pages):
                    error = Unsettled("a page repeats an earlier page")
                if error:
                    rejected = token if isinstance(error, TokenRefused) else None
                    if isinstance(error, RateLimited):
                        error.wait_s = self._rate_limit_wait_s(attempt.num)
                    answer.failed.append(page)
                    log.warning(
                        "call failed",
                        call_id=page.call.call_id,
                        method=ask.endpoint.method,
                        account=ask.account,
                        imeis=len(ask.imeis),
                        attempt=attempt.num,
                        reason=str(error),
                    )
                    raise error
        return page

    def _exchange(
        self, ask: Ask, parameters: dict[str, str], token: str, attempt: int
    ) -> tuple[ReplyPage, Unsettled | Refused | None]:
        """One call: what came back, and what is wrong with it."""
        endpoint = ask.endpoint
        call = Call(
            call_id=uuid.uuid4().hex,
            endpoint=endpoint.name,
            method=endpoint.method,
            account=ask.account,
            request=json.dumps({"method": endpoint.method} | parameters),
            imeis=ask.imeis,
            started_at=datetime.now(UTC),
            attempt=attempt,
        )
        try:
            response = self._transport.post(
                endpoint.method,
                parameters | {"access_token": token},
                endpoint.timeout_s,
                urgent=endpoint.urgent,
            )
        except Unsettled as failure:
            return _page(call, message=str(failure)), failure
        body = response.content
        call = replace(call, http_status=response.status_code)
        if response.status_code != 200:
            fault = Unsettled(f"HTTP {response.status_code}")
            return _page(call, message=str(fault)), fault
        try:
            reply = slice_reply(body, endpoint.records)
        except NotSliceable as reason:
            fault = Unsettled(f"the reply cannot be taken apart: {reason}")
            # Kept whole: if no attempt brings a better one it goes to raw.rejected.
            return replace(_page(call, message=str(fault)), whole=body, problem=str(reason)), fault
        call = replace(call, code=reply.code, message=reply.message)
        if complaint := _complaint(reply):
            return _page(call, envelope=reply.envelope), complaint
        page = _page(call, envelope=reply.envelope, records=reply.records)
        if reply.problem:
            page = replace(page, whole=body, problem=reply.problem)
        return page, None

    def _rate_limit_wait_s(self, attempt: int) -> float:
        wait_s = RATE_LIMIT_FACTOR * self._backoff_s * 2.0 ** (attempt - 1)
        return min(LONGEST_WAIT_S, wait_s) + random.uniform(0, self._backoff_s)  # noqa: S311


def _page(
    call: Call, *, message: str = "", envelope: bytes | None = None, records: tuple[bytes, ...] = ()
) -> ReplyPage:
    """The call with its end noted, and what it brought."""
    now = datetime.now(UTC)
    call = replace(
        call,
        duration_ms=(now - call.started_at).total_seconds() * 1000,
        message=message or call.message,
        envelope=envelope,
        records=len(records),
    )
    return ReplyPage(call, records, now)


def _repeats(page: ReplyPage, before: list[ReplyPage]) -> bool:
    """True if the page repeats an earlier one: more than half of that page's records.

    The API ignores a paging parameter that it does not know and sends page one again
    (docs/TRACKSOLID_API.md#paging).

    Not to the byte: a trip that still runs has grown since the page came for the first time, and
    the order may have changed. A row or two that moved on to the next page are no repetition.
    """
    records = set(page.records)
    return any(2 * len(records & set(e.records)) > len(e.records) for e in before)


def _complaint(reply: SlicedReply) -> Unsettled | Refused | None:
    """The error that a reply's code stands for, None for success (docs/TRACKSOLID_API.md#codes)."""
    text = f"code {reply.code} {reply.message!r}"
    match reply.code:
        case "0":
            return None
        case "1006":
            return RateLimited(text)
        case "1004":
            return TokenRefused(text)
        case "-1":
            return Unsettled(text)
        case _:
            return Refused(reply.code, text)


def _wait_before_retry(error: Exception) -> bool | float:
    if not isinstance(error, Unsettled):
        return False
    return error.wait_s if error.wait_s is not None else True


def _completed(ask: Ask, pages: list[ReplyPage]) -> Call:
    """The last call of a whole answer: carries the window and the devices that are missing."""
    missing: tuple[str, ...] = ()
    if ask.endpoint.answers_each:
        answered = {imei_of(record) for page in pages for record in page.records}
        missing = tuple(sorted(imei for imei in ask.expected if imei not in answered))
    return replace(pages[-1].call, window=ask.window, missing=missing)
