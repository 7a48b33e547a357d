"""From a question to its whole answer: fetches all pages, retries failed calls, renews tokens."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC

import stamina
import stamina.instrumentation
import structlog

from loader.call_budget import LoaderStopped
from loader.endpoints import Paging
from loader.exchange import exchange
from loader.http import (
    TIME_FORMAT,
    RateLimited,
    Refused,
    TemporaryFailure,
    TokenRefused,
    Transport,
)
from loader.question import Answer, Call, Question, ReplyPage
from loader.slicing import imei_of
from loader.token import TokenCache
from settings import Settings

log = structlog.get_logger()
stamina.instrumentation.set_on_retry_hooks([])  # the client logs its retries itself

ATTEMPTS = 7
LONGEST_WAIT_S = 300.0
# After code 1006 a retry waits this many times longer (docs/TRACKSOLID_API.md#codes).
RATE_LIMIT_FACTOR = 10


class TracksolidClient:
    """Asks Tracksolid questions. Thread-safe."""

    def __init__(self, settings: Settings, transport: Transport, tokens: TokenCache) -> None:
        self._transport = transport
        self._tokens = tokens
        self._backoff_s = settings.tracksolid_backoff_seconds

    def ask(self, question: Question, answer: Answer | None = None) -> Answer:
        """Fetch all pages of the answer; returns `answer`, or a new one if none is given.

        An answer that another thread marks as stopped keeps the pages that it has. If a call fails
        for good, `error` of the answer says why. Raises LoginRefused and no other error.
        """
        answer = answer or Answer(question)
        most_rows = question.endpoint.most_rows
        try:
            for parameters, paging in self._page_parameters(question, answer):
                page = self._fetch_page(question, parameters, answer)
                answer.pages.append(page)
                found = sum(len(page.records) for page in answer.pages)
                # Beyond the limit of one query the API may refuse, or repeat a page.
                answer.is_cut = most_rows is not None and found >= most_rows
                is_last = page.problem or paging is None or len(page.records) < paging.size
                if answer.is_cut or is_last:
                    break
        except LoaderStopped:
            answer.is_stopped = True
            return answer
        except (TemporaryFailure, Refused) as error:
            answer.error = f"{question}: {error}"
            answer.refusal_code = error.code if isinstance(error, Refused) else None
            log.error(
                "gave up", question=str(question), reason=str(error), attempts=len(answer.failed)
            )
            return answer
        if not answer.is_cut:
            answer.pages[-1] = replace(answer.pages[-1], call=_completed(question, answer.pages))
        return answer

    def _page_parameters(
        self, question: Question, answer: Answer
    ) -> Iterator[tuple[dict[str, str], Paging | None]]:
        """The parameters of one page after the other, without end if the endpoint has pages."""
        endpoint = question.endpoint
        parameters = {endpoint.subject_parameter: ",".join(question.subject)} | endpoint.params
        if endpoint.account_parameter:
            parameters[endpoint.account_parameter] = question.account
        if endpoint.window and question.window:
            for name, instant in zip(endpoint.window, question.window, strict=True):
                parameters[name] = instant.astimezone(UTC).strftime(TIME_FORMAT)
        if endpoint.paging is None:
            yield parameters, None
            return
        paging = endpoint.paging
        while True:
            at = paging.first + paging.step * len(answer.pages)
            yield parameters | {paging.parameter: str(at), "page_size": str(paging.size)}, paging

    def _fetch_page(
        self, question: Question, parameters: dict[str, str], answer: Answer
    ) -> ReplyPage:
        """Fetch one page, with retries; adds failed calls to the answer.

        Raises LoaderStopped, LoginRefused, Refused, or TemporaryFailure after the last attempt.
        """
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
                    raise LoaderStopped
                token = self._tokens.current(rejected)
                page, error = exchange(self._transport, question, parameters, token, attempt.num)
                if not error and page.records and _repeats(page, answer.pages):
                    error = TemporaryFailure("a page repeats an earlier page")
                if error:
                    rejected = token if isinstance(error, TokenRefused) else None
                    if isinstance(error, RateLimited):
                        error.wait_s = self._rate_limit_wait_s(attempt.num)
                    answer.failed.append(page)
                    log.warning(
                        "call failed",
                        call_id=page.call.call_id,
                        method=question.endpoint.method,
                        account=question.account,
                        imeis=len(question.imeis),
                        attempt=attempt.num,
                        reason=str(error),
                    )
                    raise error
        return page

    def _rate_limit_wait_s(self, attempt: int) -> float:
        wait_s = RATE_LIMIT_FACTOR * self._backoff_s * 2.0 ** (attempt - 1)
        return min(LONGEST_WAIT_S, wait_s) + random.uniform(0, self._backoff_s)  # noqa: S311


def _repeats(page: ReplyPage, earlier: list[ReplyPage]) -> bool:
    """True if the page has more than half of the records of an earlier page.

    The API ignores a paging parameter that it does not know, and sends page one again
    (docs/TRACKSOLID_API.md#paging). Such a page need not be identical: a running trip has grown in
    the meantime, and the order may differ. A row or two that moved to the next page are normal.
    """
    records = set(page.records)
    return any(2 * len(records & set(e.records)) > len(e.records) for e in earlier)


def _wait_before_retry(error: Exception) -> bool | float:
    """For stamina: False for no retry, True for the usual backoff, or the seconds to wait."""
    if not isinstance(error, TemporaryFailure):
        return False
    return error.wait_s if error.wait_s is not None else True


def _completed(question: Question, pages: list[ReplyPage]) -> Call:
    """The last call of a complete answer, with the window and the devices that are missing."""
    missing: tuple[str, ...] = ()
    if question.endpoint.answers_each:
        answered = {imei_of(record) for page in pages for record in page.records}
        missing = tuple(sorted(imei for imei in question.expected if imei not in answered))
    return replace(pages[-1].call, window=question.window, missing=missing)
