"""Runs the app in one uvicorn process until it is told to stop; code 0 once all is answered."""

import gc
import resource
import signal
import sys

import uvicorn
from fastapi import FastAPI

from webhook.guarded_protocol import GuardedProtocol
from webhook.receiver_settings import ReceiverSettings

# Beside connections the process needs files of its own; running out of them stops `accept`. A
# quarter of what it may open is enough, and never more than 200; it has 30 open when it starts.
OWN_FILES = 200
FEWEST_FILES = 128
MOST_CONNECTIONS = 20_000
# Longer than senders pause: one that reuses a connection just closed loses its push.
KEEP_ALIVE_S = 75
STOP_S = 10
# How long the thread that writes the spool waits for the interpreter while requests are handled:
# all senders of a commit wait with it.
SWITCH_S = 0.0002


class TooFewFiles(Exception):
    """The process may open so few files that it could serve nobody."""


def connections_within(most_files: int) -> int:
    """How many connections may be open at once, if the process may open so many files."""
    if most_files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    if most_files < FEWEST_FILES:
        raise TooFewFiles(
            f"the process may open {most_files} files, and needs {FEWEST_FILES}: raise the limit"
            " (ulimit -n, nofile of the container)"
        )
    return min(MOST_CONNECTIONS, most_files - min(OWN_FILES, most_files // 4))


def serve(app: FastAPI, settings: ReceiverSettings) -> None:
    """Listen until SIGTERM or SIGINT; requests in flight are answered first.

    Raises TooFewFiles if the process may not open enough files.
    """
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    allowed = connections_within(most_files)

    class Protocol(GuardedProtocol):
        deadline_s = settings.webhook_timeout_seconds
        most_connections = allowed

    sys.setswitchinterval(SWITCH_S)
    # What start-up has made stays; walked through by the collector again and again, it would
    # hold up all senders for some 40 ms each time.
    gc.collect()
    gc.freeze()
    # uvicorn raises the signal again once all is answered and closed.
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
