"""A wrong setting is one line with its name, its value and what is allowed; exit code 2."""

import os
import subprocess
from pathlib import Path

import command_line
import pytest

from settings import Settings, WrongSettings, read_despite_faults, settings
from webhook import receiver_settings

WRONG = {
    "ARCHIVE_DIR": ["{file}", "{file}/x"],
    "CHUNK_DAYS": ["0", "1.5", "99999999999"],
    "COMPRESS_RAW_AFTER_DAYS": ["0", "soon"],
    "COMPRESS_SERIES_AFTER_DAYS": ["-1", "99999999999"],
    "EMBEDDED_POSTGRES_BIN_DIR": ["{folder}", "{file}", "/nowhere"],
    "FLEET_TIMEZONE": ["Nairobi", "Africa", "../etc", "UTC+3", "Africa/Nairobi "],
    "HISTORY_RETENTION_DAYS": ["0", "x"],
    "NOTIFY_URL": ["nonsense", "://x"],
    "ORCHESTRATOR_HOST": ["a b", "a..b", "http://x"],
    "ORCHESTRATOR_PORT": ["abc", "-1", "65536", "9100.5"],
    "PARKING_ACC_TYPES": [",", "0,,on"],
    "POLL_OBD": ["perhaps"],
    "POLL_TRAIL": ["2"],
    "RAW_RETENTION_DAYS": ["5", "a month", "99999999999"],
    "SERIES_RETENTION_DAYS": ["61", "none"],
    "SPOOL_PATH": ["{folder}", "{file}/spool.sqlite", "x" * 300],
    "TRACKSOLID_API_URL": ["eu-open.tracksolidpro.com", "ftp://x/", "http://", "http://h:port/"],
    "TRACKSOLID_BACKOFF_SECONDS": ["0", "inf", "nan", "1s"],
    "TRACKSOLID_CALLS_PER_SECOND": ["0", "-1", "inf", "nan", "many"],
    "TRACKSOLID_PARALLEL_CALLS": ["0", "1.5", "8 calls"],
    "WORK_DIR": ["{file}", "{file}/x"],
}
# Any text is right here, or its owner alone can tell; DATABASE_URL is in test_addresses.py.
FREE = {
    *("TRACKSOLID_APP_KEY", "TRACKSOLID_APP_SECRET", "TRACKSOLID_ACCOUNT"),
    *("TRACKSOLID_PASSWORD_MD5", "DATABASE_URL", "GRAFANA_RO_PASSWORD"),
}
RECEIVERS = {
    "SPOOL_MAX_AGE_SECONDS": ["0", "inf", "long"],
    "SPOOL_MIN_FREE_BYTES": ["-1", "1G"],
    "SPOOL_PATH": ["{folder}"],
    "WEBHOOK_ALLOWED_NETWORKS": ["nonsense", "10.0.0.1/8", "10.0.0.0/33"],
    "WEBHOOK_HOST": ["a b", "http://x"],
    "WEBHOOK_MAX_BODY_BYTES": ["0", "16 MB"],
    "WEBHOOK_PORT": ["abc", "65536", "-1"],
    "WEBHOOK_TIMEOUT_SECONDS": ["0", "nan"],
    "WEBHOOK_TOKEN": [",", " , "],
}


def values(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, given in table.items() for value in given]


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "file").write_text("")
    return {"folder": str(tmp_path), "file": str(tmp_path / "file")}


def test_every_setting_is_tried() -> None:
    assert WRONG.keys() | FREE == {name.upper() for name in Settings.model_fields}
    known = {name.upper() for name in receiver_settings.ReceiverSettings.model_fields}
    assert RECEIVERS.keys() == known


@pytest.mark.parametrize(("name", "value"), values(WRONG))
def test_one_line_names_setting_value_and_what_is_allowed(
    name: str, value: str, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    value = value.format(**places)
    monkeypatch.setenv(name, value)
    settings.cache_clear()
    try:
        with pytest.raises(WrongSettings) as wrong:
            settings()
    finally:
        settings.cache_clear()
    [line] = wrong.value.lines
    assert line.startswith(name)
    assert " is wrong: it must be " in line
    assert "\n" not in line
    assert (value[:80] in line) == (name != "NOTIFY_URL")
    read, faults = read_despite_faults()
    assert list(faults) == [name]
    assert getattr(read, name.lower()) == Settings.model_fields[name.lower()].get_default()


@pytest.mark.parametrize(("name", "value"), values(RECEIVERS))
def test_the_receiver_says_the_same(
    name: str, value: str, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    value = value.format(**places)
    monkeypatch.setenv("WEBHOOK_TOKEN", "a token")
    monkeypatch.setenv(name, value)
    with pytest.raises(receiver_settings.WrongReceiverSettings) as wrong:
        receiver_settings.read()
    [line] = wrong.value.faults.values()
    assert line.startswith(name)
    assert (value in line) == (name != "WEBHOOK_TOKEN")


@pytest.mark.parametrize("name", sorted(WRONG.keys() | FREE))
def test_a_setting_that_is_no_text_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, os.fsdecode(b"\xff"))
    _, faults = read_despite_faults()
    assert list(faults) == [name]
    assert "it must be text in UTF-8" in faults[name]


@pytest.mark.parametrize("name", RECEIVERS)
def test_a_setting_of_the_receiver_that_is_no_text_is_wrong(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_TOKEN", "a token")
    monkeypatch.setenv(name, os.fsdecode(b"\xff"))
    with pytest.raises(receiver_settings.WrongReceiverSettings, match=f"{name}.* text in UTF-8"):
        receiver_settings.read()


def test_a_default_that_cannot_be_used_is_named(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings.model_fields["work_dir"], "default", Path(places["file"]))
    monkeypatch.setenv("WORK_DIR", places["file"] + "/x")
    with pytest.raises(WrongSettings, match="WORK_DIR"):
        read_despite_faults()


def program(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return command_line.run(*words, env={"PATH": os.environ["PATH"], **environment})


@pytest.mark.parametrize("command", [["status"], ["migrate"], ["kpi", "list"], ["run"], ["demo"]])
def test_commands_end_with_2_and_a_line_for_each_wrong_setting(command: list[str]) -> None:
    done = program(*command, ORCHESTRATOR_PORT="abc", FLEET_TIMEZONE="Nairobi")
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split("=")[0] for line in lines] == [
        "error: FLEET_TIMEZONE", "error: ORCHESTRATOR_PORT",
    ]  # fmt: skip


def test_doctor_names_what_is_wrong_and_checks_the_rest(tmp_path: Path) -> None:
    done = program(
        "doctor",
        ORCHESTRATOR_PORT="abc", RAW_RETENTION_DAYS="5", WEBHOOK_PORT="x",
        TRACKSOLID_API_URL="http://127.0.0.1:1/", WORK_DIR=str(tmp_path),
        DATABASE_URL="postgresql://u@127.0.0.1:1/x",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == ""
    for line in (
        "FAIL settings     ORCHESTRATOR_PORT='abc' is wrong",
        "FAIL settings     RAW_RETENTION_DAYS='5' is wrong",
        "FAIL api ",
        "FAIL database     cannot reach postgresql://u@127.0.0.1:1/x",
        "FAIL webhook ",
        "ok   notify ",
    ):
        assert line in done.stdout


@pytest.mark.parametrize("command", ["exec", "dbt"])
def test_exec_and_dbt_need_to_know_what_to_run(command: str) -> None:
    done = program(command)
    assert done.returncode == 2
    assert "Usage" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_env_file_that_is_no_text_is_named(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / ".env").write_bytes(b"FLEET_TIMEZONE=\xff\n")
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")
    read, faults = read_despite_faults()
    assert read.fleet_timezone == "Africa/Nairobi"
    assert ".env cannot be read" in faults[".env"]
