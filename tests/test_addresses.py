"""A password in an address is never printed, whatever form the address has."""

import os
import re
from urllib.parse import quote, urlsplit

import command_line
import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from operations.imports.old_system import LegacyError, OldSystem
from warehouse.address import BadAddress, canonical, printable
from warehouse.database import Database

HEAD, TAIL = "canary", "4yraNac"  # both halves: a mistyped address may be cut between them
NASTY = "@/:?#%&=;' \\\"[]+,$é☃"


def quoted(value: str) -> str:
    """A value as libpq's key=value form quotes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


passwords = st.text(NASTY + "x7", max_size=4).map(lambda middle: HEAD + middle + TAIL)
# Each makes an address of a password; the first six are right, the others are mistyped.
RIGHT = (
    lambda p: f"postgresql://u:{quote(p, safe='')}@127.0.0.1:1/x",
    lambda p: f"postgres://u:{quote(p, safe='')}@127.0.0.1:1/x?sslmode=disable",
    lambda p: f"postgresql://u@127.0.0.1:1/x?password={quote(p, safe='')}",
    lambda p: f"postgresql://127.0.0.1/x?port=1&user=u&password={quote(p, safe='')}",
    lambda p: f"host=127.0.0.1 port=1 user=u dbname=x password={quoted(p)}",
    lambda p: f"password = {quoted(p)} host = '127.0.0.1' port=1 user='u' dbname=x",
)
RARE = (
    lambda p: f"postgresql://u:{quote(p, safe='')}@127.0.0.1:1,127.0.0.2:2/x",
    lambda p: f"host=127.0.0.1,127.0.0.2 port=1 user=u password={quoted(p)}",
    lambda p: f"postgresql://%75:{quote(p, safe='')}@127.0.0.1:1/x",
    lambda p: f"postgresql://u@127.0.0.1:1/x?p%61ssword={quote(p, safe='')}",
    lambda p: f"postgresql://u@127.0.0.1:1/x?passfile=/nowhere&sslpassword={quote(p, safe='')}",
    lambda p: f"host=127.0.0.1 port=1 user=u application_name={quoted(p)}",
    lambda p: f"service=fleet host=127.0.0.1 port=1 password={quoted(p)}",
    lambda p: f"host='127.0.0.1'port='1'user='u'password={quoted(p)}dbname='x'",
)
WRONG = (
    lambda p: f"postgresql://u:{p}@127.0.0.1:1/x",
    lambda p: f"postgresql://u@127.0.0.1:1/x?password={p}",
    lambda p: f"postgresql:/u:{p}@127.0.0.1:1/x",
    lambda p: f"postgresql://u:12/{p}@127.0.0.1:1/x",
    lambda p: f"postgresql+psycopg://u:{p}@127.0.0.1:1/x",
    lambda p: f"jdbc:postgresql://127.0.0.1:1/x?user=u&password={p}",
    lambda p: f"postgresql://127.0.0.1:1/x;password={p}",
    lambda p: f"postgresql://127.0.0.1:1/x&password={p}",
    lambda p: f"host=127.0.0.1 port=1 user=u password={p} dbname=x",
    lambda p: f"host=127.0.0.1 port=1 password={quoted(p)[:-1]} dbname=x",
    lambda p: f"host=127.0.0.1;port=1;password={p}",
    lambda p: f"host=127.0.0.1 user='u password={p}' port=1",
    lambda p: f"host=127.0.0.1 passwrod={p} port=1",
    lambda p: f"service=fleet password={quoted(p)}",
    lambda p: f"postgresql://?service=fleet&password={quote(p, safe='')}",
    lambda p: f"u:{p}@127.0.0.1:1/x",
    lambda p: p,
)


def said_about(address: str) -> str:
    """All that the product says when it is given this address."""
    said = [printable(address), repr(Database(address))]
    try:
        database = Database(canonical(address, "DATABASE_URL"))
    except BadAddress as error:
        return "\n".join([*said, str(error)])
    said += [database.safe_url, repr(database), database.name]
    try:
        database.connect()
    except psycopg.Error as error:
        said.append(str(error))
    try:
        OldSystem(address)
    except LegacyError as error:
        said.append(str(error))
    return "\n".join(said)


@settings(max_examples=400)
@given(st.sampled_from(RIGHT + RARE + WRONG), passwords)
@example(WRONG[0], f"{HEAD}@{TAIL}")
@example(WRONG[0], f"7/{TAIL}")
@example(WRONG[8], f"{HEAD} {TAIL}")
def test_no_part_of_a_password_is_printed(form, password: str) -> None:
    said = said_about(form(password))
    for part in (HEAD, TAIL, quote(password, safe="")):
        assert part not in said


@given(st.sampled_from(RIGHT), passwords)
def test_every_form_of_libpq_means_the_same_database(form, password: str) -> None:
    url = canonical(form(password), "DATABASE_URL")
    wanted = {"host": "127.0.0.1", "port": "1", "user": "u", "dbname": "x", "password": password}
    assert conninfo_to_dict(url).items() >= wanted.items()
    # dlt and yoyo read the URL by themselves.
    assert urlsplit(url).username == "u"
    assert urlsplit(url).path == "/x"
    assert printable(url) == "postgresql://u@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u%40server:p@db/x%20y", "postgresql://u%40server@db/x%20y"),
        ("postgresql://u:p@[::1]:5/x", "postgresql://u@[::1]:5/x"),
        ("postgresql://a:1,b:2/x", "postgresql://a:1,b:2/x"),
        ("host=/var/run/postgresql user=u", "postgresql://u@/?host=/var/run/postgresql"),
    ],
)
def test_rare_addresses_keep_their_meaning(address: str, shown: str) -> None:
    url = canonical(address, "DATABASE_URL")
    assert conninfo_to_dict(url) == conninfo_to_dict(address)
    assert printable(url) == shown


@pytest.mark.parametrize("form", [RIGHT[2], RIGHT[4], WRONG[0], WRONG[10], WRONG[13]])
@pytest.mark.parametrize("name", ["doctor", "poll", "compare-legacy"])
def test_no_command_prints_it(form, name: str, tmp_path) -> None:
    address = form(f"{HEAD}@{TAIL}")
    done = command_line.run(
        name,
        env={
            "PATH": os.environ["PATH"],
            "WORK_DIR": str(tmp_path),
            "DATABASE_URL": address,
            "LEGACY_DATABASE_URL": address,
            "TRACKSOLID_API_URL": "http://127.0.0.1:1/",
            **dict.fromkeys(("TRACKSOLID_APP_KEY", "TRACKSOLID_ACCOUNT"), "x"),
            **dict.fromkeys(("TRACKSOLID_APP_SECRET", "TRACKSOLID_PASSWORD_MD5"), "x"),
        },
    )
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2)
    assert not re.search(f"{HEAD}|{TAIL}|Traceback", said), said
