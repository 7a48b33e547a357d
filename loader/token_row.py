"""The row of tracksolid.api_token_cache that all processes share: token, lease, last login.

A lease gives one process the right to renew the token. It is a time in the row, so that it ends by
itself if that process is killed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import psycopg


@dataclass(frozen=True)
class Token:
    """An access token, its refresh token, and from when on it should be renewed (UTC)."""

    access: str
    refresh: str
    renew_at: datetime


class ConnectionSource(Protocol):
    """Something that opens autocommit connections, such as Database."""

    def connect(self) -> psycopg.Connection: ...


class TokenRow:
    """The row of one account and app key. Every method is one short transaction."""

    def __init__(self, database: ConnectionSource, account: str, app_key: str) -> None:
        self._database = database
        self._key = {"account": account, "app_key": app_key}
        self._lease_until: datetime | None = None  # of this process

    def token(self) -> Token | None:
        """Read the token; None if there is none."""
        row = self._execute(
            # Renew ten minutes before the end (docs/TRACKSOLID_API.md#token); of a life shorter
            # than 40 minutes, use three quarters.
            "select access_token, refresh_token,"
            " expires_at - least(interval '10 minutes', (expires_at - obtained_at) / 4)"
            " from {table} where {key} and access_token is not null"
        )
        return Token(*row) if row else None

    def store(self, access: str, refresh: str, life_s: int) -> None:
        """Store a token that was granted now and lives for `life_s` seconds."""
        self._execute(
            "update {table} set access_token = %(access)s, refresh_token = %(refresh)s,"
            " obtained_at = now(), expires_at = now() + make_interval(secs => %(life_s)s)"
            " where {key}",
            access=access,
            refresh=refresh,
            life_s=life_s,
        )

    def take_lease(self, seen: Token | None, lease: timedelta) -> bool:
        """Take the lease; creates the row if it is missing.

        Returns False if another process holds the lease, or has replaced the token `seen`.
        """
        self._execute(
            "insert into {table} (account, app_key) values (%(account)s, %(app_key)s)"
            " on conflict do nothing"
        )
        taken = self._execute(
            "update {table} set renewing_until = now() + %(lease)s where {key}"
            " and coalesce(renewing_until, '-infinity') < now()"
            " and access_token is not distinct from %(seen)s returning renewing_until",
            lease=lease,
            seen=seen.access if seen else None,
        )
        self._lease_until = taken[0] if taken else None
        return taken is not None

    def extend_lease(self, lease: timedelta) -> None:
        """Let the lease end this long from now."""
        row = self._execute(
            "update {table} set renewing_until = now() + %(lease)s where {key}"
            " returning renewing_until",
            lease=lease,
        )
        self._lease_until = row[0] if row else None

    def release_lease(self) -> None:
        """End the lease, unless it has run out and another process has taken it."""
        self._execute(
            "update {table} set renewing_until = null"
            " where {key} and renewing_until = %(lease_until)s",
            lease_until=self._lease_until,
        )

    def wait_before_login(self, gap: timedelta) -> timedelta:
        """How long to wait until the last login of any process is `gap` ago."""
        row = self._execute("select login_at + %(gap)s - now() from {table} where {key}", gap=gap)
        return max(row[0] if row and row[0] else timedelta(), timedelta())

    def note_login(self) -> None:
        """Store that a login is made now."""
        self._execute("update {table} set login_at = now() where {key}")

    def _execute(self, statement: str, **values: Any) -> tuple[Any, ...] | None:
        """Execute a statement with {table} and {key} filled in; returns its first row, if any."""
        text = statement.format(
            table="tracksolid.api_token_cache",
            key="account = %(account)s and app_key = %(app_key)s",
        )
        with self._database.connect() as connection:
            result = connection.execute(text.encode(), self._key | values)
            return result.fetchone() if result.description else None
