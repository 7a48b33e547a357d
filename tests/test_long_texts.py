"""A text of kilobytes costs itself and no build: FIX-N04, and the migration of older tables."""

import json
import random
import string

import psycopg
from databases import RUN_TABLES, Built
from test_order import contents, insert_call_windows

from warehouse import dbt_runner

LONG = "".join(random.Random(1).choices(string.ascii_letters, k=3000))  # cannot be compressed
AT = "2026-04-12 09:00:00"
PLACE = {"lat": -1.2, "lng": 36.8}
DEVICE = ("deviceName", "vehicleName", "vehicleNumber", "driverName", "deviceGroup", "mcType")
# (table, the record without its texts, the texts that are long, whether the rest is kept)
SENT = [
    ("device_list", {"vehicleModels": "Hilux"}, DEVICE, True),
    ("device_detail", {"vehicleModels": "Hilux"}, ("account", "customerName", "iccid"), True),
    ("legacy_devices", {"sim": "1"}, ("assigned_city", "cost_centre"), True),
    ("location_list", {"gpsTime": AT, **PLACE}, ("posType",), True),
    ("alarm_list", {"alertTime": AT}, ("alertTypeId",), False),
    ("alarm_list", {"alertTime": AT, "alertTypeId": "48"}, ("alarmTypeName", "geoid"), True),
    ("push_openapi", {"alarmTime": AT, "alarmType": "2"}, ("alarmName",), True),
    ("push_alarm", {"alarmTime": AT, "alertType": "3"}, ("alarmName", "fenceId"), True),
    ("fence_list", {}, ("fence_id",), False),
    ("fence_detail", {"fence_id": "f1"}, ("fence_name", "fence_type", "alert_type"), True),
    ("push_event", {"gateTime": AT}, ("type",), False),
    ("push_iothubevent", {"gateTime": AT}, ("eventType",), False),
    ("push_terminaltransinfo", {"postTime": AT}, ("extensionId",), False),
    ("push_oil", {"gateTime": AT, "value": 40}, ("sensor", "unit"), True),
    ("push_tem", {"gateTime": AT, "temperature": 4}, ("sensor",), True),
    ("push_lbs", {"gateTime": AT}, ("postType",), True),
    ("push_faultinfo", {"eventTime": AT}, ("faultCode",), True),
    ("push_obd", {"gateTime": AT, "rpm": 900}, ("vin",), True),
    ("jobs", {}, ("job_id",), False),
    (
        "jobs",
        {"job_id": "j1", "closed": AT[:16]},
        ("technician", "vehicle", "city", "service_type", "customer_class", "repeat_of"),
        True,
    ),
]  # fmt: skip


def land(connection: psycopg.Connection, load: str, text: str) -> None:
    """One load: each record of SENT, with this text in its texts."""
    for number, (table, body, texts, _) in enumerate(SENT):
        imei = f"86000000000000{number % 2}"
        connection.execute(
            f"insert into raw.{table} (body, imei, request, fetched_at, record_id, _dlt_load_id)"
            " values (%s, %s, %s, %s, %s, %s)".encode(),
            [
                json.dumps(body | dict.fromkeys(texts, text)), imei,
                '{"msgType": "jimi.push.device.alarm", "file": "f", "line": 1}',
                f"{AT}+00", f"{load}-{number}", load,
            ],
        )  # fmt: skip
    connection.execute("insert into raw._dlt_loads values (%s, 'x', 0, now(), 'h')", [load])


def test_text_of_kilobytes_is_rejected_and_its_record_kept(built_empty: Built) -> None:
    project, database = built_empty.settings, built_empty.database
    with dbt_runner.in_one_process(project, database), database.connect() as connection:
        insert_call_windows(connection)
        land(connection, "1800000000.1", LONG)
        dbt_runner.run(project, database, RUN_TABLES, lambda *_: None)
        rejected = connection.execute(
            "select source, reason, is_kept from tracksolid.rejected_records order by record_id"
        ).fetchall()
        expected = {
            (table, ", ".join(f"{text} (over 500 bytes)" for text in texts), is_kept)
            for table, _, texts, is_kept in SENT
        }
        assert {(s, ", ".join(sorted(r.split(", "))), k) for s, r, k in rejected} == {
            (s, ", ".join(sorted(r.split(", "))), k) for s, r, k in expected
        }
        assert {row["fault_code"] for row in rows(connection, "fault_codes")} == {None}
        assert [row["service_type"] for row in rows(connection, "jobs")] == [None]
        assert {row["vehicle_model"] for row in rows(connection, "devices")} == {"Hilux"}
        incremental = contents(connection)
        dbt_runner.run(project, database, ["run", "--full-refresh"], lambda *_: None)
        assert contents(connection) == incremental


def test_migration_removes_what_earlier_builds_accepted(built_empty: Built) -> None:
    """Long texts that PostgreSQL could compress, and speeds of 255, are in an older database."""
    project, database = built_empty.settings, built_empty.database
    with dbt_runner.in_one_process(project, database), database.connect() as connection:
        insert_call_windows(connection)
        land(connection, "1800000000.1", "short")
        dbt_runner.run(project, database, RUN_TABLES, lambda *_: None)
        right = contents(connection)
        connection.execute(
            "insert into tracksolid.device_drivers select imei, repeat('x', 3000), reported_day,"
            " fetched_at, 'old', load_id from tracksolid.device_drivers"
        )
        connection.execute(
            "update tracksolid.device_attributes set value = repeat('x', 3000)"
            " where attribute = 'vehicleNumber'"
        )
        connection.execute("update tracksolid.position_history set speed_kmh = 255")
        connection.execute("update dwh_gold.fact_alarms set alarm_name = 'wrong'")
        connection.execute(
            "delete from tracksolid.schema_migrations where migration_id like '0014%'"
        )
        assert database.prepare() == ["0014_rejected_texts_and_speeds"]
        dbt_runner.run(project, database, RUN_TABLES, lambda *_: None)
        assert contents(connection) == right


def rows(connection: psycopg.Connection, table: str) -> list[dict]:
    found = connection.execute(f"select to_jsonb(t) from tracksolid.{table} as t".encode())
    return [row for (row,) in found]
