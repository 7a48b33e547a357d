"""From the bytes of a record to a spoilt or unusual record, as a fault demands."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping

from sandbox.faults import Fault

_FIELD = re.compile(rb'"(?P<name>\w+)":(?P<value>"(?:[^"\\]|\\.)*"|[^",{}\[\]]+)')
_NUMBER = re.compile(rb'"?-?\d+(?:\.\d+)?"?')
_TIME = re.compile(rb'"\d{4}-\d\d-\d\d[ T].*"')
_IDS = (b"imei", b"sim", b"iccid", b"imsi", b"account", b"fence_id", b"alertTypeId", b"geoid")
_DEPTH = 1_200
_ODD: Mapping[Fault, tuple[re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]]] = {
    Fault.ESCAPED: (
        re.compile(rb'(?<=:")[A-Za-z]'),
        lambda letter: b"\\u%04x" % ord(letter[0]),
    ),
    Fault.NULL_IMEI: (re.compile(rb'"imei":'), lambda _: b'"imei":null,"deviceImei":'),
    Fault.NUMERIC_ID: (
        re.compile(rb'"fence_id":"0*([1-9][0-9]*)"'),
        lambda digits: b'"fence_id":' + digits[1],
    ),
    Fault.UNKNOWN_SPEED: (
        re.compile(rb'("(?:speed|gpsSpeed)":"?)[0-9.]+'),
        lambda speed: speed[1] + b"255",
    ),
}
_WRONG_TYPES = (b'"no number"', b'{"value":1}', b"[1,2]")


def poison(record: bytes, fault: Fault) -> bytes:
    """Spoil one field of a record, never a field that identifies a device or an account."""
    return _SPOIL[fault](record)


def odd(record: bytes, fault: Fault) -> bytes:
    """Write a record otherwise; it stays valid."""
    pattern, replacement = _ODD[fault]
    return pattern.sub(replacement, record)


def _fields(record: bytes) -> list[re.Match[bytes]]:
    return [field for field in _FIELD.finditer(record) if field["name"] not in _IDS]


def _number(record: bytes) -> re.Match[bytes]:
    """The first number, also as text; in a record without numbers, the first field."""
    fields = _fields(record)
    return next((field for field in fields if _NUMBER.fullmatch(field["value"])), fields[0])


def _text(record: bytes) -> re.Match[bytes]:
    """A text that is neither a number nor a time; any text if there is none."""
    texts = [field for field in _fields(record) if field["value"].startswith(b'"')]
    plain = [f for f in texts if not _NUMBER.fullmatch(f["value"]) and not _TIME.match(f["value"])]
    return (plain or texts)[0]


def _replaced(record: bytes, field: re.Match[bytes], value: bytes) -> bytes:
    return record[: field.start("value")] + value + record[field.end("value") :]


def _inside_text(what: bytes) -> Callable[[bytes], bytes]:
    def spoil(record: bytes) -> bytes:
        field = _text(record)
        return _replaced(record, field, field["value"][:-1] + what + b'"')

    return spoil


def _for_number(what: bytes) -> Callable[[bytes], bytes]:
    return lambda record: _replaced(record, _number(record), what)


def _added(what: bytes) -> Callable[[bytes], bytes]:
    return lambda record: record[:-1] + b"," + what + b"}"


def _wrong_type(record: bytes) -> bytes:
    wrong = _WRONG_TYPES[zlib.crc32(record) % len(_WRONG_TYPES)]
    return _replaced(record, _number(record), wrong)


def _missing_field(record: bytes) -> bytes:
    fields = _fields(record)
    gone = next((field for field in fields if _TIME.match(field["value"])), fields[0])
    rest = record[: gone.start()] + record[gone.end() :].removeprefix(b",")
    return rest.replace(b",}", b"}")


def _duplicate_key(record: bytes) -> bytes:
    return _added(b'"' + _number(record)["name"] + b'":null')(record)


_SPOIL: Mapping[Fault, Callable[[bytes], bytes]] = {
    Fault.NUL_ESCAPE: _inside_text(b"\\u0000"),
    Fault.RAW_NUL: _inside_text(b"\x00"),
    Fault.BAD_UTF8: _inside_text(b"\xff\xfe"),
    Fault.LONE_SURROGATE: _inside_text(b"\\ud800"),
    Fault.NAN: _for_number(b"NaN"),
    Fault.BIG_INTEGER: _for_number(b"1234567890" * 4),
    Fault.DEEP: _added(b'"sandboxDeep":' + b"[" * _DEPTH + b"]" * _DEPTH),
    Fault.WRONG_TYPE: _wrong_type,
    Fault.NEW_FIELD: _added(b'"sandboxNew":"never seen before"'),
    Fault.MISSING_FIELD: _missing_field,
    Fault.DUPLICATE_KEY: _duplicate_key,
}
