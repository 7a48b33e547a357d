"""From the bytes of a reply to the bytes of its records: cut at the commas, never re-serialised.

msgspec does it fast but refuses a whole reply for one lone surrogate, NaN, control character or
1,200 levels in one record; then a scanner that knows strings and brackets, and judges nothing
else, cuts the same places. One bad record costs only itself.
"""

import re
from dataclasses import dataclass

import msgspec

# Possessive: an unterminated string fails at once instead of being tried again at each length.
TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
IMEI = re.compile(rb'"(?:imei|deviceImei)"\s*:\s*"?([^"\\\s,}\x00-\x1f]{1,64})')
SPACE = b" \t\r\n"
# Found by walking the envelope: raw text of a value.
Members = dict[str, bytes]


class NotSliceable(ValueError):
    """The bytes are no JSON value whose brackets and strings close."""


@dataclass(frozen=True)
class Reply:
    """An API reply taken apart; every piece is a slice of the bytes received.

    `envelope` is the reply with its list of records cut out. `problem` tells why the records
    could not be found, in which case there are none and the whole reply is worth keeping.
    """

    code: str
    message: str
    records: tuple[bytes, ...]
    envelope: bytes
    problem: str | None = None


def slice_reply(body: bytes, path: tuple[str, ...]) -> Reply:
    """Cut the records at `path` out of a reply.

    A list gives its items, one object gives one record (a detail call, or the single object
    that location.get is said to send: docs/TRACKSOLID_API.md#location_get). Null or nothing
    gives none. Where each method puts its records: docs/TRACKSOLID_API.md#envelope.
    Raises NotSliceable if the reply is no JSON object at all: HTML, or a body cut off.
    """
    members = object_members(body)
    code = _text(members.get("code", b""))
    message = _text(members.get("message", b""))
    found: bytes | None = body
    for name in path:
        found = object_members(found).get(name) if found and found.startswith(b"{") else None
    if found is None or found == b"null":
        return Reply(code, message, (), body)
    if not found.startswith((b"[", b"{")):
        return Reply(code, message, (), body, f"{'.'.join(path)} is neither a list nor an object")
    if found.startswith(b"["):
        records, rest = list_items(found), b"[]"
    else:
        records, rest = [found], b"null"
    # Verbatim to the byte, but for the records that have rows of their own.
    return Reply(code, message, tuple(records), body.replace(found, rest, 1))


def object_members(text: bytes) -> Members:
    """The members of a JSON object as raw bytes; of equal names the last wins."""
    try:
        return {
            k: bytes(v) for k, v in msgspec.json.decode(text, type=dict[str, msgspec.Raw]).items()
        }
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    members = {}
    for item in _scan(text, b"{", b"}"):
        name = TOKEN.match(item)
        colon = item.find(b":", name.end()) if name else -1
        if name is None or not name[0].startswith(b'"') or colon < 0:
            raise NotSliceable(f"no member of a JSON object: {item[:40]!r}")
        members[name[0][1:-1].decode("utf-8", "replace")] = item[colon + 1 :].strip(SPACE)
    return members


def list_items(text: bytes) -> list[bytes]:
    """The items of a JSON list as raw bytes, in their order."""
    try:
        return [bytes(item) for item in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _scan(text, b"[", b"]")


def imei_of(record: bytes) -> str | None:
    """The IMEI that a record names itself, as text; the only field the loader knows."""
    found = IMEI.search(record)
    return found[1].decode("ascii", "replace") if found and found[1] != b"null" else None


def _scan(text: bytes, opening: bytes, closing: bytes) -> list[bytes]:
    """Cut the inside of one bracketed value at its own commas."""
    text = text.strip(SPACE)
    if not text.startswith(opening):
        raise NotSliceable(f"expected {opening.decode()}, got {text[:40]!r}")
    items: list[bytes] = []
    depth, start, end = 0, 1, 0
    for token in TOKEN.finditer(text):
        if text[end : token.start()].strip(SPACE):
            raise NotSliceable(f"a string does not close near byte {end}")
        end = token.end()
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
        if (depth == 1 and mark == b",") or depth == 0:
            items.append(text[start : token.start()].strip(SPACE))
            start = token.end()
        if depth == 0:
            break
    if depth != 0 or text[end:].strip(SPACE) or not text.endswith(closing):
        raise NotSliceable("cut off, or more than one value")
    return items if items != [b""] else []


def _text(raw: bytes) -> str:
    """A scalar as text: 0 and "0" are the same code (docs/TRACKSOLID_API.md#envelope)."""
    return raw.decode("utf-8", "replace").strip('"') if raw != b"null" else ""
