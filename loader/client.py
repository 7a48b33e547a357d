"""From a question to its whole answer: fetches all pages, retries failed calls, renews tokens."""

import random
from dataclasses import replace

import stamina
import stamina.instrumentation
import structlog

from loader.call_budget import LoaderStopped
from loader.exchange import exchange
from loader.http import (
    RateLimited,
    Refused,
    TemporaryFailure,
    TokenRefused,
    Transport,
)
from loader.paging import NoNextPage, PageLengths, next_parameters, why_not_next
from loader.question import Answer, Call, Question, ReplyPage
from loader.slicing import imei_of
from loader.token import TokenCache
from settings import Settings

log = structlog.get_logger()
stamina.instrumentation.set_on_retry_hooks([])  # the client logs its retries itself

ATTEMPTS = 7
PAGE_ATTEMPTS = 3  # for a page that is not the next one: the API may not know the page parameter
LONGEST_WAIT_S = 300.0
# After code 1006 a retry waits this many times longer (docs/TRACKSOLID_API.md#codes).
RATE_LIMIT_FACTOR = 10


class TracksolidClient:
    """Asks Tracksolid questions. Thread-safe."""

    def __init__(self, settings: Settings, transport: Transport, tokens: TokenCache) -> None:
        self._transport = transport
        self._tokens = tokens
        self._backoff_s = settings.tracksolid_backoff_seconds
        self._page_lengths = PageLengths()

    def ask(self, question: Question, answer: Answer | None = None) -> Answer:
        """Fetch all pages of the answer; returns `answer`, or a new one if none is given.

        An answer that another thread marks as stopped keeps the pages that it has. If a call fails
        for good, `error` of the answer says why. Raises LoginRefused and no other error.
        """
        answer = answer or Answer(question)
        endpoint, is_last = question.endpoint, False
        try:
            while not (is_last or answer.is_cut):
                page = self._fetch_page(question, next_parameters(question, answer), answer)
                answer.pages.append(page)
                # Beyond the limit of one query the API may refuse, or repeat a page.
                answer.is_cut = bool(endpoint.most_rows and answer.found >= endpoint.most_rows)
                is_last = self._page_lengths.is_last(answer)
        except LoaderStopped:
            answer.is_stopped = True
            return answer
        except NoNextPage:
            answer.is_cut = self._page_lengths.may_be_cut(answer)
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

    def _fetch_page(
        self, question: Question, parameters: dict[str, str], answer: Answer
    ) -> ReplyPage:
        """Fetch one page, with retries; adds failed calls to the answer.

        Raises LoaderStopped, LoginRefused, Refused, or TemporaryFailure after the last attempt.
        """
        rejected = fault = None
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
                if not error and (fault := why_not_next(page, answer)):
                    error = TemporaryFailure(fault)
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
                    if fault and answer.pages and attempt.num >= PAGE_ATTEMPTS:
                        raise NoNextPage
                    raise error
        return page

    def _rate_limit_wait_s(self, attempt: int) -> float:
        wait_s = RATE_LIMIT_FACTOR * self._backoff_s * 2.0 ** (attempt - 1)
        return min(LONGEST_WAIT_S, wait_s) + random.uniform(0, self._backoff_s)  # noqa: S311


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
