"""From questions to rows of raw: asks in parallel and lands the answers while they arrive."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from threading import Thread

from loader.batch import Batch
from loader.call_budget import STOP_CHECK_S
from loader.client import TracksolidClient
from loader.http import Transport
from loader.landing import Landing
from loader.question import Answer, Question

LAND_RECORDS = 50_000  # land at the latest after so many records: bounds memory
LAND_SECONDS = 30.0  # land at the latest after so long: bounds what a kill can lose
STOP_GRACE_S = 1.0  # how long a stop waits for calls in flight
FOREIGN = "1002"  # account or device is not ours (docs/TRACKSOLID_API.md#codes)

Progress = Callable[[str, int, int], None]  # endpoint, questions answered, questions in all


@dataclass
class Summary:
    """What was fetched from one endpoint, and what went wrong.

    A question that is split counts as its parts. `missing` are the IMEIs without an answer, where
    the endpoint has to answer for each. `foreign` are those of the errors that are about one device
    that the API says is not ours.
    """

    endpoint: str
    questions: int = 0
    calls: int = 0
    records: int = 0
    errors: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    seconds: float = 0.0
    foreign: list[str] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """True if more than half of the questions failed.

        FIX-N14: a foreign device fails with every window for which it is asked, and costs only
        itself. It counts only if nothing else was answered.
        """
        foreign = len(self.foreign)
        if foreign == self.questions:
            return foreign > 0
        return 2 * (len(self.errors) - foreign) > self.questions - foreign


class Fetcher:
    """Asks questions in parallel threads and lands the answers. Thread-safe."""

    def __init__(
        self, client: TracksolidClient, transport: Transport, landing: Landing, workers: int
    ) -> None:
        self._client = client
        self._transport = transport
        self._landing = landing
        self._workers = workers

    def fetch(
        self, endpoint: str, questions: list[Question], progress: Progress | None = None
    ) -> Summary:
        """Ask all questions about an endpoint (its name) and land the answers.

        A question that fails is an error in the summary. If the loader stops, the answers that have
        arrived are landed. Raises LoginRefused, LandingError.
        """
        began = landed_at = time.monotonic()
        summary = Summary(endpoint, questions=len(questions))
        batch = Batch()
        waiting, running = list(reversed(questions)), dict[Future[Answer], Answer]()
        done = 0
        try:
            while (waiting or running) and not self._transport.is_stopping:
                while waiting and len(running) < 2 * self._workers:
                    future, answer = self._start(waiting.pop())
                    running[future] = answer
                for future in wait(running, STOP_CHECK_S, FIRST_COMPLETED).done:
                    del running[future]
                    answer = future.result()
                    batch.add(answer)
                    waiting += _count(answer, summary)
                    done += 1
                if progress:
                    progress(endpoint, done, done + len(waiting) + len(running))
                is_due = time.monotonic() - landed_at > LAND_SECONDS
                if batch.records >= LAND_RECORDS or is_due:
                    self._landing.land(batch)
                    batch, landed_at = Batch(), time.monotonic()
            for answer in _last_answers(running):
                batch.add(answer)
                _count(answer, summary)
        finally:
            # Also after an error: what has arrived is landed, and the other threads stop.
            for answer in running.values():
                answer.is_stopped = True
            self._landing.land(batch)
        summary.seconds = time.monotonic() - began
        return summary

    def _start(self, question: Question) -> tuple[Future[Answer], Answer]:
        """Ask in a daemon thread: an API that does not answer must not keep the process alive."""
        future, answer = Future[Answer](), Answer(question)

        def run() -> None:
            try:
                future.set_result(self._client.ask(question, answer))
            except Exception as error:
                future.set_exception(error)

        # The copied context gives the thread's log lines the same bound values, such as the job.
        Thread(target=copy_context().run, args=(run,), daemon=True).start()
        return future, answer


def _last_answers(running: dict[Future[Answer], Answer]) -> Iterator[Answer]:
    """After a stop: answers that complete within STOP_GRACE_S, and the pages that others have."""
    finished = wait(running, STOP_GRACE_S).done
    for future, answer in running.items():
        if future not in finished:
            # Copies, because its thread may still add to the lists.
            yield replace(
                answer, pages=list(answer.pages), failed=list(answer.failed), is_stopped=True
            )
        elif future.exception() is None:
            yield answer


def _count(answer: Answer, summary: Summary) -> list[Question]:
    """Add an answer to the summary; returns smaller questions if this one has to be split."""
    summary.calls += len(answer.pages) + len(answer.failed)
    summary.records += sum(len(page.records) for page in answer.pages)
    if answer.is_stopped:
        return []
    is_foreign = answer.refusal_code == FOREIGN and bool(answer.question.imeis)
    # One device that is not ours fails the whole batch: halving it finds that device.
    has_foreign = is_foreign and len(answer.question.imeis) > 1
    if (answer.is_cut or has_foreign) and (halves := answer.question.halves()):
        summary.questions += len(halves) - 1
        return halves
    if answer.error:
        summary.errors.append(answer.error)
        if is_foreign:
            summary.foreign.append(answer.error)
    elif answer.is_cut:
        summary.errors.append(f"{answer.question}: more rows than one query can return")
    else:
        summary.missing.update(answer.pages[-1].call.missing)
    return []
