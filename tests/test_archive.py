"""Archive and restore: old rows of raw move to files and back; nothing is deleted unproven."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from databases import Databases
from waiting import TIMEOUT_S

from loader.batch import Batch, Origin
from loader.landing import Landing
from operations.maintenance import archive
from settings import Settings
from warehouse import dbt_runner
from warehouse.archived_files import ArchivedFile
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
def database(request: pytest.FixtureRequest, databases: Databases) -> Database:
    if "loads" in request.fixturenames:
        return databases.clone("four_loads", databases.with_raw, land_four_loads)
    return databases.with_raw()


@pytest.fixture
def loads(database: Database) -> list[str]:
    """Four loads of alarms: two old, one that a model has not read yet, one of today."""
    with database.connect() as connection:
        found = connection.execute("select load_id from raw._dlt_loads order by load_id")
        return [load_id for (load_id,) in found]


def land_four_loads(database: Database, work_dir: Path) -> None:
    landing = Landing(database, work_dir)
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
        kept = connection.execute("select count(*) from raw.complete_loads").fetchone()
    assert kept == (4,)

    with pytest.raises(dbt_runner.DbtFailed, match="restore-archive first"):
        dbt_runner.run(settings, database, ["build", "--full-refresh"])

    assert archive.restore(settings, database) == 6
    assert raw() == whole
    assert archive.is_empty(database)
    assert archive.restore(settings, database) == 0


def test_archive_keeps_rows_that_prove_what_has_landed(
    database: Database, settings: Settings, loads: list[str]
) -> None:
    batch = Batch()
    for table in ("jobs", "services", "legacy_trips"):
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
    assert archive.restore(settings, database) == 0
    assert raw() == whole
    assert archive.is_empty(database)


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
    assert archive.is_empty(database)


def noted(database: Database) -> list[tuple]:
    with database.connect() as connection:
        return connection.execute(
            "select file, table_name, row_count from raw.archived_files order by file"
        ).fetchall()


def test_a_file_outlives_a_power_cut_before_its_rows_are_deleted(
    database: Database,
    settings: Settings,
    loads: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bytes are on the disk, and so are the names of the file and of each new folder."""
    kept: list[Path] = []
    sync, delete = os.fsync, archive._delete

    def noted_sync(descriptor: int) -> None:
        sync(descriptor)
        kept.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    def checked(chosen: Database, archived: ArchivedFile) -> None:
        file, made = Path(archived.path), settings.archive_dir
        assert kept[0] == file.with_suffix(".part")
        assert {folder for folder in file.parents if folder.is_relative_to(made)} <= set(kept)
        assert made.parent in kept
        assert kept.index(file.parent) > 0
        delete(chosen, archived)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(archive, "_delete", checked)
    assert archive.archive(settings, database, AGE) == 6


def test_two_archives_at_once_lose_nothing(
    database: Database,
    settings: Settings,
    loads: list[str],
    raw: Callable[[], list[tuple]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second one begins after the first has chosen its rows and before it has moved them."""
    whole, meeting = raw(), threading.Barrier(2, timeout=TIMEOUT_S)
    groups = archive._groups

    def slow(chosen: Database, table: str, wanted: list[str]) -> list[list[str]]:
        found = groups(chosen, table, wanted)
        if found:
            meeting.wait()
        return found

    with monkeypatch.context() as racing, ThreadPoolExecutor(2) as pool:
        racing.setattr(archive, "_groups", slow)
        moved = list(pool.map(lambda _: archive.archive(settings, database, AGE), range(2)))
    assert sorted(moved) == [0, 6]
    files = list(settings.archive_dir.rglob("*"))
    assert sum(len(pq.read_table(path)) for path in files if path.is_file()) == 6
    assert [rows for *_, rows in noted(database)] == [6]
    archive.restore(settings, database)
    assert raw() == whole


def test_archive_and_restore_wait_for_a_build(
    database: Database, settings: Settings, loads: list[str], raw: Callable[[], list[tuple]]
) -> None:
    whole = raw()
    with ThreadPoolExecutor(1) as pool:
        for move in (
            lambda: archive.archive(settings, database, AGE),
            lambda: archive.restore(settings, database),
        ):
            before = raw()
            with dbt_runner.alone(database):
                moving = pool.submit(move)
                with pytest.raises(TimeoutError):
                    moving.result(timeout=1)
                assert raw() == before
            assert moving.result(TIMEOUT_S) == 6
    assert raw() == whole


def test_a_file_that_is_there_is_never_replaced(
    database: Database, settings: Settings, loads: list[str]
) -> None:
    archive.archive(settings, database, AGE)
    [kept] = settings.archive_dir.rglob("*.parquet")
    content = kept.read_bytes()
    with database.connect() as connection:  # the same loads again, with another row
        connection.execute("delete from raw.archived_files")
        connection.execute(
            "insert into raw.alarm_list (body, _dlt_load_id) values ('{}', %s), ('{}', %s)",
            loads[:2],
        )
    assert archive.archive(settings, database, AGE) == 2
    assert kept.read_bytes() == content
    assert len(list(settings.archive_dir.rglob("*.parquet"))) == 2


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["build", "--full-refresh"], {}),
        (["run", "-f"], {}),
        (["seed", "--full-refresh"], {}),
        (["run", "-xf"], {}),  # only dbt knows that this is one
        (["run"], {"DBT_FULL_REFRESH": "1"}),
        (["build"], {"DBT_ENGINE_FULL_REFRESH": "Yes"}),
    ],
)
def test_every_spelling_of_a_full_refresh_is_refused_while_rows_are_in_files(
    database: Database,
    settings: Settings,
    loads: list[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    variables: dict[str, str],
) -> None:
    """Also when DATABASE_URL calls the host by another name."""
    archive.archive(settings, database, AGE)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    renamed = Database(database.url.replace("127.0.0.1", "localhost"))
    assert renamed != database
    with pytest.raises(dbt_runner.DbtFailed, match="restore-archive first"):
        dbt_runner.run(settings, renamed, words, lambda *_: None)
    with database.connect() as connection:
        assert connection.execute("select to_regclass('tracksolid.alarms')").fetchone() == (None,)


def test_a_full_refresh_is_asked_about_once_the_lock_is_held(
    database: Database, settings: Settings, loads: list[str]
) -> None:
    """An archive that works while the build waits for its turn counts."""
    with ThreadPoolExecutor(1) as pool, dbt_runner.alone(database):
        building = pool.submit(
            dbt_runner.run, settings, database, ["run", "--full-refresh"], lambda *_: None
        )
        with pytest.raises(TimeoutError):
            building.result(timeout=1)
        with database.connect() as connection:
            connection.execute(
                "insert into raw.archived_files (file, table_name, loads, row_count)"
                " values ('/elsewhere/x.parquet', 'alarm_list', %s, 3)",
                [loads[:1]],
            )
    with pytest.raises(dbt_runner.DbtFailed, match="restore-archive first"):
        building.result(TIMEOUT_S)


def test_dbt_itself_refuses_a_full_refresh(
    database: Database, settings: Settings, loads: list[str], tmp_path: Path
) -> None:
    """`orchestrate.py exec dbt …` passes by the runner."""
    archive.archive(settings, database, AGE)
    done = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "run", "-f", "-s", "alarm_reports"],
        env=os.environ | dbt_runner.environment(settings, database),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "restore-archive first" in done.stdout
    with database.connect() as connection:
        gone = connection.execute("select to_regclass('tracksolid.alarm_reports')").fetchone()
    assert gone == (None,)


def test_files_of_an_earlier_release_count_and_come_back(
    database: Database,
    settings: Settings,
    loads: list[str],
    raw: Callable[[], list[tuple]],
) -> None:
    """Its folder had the host and the port in its name, and there was no note."""
    whole = raw()
    archive.archive(settings, database, AGE)
    [written] = settings.archive_dir.rglob("*.parquet")
    older = settings.archive_dir / "db.example-5432-fleet" / "alarm_list" / "1.0-2.0.parquet"
    older.parent.mkdir(parents=True)
    written.rename(older)
    with database.connect() as connection:
        connection.execute("delete from raw.archived_files")
    # Any build lists them, because one that finds a changed rule computes rows of raw again.
    dbt_runner.run(settings, database, ["run", "--select", "no_such_model"], lambda *_: None)
    assert noted(database) == [(str(older), "alarm_list", 6)]
    with pytest.raises(dbt_runner.DbtFailed, match="restore-archive first"):
        dbt_runner.run(settings, database, ["run", "-f"], lambda *_: None)
    assert archive.restore(settings, database) == 6
    assert raw() == whole


def test_files_of_another_database_are_left_alone(
    database: Database,
    new_database: Callable[[], Database],
    settings: Settings,
    loads: list[str],
) -> None:
    archive.archive(settings, database, AGE)
    other = new_database()
    Landing(other, settings.work_dir).prepare()
    assert archive.restore(settings, other) == 0
    assert archive.archive(settings, other, AGE) == 0
    assert noted(other) == []
    assert len(list(settings.archive_dir.rglob("*.parquet"))) == 1


def test_a_raw_that_was_moved_without_its_files_says_which_and_finds_them_when_they_come(
    database: Database,
    settings: Settings,
    loads: list[str],
    raw: Callable[[], list[tuple]],
    tmp_path: Path,
) -> None:
    whole = raw()
    archive.archive(settings, database, AGE)
    [(written, *_)] = noted(database)
    moved = settings.model_copy(update={"archive_dir": tmp_path / "new"})
    shutil.move(settings.archive_dir, tmp_path / "aside")
    with pytest.raises(dbt_runner.DbtFailed, match="restore-archive first") as refused:
        dbt_runner.run(moved, database, ["build", "--full-refresh"], lambda *_: None)
    assert f"not here, they were written to {written}" in str(refused.value)
    with pytest.raises(archive.ArchiveError, match="not here") as missing:
        archive.restore(moved, database)
    assert written in str(missing.value)
    assert not archive.is_empty(database)
    shutil.move(tmp_path / "aside", moved.archive_dir)
    assert archive.restore(moved, database) == 6
    assert raw() == whole


def test_a_file_that_lost_rows_is_named_and_stays_noted(
    database: Database, settings: Settings, loads: list[str]
) -> None:
    archive.archive(settings, database, AGE)
    [file] = settings.archive_dir.rglob("*.parquet")
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b""):
        file.write_bytes(content)
        with pytest.raises(archive.ArchiveError, match=file.name):
            archive.restore(settings, database)
        assert [rows for *_, rows in noted(database)] == [6]
        assert file.read_bytes() == content
    file.write_bytes(whole)
    assert archive.restore(settings, database) == 6


def test_rows_and_note_change_together(
    database: Database,
    settings: Settings,
    loads: list[str],
    raw: Callable[[], list[tuple]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database refuses the note, or ends while it is written: the rows stay."""
    whole = raw()
    with database.connect() as connection:
        connection.execute("alter table raw.archived_files add check (row_count < 0)")
    with pytest.raises(Exception, match="violates check"):
        archive.archive(settings, database, AGE)
    assert raw() == whole
    assert archive.is_empty(database)
    with database.connect() as connection:
        connection.execute(
            "alter table raw.archived_files drop constraint archived_files_row_count_check"
        )
    assert archive.archive(settings, database, AGE) == 6
