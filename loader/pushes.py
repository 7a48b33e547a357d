"""From the bytes of a push to the bytes of its records, whatever shape it came in.

The shapes are those of docs/TRACKSOLID_API.md#how-a-push-looks.
"""

import email.parser
import email.policy
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import msgspec

from loader.slicing import SPACE, NotSliceable, list_items, object_members

# The IoT Hub's catalogue, the tag push and the Open API's one URL for all message types, by the
# path that the receiver stores: lower case (docs/TRACKSOLID_API.md#all-push-paths).
PATHS = {
    **{
        f"/push{name}": f"push_{name}"
        for name in (
            "event", "hb", "gps", "alarm", "oil", "fileupload", "tem", "lbs", "resourcelist",
            "ftpfileupload", "iothubevent", "passthroughdata", "terminaltransinfo",
            "instructresponse", "filecontent", "extendedkks", "obd", "faultinfo", "tripreport",
        )
    },
    "/rfid": "push_rfid",
    "/wgtc": "push_wgtc",
    "/uploadcallback": "push_uploadcallback",
    "/generalbusiness": "push_generalbusiness",
    "/push": "push_openapi",
    "/api/v1/tag/data/push": "push_tag",
}  # fmt: skip
PUSH_TABLES = tuple(PATHS.values())

# A secret must not reach a row; of no documented record it is a part.
TOKEN_IN_FORM = re.compile(rb"((?:^|&)token=)[^&]*", re.IGNORECASE)
TOKEN_IN_PART = re.compile(
    rb'(\bname="?token"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n)[^\r\n]*', re.IGNORECASE
)
TOKEN_IN_JSON = re.compile(rb'("token"\s*:\s*)"(?:[^"\\]++|\\.)*+"', re.IGNORECASE | re.DOTALL)


# An object of these alone stands around the records; any other is a record.
ENVELOPE = {"token", "msgType", "data_list", "data"}


@dataclass(frozen=True)
class Taken:
    """A push taken apart. `problem` tells why there are no records; `rest` is what to keep then."""

    records: tuple[bytes, ...] = ()
    message_type: str | None = None
    problem: str | None = None
    rest: bytes = b""


def take_apart(content_type: str, body: bytes) -> Taken:
    """Cut the records out of a push: form or JSON, a list, one object, or either as JSON text.

    Never raises: what cannot be taken apart is told, with its bytes but without its token.
    """
    try:
        fields = _form(content_type, body)
    except Exception as error:  # whatever the email package makes of a malformed header
        return Taken(problem=f"no form: {type(error).__name__}", rest=masked(body))
    value, message_type = body, None
    if fields is not None:
        message_type = fields.get("msgType", b"").decode("utf-8", "replace") or None
        value = fields.get("data_list", fields.get("data", b""))
        if not value:
            return Taken(message_type=message_type, problem="no data_list", rest=masked(body))
    try:
        return Taken(tuple(map(_mask_json, _records(value))), message_type)
    except (NotSliceable, RecursionError) as error:
        return Taken(message_type=message_type, problem=str(error), rest=masked(value))


def _records(value: bytes, depth: int = 0) -> list[bytes]:
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
    """The fields of a form, decoded to bytes; None if the body is none."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        parts = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        return {
            str(part.get_param("name", header="content-disposition")): bytes(
                part.get_payload(decode=True) or b""
            )
            for part in parts.iter_parts()
        }
    if kind == "application/json" or body.lstrip(SPACE)[:1] in (b"{", b"["):
        return None
    fields = {}
    for pair in body.split(b"&"):
        name, _, value = pair.partition(b"=")
        key = unquote_to_bytes(name.replace(b"+", b" ")).decode("utf-8", "replace")
        fields[key] = unquote_to_bytes(value.replace(b"+", b" "))
    return fields


def masked(body: bytes) -> bytes:
    """A body that is kept as it came, but for the tokens in it."""
    return _mask_json(TOKEN_IN_FORM.sub(rb"\1***", TOKEN_IN_PART.sub(rb"\1***", body)))


def _mask_json(record: bytes) -> bytes:
    # Not as in a form: the address of a signed file has a token of its own.
    return TOKEN_IN_JSON.sub(rb'\1"***"', record)
