"""Runs the app in one uvicorn process. SIGTERM and SIGINT end it with code 0, after all answers."""

import gc
import resource
import signal
import sys

import uvicorn
from fastapi import FastAPI

from webhook.guarded_protocol import GuardedProtocol
from webhook.receiver_settings import ReceiverSettings

# Files that are reserved for the process itself (30 at the start), because without a free file it
# cannot accept a connection: a quarter of the files that it may open, at most 200.
OWN_FILES = 200
FEWEST_FILES = 128
MOST_CONNECTIONS = 20_000
# Longer than senders pause: a push is lost if its connection is closed at the same moment.
KEEP_ALIVE_S = 75
STOP_S = 10
# How long the thread that writes the spool waits for the interpreter's lock while requests are
# handled. All requests of a commit wait with it.
SWITCH_S = 0.0002


class TooFewFiles(Exception):
    """The process may open too few files to accept connections."""


def connections_within(most_files: int) -> int:
    """How many connections may be open at once if the process may open `most_files`.

    Raises TooFewFiles.
    """
    if most_files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    if most_files < FEWEST_FILES:
        raise TooFewFiles(
            f"the process may open {most_files} files, and needs {FEWEST_FILES}: raise the limit"
            " (ulimit -n, nofile of the container)"
        )
    return min(MOST_CONNECTIONS, most_files - min(OWN_FILES, most_files // 4))


def serve(app: FastAPI, settings: ReceiverSettings) -> None:
    """Listen until SIGTERM or SIGINT, then answer the requests in flight and exit with code 0.

    Raises TooFewFiles if the process may open too few files.
    """
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    allowed = connections_within(most_files)

    class Protocol(GuardedProtocol):
        deadline_s = settings.webhook_timeout_seconds
        most_connections = allowed

    sys.setswitchinterval(SWITCH_S)
    # Objects from the start-up are never garbage. Without freeze, the collector would check them
    # again and again, and block all senders for some 40 ms each time.
    gc.collect()
    gc.freeze()
    # uvicorn raises the signal again when all requests are answered.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.webhook_host,
            port=settings.webhook_port,
            loop="uvloop",
            http=Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
        )
    ).run()
