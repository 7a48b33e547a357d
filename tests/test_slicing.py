"""Records are sliced out of replies byte for byte, even beside damaged records."""

import json

import json_cases
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loader import slicing
from loader.slicing import NotSliceable, imei_of, list_items, object_members, slice_reply, text_at

GOOD = b'{"imei":"860000000000017","lat":-1.25}'
POISON = {
    "lone surrogate": rb'{"imei":"2","name":"\ud800"}',
    "NUL escape": rb'{"imei":"2","name":"\u0000"}',
    "raw NUL": b'{"imei":"2","name":"a\0b"}',
    "raw control character": b'{"imei":"2","name":"a\nb"}',
    "NaN": b'{"imei":"2","speed":NaN}',
    "40 digits": b'{"imei":"2","speed":1234567890123456789012345678901234567890}',
    "1,200 levels": b'{"imei":"2","x":' + b"[" * 1200 + b"]" * 1200 + b"}",
    "50,000 levels": b'{"imei":"2","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "invalid UTF-8": b'{"imei":"2","name":"\xff\xfe"}',
    "commas and brackets in a string": rb'{"imei":"2","name":"},{]\"[,"}',
    "white space": b'{ "imei" : "2" }',
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_bad_record_does_not_lose_the_others(poison: bytes) -> None:
    body = b'{"code":0,"result":[%s , %s,%s],"data":{"mileage":254}}' % (GOOD, poison, GOOD)
    reply = slice_reply(body, ("result",))
    assert reply.records == (GOOD, poison, GOOD)
    assert reply.code == "0"
    assert reply.envelope == b'{"code":0,"result":[],"data":{"mileage":254}}'


@pytest.mark.parametrize(
    ("body", "path", "records"),
    [
        (b'{"code":0,"result":null}', ("result",), ()),
        (b'{"code":0}', ("result",), ()),
        (b'{"code":0,"result":[]}', ("result",), ()),
        (b'{"code":0,"result":{"a":1}}', ("result",), (b'{"a":1}',)),
        (b'{"code":0,"result":null,"data":{"rows":[1,"x"]}}', ("data", "rows"), (b"1", b'"x"')),
        (b'{"code":0,"data":null}', ("data", "rows"), ()),
        (b'{"code":0,"result":""}', ("result",), ()),
        (b'{"code":0,"result": " " }', ("result",), ()),
        (b'{"code":0,"result":{ }}', ("result",), ()),
        (b'{"code":0,"data":"","result":""}', ("data", "rows"), ()),
        (b'{"code":0,"data":{"rows":""}}', ("data", "rows"), ()),
        (b'{"code":"0","result":{"total":1,"rows":[{}]}}', ("result", "rows"), (b"{}",)),
    ],
)
def test_records_are_found_at_every_list_position(
    body: bytes, path: tuple[str, ...], records: tuple
) -> None:
    reply = slice_reply(body, path)
    assert (reply.code, reply.records, reply.problem) == ("0", records, None)


@pytest.mark.parametrize("value", [b'"text"', b"5", b"true"])
def test_missing_list_is_an_error(value: bytes) -> None:
    reply = slice_reply(b'{"code":0,"result":%s}' % value, ("result",))
    assert not reply.records
    assert reply.problem == "result is neither a list nor an object"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Bad Gateway</html>", b'{"code":0,"result":[{"a":1},{"b', b"[1]", b'{"a":1}}'],
)
def test_incomplete_reply_is_refused(body: bytes) -> None:
    with pytest.raises(NotSliceable):
        slice_reply(body, ("result",))


def test_unclosed_string_is_refused_in_linear_time() -> None:
    with pytest.raises(NotSliceable):
        slice_reply(b'{"code":0,"result":["' + b'a"' * 500_000, ("result",))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(st.lists(values), st.sampled_from([None, 1]))
def test_scanner_and_fast_path_slice_alike(items: list, indent: int | None) -> None:
    text = json.dumps(items, indent=indent).encode()
    fast = list_items(text)
    assert slicing._scan(text, b"[", b"]") == fast
    assert [json.loads(item) for item in fast] == items


@given(st.dictionaries(st.text(alphabet="abc"), values))
def test_object_members_are_found(members: dict) -> None:
    text = json.dumps(members).encode()
    poisoned = text[:-1] + (b"," if members else b"") + b'"zz":NaN}'  # only the scanner accepts it
    found = object_members(poisoned)
    assert found.pop("zz") == b"NaN"
    assert {name: json.loads(value) for name, value in found.items()} == members


TEXTS = st.text() | st.text('"\\\u0000\n:,[]{}n', max_size=8)


@given(TEXTS, TEXTS | st.none(), st.booleans(), st.sampled_from([(",", ":"), (" , ", " : ")]))
@example("0", 'Say "no"\\', True, (",", ":"))
@example("null", "\N{SNOWMAN}\0", False, (",", ":"))
def test_code_and_message_are_what_json_says(
    code: str, message: str | None, is_ascii: bool, signs: tuple[str, str]
) -> None:
    told = {"code": code, "message": message, "result": [1, 2]}
    body = json.dumps(told, ensure_ascii=is_ascii, separators=signs).encode()
    # A record with NaN makes only the scanner read it.
    for whole in (body, body.replace(b"[1", b"[NaN")):
        reply = slice_reply(whole, ("result",))
        assert (reply.code, reply.message) == (code, message or "")


def test_a_text_that_json_does_not_allow_stays_as_it_is() -> None:
    reply = slice_reply(b'{"code":0,"message":"a\\xb","result":[]}', ("result",))
    assert reply.message == r"a\xb"
    lone = slice_reply(rb'{"code":0,"message":"\ud800","result":[]}', ("result",))
    assert lone.message == "\ud800"


SMALL = st.recursive(
    st.sampled_from([0, 1, "", "a", None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
# Few values: the list of records often occurs in another place, too, and as a text.
ENVELOPES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "data", "rows", "result", 'r"[]']), SMALL), max_size=5
)


@given(ENVELOPES, SMALL.map(lambda value: [value]), ENVELOPES, st.booleans(), st.booleans())
@example([("a", [1])], [1], [("b", [1])], False, False)
@example([("a", "[1]")], [1], [], False, False)
def test_the_records_and_nothing_else_are_cut_out_of_the_envelope(
    before: list, records: list, after: list, is_deep: bool, is_poisoned: bool
) -> None:
    """Whatever equal bytes stand before and after them, in the envelope or in a text."""
    path = ("data", "rows") if is_deep else ("result",)

    def reply(rows: object) -> bytes:
        named = [pair for pair in before if pair[0] != path[0]]
        value = {"a": records, "rows": rows, "b": records} if is_deep else rows
        later = [pair for pair in after if pair[0] != path[0]]
        pairs = [("code", 0), ("text", json.dumps(records)), *named, (path[0], value), *later]
        members = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs]
        poison = ',"poison":NaN' if is_poisoned else ""
        return ("{" + ",".join(members) + poison + "}").encode()

    sliced = slice_reply(reply(records), path)
    assert [json.loads(record) for record in sliced.records] == records
    assert sliced.envelope == reply([])


@pytest.mark.parametrize(
    ("record", "imei"),
    [
        (GOOD, "860000000000017"),
        (b'{"deviceImei": "012345678901234"}', "012345678901234"),
        (b'{"imei":860000000000017}', "860000000000017"),
        (b'{"imei":null}', None),
        (b'{"imei": null, "deviceImei": "012345678901234"}', "012345678901234"),
        (b'{"imei":"","deviceImei":"012345678901234"}', "012345678901234"),
        (b'{"imei":-1,"deviceImei":12345678901234}', "12345678901234"),
        (b'{"deviceImei":null,"imei":"012345678901234"}', "012345678901234"),
        (b'{"imei":""}', None),
        (b'{"imeis":"1,2"}', None),
        (rb'{"name":"\"imei\":\"7\""}', None),
        (b"5", None),
    ],
)
def test_imei_is_copied_as_text(record: bytes, imei: str | None) -> None:
    assert imei_of(record) == imei


@pytest.mark.parametrize(
    ("record", "value"),
    [
        (rb'{"id": "S\u00fcd \"1\""}', 'S\N{LATIN SMALL LETTER U WITH DIAERESIS}d "1"'),
        (b'{"id":12345678901234567890}', "12345678901234567890"),
        (b'{"id":{"id":1}}', None),
        (b'{"id":[1]}', None),
        (b'{"id":null}', None),
        (b'{"id":true}', None),
        (b'{"other":1}', None),
        (rb'{"id":"\u0000"}', None),
        (rb'{"id":"\ud800"}', None),
        (b"5", None),
    ],
)
def test_text_at_is_a_decoded_text_or_a_number(record: bytes, value: str | None) -> None:
    assert text_at(record, "id") == value
    assert text_at(b'{"data":%s}' % record, "data", "id") == value


@pytest.mark.parametrize("name", json_cases.ALL)
def test_json_texts_land_verbatim_or_are_kept_whole(name: str) -> None:
    """Behind a good record, each is cut out of the reply as it is, or the reply is kept."""
    is_valid = name in json_cases.VALID
    content = json_cases.ALL[name].strip(b" \t\r\n")
    try:
        reply = slice_reply(b'{"code":0,"result":[%s,%s]}' % (GOOD, content), ("result",))
    except NotSliceable:
        assert not is_valid
        return
    assert b"".join(reply.records).replace(b",", b"").startswith(GOOD.replace(b",", b""))
    if is_valid:
        assert reply.records == (GOOD, content)
