"""Archive and restore: old rows of raw move to files and back; nothing is deleted unproven."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from loader.batch import Batch, Origin
from loader.landing import Landing
from operations.maintenance import archive
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

AGE = timedelta(days=40)
RAW = "select * from raw.alarm_list order by record_id"
LEDGER = """
    insert into tracksolid.offered_loads select load_id, 1 from raw._dlt_loads;
    insert into tracksolid.claims values ('alarms', 0, 2), ('trips', 0, 1);
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(work_dir=tmp_path / "work", archive_dir=tmp_path / "archive")


@pytest.fixture
def loads(database: Database, settings: Settings) -> list[str]:
    """Four loads of alarms: two old, one that a model has not read yet, one of today."""
    landing = Landing(database, settings.work_dir)
    landing.prepare()
    landed = []
    for number in range(4):
        batch = Batch()
        origin = Origin(f"call {number}", "{}", datetime(2026, 3, 2, 9, number, tzinfo=UTC))
        for position, text in enumerate(('"é ☃ \\u0000"', "1e400", "{}")):
            record = json.dumps({"imei": "1"})[:-1] + f', "x": {text}}}'
            batch.add_record("alarm_list", origin, position, record.encode(), None)
        landed.append(str(landing.land(batch)))
    with database.connect() as connection:
        connection.execute(LEDGER.encode())
        connection.execute(
            "update tracksolid.offered_loads set build_id = 2 where load_id = %s", [landed[2]]
        )
        connection.execute(
            "update raw._dlt_loads set inserted_at = now() - interval '41 days'"
            " where load_id <> %s",
            [landed[3]],
        )
    return landed


@pytest.fixture
def raw(database: Database) -> Callable[[], list[tuple]]:
    def read() -> list[tuple]:
        with database.connect() as connection:
            return connection.execute(RAW.encode()).fetchall()

    return read


def test_archived_rows_are_restored_unchanged(
    database: Database, settings: Settings, loads: list[str], raw: Callable[[], list[tuple]]
) -> None:
    whole = raw()
    assert len(whole) == 12
    assert archive.archive(settings, database, AGE) == 6
    assert {row[-1] for row in raw()} == {loads[2], loads[3]}
    assert archive.archive(settings, database, AGE) == 0
    with database.connect() as connection:
        kept = connection.execute("select count(*) from raw._dlt_loads where status = 0").fetchone()
    assert kept == (4,)

    with pytest.raises(dbt_runner.DbtFailed, match="restore-archive first"):
        dbt_runner.run(settings, database, ["build", "--full-refresh"])

    assert archive.restore(settings, database) == 6
    assert raw() == whole
    assert archive.is_empty(settings, database)
    assert archive.restore(settings, database) == 0


def test_archive_keeps_rows_that_prove_what_has_landed(
    database: Database, settings: Settings, loads: list[str]
) -> None:
    batch = Batch()
    for table in ("jobs", "legacy_trips"):
        origin = Origin("import", "{}", datetime(2026, 3, 2, tzinfo=UTC))
        batch.add_record(table, origin, 0, b"{}", None)
    load_id = Landing(database, settings.work_dir).land(batch)
    with database.connect() as connection:
        connection.execute("insert into tracksolid.offered_loads values (%s, 1)", [load_id])
        connection.execute("update raw._dlt_loads set inserted_at = now() - interval '41 days'")
    assert archive.archive(settings, database, AGE) == 9
    assert {path.parent.name for path in settings.archive_dir.rglob("*.parquet")} == {"alarm_list"}


def test_stop_between_archive_file_and_delete_loses_and_duplicates_nothing(
    database: Database,
    settings: Settings,
    loads: list[str],
    raw: Callable[[], list[tuple]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = raw()
    with monkeypatch.context() as stopping:
        stopping.setattr(archive, "_delete", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            archive.archive(settings, database, AGE)
    assert raw() == whole
    with database.connect() as connection:  # the next night has more to move
        connection.execute("update tracksolid.claims set build_id = 2")
    assert archive.archive(settings, database, AGE) == 9
    with monkeypatch.context() as stopping:
        stopping.setattr(Path, "unlink", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            archive.restore(settings, database)
    assert archive.restore(settings, database) == 3
    assert raw() == whole


def test_rows_missing_from_the_archive_file_are_not_deleted(
    database: Database,
    settings: Settings,
    loads: list[str],
    raw: Callable[[], list[tuple]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, write = raw(), pq.write_table
    monkeypatch.setattr(pq, "write_table", lambda rows, *a, **b: write(rows.slice(1), *a, **b))
    with pytest.raises(archive.ArchiveError, match="nothing is deleted"):
        archive.archive(settings, database, AGE)
    assert raw() == whole
    assert archive.is_empty(settings, database)
