"""Finds the token in a push, in every place where senders put it, and compares it in constant time.

The body is searched and not parsed, because a malformed push with a valid token is kept too. Each
search is linear in the number of bytes and goes in short steps: one long body without a token
cannot block the event loop for the other senders.
"""

import hmac
import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from urllib.parse import unquote_to_bytes

from webhook.multipart_form import MultipartReader, NotAForm, is_multipart

# Each repetition is bounded and possessive, so that a failed match reads 1.2 kB at most.
IN_JSON = re.compile(rb'"token"\s{0,64}+:\s{0,64}+("(?:[^"\\]|\\.){1,512}+")')
LONGEST_IN_JSON = 2048  # bytes of a match
# Keys "token" that are tried: records may have such a key too.
MOST_CANDIDATES = 100
LONGEST_TOKEN = 2048
# Bytes per step: about a millisecond of work in each of the searches.
STEP = 256 * 1024
# Only the head of a multipart form is searched, in smaller steps because parsing takes longer.
MULTIPART_HEAD = 1024 * 1024
MULTIPART_STEP = 8 * 1024

Headers = Sequence[tuple[bytes, bytes]]


class AcceptedTokens:
    """The tokens that are valid now."""

    def __init__(self, valid: Sequence[bytes]) -> None:
        self._valid = valid

    def search(self, headers: Headers, query: bytes, body: bytes) -> Iterator[bool]:
        """Search the headers, the query and the body for a valid token, step by step.

        Yields True when it is found, and False after each step without it, so that the caller can
        let other work run. If the steps end without True, the request has no valid token.
        """
        candidates = chain(
            _in_headers(headers),
            _in_fields(query),
            _in_fields(body),
            _in_json(body),
            _in_multipart(headers, body),
        )
        return (found is not None and self._is_valid(found) for found in candidates)

    def _is_valid(self, candidate: bytes) -> bool:
        # Always compare with every token: the time must not show which one almost matched.
        return sum([hmac.compare_digest(candidate, token) for token in self._valid]) > 0


def _in_headers(headers: Headers) -> Iterator[bytes]:
    for name, value in headers:
        if name == b"x-token":
            yield value
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            yield value[7:].strip()


def _in_fields(text: bytes) -> Iterator[bytes | None]:
    """The field "token" of a query or a urlencoded form; None after each step without it."""
    at = 0
    if not text.startswith(b"token="):
        for start in range(0, len(text), STEP):
            if start:
                yield None
            if (found := text.find(b"&token=", start, start + STEP + len(b"&token="))) >= 0:
                at = found + 1
                break
        else:
            return
    # A value that is too long for a token is ignored.
    end = text.find(b"&", at, at + 6 + LONGEST_TOKEN + 1)
    if end < 0 and len(text) - at > 6 + LONGEST_TOKEN:
        return
    value = text[at + 6 : end if end >= 0 else len(text)]
    yield unquote_to_bytes(value.replace(b"+", b" ")).strip()


def _in_json(body: bytes) -> Iterator[bytes | None]:
    """The decoded text of each key "token"; None after each step."""
    seen = 0
    for start in range(0, len(body), STEP):
        if start:
            yield None
        # The search goes beyond the step, to find all of a match that begins within it.
        for found in IN_JSON.finditer(body, start, start + STEP + LONGEST_IN_JSON):
            if found.start() >= start + STEP:
                break
            seen += 1
            if seen > MOST_CANDIDATES:
                return
            try:
                yield json.loads(found[1]).encode()
            except ValueError:  # an invalid escape or a lone surrogate
                continue


def _in_multipart(headers: Headers, body: bytes) -> Iterator[bytes | None]:
    """The fields "token" in the head of a multipart form; None after each step."""
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    if not is_multipart(content_type.decode("latin-1")):
        return
    try:
        form = MultipartReader(content_type.decode("latin-1"))
        for start in range(0, min(len(body), MULTIPART_HEAD), MULTIPART_STEP):
            yield from _tokens_of(form.feed(body[start : start + MULTIPART_STEP]))
            yield None
        yield from _tokens_of(form.rest())
    except NotAForm:
        return


def _tokens_of(fields: Sequence[tuple[str, bytes]]) -> Iterator[bytes]:
    return (value for name, value in fields if name == "token" and len(value) <= LONGEST_TOKEN)
