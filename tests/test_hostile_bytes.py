"""Whatever bytes a sender chooses: the work stays linear in their number, and no token is kept."""

import base64
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import loader
import webhook
from loader.pushes import masked, take_apart
from loader.slicing import NotSliceable, imei_of, slice_reply
from webhook.push_token import AcceptedTokens

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
KINDS = [FORM, "application/json", MULTIPART, "multipart/form-data", ""]
SMALL = 4 * 1024
GROWTH = 8

HEAD = b'--x\r\nContent-Disposition: form-data; name="token"\r\n'
# Each makes a body of about that many bytes.
BODIES: dict[str, Callable[[int], bytes]] = {
    "18 names a line": lambda n: (b"name=token" * 18 + b"\r\n") * (n // 182),
    "a name a line": lambda n: b'name="token"\r\n' * (n // 14),
    "headers without a blank line": lambda n: b'name="token"\n' + b"a\n" * (n // 2),
    "a name in one long line": lambda n: b"name=token" * (n // 10),
    "names between blank lines": lambda n: b'name="token"\r\n\r\n' * (n // 16),
    "line ends": lambda n: b"\r\n" * (n // 2),
    "returns": lambda n: b'name="token"' + b"\r" * n,
    "head and line ends": lambda n: HEAD + b"\r\n" * (n // 2),
    "head and returns": lambda n: HEAD + b"\r\n" + b"\r" * n,
    "parts": lambda n: HEAD + b"\r\n" + b"--x\r\n\r\n\r\n" * (n // 9),
    "almost boundaries": lambda n: HEAD + b"\r\n" + b"\r\n--" * (n // 4),
    "boundaries and one byte": lambda n: HEAD + b"\r\n" + b"\r\n--xy" * (n // 6),
    "headers": lambda n: b"--x\r\n" + b"a: b\r\n" * (n // 6),
    "a header that does not end": lambda n: b"--x\r\nContent-Disposition: " + b"a;" * (n // 2),
    "quotes in a header": lambda n: b'--x\r\nContent-Disposition: a="' + b";" * n,
    "keys": lambda n: b'"token"' * (n // 7),
    "keys and colons": lambda n: b'"token":' * (n // 8),
    "keys and spaces": lambda n: (b'"token"' + b" " * 100) * (n // 107),
    "one key and spaces": lambda n: b'{"token"' + b" " * n,
    "strings that do not close": lambda n: b'{"token":"' * (n // 10),
    "backslashes": lambda n: b'{"token":"' + b"\\" * n,
    "escaped quotes": lambda n: b'["' + b'\\"' * (n // 2),
    "escaped keys": lambda n: b'{"token":"' + b'\\"token\\":\\"' * (n // 13),
    "quotes": lambda n: b'"' * n,
    "ampersands": lambda n: b"&" * n,
    "tokens of a form": lambda n: b"&token=" * (n // 7),
    "almost tokens": lambda n: b"&toke" * (n // 5),
    "percent signs": lambda n: b"token=" + b"%" * n,
    "encoded names": lambda n: b"&%74oken=a" * (n // 10),
    "brackets": lambda n: b"[" * n,
    "closed brackets": lambda n: b"[" * (n // 2) + b"]" * (n // 2),
    "objects": lambda n: b'{"a":' * (n // 5),
    "items": lambda n: b"[" + b"NaN," * (n // 4) + b"1]",
    "members": lambda n: b"{" + b'"a":NaN,' * (n // 8) + b'"b":1}',
    "imeis": lambda n: b'"imei":' * (n // 7),
    "imeis and spaces": lambda n: b'"imei"' + b" " * n,
    "spaces": lambda n: b" " * n,
    "zeros": bytes,
}


def receive(content_type: str, body: bytes) -> int:
    """The search for a token in a body without one; returns its steps."""
    headers = [(b"content-type", content_type.encode())]
    steps = list(AcceptedTokens([b"the-token"]).search(headers, b"", body))
    assert not any(steps)
    return len(steps)


def slice_both(_: str, body: bytes) -> None:
    for whole in (body, b'{"code":0,"result":' + body + b"}"):
        try:
            slice_reply(whole, ("result",))
        except NotSliceable:
            continue
    imei_of(body)


READERS: list[Callable[[str, bytes], object]] = [receive, take_apart, slice_both]


def cpu_s(read: Callable[[str, bytes], object], kind: str, body: bytes) -> float:
    """The least processor time of some runs: what other processes do does not count."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        read(kind, body)
        taken.append(time.process_time() - began)
    return min(taken)


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_eight_times_the_bytes_are_not_much_more_than_eight_times_the_work(
    read: Callable[[str, bytes], object], make: Callable[[int], bytes]
) -> None:
    """Quadratic work would grow 64-fold; below a millisecond nothing is measured."""
    for kind in KINDS if read is not slice_both else [""]:
        small = max(cpu_s(read, kind, make(SMALL)), 0.001)
        assert cpu_s(read, kind, make(SMALL * GROWTH)) < 3 * GROWTH * small, kind


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("kind", [FORM, MULTIPART])
def test_the_receiver_gives_way_in_the_search(make: Callable[[int], bytes], kind: str) -> None:
    """No step of the search keeps the event loop for longer than some milliseconds.

    The bound is generous, as a step may meet the garbage collector: one MiB took a second.
    """
    search = AcceptedTokens([b"the-token"]).search(
        [(b"content-type", kind.encode())], b"", make(1024**2)
    )
    longest, began = 0.0, time.process_time()
    for is_found in search:
        now = time.process_time()
        longest, began = max(longest, now - began), now
        assert not is_found
    assert max(longest, time.process_time() - began) < 0.05


# Patterns that read what senders choose.


def patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    for package in (loader, webhook):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    yield f"{module.name}.{name}", value


def risks(pattern: re.Pattern[Any] | bytes | str) -> list[str]:
    """What can make a pattern superlinear: an unbounded repetition that gives characters back."""
    if isinstance(pattern, re.Pattern):
        pattern = pattern.pattern
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    return list(_risks(re._parser.parse(text)))  # type: ignore[attr-defined]


def _risks(items: Any) -> Iterator[str]:
    constants = re._constants  # type: ignore[attr-defined]
    for operation, argument in items:
        if operation in (constants.MAX_REPEAT, constants.MIN_REPEAT):
            _, most, inner = argument
            if most == constants.MAXREPEAT:
                yield "an unbounded repetition that gives back"
            yield from _risks(inner)
        elif operation is constants.POSSESSIVE_REPEAT:
            yield from _risks(argument[2])
        elif operation is constants.SUBPATTERN:
            yield from _risks(argument[3])
        elif operation is constants.BRANCH:
            for branch in argument[1]:
                yield from _risks(branch)
        elif operation is constants.ATOMIC_GROUP:
            yield from _risks(argument)


def test_no_pattern_gives_characters_back() -> None:
    found = dict(patterns())
    assert len(found) >= 6
    assert {name: risks(pattern) for name, pattern in found.items() if risks(pattern)} == {}


@pytest.mark.parametrize("pattern", [rb"(a+)+b", rb"a*a*b", r"\s*:", rb"(?:[^\r\n]+\r?\n)*x"])
def test_the_check_of_patterns_sees_what_is_superlinear(pattern: bytes | str) -> None:
    assert risks(pattern)


# Tokens.

CANARY = "canary7token"
SEPARATORS = st.sampled_from(["", " ", "\t", "\r\n", "   "])
FILLER = st.binary(max_size=60)


@st.composite
def pushes(draw: st.DrawFn) -> tuple[str, bytes]:
    """A push with the canary as its token: each shape, whole or broken."""
    key = draw(st.sampled_from(["token", "Token", "TOKEN"]))
    before, after = draw(FILLER), draw(FILLER)
    shape = draw(st.sampled_from(["form", "encoded name", "json", "cut json", "part", "bare part"]))
    if shape == "form":
        return FORM, b"x=%s&%s=%s&data_list=%s" % (quote(before).encode(), key.encode(),
            CANARY.encode(), quote(after).encode())  # fmt: skip
    if shape == "encoded name":
        name = "".join(f"%{ord(letter):02x}" for letter in key)
        return FORM, f"{name}={CANARY}&data_list=".encode() + quote(after).encode()
    if shape in ("json", "cut json"):
        gap, colon = draw(SEPARATORS), draw(SEPARATORS)
        start = f'{{"a":1,"{key}"{gap}:{colon}"{CANARY}'.encode()
        if shape == "cut json":
            return "application/json", start
        return draw(st.sampled_from(["application/json", ""])), start + b'","data_list":' + after
    end = draw(st.sampled_from([b"\r\n", b"\n"]))
    more = b"X-Other: 1" + end if draw(st.booleans()) else b""
    quotes = draw(st.sampled_from([b'"', b""]))
    part = b"Content-Disposition: form-data; name=%s%s%s" % (quotes, key.encode(), quotes)
    part += end + more + end + CANARY.encode() + end
    if shape == "part":
        part = b"--x" + end + part
    return draw(
        st.sampled_from([MULTIPART, "multipart/form-data", "", FORM])
    ), part + b"--x" + after


@given(pushes())
@example((MULTIPART, HEAD + b"\r\n" + CANARY.encode() + b"\r\n--x--\r\n"))
@example(("", b'{"token":"' + CANARY.encode() + b"\\"))
def test_no_token_reaches_raw(push: tuple[str, bytes]) -> None:
    taken = take_apart(*push)
    kept = b"".join((*taken.records, taken.rest, masked(push[1])))
    assert CANARY.encode() not in kept
    assert CANARY not in (taken.message_type or "") + (taken.problem or "")
    assert base64.b64encode(CANARY.encode()) not in kept


@given(st.binary(max_size=400))
def test_what_has_no_token_is_kept_byte_for_byte(body: bytes) -> None:
    if b"token" not in body.lower() and b"%" not in body:
        assert masked(body) == body
