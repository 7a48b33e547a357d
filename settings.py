"""All settings of the product in one table with their checks, hence more than 200 lines.

They come from the environment or `.env`. Secrets are masked when they are printed.
"""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).parent
Days = Annotated[int, Field(ge=1, le=36500)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]


class WrongSettings(Exception):
    """Settings are wrong. `lines` has a line for each: name, value and what is allowed."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class Settings(BaseSettings):
    """In the environment, the names are in upper case. docs/CONNECTIONS.md explains each."""

    model_config = SettingsConfigDict(env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore")

    tracksolid_api_url: str = "https://eu-open.tracksolidpro.com/route/rest"
    tracksolid_app_key: str = ""
    tracksolid_app_secret: SecretStr = SecretStr("")
    tracksolid_account: str = ""
    tracksolid_password_md5: SecretStr = SecretStr("")

    # A burst of 25 calls was refused with code 1006; a call every 300 ms was not
    # (docs/TRACKSOLID_API.md#limits).
    tracksolid_calls_per_second: float = Field(default=3.0, gt=0, le=10000, allow_inf_nan=False)
    tracksolid_parallel_calls: int = Field(default=8, ge=1, le=1000)
    # Wait before the first retry of a call, doubled each time; ten times longer after code 1006.
    tracksolid_backoff_seconds: Seconds = 1.0

    # FIX-M13: "0" asks for parked stops, as the original system does; "on" for idling
    # (docs/TRACKSOLID_API.md#parking_report).
    parking_acc_types: str = "0,on"
    # FIX-M14. With thousands of vehicles most calls are for the trail: then switch this off and let
    # /pushgps bring the trail.
    poll_trail: bool = True
    # The vendor's API has OBD, but for this account OBD arrives by push only
    # (docs/TRACKSOLID_API.md#obd_list).
    poll_obd: bool = False

    # Pushes wait here for the drain. The default is the same in webhook/receiver_settings.py.
    spool_path: Path = ROOT / ".fireside" / "spool.sqlite"

    database_url: SecretStr | None = None
    # Without DATABASE_URL: the programs of another PostgreSQL (16 or newer) than the embedded one.
    embedded_postgres_bin_dir: Path | None = None
    # Password of the role grafana_ro; orchestrate.py migrate sets it in the database.
    grafana_ro_password: SecretStr | None = None
    fleet_timezone: str = "Africa/Nairobi"
    work_dir: Path = ROOT / ".fireside"

    # Where the orchestrator serves /health and /metrics.
    orchestrator_host: str = "127.0.0.1"
    orchestrator_port: int = Field(default=9100, ge=0, le=65535)
    # Where alerts are sent: an address of apprise. It may contain a password.
    notify_url: SecretStr | None = None
    # Rows of raw that are older move to files once all models have read them; None keeps all rows.
    # More than 30 days, because the loader searches that far back in raw for gaps.
    raw_retention_days: int | None = Field(default=None, ge=31, le=36500)
    archive_dir: Path = ROOT / ".fireside" / "archive"
    # Only with TimescaleDB (docs/SCALING.md): days in a chunk, the age in days at which chunks of
    # raw and of the series in tracksolid are compressed, and that at which chunks of the series are
    # dropped; None keeps all. Records arrive at most 30 days late.
    chunk_days: Days = 7
    compress_raw_after_days: Days = 7
    compress_series_after_days: Days = 35
    series_retention_days: int | None = Field(default=None, ge=62, le=36500)
    # Days that dwh_gold.dbt_run_history keeps: each build adds some 70 rows to it.
    history_retention_days: Days = 90

    @field_validator("*", mode="before")
    @classmethod
    def _utf_8(cls, value: Any) -> Any:
        if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
            raise ValueError("text in UTF-8")
        return value

    @field_validator("spool_path", "work_dir", "archive_dir")
    @classmethod
    def _from_the_root(cls, value: Path) -> Path:
        return ROOT / value

    @field_validator("spool_path")
    @classmethod
    def _a_file(cls, value: Path) -> Path:
        if _file_or_folder(value) == "folder":
            raise ValueError("a file, but this is a folder")
        _file_or_folder(value.parent, wanted="folder")
        return value

    @field_validator("work_dir", "archive_dir")
    @classmethod
    def _a_folder(cls, value: Path) -> Path:
        _file_or_folder(value, wanted="folder")
        return value

    @field_validator("embedded_postgres_bin_dir")
    @classmethod
    def _programs(cls, value: Path | None) -> Path | None:
        if value is not None and not (value / "pg_ctl").is_file():
            raise ValueError("a folder with the programs of PostgreSQL, such as pg_ctl")
        return value

    @field_validator("fleet_timezone")
    @classmethod
    def _a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (LookupError, ValueError, OSError):
            raise ValueError("a time zone's full name, such as Africa/Nairobi") from None
        return value

    @field_validator("tracksolid_api_url")
    @classmethod
    def _a_web_address(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            is_right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            is_right = False
        if not is_right or re.search(r"\s", value):
            raise ValueError("an address such as https://eu-open.tracksolidpro.com/route/rest")
        return value

    @field_validator("orchestrator_host")
    @classmethod
    def _a_host(cls, value: str) -> str:
        if not re.fullmatch(r"[\w:%-]+(\.[\w:%-]+)*", value):
            raise ValueError("a host's name or address, such as 127.0.0.1")
        return value

    @field_validator("notify_url")
    @classmethod
    def _a_service(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"[\w+.-]+://\S", value.get_secret_value()):
            raise ValueError("an address that apprise knows, such as mailto://…")
        return value

    @field_validator("parking_acc_types")
    @classmethod
    def _some_kinds(cls, value: str) -> str:
        if not re.fullmatch(r"\s*\w+\s*(,\s*\w+\s*)*", value):
            raise ValueError("values of acc_type, separated by commas, such as 0,on")
        return value

    @property
    def parking_kinds(self) -> list[str]:
        """The values of acc_type for which the parking report is polled."""
        return [kind.strip() for kind in self.parking_acc_types.split(",") if kind.strip()]

    def missing_credentials(self) -> list[str]:
        """Names of the API settings without a value, as in `.env`."""
        wanted = {
            "TRACKSOLID_APP_KEY": self.tracksolid_app_key,
            "TRACKSOLID_APP_SECRET": self.tracksolid_app_secret.get_secret_value(),
            "TRACKSOLID_ACCOUNT": self.tracksolid_account,
            "TRACKSOLID_PASSWORD_MD5": self.tracksolid_password_md5.get_secret_value(),
        }
        return [name for name, value in wanted.items() if not value]


@cache
def settings() -> Settings:
    """The settings of this process, read once. Raises WrongSettings."""
    read, faults = read_despite_faults()
    if faults:
        raise WrongSettings(list(faults.values()))
    return read


def read_despite_faults() -> tuple[Settings, dict[str, str]]:
    """Read the settings; wrong ones get their defaults.

    Also returns a line for each wrong setting, by its name: the value (never of a secret) and what
    is allowed.
    Raises WrongSettings if the default cannot be used either: a file is in its place.
    """
    given: dict[str, Any] = {}
    lines: dict[str, str] = {}
    while True:
        try:
            return Settings(**given), lines
        except ValidationError as error:
            for fault in error.errors():
                name = str(fault["loc"][0])
                lines[name.upper()] = _line(name, dict(fault))
                if name in given:
                    raise WrongSettings(list(lines.values())) from None
                given[name] = Settings.model_fields[name].get_default()
        except (OSError, UnicodeError) as error:
            lines[".env"] = f".env cannot be read: {error}; it must be a text file in UTF-8"
            given["_env_file"] = None


def _line(name: str, fault: dict[str, Any]) -> str:
    """One of pydantic's faults in words."""
    field = Settings.model_fields[name]
    is_secret = "Secret" in str(field.annotation) or "@" in str(fault["input"])
    given = "" if is_secret else f"={str(fault['input'])[:80]!r}"
    allowed = fault["ctx"]["error"] if fault["type"] == "value_error" else _allowed(field)
    return f"{name.upper()}{given} is wrong: it must be {allowed} (docs/CONNECTIONS.md)"


def _allowed(field: FieldInfo) -> str:
    """The allowed values of a number, a switch or a path, in words."""
    kind = str(field.annotation)
    if "bool" in kind:
        return "true or false"
    if "Path" in kind:
        return "a path"
    bounds = {key: value for each in field.metadata for key, value in _bounds(each).items()}
    words = [
        f"{word} {bounds[key]:,}"
        for key, word in (("gt", "above"), ("ge", "at least"), ("le", "at most"))
        if key in bounds
    ]
    return " ".join(["a whole number," if "int" in kind else "a number,", " and ".join(words)])


def _file_or_folder(path: Path, wanted: str | None = None) -> str | None:
    """Whether the path is a "file" or a "folder"; None if it does not exist yet.

    Raises ValueError if the path cannot exist, or is a file and a folder is wanted.
    """
    try:
        existing = next((p for p in (path, *path.parents) if p.exists()), path)
        kind = "folder" if existing.is_dir() else "file"
    except OSError as error:
        raise ValueError(f"a path that can be used ({error.strerror})") from None
    if kind == "file" and (existing != path or wanted == "folder"):
        raise ValueError(f"in a folder, but {existing} is a file")
    return kind if existing == path else None


def _bounds(constraint: object) -> dict[str, Any]:
    """The bounds in one of pydantic's constraints, such as Ge(ge=1)."""
    return {k: getattr(constraint, k) for k in ("gt", "ge", "le") if hasattr(constraint, k)}
