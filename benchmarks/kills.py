"""The webhook's kill test with more rounds: 50 kills of the receiver, 25 of the database."""

import os
import subprocess
import sys
import time

from benchmarks.common import Result
from settings import ROOT

KILLS = 50


def run() -> list[Result]:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/test_whole_webhook.py"],
        cwd=ROOT,
        env=os.environ | {"WEBHOOK_KILLS": str(KILLS)},
        check=True,
    )
    return [
        Result("kills of the receiver without a lost or invented push", KILLS),
        Result("  seconds", time.perf_counter() - began),
    ]
