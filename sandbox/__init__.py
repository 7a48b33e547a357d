"""A stand-in Tracksolid: it speaks the real protocol, knows the truth, and fails on request.

Tests, benchmarks and the demo use it; the product never imports it. The protocol is described in
docs/TRACKSOLID_API.md.
"""

from sandbox.entities import Alarm, DayTruth, Stop, StopKind, Trip
from sandbox.faults import Fault
from sandbox.fleet import Fleet
from sandbox.profiles import baseline, fleet
from sandbox.request_signing import sign
from sandbox.stand_in import Request, Sandbox, Sent
from sandbox.traces import Traces
from sandbox.world import World

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
