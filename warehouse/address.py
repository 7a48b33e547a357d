"""From a database address in any form that libpq reads to one URL, and to a text without secrets.

An address that looks mistyped is refused. A part of its password could be read as the host, the
port or the database, and those are printed.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

import psycopg
from psycopg.pq import Conninfo

FORM = "postgresql://user:password@host:5432/database"
# The characters that a printed part may hold. A separator in it means another syntax, or that it
# is a piece of a password.
PRINTED = {
    "host": re.compile(r"[\w.:%~/,+-]*"),
    "hostaddr": re.compile(r"[0-9a-fA-F.:,]*"),
    "port": re.compile(r"[\d,]*"),
    "user": re.compile(r"[^\s;=&:'\"\\]*"),
    "dbname": re.compile(r"[^\t\n\r\f\v;=&:@?'\"\\]*"),
}


class BadAddress(ValueError):
    """An address cannot be used. The text says what to do and holds no part of the address."""


def canonical(text: str, name: str) -> str:
    """Return the address as a postgresql:// URL that keeps every option.

    `text` is a URL, or libpq's `host=… password=…`; `name` is the setting that holds it.
    Raises BadAddress.
    """
    parts = _parts(text)
    if parts is None:
        raise BadAddress(
            f"{name} must be {FORM}; write % in a password as %25, @ as %40 and / as %2F"
        )
    if "service" in parts and "host" not in parts:
        raise BadAddress(f"{name} must name a host, not a service: {FORM}")
    return _url(parts, is_printed=False)


def printable(url: str) -> str:
    """Return user, host, port and database of an address as a URL; leave out everything else."""
    parts = _parts(url)
    return "a database address that cannot be read" if parts is None else _url(parts)


def _parts(text: str) -> dict[str, str] | None:
    """Return libpq's options by keyword; None if the text has none or looks mistyped."""
    text = text.strip()
    # libpq ends a password at the first @, and takes a / before that for the end of the host.
    url = re.match(r"postgres(?:ql)?://([^/?]*)([^?]*)", text)
    if url and (url[1].count("@") > 1 or "@" in url[2]):
        return None
    try:
        options = Conninfo.parse(text.encode())
        parts = {o.keyword.decode(): o.val.decode() for o in options if o.val}
        urlsplit(text if url else "")  # other libraries parse it so: it must not raise
    except (psycopg.Error, ValueError):
        return None
    is_plain = all(
        allowed.fullmatch(parts.get(keyword, "")) and "password" not in parts.get(keyword, "")
        for keyword, allowed in PRINTED.items()
    )
    return parts if parts and is_plain else None


def _url(parts: Mapping[str, str], *, is_printed: bool = True) -> str:
    rest = {key: value for key, value in parts.items() if key not in (*PRINTED, "password")}
    host, ports = parts.get("host", parts.get("hostaddr", "")), parts.get("port", "").split(",")
    if "hostaddr" in parts and "host" in parts:
        rest["hostaddr"] = parts["hostaddr"]
    hosts = host.split(",")
    if "/" in host or "%" in host:  # the folder of a Unix socket
        rest["host"] = host
        hosts = [""]
        if parts.get("port"):
            rest["port"] = parts["port"]
            ports = [""]
    ports *= len(hosts) if len(ports) == 1 else 1
    where = ",".join(
        (f"[{name}]" if ":" in name else name) + (f":{port}" if port else "")
        for name, port in zip(hosts, ports, strict=False)
    )
    login = quote(parts.get("user", ""), safe="")
    if "password" in parts and not is_printed:
        login += ":" + quote(parts["password"], safe="")
    url = f"postgresql://{login}@{where}" if login else f"postgresql://{where}"
    url += "/" + quote(parts.get("dbname", ""), safe="")
    shown = {key: rest[key] for key in ("host", "port") if key in rest} if is_printed else rest
    return url + ("?" + urlencode(shown, quote_via=quote, safe="/") if shown else "")
