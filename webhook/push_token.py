"""Who may push: the token is looked for wherever senders put it, and compared in constant time.

The body is searched, not parsed: a push that is broken further on is still an authentic one.
"""

import hmac
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from urllib.parse import unquote_to_bytes

# Repetitions have bounds, so that no body costs more than one pass over it.
IN_JSON = re.compile(rb'"token"\s*:\s*("(?:[^"\\]|\\.){1,512}")')
IN_MULTIPART = re.compile(
    rb'name="?token"?[^\r\n]{0,200}\r?\n(?:[^\r\n]{1,200}\r?\n){0,4}\r?\n([^\r\n]{1,512})\r?\n'
)
# A record may have a key "token" of its own.
MOST_CANDIDATES = 100
LONGEST = 2048


class AcceptedTokens:
    """The tokens that are valid now."""

    def __init__(self, valid: Sequence[bytes]) -> None:
        self._valid = valid

    def allow(self, headers: Sequence[tuple[bytes, bytes]], query: bytes, body: bytes) -> bool:
        """Does the request carry a valid token: header, query, or a field of its body?"""
        return (
            any(map(self._is_valid, _in_headers(headers)))
            or any(map(self._is_valid, _in_fields(query)))
            or any(map(self._is_valid, _in_fields(body)))
            or any(map(self._is_valid, _in_json(body)))
            or any(map(self._is_valid, _in_multipart(body)))
        )

    def _is_valid(self, candidate: bytes) -> bool:
        # All are compared, always: the time must not tell which one came close.
        return sum([hmac.compare_digest(candidate, token) for token in self._valid]) > 0


def _in_headers(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for name, value in headers:
        if name == b"x-token":
            yield value
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            yield value[7:].strip()


def _in_fields(text: bytes) -> Iterator[bytes]:
    """The field `token` of a query or a urlencoded form."""
    at = 0 if text.startswith(b"token=") else text.find(b"&token=") + 1
    if text.startswith(b"token=", at):
        end = text.find(b"&", at)
        value = text[at + 6 : end if end >= 0 else len(text)]
        if len(value) <= LONGEST:
            yield unquote_to_bytes(value.replace(b"+", b" ")).strip()


def _in_json(body: bytes) -> Iterator[bytes]:
    for found in islice(IN_JSON.finditer(body), MOST_CANDIDATES):
        try:
            yield json.loads(found[1]).encode()
        except ValueError:  # an escape that is none, a lone surrogate
            continue


def _in_multipart(body: bytes) -> Iterator[bytes]:
    for found in islice(IN_MULTIPART.finditer(body), MOST_CANDIDATES):
        yield found[1]
