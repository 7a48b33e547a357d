"""From the bytes of a reply to the bytes of its records, which are cut out and never re-serialised.

msgspec is fast, but refuses a whole reply for one lone surrogate, NaN, control character or deep
nesting in one record. A scanner then cuts the reply at the same places; it knows only strings,
brackets, commas and colons, and judges no value. So one bad record spoils only itself.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

# A string that does not close also matches, so that it is read once, and not again from each quote.
TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\],:]|[^\s"{}\[\],:]++', re.DOTALL)
# FIX-N15: null and -1 mean unknown, so that the other of the two keys counts.
IMEI = re.compile(rb'"(?:imei|deviceImei)"\s*+:\s*+"?(?!(?:null|-1)\b)([^"\\\s,}\x00-\x1f]{1,64})')
# FIX-N15: not only null and a missing key, but also "" and {} mean that there are no records.
NO_RECORDS = (b"null", b'""', b"{}")
SPACE = b" \t\r\n"
Members = dict[str, bytes]  # of a JSON object: name and the raw text of the value


class NotSliceable(ValueError):
    """The bytes are not one JSON value of the expected kind, or they are cut off."""


@dataclass(frozen=True)
class SlicedReply:
    """An API reply taken apart; each record is a slice of the bytes received.

    `envelope` is the reply without its records. If the records could not be found, `records` is
    empty, `problem` says why, and the caller should keep the whole reply.
    """

    code: str
    message: str
    records: tuple[bytes, ...]
    envelope: bytes
    problem: str | None = None


def slice_reply(body: bytes, path: tuple[str, ...]) -> SlicedReply:
    """Cut the records at `path` (names of nested keys) out of a reply.

    A list gives its items. One object gives one record: detail methods answer so, and perhaps
    location.get (docs/TRACKSOLID_API.md#location_get). Null, "", {} and a missing key give none.
    Where each method puts its records: docs/TRACKSOLID_API.md#envelope.

    Raises NotSliceable if the reply is no JSON object, such as HTML or a body that is cut off.
    """
    members = object_members(body)
    code = _text(members.get("code", b""))
    message = _text(members.get("message", b""))
    found: bytes | None = body
    for name in path:
        found = object_members(found).get(name) if found and found.startswith(b"{") else None
    if found is None or found[:16].translate(None, SPACE) in NO_RECORDS:
        return SlicedReply(code, message, (), body)
    if not found.startswith((b"[", b"{")):
        return SlicedReply(
            code, message, (), body, f"{'.'.join(path)} is neither a list nor an object"
        )
    if found.startswith(b"["):
        records, rest = list_items(found), b"[]"
    else:
        records, rest = [found], b"null"
    # The envelope keeps every byte except the records, which have rows of their own.
    start = _position(body, path, found)
    envelope = body[:start] + rest + body[start + len(found) :]
    return SlicedReply(code, message, tuple(records), envelope)


def object_members(text: bytes) -> Members:
    """The members of a JSON object as raw bytes; the last of equal names wins.

    Raises NotSliceable if the text is no JSON object.
    """
    try:
        return {
            k: bytes(v) for k, v in msgspec.json.decode(text, type=dict[str, msgspec.Raw]).items()
        }
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return {name: text[start:end] for name, start, end in _member_spans(text)}


def list_items(text: bytes) -> list[bytes]:
    """The items of a JSON list as raw bytes, in order. Raises NotSliceable if it is no list."""
    try:
        return [bytes(item) for item in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _scan(text, b"[", b"]")


def imei_of(record: bytes) -> str | None:
    """The IMEI in a record, as text; None if it has none. The loader reads no other field of it."""
    found = IMEI.search(record)
    return found[1].decode("ascii", "replace") if found else None


def text_at(document: bytes, *path: str) -> str | None:
    """The text or the number at `path` (names of nested keys), decoded; None if there is none.

    FIX-N15: an account may be escaped in the JSON, and an id may be a number. A text that cannot be
    sent or stored, because it holds control characters or lone surrogates, is None.
    """
    found: bytes | None = document
    try:
        for name in path:
            found = object_members(found).get(name) if found else None
    except NotSliceable:
        return None
    if not found or found.startswith((b"{", b"[")) or found in (b"true", b"false"):
        return None
    text = _text(found)
    return text if text and text.isprintable() else None


def _position(body: bytes, path: tuple[str, ...], found: bytes) -> int:
    """The start of the value at `path`, whose bytes `found` may occur elsewhere too."""
    first = body.find(found)
    if body.find(found, first + 1) < 0:
        return first
    start, end = 0, len(body)
    for name in path:
        spans = {key: (at, to) for key, at, to in _member_spans(body[start:end])}
        at, to = spans[name]
        start, end = start + at, start + to
    return start


def _member_spans(text: bytes) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) of each value of a JSON object, in order."""
    for start, end in _spans(text, b"{", b"}"):
        name = TOKEN.match(text, start, end)
        colon = text.find(b":", name.end(), end) if name else -1
        if name is None or not name[0].startswith(b'"') or colon < 0:
            raise NotSliceable(f"not a member of a JSON object: {text[start : start + 40]!r}")
        value = text[colon + 1 : end]
        yield _text(name[0]), end - len(value.lstrip(SPACE)), end


def _scan(text: bytes, opening: bytes, closing: bytes) -> list[bytes]:
    """The items between the brackets of one value."""
    return [text[start:end] for start, end in _spans(text, opening, closing)]


def _spans(text: bytes, opening: bytes, closing: bytes) -> list[tuple[int, int]]:
    """(start, end) of each item between the brackets, without the space around it."""
    first = len(text) - len(text.lstrip(SPACE))
    if not text.startswith(opening, first):
        raise NotSliceable(f"expected {opening.decode()}, got {text[first : first + 40]!r}")
    items: list[tuple[int, int]] = []
    depth, start, end = 0, first + 1, first
    for token in TOKEN.finditer(text, first):
        if text[end : token.start()].strip(SPACE):
            raise NotSliceable(f"no JSON near byte {end}")
        end = token.end()
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
        if (depth == 1 and mark == b",") or depth == 0:
            items.append(_stripped(text, start, token.start()))
            start = token.end()
        if depth == 0:
            break
    if depth != 0 or text[end:].strip(SPACE) or text[end - 1 : end] != closing:
        raise NotSliceable("the text is cut off, or holds more than one value")
    return items if len(items) != 1 or items[0][0] < items[0][1] else []


def _stripped(text: bytes, start: int, end: int) -> tuple[int, int]:
    item = text[start:end]
    return end - len(item.lstrip(SPACE)), start + len(item.rstrip(SPACE))


def _text(raw: bytes) -> str:
    """A scalar as text; JSON's escapes in a string are decoded if it is valid.

    The codes 0 and "0" become the same text (docs/TRACKSOLID_API.md#envelope).
    """
    text = raw.decode("utf-8", "replace")
    if text.startswith('"'):
        try:
            decoded = json.loads(text, strict=False)
        except ValueError:
            return text.strip('"')
        return str(decoded)
    return text if text != "null" else ""
