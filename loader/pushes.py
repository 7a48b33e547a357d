"""From the bytes of a push to the bytes of its records, for every form in which pushes come.

The forms: docs/TRACKSOLID_API.md#how-a-push-looks. Anyone can send any bytes, so the work must be
linear in their number.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import msgspec

from loader.slicing import SPACE, NotSliceable, list_items, object_members
from webhook.spool_reader import OPEN_API, PUSHES, TAG, MultipartReader, NotAForm, is_multipart

_NAMED = {OPEN_API: "push_openapi", TAG: "push_tag"}
# The table of raw for each path that the receiver serves (docs/TRACKSOLID_API.md#all-push-paths).
PATHS = {
    f"/{push}": _NAMED.get(push, f"push_{push.removeprefix('push')}") for push in PUSHES
}  # fmt: skip
PUSH_TABLES = tuple(PATHS.values())

# A repetition without a bound is possessive (`++`, `*+`) and the match cannot fail after it, so
# that no byte is read twice; only the space after a quoted key is. tests/test_hostile_bytes.py
# checks every pattern that reads bytes of a sender.
FIELD = re.compile(rb"(?:^|&)([^&=]{4,40}+)=([^&]*+)")
# A string that does not close also matches: it may be a token that was cut off.
TOKEN_IN_JSON = re.compile(
    rb'("token"\s*+:\s*+)"(?:[^"\\]++|\\.)*+\\?"?', re.IGNORECASE | re.DOTALL
)
TOKEN_PART = re.compile(rb'\bname="?token', re.IGNORECASE)
BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
LINE = re.compile(rb"[^\r\n]*+")
MASK = b"***"

# An object with only these keys is a wrapper around the records; any other object is a record.
ENVELOPE = {"token", "msgType", "data_list", "data"}


@dataclass(frozen=True)
class SlicedPush:
    """A push taken apart.

    If there are no records, `problem` says why, and `rest` holds the bytes without the token.
    `message_type` is the form field msgType; None if there is none.
    """

    records: tuple[bytes, ...] = ()
    message_type: str | None = None
    problem: str | None = None
    rest: bytes = b""


def take_apart(content_type: str, body: bytes) -> SlicedPush:
    """Cut the records out of a push: a form or JSON, with a list or one object, perhaps as text.

    Raises nothing: if the push cannot be taken apart, `problem` and `rest` of the result are set.
    """
    try:
        fields = _form(content_type, body)
    except NotAForm as error:
        return SlicedPush(problem=f"the form cannot be read: {error}", rest=masked(body))
    value, message_type = body, None
    if fields is not None:
        message_type = fields.get("msgType", b"").decode("utf-8", "replace") or None
        value = fields.get("data_list", fields.get("data", b""))
        if not value:
            return SlicedPush(message_type=message_type, problem="no data_list", rest=masked(body))
    try:
        return SlicedPush(tuple(map(_mask_json, _records(value))), message_type)
    except (NotSliceable, RecursionError) as error:
        return SlicedPush(message_type=message_type, problem=str(error), rest=masked(value))


def _records(value: bytes, depth: int = 0) -> list[bytes]:
    """The records in a list, in one object, or in a JSON text of either. Raises NotSliceable."""
    value = value.strip(SPACE)
    if value.startswith(b"["):
        return list_items(value)
    if value.startswith(b"{"):
        members = object_members(value)
        if depth == 0 and members.keys() <= ENVELOPE and members.keys() & {"data_list", "data"}:
            return _records(members.get("data_list", members.get("data", b"")), depth + 1)
        return [value]
    if value.startswith(b'"') and depth < 3:
        try:
            text = msgspec.json.decode(value, type=str)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotSliceable(f"a text that is not JSON: {error}") from None
        return _records(text.encode("utf-8", "surrogatepass"), depth + 1)
    raise NotSliceable("neither a list nor an object")


def _form(content_type: str, body: bytes) -> dict[str, bytes] | None:
    """The decoded fields of a form; None if the body is JSON.

    Raises NotAForm if the content type announces a multipart form and the body is none.
    """
    if is_multipart(content_type):
        form = MultipartReader(content_type)
        return dict([*form.feed(body), *form.rest()])
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or body.lstrip(SPACE)[:1] in (b"{", b"["):
        return None
    fields = {}
    for found in FIELD.finditer(body):
        name = _unquoted(found[1]).decode("utf-8", "replace")
        if name in ENVELOPE:
            fields[name] = _unquoted(found[2])
    return fields


def _unquoted(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def masked(body: bytes) -> bytes:
    """The body with *** for each token in a form field, a multipart part or a JSON key."""
    return _mask_json(_mask_fields(_mask_parts(body)))


def _mask_parts(body: bytes) -> bytes:
    """Mask the first line after the headers of each multipart part that is named token.

    Only names and blank lines are looked for, so that a malformed form is masked too.
    """
    pieces, kept = [], 0
    while name := TOKEN_PART.search(body, kept):
        blank = BLANK_LINE.search(body, name.end())
        if blank is None:
            break
        pieces += [body[kept : blank.end()], MASK]
        value = LINE.match(body, blank.end())
        kept = value.end() if value else blank.end()
    return b"".join([*pieces, body[kept:]])


def _mask_fields(body: bytes) -> bytes:
    """Mask the field token of a urlencoded form, in any letter case and encoding."""

    def mask(found: re.Match[bytes]) -> bytes:
        if _unquoted(found[1]).strip().lower() != b"token":
            return found[0]
        return found[0][: found.start(2) - found.start()] + MASK

    return FIELD.sub(mask, body)


def _mask_json(record: bytes) -> bytes:
    # Only JSON keys: a field of a record may be a URL with a token of its own, which is data.
    return TOKEN_IN_JSON.sub(rb'\1"***"', record)
