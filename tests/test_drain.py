"""The drain: every push format lands, and spool rows are deleted only after landing."""

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote_plus

import json_cases
import pytest
from databases import Databases
from hypothesis import example, given
from hypothesis import strategies as st

from loader.batch import Batch, Origin
from loader.drain import drain
from loader.endpoints import endpoints
from loader.landing import Landing, LandingError
from loader.pushes import PATHS, take_apart
from loader.replay import replay_rejected
from settings import Settings
from warehouse.database import Database
from webhook.spool_reader import PUSHES, Push, SpoolReader

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
ONE = b'{"deviceImei":"860000000000017","gateTime":"2026-03-02 09:30:12"}'
TWO = b'{ "imei" : "860000000000025", "x": [1, {"y": ",]"}] }'
BOTH = b"[" + ONE + b" , " + TWO + b"]"


def form(**fields: bytes) -> bytes:
    return b"&".join(
        name.encode() + b"=" + quote_plus(value).encode() for name, value in fields.items()
    )


def text(value: bytes) -> bytes:
    return json.dumps(value.decode()).encode()


def multipart(**fields: bytes) -> bytes:
    parts = [
        b'--XX\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
        for name, value in fields.items()
    ]
    return b"".join(parts) + b"--XX--\r\n"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, form(token=b"secret", data_list=BOTH)),
        (FORM + "; charset=utf-8", form(data_list=BOTH, token=b"secret")),
        (FORM, form(token=b"secret", data_list=text(BOTH))),
        ("multipart/form-data; boundary=XX", multipart(token=b"secret", data_list=BOTH)),
        (JSON, BOTH),
        ("text/plain", BOTH),
        ("", b"\n" + BOTH + b"\n"),
        (JSON, b'{"token":"secret","data_list":%s}' % BOTH),
        (JSON, b'{"token":"secret","data_list":%s}' % text(BOTH)),
        (JSON, b'{"data":%s}' % BOTH),
        (FORM, form(msgType=b"jimi.push.device.alarm", data=BOTH)),
    ],
)
def test_every_push_format_gives_the_same_bytes(content_type: str, body: bytes) -> None:
    taken = take_apart(content_type, body)
    assert taken.problem is None
    assert taken.records == (ONE, TWO)


def test_single_object_is_one_record() -> None:
    answer = b'{"code":0,"msg":"ok","data":{"_imei":"860000000000017"}}'
    assert take_apart(JSON, answer).records == (answer,)
    assert take_apart(FORM, form(token=b"t", data_list=ONE)).records == (ONE,)


@pytest.mark.parametrize(
    "body", [b"", b"5", b'"', b'{"a":', b"null", b"[1,2", b"\xff\xfe[\x00", b"<html>", b"[1] [2]"]
)
def test_unparsable_push_is_kept_with_its_reason(body: bytes) -> None:
    taken = take_apart(JSON, body)
    assert taken.problem
    assert taken.rest == body


MULTIPART = "multipart/form-data; boundary=XX"
PART = b"--XX\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n--XX--\r\n"


def test_tokens_are_removed_from_kept_pushes() -> None:
    for content_type, body in [
        (FORM, b"token=secret&data_list=%5B1%2C"),
        (FORM, b"token=secret&other=1"),
        (JSON, b'{"token":"secret","data_list":5}'),
        (JSON, b'{"token":"secret"'),
        (JSON, b'{"token" : "secret", "deviceImei":"1"}'),
        (MULTIPART, PART % (b'name="token"\r\nX-Other: 1', b"secret")),
    ]:
        taken = take_apart(content_type, body)
        assert b"secret" not in taken.rest + b"".join(taken.records), body


def test_only_a_form_has_a_token_between_ampersands() -> None:
    signed = b'{"deviceImei":"1","url":"https://files/1?expires=9&token=a1","x":"b&c"}'
    for content_type, body in [(JSON, b"[" + signed + b"]"), (FORM, form(data_list=signed))]:
        assert take_apart(content_type, body).records == (signed,)


PARAMETER = st.text("abcdnxy01*=;'\"% \0", max_size=30)


@given(
    st.sampled_from([FORM, JSON, "", "multipart/form-data", MULTIPART])
    | st.text(max_size=50)
    | PARAMETER.map("multipart/form-data; boundary{}".format),
    st.binary(max_size=200) | PARAMETER.map(lambda text: PART % (f"name{text}".encode(), b"[]")),
)
@example('multipart/form-data; boundary*0*="\'"', b"")
@example(MULTIPART, PART % (b'name*0*="\'"', b"[]"))
@example(MULTIPART, PART % (b"name*=a\0b'en'x", b"[]"))
def test_parser_raises_for_no_bytes(content_type: str, body: bytes) -> None:
    taken = take_apart(content_type, body)
    assert bool(taken.problem) or isinstance(taken.records, tuple)


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers()), max_size=5))
def test_records_of_a_form_are_the_sent_bytes(items: list) -> None:
    records = [json.dumps(item).encode() for item in items]
    body = form(token=b"t", data_list=b"[" + b",".join(records) + b"]")
    assert take_apart(FORM, body).records == tuple(records)


class MemorySpool(SpoolReader):
    """A spool without a file."""

    def __init__(self, bodies: list[tuple[str, str, bytes]]) -> None:
        now = datetime.now(UTC)
        self.rows = {
            n: Push(n, f"receipt-{n}", path, kind, now, body)
            for n, (path, kind, body) in enumerate(bodies, 1)
        }

    def newest(self) -> int:
        return max(self.rows, default=0)

    def batch(self, limit_rows: int, limit_bytes: int) -> list[Push]:
        return list(self.rows.values())[:limit_rows]

    def forget(self, ids: Iterable[int]) -> None:
        for row in ids:
            del self.rows[row]


@pytest.fixture
def database(databases: Databases) -> Database:
    return databases.with_raw()


@pytest.fixture
def landing(database: Database, work_dir: Path) -> Landing:
    landing = Landing(database, work_dir)
    landing.prepare()
    return landing


def rows(database: Database, statement: str) -> list[tuple]:
    with database.connect() as connection:
        return connection.execute(statement.encode()).fetchall()


def test_every_path_lands_in_its_table_with_its_origin(
    landing: Landing, database: Database
) -> None:
    spool = MemorySpool([(path, FORM, form(token=b"secret", data_list=BOTH)) for path in PATHS])
    done = drain(spool, landing)
    assert (done.pushes, done.rejected, spool.rows) == (len(PATHS), 0, {})
    for path, table in PATHS.items():
        found = rows(database, f"select body, imei, request from raw.{table} order by imei")
        assert [(body, imei) for body, imei, _ in found] == [
            (ONE.decode(), "860000000000017"),
            (TWO.decode(), "860000000000025"),
        ]
        request = json.loads(found[0][2])
        assert request["path"] == path
        assert request["content_type"] == FORM
        assert request["receipt"].startswith("receipt-")


def test_push_to_unknown_path_is_kept_without_its_token(
    landing: Landing, database: Database
) -> None:
    body = form(token=b"secret", data_list=ONE)
    assert drain(MemorySpool([("/pushnew", FORM, body)]), landing).rejected == 1
    ((source, kept),) = rows(database, "select source, body_base64 from raw.rejected")
    assert source == "push_unknown"
    assert base64.b64decode(kept) == body.replace(b"secret", b"***")


def test_receiver_and_drain_know_the_same_paths() -> None:
    assert set(PATHS) == {f"/{push}" for push in PUSHES}


def test_one_bad_record_does_not_lose_the_other_999(landing: Landing, database: Database) -> None:
    bad = b'{"deviceImei":"1","x":"\xff"}'
    body = b"[" + b",".join([ONE] * 500 + [bad] + [ONE] * 500) + b"]"
    drain(MemorySpool([("/pushgps", JSON, body)]), landing)
    assert rows(database, "select count(*), count(distinct record_id) from raw.push_gps") == [
        (1000, 1000)
    ]
    ((source, reason, kept),) = rows(
        database, "select source, reason, body_base64 from raw.rejected"
    )
    assert (source, reason, base64.b64decode(kept)) == ("push_gps", "not UTF-8", bad)


def test_spool_rows_stay_until_landed_and_land_again_after_a_crash(
    landing: Landing, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = MemorySpool([("/pushhb", JSON, BOTH)])
    with monkeypatch.context() as broken:

        def fails(_batch: object) -> None:
            raise LandingError("no database")

        broken.setattr(landing, "land", fails)
        with pytest.raises(LandingError):
            drain(spool, landing)
    assert spool.rows
    with monkeypatch.context() as killed:
        # Landed, then killed before the rows were deleted from the spool.
        killed.setattr(spool, "forget", lambda ids: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            drain(spool, landing)
    drain(spool, landing)
    assert rows(database, "select count(*), count(distinct record_id) from raw.push_hb") == [(4, 2)]


def test_drain_takes_pushes_with_a_future_receive_time(
    landing: Landing, database: Database
) -> None:
    spool = MemorySpool([("/pushhb", JSON, BOTH)])
    push = spool.rows[1]
    spool.rows[1] = replace(push, received_at=push.received_at + timedelta(days=1))
    assert drain(spool, landing).pushes == 1
    assert spool.rows == {}


def test_pushes_that_arrive_during_a_drain_wait_for_the_next(landing: Landing) -> None:
    spool = MemorySpool([("/pushhb", JSON, BOTH)])
    later = MemorySpool([("/pushhb", JSON, BOTH)] * 2).rows[2]
    done = drain(spool, landing, lambda _: spool.rows.update({2: later}))
    assert (done.pushes, list(spool.rows)) == (1, [2])


def test_replay_lands_a_repaired_record_once(
    landing: Landing, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = endpoints(Settings(_env_file=None))
    with monkeypatch.context() as unfixed:
        unfixed.setattr("loader.batch.why_not_text", lambda record: "not read yet")
        drain(MemorySpool([("/pushoil", JSON, BOTH)]), landing)
    assert rows(database, "select count(*) from raw.rejected") == [(2,)]
    assert replay_rejected(database, landing, every) == (2, 2)
    assert replay_rejected(database, landing, every) == (2, 0)
    assert rows(database, "select body, imei from raw.push_oil order by imei") == [
        (ONE.decode(), "860000000000017"),
        (TWO.decode(), "860000000000025"),
    ]


def test_replay_lands_each_record_in_its_current_table(
    landing: Landing, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record of an endpoint that is switched off, and pushes to a path that has a table now."""
    polled = Origin("call", '{"method": "jimi.device.obd.list"}', datetime(2026, 3, 2, tzinfo=UTC))
    batch = Batch()
    batch.reject("obd_list", polled, 0, ONE, None, "NUL byte")
    landing.land(batch)
    with monkeypatch.context() as older:
        older.delitem(PATHS, "/pushtem")
        drain(MemorySpool([("/pushtem", JSON, BOTH), ("/pushlater", JSON, BOTH)]), landing)
    quiet, polling = (endpoints(Settings(poll_obd=polls)) for polls in (False, True))
    assert replay_rejected(database, landing, quiet) == (3, 2)
    assert rows(database, "select body from raw.push_tem order by imei") == [
        (ONE.decode(),),
        (TWO.decode(),),
    ]
    assert replay_rejected(database, landing, polling) == (3, 1)
    assert rows(database, "select body, imei from raw.obd_list") == [
        (ONE.decode(), "860000000000017")
    ]
    assert replay_rejected(database, landing, polling) == (3, 0)


def test_drain_survives_odd_and_broken_json(landing: Landing, database: Database) -> None:
    """Each text as a body and as an item: landed byte for byte, or kept in raw.rejected."""
    bodies = list(json_cases.ALL.values())
    spool = MemorySpool(
        [("/pushobd", JSON, body) for body in bodies]
        + [("/pushtem", JSON, b"[" + ONE + b"," + body + b"]") for body in bodies]
    )
    done = drain(spool, landing)
    assert done.pushes == 2 * len(bodies)
    kept = {
        base64.b64decode(body) for (body,) in rows(database, "select body_base64 from raw.rejected")
    }
    landed = {body.encode() for (body,) in rows(database, "select body from raw.push_tem")}
    for name, body in json_cases.ALL.items():
        item = body.strip(b" \t\r\n")
        whole = b"[" + ONE + b"," + body + b"]"
        if name in json_cases.VALID:
            assert item in landed, name
        assert item in landed or item in kept or whole in kept or b"," in item or not item, name
