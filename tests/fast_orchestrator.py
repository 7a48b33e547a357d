"""For test_chaos: runs the real service with its jobs every few seconds.

On SIGUSR1 its clock jumps by the seconds in the file CLOCK, forward or (negative) back.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import time_machine
from apscheduler.triggers.interval import IntervalTrigger

import logs
from operations.service import schedule
from operations.service.jobs import JobActions
from operations.service.orchestrator import Service, Stuck
from operations.service.schedule import ScheduledJob
from settings import Settings, settings
from warehouse.server import open_database

EVERY_S = {
    "location_list": 1,
    "alarm_list": 2,
    "track_mileage": 3,
    "parking_report": 3,
    "track_list": 3,
    "drain": 1,
    "build": 3,
    "devices": 30,
}


def plan(given: Settings, work: JobActions) -> Sequence[ScheduledJob]:
    return [
        replace(job, trigger=IntervalTrigger(seconds=EVERY_S[job.name]))
        for job in schedule.plan(given, work)
        if job.name in EVERY_S
    ]


def step_clock(*_: object) -> None:
    global traveller  # noqa: PLW0603 - a signal handler cannot return a value
    if traveller is not None:
        traveller.stop()
    ahead = timedelta(seconds=float(Path(os.environ["CLOCK"]).read_text()))
    traveller = time_machine.travel(datetime.now().astimezone() + ahead, tick=True)
    traveller.start()


traveller: time_machine.travel | None = None
logs.configure(verbose=True)
signal.signal(signal.SIGUSR1, step_clock)
with open_database(settings(), migrates=True) as database:
    service = Service(settings(), database, plan)
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    with suppress(Stuck):
        service.run()
os._exit(0)
