"""A stand-in Tracksolid: speaks the real protocol, knows the truth, misbehaves on request.

Tests, benchmarks and the demo use it; the product never imports it. The protocol is the one of
docs/TRACKSOLID_API.md.
"""

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
