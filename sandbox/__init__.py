"""From a seed or a recording to a stand-in Tracksolid that knows the truth and misbehaves."""

from sandbox.faults import Fault
from sandbox.fleet import Fleet
from sandbox.profiles import baseline, fleet
from sandbox.request_signing import sign
from sandbox.stand_in import Request, Sandbox, Sent
from sandbox.traces import Traces
from sandbox.world import Alarm, DayTruth, Stop, StopKind, Trip, World

__all__ = [
    "Alarm",
    "DayTruth",
    "Fault",
    "Fleet",
    "Request",
    "Sandbox",
    "Sent",
    "Stop",
    "StopKind",
    "Traces",
    "Trip",
    "World",
    "baseline",
    "fleet",
    "sign",
]
