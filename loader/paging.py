"""From the pages of an answer so far to the next page: its parameters, or that there is none.

How methods page: docs/TRACKSOLID_API.md#paging.
"""

import re
from collections import Counter
from datetime import UTC

from loader.http import TIME_FORMAT
from loader.question import Answer, Question, ReplyPage
from loader.slicing import imei_of, text_at

TIME = re.compile(rb"\d{4}-\d\d-\d\d[ T]\d\d?:\d\d:\d\d")


class NoNextPage(Exception):
    """Instead of the next page the API sent nothing or an earlier page, several times."""


class PageLengths:
    """Decides whether an answer has all its rows; remembers the longest page of each endpoint."""

    def __init__(self) -> None:
        self._longest = Counter[str]()  # endpoint: rows

    def is_last(self, answer: Answer) -> bool:
        """FIX-N06: whether the newest page is the last one.

        A page shorter than asked for is not: the API may have shorter pages than it is asked for.
        The last one is the page with which the rows are as many as the answer's own total says. If
        there is no total, or if it makes no sense, it is the empty page.
        """
        page, endpoint = answer.pages[-1], answer.question.endpoint
        rows = len(page.records)
        self._longest[endpoint.name] = max(self._longest[endpoint.name], rows)
        no_more = rows == 0 or total(answer) == answer.found
        return endpoint.paging is None or page.problem is not None or no_more

    def may_be_cut(self, answer: Answer) -> bool:
        """FIX-N07: whether rows may be missing, now that the API sends no next page.

        It does so if it ignores the page parameter and caps its answers. If the total does not say
        how many there are, then only an answer is complete that is shorter than the cap, which is
        at least the length of the longest page so far.
        """
        endpoint, rows = answer.question.endpoint, total(answer)
        if rows is not None:
            return rows > answer.found
        is_full = endpoint.paging is not None and answer.found >= endpoint.paging.size
        could_be_full = answer.found > 1 and bool(answer.question.halves())
        return answer.found >= self._longest[endpoint.name] and (is_full or could_be_full)


def next_parameters(question: Question, answer: Answer) -> dict[str, str]:
    """The parameters of the call for the next page; for the only page, if there are no others."""
    endpoint, paging = question.endpoint, question.endpoint.paging
    parameters = {endpoint.subject_parameter: ",".join(question.subject)} | endpoint.params
    if endpoint.account_parameter:
        parameters[endpoint.account_parameter] = question.account
    if endpoint.window and question.window:
        for name, instant in zip(endpoint.window, question.window, strict=True):
            parameters[name] = instant.astimezone(UTC).strftime(TIME_FORMAT)
    if paging is None:
        return parameters
    at, size = answer.found, paging.size
    if not paging.counts_rows:
        at = len(answer.pages) + 1
        if answer.pages:
            # FIX-N06: if the API has shortened page one, it counts with the length that it was
            # asked for or with its own. Asked for its own, page two begins right after page one.
            size = min(size, len(answer.pages[0].records))
    return parameters | {paging.parameter: str(at), "page_size": str(size)}


def total(answer: Answer) -> int | None:
    """The number of rows on all pages, as the newest page says; None if it does not or cannot."""
    path, page = answer.question.endpoint.total, answer.pages[-1]
    text = text_at(page.call.envelope or b"", *path) if path else None
    return int(text) if text and text.isdecimal() and int(text) >= answer.found else None


def why_not_next(page: ReplyPage, answer: Answer) -> str | None:
    """Why the page is not the next page of the answer; None if it is.

    The API ignores a paging parameter that it does not know, and sends page one again. Such a page
    need not be identical: a running trip has grown in the meantime, and the order may differ. A row
    or two that moved to the next page are normal.
    """
    things = _things(page)
    if any(2 * len(things & earlier) > len(earlier) for earlier in map(_things, answer.pages)):
        return "a page repeats an earlier page"
    rows = total(Answer(answer.question, pages=[*answer.pages, page]))
    if rows is not None and rows > answer.found and not page.records and not page.problem:
        return "a page is empty, although the total says that there are more rows"
    return None


def _things(page: ReplyPage) -> set[object]:
    """What the records are about: device and earliest time, which stay while a trip grows."""
    things = set[object]()
    for record in page.records:
        times = TIME.findall(record)
        things.add((imei_of(record), min(times)) if times else record)
    return things
