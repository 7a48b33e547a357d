"""Whatever bytes a sender chooses: the work stays linear in their number, and no token is kept.

Work is counted, not timed: lines of Python that run. What a pattern reads is no line, so each
pattern is proved linear by its structure.
"""

import base64
import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import loader
import webhook
from loader.pushes import masked, take_apart
from loader.slicing import NotSliceable, imei_of, slice_reply
from webhook.push_token import MULTIPART_STEP, STEP, AcceptedTokens

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


def lines(work: Callable[[], object]) -> int:
    """How many lines of Python run: the same on every machine, however busy it is."""
    count = 0

    def trace(_: FrameType, event: str, __: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_eight_times_the_bytes_are_at_most_ten_times_the_work(
    read: Callable[[str, bytes], object], make: Callable[[int], bytes]
) -> None:
    """Quadratic work would grow 64-fold."""
    for kind in KINDS if read is not slice_both else [""]:
        small = lines(partial(read, kind, make(SMALL)))
        large = lines(partial(read, kind, make(SMALL * GROWTH)))
        assert large <= 10 * max(small, 100), kind


@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("kind", [FORM, MULTIPART])
def test_the_receiver_gives_way_in_the_search(make: Callable[[int], bytes], kind: str) -> None:
    """No step of the search keeps the event loop for longer than some milliseconds."""
    size = 4 * STEP
    search = AcceptedTokens([b"the-token"]).search(
        [(b"content-type", kind.encode())], b"", make(size)
    )
    ends = object()
    steps: list[object] = []
    while ends not in steps:
        work = lines(lambda: steps.append(next(search, ends)))
        assert work < 10 * MULTIPART_STEP
    assert not any(steps[:-1])
    assert len(steps) > size // STEP


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
    """What can make a search superlinear: an unbounded repetition after which it can fail.

    White space after a quote is none: no match begins in it, so it is read for one match alone.
    """
    if isinstance(pattern, re.Pattern):
        pattern = pattern.pattern
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    tree = list(re._parser.parse(text))  # type: ignore[attr-defined]
    return list(_risks(tree, is_last=True, is_quoted=text.startswith(('"', '("'))))


REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}
SPACE = "[(IN, [(CATEGORY, CATEGORY_SPACE)])]"


def _risks(items: list[Any], *, is_last: bool, is_quoted: bool) -> Iterator[str]:
    """`is_last`: nothing after these items can fail."""
    for number, (operation, argument) in enumerate(items):
        ends = is_last and not any(map(_can_fail, items[number + 1 :]))
        if str(operation) in REPEATS:
            _, most, inner = argument
            if str(most) == "MAXREPEAT":
                if str(operation) != "POSSESSIVE_REPEAT":
                    yield "an unbounded repetition that gives back"
                elif not ends and not (is_quoted and str(list(inner)) == SPACE):
                    yield "a match can fail after an unbounded repetition"
        for inner in _inner(str(operation), argument):
            yield from _risks(list(inner), is_last=ends, is_quoted=is_quoted)


def _can_fail(item: Any) -> bool:
    operation, argument = str(item[0]), item[1]
    if operation in REPEATS and argument[0] == 0:
        return False
    inner = _inner(operation, argument)
    return not inner or all(any(map(_can_fail, part)) for part in inner)


def _inner(operation: str, argument: Any) -> list[Any]:
    if operation in REPEATS:
        return [argument[2]]
    if operation == "SUBPATTERN":
        return [argument[3]]
    if operation == "BRANCH":
        return list(argument[1])
    return [argument] if operation == "ATOMIC_GROUP" else []


def test_every_pattern_is_linear() -> None:
    found = dict(patterns())
    assert len(found) >= 6
    assert {name: risks(pattern) for name, pattern in found.items() if risks(pattern)} == {}


def test_patterns_have_names() -> None:
    """Else the test above would not see them. Settings are their owner's bytes."""
    inline = re.compile(r"\bre\.(?:search|match|fullmatch|sub|subn|split|find\w+)\(")
    for package in (loader, webhook):
        for file in Path(package.__path__[0]).glob("*.py"):
            if file.name != "receiver_settings.py":
                assert not inline.search(file.read_text()), file


@pytest.mark.parametrize(
    "pattern",
    [
        *(rb"(a+)+b", rb"a*a*b", r"\s*:", rb"(?:[^\r\n]+\r?\n)*x"),
        *(rb'"(?:[^"\\]++|\\.)*+"', rb"\s*+:", rb'"x"(?>[^:]*+):', rb'"a(?:b|c\s*+d|.*+e)'),
    ],
)
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
