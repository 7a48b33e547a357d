"""Tracksolid endpoints -> raw tables. Says what to ask for; landing.py says how it lands.

The source of every parameter, window and limit below is docs/TRACKSOLID_API.md, in the section
named after the table. Read it before you add an endpoint: #add-an-endpoint lists the steps.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from settings import Settings

# IMEIs per call. Some methods allow 100; 50 is safe for all (docs/TRACKSOLID_API.md#limits).
BATCH = 50
PAGE_SIZE = 100


@dataclass(frozen=True)
class Paging:
    """How a method pages: the parameter that moves, its first value, and what one page adds."""

    parameter: str
    first: int
    step: int
    size: int = PAGE_SIZE


BY_ROW = Paging("start_row", first=0, step=PAGE_SIZE)
BY_PAGE = Paging("page_no", first=1, step=1)


@dataclass(frozen=True)
class Endpoint:
    """One way to ask the API, and the raw table its records land in.

    `per` is what one call is about: an account of the tree, a device, a batch of devices of one
    account, or a value named in another endpoint's records (`of`: table and field).
    """

    table: str
    method: str
    records: tuple[str, ...]
    per: Literal["account", "device", "batch", "value"]
    asks: str  # the parameter that carries the account, the IMEI(s) or the value
    of: tuple[str, str] | None = None
    account: str | None = None  # parameter that names the account as well
    window: tuple[str, str] | None = None  # parameters of begin and end, UTC
    longest: timedelta = timedelta(days=7)  # of one window
    look_back: timedelta = timedelta()  # overlap with what was asked before
    paging: Paging | None = None
    most_rows: int | None = None  # of one query, all pages together; more are silently cut off
    params: dict[str, str] = field(default_factory=dict)
    variant: str = ""
    every: timedelta = timedelta(days=1)
    timeout_s: float = 60
    answers_each: bool = False  # a device without a record in the answer is missing
    urgent: bool = False  # its calls go before all other calls that wait
    only_moved: bool = False  # ask only for devices whose position changed since

    @property
    def name(self) -> str:
        """As raw.api_calls and the command line call it."""
        return f"{self.table}:{self.variant}" if self.variant else self.table


SWEEP, TRAIL = "location_list", "track_list"


def endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """All endpoints that these settings switch on, in the order in which they depend."""
    return (
        Endpoint(
            table="child_list",
            method="jimi.user.child.list",
            records=("result",),
            per="account",
            asks="target",
        ),
        Endpoint(
            table="device_list",
            method="jimi.user.device.list",
            records=("result",),
            per="account",
            asks="target",
        ),
        Endpoint(
            table="device_detail",
            method="jimi.track.device.detail",
            records=("result",),
            per="device",
            asks="imei",
            answers_each=True,
        ),
        # The sweep: one call an account, newest fix of every device.
        Endpoint(
            table=SWEEP,
            method="jimi.user.device.location.list",
            records=("result",),
            per="account",
            asks="target",
            every=timedelta(seconds=60),
            answers_each=True,
            urgent=True,
        ),
        Endpoint(
            table="track_mileage",
            method="jimi.device.track.mileage",
            records=("result",),
            per="batch",
            asks="imeis",
            window=("begin_time", "end_time"),
            # Long enough for a trip still running at the last poll to come again, finished.
            look_back=timedelta(hours=6),
            paging=BY_ROW,  # 100 rows a call at most (docs/TRACKSOLID_API.md#track_mileage)
            every=timedelta(minutes=15),
        ),
        *(
            Endpoint(
                table="parking_report",
                variant="" if kind == "0" else kind,
                method="jimi.open.platform.report.parking",
                records=("data", "rows"),
                per="batch",
                asks="imeis",
                window=("start_time", "end_time"),
                look_back=timedelta(hours=6),
                paging=BY_ROW,
                # FIX-M13: without both of these the answer is empty
                # (docs/TRACKSOLID_API.md#parking_report).
                account="account",
                params={"acc_type": kind},
                every=timedelta(minutes=15),
            )
            for kind in settings.parking_kinds
        ),
        Endpoint(
            table="alarm_list",
            method="jimi.device.alarm.list",
            records=("result",),
            per="batch",
            asks="imeis",
            window=("begin_time", "end_time"),
            look_back=timedelta(hours=1),
            paging=BY_PAGE,
            most_rows=1000,  # docs/TRACKSOLID_API.md#limits
            longest=timedelta(days=3),
            every=timedelta(minutes=5),
        ),
        # FIX-M14: the trail between the sweeps. One call was seen to take 137 s, hence the timeout
        # (docs/TRACKSOLID_API.md#track_list).
        Endpoint(
            table=TRAIL,
            method="jimi.device.track.list",
            records=("result",),
            per="device",
            asks="imei",
            window=("begin_time", "end_time"),
            look_back=timedelta(minutes=35),
            every=timedelta(minutes=30),
            timeout_s=240,
            only_moved=True,
        ),
        Endpoint(
            table="fence_list",
            method="jimi.open.platform.fence.list",
            records=("result", "rows"),
            per="account",
            asks="account",
            paging=Paging("page_no", first=1, step=1, size=50),
        ),
        Endpoint(
            table="fence_detail",
            method="jimi.open.platform.fence.detail",
            records=("result",),
            per="value",
            asks="fence_id",
            of=("fence_list", "fence_id"),
        ),
        *(
            (
                Endpoint(
                    table="obd_list",
                    method="jimi.device.obd.list",
                    records=("data", "result"),
                    per="batch",
                    asks="imeis",
                    account="account",
                    window=("start_time", "end_time"),
                    look_back=timedelta(hours=1),
                    paging=BY_PAGE,
                    every=timedelta(minutes=15),
                ),
            )
            if settings.poll_obd
            else ()
        ),
    )


# FIX-M15: the newest fix of chosen devices at once; on demand, so in no schedule
# (docs/TRACKSOLID_API.md#location_get).
LOCATION_GET = Endpoint(
    table="location_get",
    method="jimi.device.location.get",
    records=("result",),
    per="batch",
    asks="imeis",
    answers_each=True,
)

TABLES = (
    "child_list",
    "device_list",
    "device_detail",
    "location_list",
    "location_get",
    "track_mileage",
    "parking_report",
    "alarm_list",
    "track_list",
    "fence_list",
    "fence_detail",
    "obd_list",
    "legacy_devices",
    "legacy_trips",
    "legacy_position_history",
    "legacy_parking_events",
    "legacy_alarms",
    "legacy_device_events",
    "legacy_obd_readings",
    "jobs",
)
