"""Checks settings, clock, database, token and webhook; each check is fine or says what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

import psycopg
import requests
from apprise import Apprise
from psycopg.conninfo import make_conninfo

from loader.http import CONNECT_TIMEOUT_S, LoginRefused, TemporaryFailure, Transport
from loader.token import TokenCache
from operations.service.pending import what_is_outdated, what_is_pending
from settings import Settings, WrongSettings
from warehouse.database import Database, DatabaseError
from warehouse.full_disk import full_disk
from warehouse.server import open_database
from webhook import receiver_settings

# The API refuses calls whose clock is 600 s off; half of that is too close.
LARGEST_SKEW_S = 300
CREDENTIALS = {"TRACKSOLID_APP_KEY", "TRACKSOLID_ACCOUNT"}
# If one of these settings is wrong, the database is not known.
DATABASE = {"WORK_DIR", "EMBEDDED_POSTGRES_BIN_DIR", ".env"}


@dataclass(frozen=True)
class Check:
    """A result: what was checked, whether it is fine, and a text that says more or what to do."""

    what: str
    ok: bool
    text: str


def checks(settings: Settings, wrong: Mapping[str, str] = MappingProxyType({})) -> Iterator[Check]:
    """Run the checks, each after those that it depends on.

    `wrong` has a line for each setting that cannot be used, by name. `settings` has the default
    value for such a setting, and checks that depend on it are left out.
    """
    for line in wrong.values():
        yield Check("settings", False, line)
    if not wrong.keys() & CREDENTIALS:
        yield _credentials(settings)
    if "TRACKSOLID_API_URL" not in wrong:
        yield _clock(settings)
    if not wrong.keys() & DATABASE:
        yield from _database_checks(settings, wrong)
    yield _webhook()
    if "NOTIFY_URL" not in wrong:
        yield _notifications(settings)


def _database_checks(settings: Settings, wrong: Mapping[str, str]) -> Iterator[Check]:
    try:
        with open_database(settings, migrates=False) as database:
            found = list(_database(database))
            yield from found
            if not all(check.ok for check in found):
                return
            if not wrong and not settings.missing_credentials():
                yield _token(settings, database)
            yield _grafana(settings, database)
    except (DatabaseError, WrongSettings, psycopg.Error, OSError) as error:
        disk = full_disk(error)
        yield Check("database", False, f"{disk}: free some space" if disk else str(error))


def _credentials(settings: Settings) -> Check:
    if missing := settings.missing_credentials():
        text = f"set {', '.join(missing)} in the environment or in .env (see docs/CONNECTIONS.md)"
        return Check("settings", False, text)
    key = settings.tracksolid_app_key
    masked = f"{key[:4]}…{key[-2:]}" if len(key) > 8 else "…"
    text = f"account {settings.tracksolid_account}, app key {masked}, secret and password set"
    return Check("settings", True, text)


def _clock(settings: Settings) -> Check:
    url = settings.tracksolid_api_url
    try:
        sent = datetime.now(UTC)
        response = requests.post(url, timeout=CONNECT_TIMEOUT_S)
        api_date = response.headers.get("Date")
    except requests.RequestException as error:
        text = (
            f"{url} does not answer ({type(error).__name__}):"
            " check TRACKSOLID_API_URL and the network"
        )
        return Check("api", False, text)
    if api_date is None:
        return Check("api", True, f"{url} answers; its answer has no date to compare clocks with")
    skew_s = (sent - parsedate_to_datetime(api_date)).total_seconds()
    if abs(skew_s) > LARGEST_SKEW_S:
        text = (
            f"this clock is {skew_s:+.0f} s off the API's clock; at 600 s the API refuses calls:"
            " set up NTP"
        )
        return Check("clock", False, text)
    return Check("clock", True, f"{url} answers; {skew_s:+.0f} s between its clock and this one")


def _database(database: Database) -> Iterator[Check]:
    with database.connect() as connection:
        version = connection.info.server_version
        kind = "embedded" if database.is_embedded else "given"
        yield Check(
            "database", True, f"{database.safe_url} ({kind}), PostgreSQL {version // 10000}"
        )
        if not database.is_embedded and (pending := what_is_pending(database)):
            yield Check("schema", False, pending)
            return
        yield _role(connection)
        known = connection.execute("select to_regclass('raw.complete_loads')").fetchone()
        loads, newest = 0, None
        if known != (None,):
            row = connection.execute("select count(*), max(inserted_at) from raw.complete_loads")
            loads, newest = row.fetchone() or (0, None)
        if newest is None:
            yield Check("raw", True, "empty, nothing was polled yet: run orchestrate.py poll")
        else:
            yield Check("raw", True, f"{loads:,} complete loads, newest {newest:%F %T} UTC")
        outdated = what_is_outdated(connection)
        yield Check("models", outdated is None, outdated or "computed with the present rules")


def _role(connection: psycopg.Connection) -> Check:
    row = connection.execute(
        """
        select
            current_user,
            array(
                select name from unnest(array['raw', 'tracksolid', 'dwh_gold']) as name
                where not has_schema_privilege(name, 'create, usage')
            )
        """
    ).fetchone()
    assert row is not None
    role, lacking = row
    if lacking:
        grants = f"grant usage, create on schema {', '.join(lacking)} to {role}"
        text = f"{role} may not write to {', '.join(lacking)}: as its owner run {grants}"
        return Check("role", False, text)
    return Check("role", True, f"{role} may write to raw, tracksolid and dwh_gold")


def _token(settings: Settings, database: Database) -> Check:
    try:
        TokenCache(settings, Transport(settings), database).current()
    except (LoginRefused, TemporaryFailure) as error:
        return Check("token", False, str(error))
    with database.connect() as connection:
        row = connection.execute(
            "select expires_at - now() from tracksolid.api_token_cache"
            " where account = %s and app_key = %s",
            [settings.tracksolid_account, settings.tracksolid_app_key],
        ).fetchone()
    assert row is not None
    return Check("token", True, f"valid for another {row[0].total_seconds() / 60:.0f} min")


def _grafana(settings: Settings, database: Database) -> Check:
    if settings.grafana_ro_password is None:
        return Check("grafana", True, "GRAFANA_RO_PASSWORD is not set: Grafana cannot log in")
    password = settings.grafana_ro_password.get_secret_value()
    login = make_conninfo(database.url, user="grafana_ro", password=password, connect_timeout=15)
    try:
        psycopg.connect(login).close()
    except psycopg.OperationalError as error:
        text = (
            f"grafana_ro cannot log in ({str(error).splitlines()[-1]}): run orchestrate.py migrate"
        )
        return Check("grafana", False, text)
    return Check("grafana", True, "grafana_ro logs in by GRAFANA_RO_PASSWORD")


def _webhook() -> Check:
    try:
        receiver_settings.read()
    except receiver_settings.WrongReceiverSettings as error:
        if error.faults.keys() == {"WEBHOOK_TOKEN"}:
            return Check("webhook", True, "WEBHOOK_TOKEN is not set here: no pushes are received")
        return Check("webhook", False, str(error))
    return Check("webhook", True, "token set, all settings can be used")


def _notifications(settings: Settings) -> Check:
    if settings.notify_url is None:
        return Check("notify", True, "NOTIFY_URL is not set: failures appear in the log only")
    if not Apprise().add(settings.notify_url.get_secret_value()):
        text = "NOTIFY_URL is not an address that apprise knows: see docs/CONNECTIONS.md"
        return Check("notify", False, text)
    return Check("notify", True, "NOTIFY_URL is an address that apprise knows")
