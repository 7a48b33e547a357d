"""From devices and windows to questions: as few as the limits of the endpoint allow."""

from collections import defaultdict
from datetime import timedelta
from math import ceil

from loader.endpoints import BATCH, Endpoint
from loader.question import Question, Window


def question_batches(
    endpoint: Endpoint, devices: dict[str, str], windows: dict[str, list[Window]]
) -> list[Question]:
    """Questions about all devices (IMEI -> account) and their windows (by IMEI).

    Devices of one account with the same window share a question if the endpoint allows it. Without
    a window at the endpoint, `windows` is ignored.
    """
    alike: dict[tuple[str, Window | None], list[str]] = defaultdict(list)
    for imei, account in sorted(devices.items()):
        spans: list[Window | None] = [None]
        if endpoint.window:
            spans = [*_pieces(windows.get(imei, []), endpoint.longest_window)]
        for span in spans:
            alike[account, span].append(imei)
    size = BATCH if endpoint.per == "batch" else 1
    questions = []
    for (account, span), imeis in alike.items():
        for at in range(0, len(imeis), size):
            chunk = tuple(imeis[at : at + size])
            expected = frozenset(chunk) if endpoint.answers_each else frozenset()
            questions.append(Question(endpoint, account, chunk, span, expected))
    return questions


def _pieces(windows: list[Window], longest: timedelta) -> list[Window]:
    """Cut windows that are longer than one call may ask for."""
    pieces = []
    for start, end in windows:
        cuts = range(ceil((end - start) / longest))
        pieces += [(start + n * longest, min(end, start + (n + 1) * longest)) for n in cuts]
    return pieces
