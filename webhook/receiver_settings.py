"""The receiver's settings, from the environment or `.env`. docs/CONNECTIONS.md explains each."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).parent.parent


class ReceiverSettings(BaseSettings):
    """In the environment, the names are in upper case."""

    model_config = SettingsConfigDict(env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore")

    # Required. To rotate the token, give the old and the new one, separated by a comma.
    webhook_token: SecretStr
    webhook_host: str = "127.0.0.1"
    webhook_port: int = Field(default=8090, ge=0, le=65535)
    # Networks that may push, such as "10.0.0.0/8, 2001:db8::/32"; empty allows all networks.
    webhook_allowed_networks: str = ""
    webhook_max_body_bytes: int = Field(default=16 * 1024**2, gt=0)
    # Time for a request to arrive; slower senders are disconnected.
    webhook_timeout_seconds: float = Field(default=30.0, gt=0, allow_inf_nan=False)

    spool_path: Path = ROOT / ".fireside" / "spool.sqlite"
    # Pushes are refused if the disk has less room: the drain needs some room to delete pushes, and
    # so do other programs on that disk.
    spool_min_free_bytes: int = Field(default=256 * 1024**2, ge=0)
    # /ready reports a problem if a push has waited longer than this for the drain.
    spool_max_age_seconds: float = Field(default=900.0, gt=0, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _utf_8(cls, value: Any) -> Any:
        if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
            raise ValueError("it must be text in UTF-8")
        return value

    @field_validator("webhook_token")
    @classmethod
    def _some_token(cls, value: SecretStr) -> SecretStr:
        if not _listed(value.get_secret_value()):
            raise ValueError("it must be the token agreed with the platform")
        return value

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _only_networks(cls, value: str) -> str:
        _networks(value)
        return value

    @field_validator("webhook_host")
    @classmethod
    def _a_host(cls, value: str) -> str:
        if not re.fullmatch(r"[\w:%-]+(\.[\w:%-]+)*", value):
            raise ValueError("it must be a host's name or address, such as 127.0.0.1")
        return value

    @field_validator("spool_path")
    @classmethod
    def _from_the_root(cls, value: Path) -> Path:
        path = ROOT / value
        if path.is_dir():
            raise ValueError("it must be a file, but this is a folder")
        return path  # while its folder cannot be used, pushes get 503

    @property
    def tokens(self) -> list[bytes]:
        """All tokens that are valid now."""
        return [token.encode() for token in _listed(self.webhook_token.get_secret_value())]

    @property
    def networks(self) -> list[IPv4Network | IPv6Network]:
        """The networks that may push; an empty list means all."""
        return _networks(self.webhook_allowed_networks)


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _networks(text: str) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(item) for item in _listed(text)]
    except ValueError as error:
        raise ValueError(f"it must be networks such as 10.0.0.0/8, but {error}") from None


class WrongReceiverSettings(Exception):
    """Settings of the receiver are wrong. `faults` has a line for each, by its name."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__("; ".join(faults.values()))
        self.faults = faults


def read() -> ReceiverSettings:
    """Read the settings.

    Raises WrongReceiverSettings with the name, the value (never a token) and the reason.
    """
    try:
        return ReceiverSettings.model_validate({})
    except ValidationError as error:
        faults = {str(fault["loc"][0]).upper(): _line(dict(fault)) for fault in error.errors()}
    except (OSError, UnicodeError) as error:
        faults = {".env": f".env cannot be read: {error}; it must be a text file in UTF-8"}
    raise WrongReceiverSettings(faults)


def _line(fault: dict[str, Any]) -> str:
    """One of pydantic's faults in words."""
    name = str(fault["loc"][0]).upper()
    if fault["type"] == "missing":
        return f"{name} is not set: it must be the token agreed with the platform"
    given = "" if name == "WEBHOOK_TOKEN" else f"={str(fault['input'])[:80]!r}"
    reason = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name}{given} is wrong: {reason[0].lower()}{reason[1:]} (docs/CONNECTIONS.md)"
