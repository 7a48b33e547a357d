"""The table of all API endpoints, in one file so that all can be compared (over 200 lines).

An entry says what to ask and which table of raw the records go to. The source of every parameter,
window and limit is docs/TRACKSOLID_API.md, in the section named after the table. Read it before you
add an endpoint: docs/TRACKSOLID_API.md#add-an-endpoint lists the steps.
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
    """How a method pages (docs/TRACKSOLID_API.md#paging).

    `parameter` chooses the page: it is the number of rows before the page if it `counts_rows`, else
    the number of the page, from 1. `size` is the number of rows that a page is asked for.
    """

    parameter: str
    counts_rows: bool = False
    size: int = PAGE_SIZE


BY_ROW = Paging("start_row", counts_rows=True)
BY_PAGE = Paging("page_no")


@dataclass(frozen=True)
class Endpoint:
    """One way to ask the API, and the table of raw that its records go to.

    `per` is what one call asks about: an account of the tree, a device, a batch of devices of one
    account, or a value that another endpoint's records contain.
    """

    table: str
    method: str
    records: tuple[str, ...]  # path to the records (docs/TRACKSOLID_API.md#envelope)
    per: Literal["account", "device", "batch", "value"]
    subject_parameter: str  # the parameter that holds the account, the IMEI(s) or the value
    values_from: tuple[str, str] | None = None  # for `per` value: table and field of the values
    account_parameter: str | None = None  # a further parameter that holds the account
    window: tuple[str, str] | None = None  # the parameters of its begin and its end, UTC
    longest_window: timedelta = timedelta(days=7)  # longer windows are split
    look_back: timedelta = timedelta()  # a poll starts this much earlier, as data may come late
    paging: Paging | None = None
    total: tuple[str, ...] = ()  # path to the number of rows on all pages, if the answer has it
    most_rows: int | None = None  # most rows of one query on all pages; the API omits the rest
    params: dict[str, str] = field(default_factory=dict)  # sent with every call
    variant: str = ""  # tells endpoints of the same table apart
    every: timedelta = timedelta(days=1)  # time from one poll to the next
    timeout_s: float = 60
    answers_each: bool = False  # True: a device without a record in the answer is missing
    urgent: bool = False  # True: its calls go before all other calls that wait
    only_moved: bool = False  # True: ask only about devices with a new position

    @property
    def name(self) -> str:
        """Its name in raw.api_calls and on the command line, such as parking_report:on."""
        return f"{self.table}:{self.variant}" if self.variant else self.table


SWEEP, TRAIL = "location_list", "track_list"


def endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """All endpoints that these settings switch on; each comes after those that it depends on."""
    return (
        Endpoint(
            table="child_list",
            method="jimi.user.child.list",
            records=("result",),
            per="account",
            subject_parameter="target",
        ),
        Endpoint(
            table="device_list",
            method="jimi.user.device.list",
            records=("result",),
            per="account",
            subject_parameter="target",
        ),
        Endpoint(
            table="device_detail",
            method="jimi.track.device.detail",
            records=("result",),
            per="device",
            subject_parameter="imei",
            answers_each=True,
        ),
        # The sweep: one call per account returns the newest fix of each of its devices.
        Endpoint(
            table=SWEEP,
            method="jimi.user.device.location.list",
            records=("result",),
            per="account",
            subject_parameter="target",
            every=timedelta(seconds=60),
            answers_each=True,
            urgent=True,
        ),
        Endpoint(
            table="track_mileage",
            method="jimi.device.track.mileage",
            records=("result",),
            per="batch",
            subject_parameter="imeis",
            window=("begin_time", "end_time"),
            # Long enough to fetch a trip again, finished, that was still running at the last poll.
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
                subject_parameter="imeis",
                window=("start_time", "end_time"),
                look_back=timedelta(hours=6),
                paging=BY_ROW,
                total=("data", "dataTotalRows"),
                # FIX-M13: without both of these parameters the answer is empty
                # (docs/TRACKSOLID_API.md#parking_report).
                account_parameter="account",
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
            subject_parameter="imeis",
            window=("begin_time", "end_time"),
            look_back=timedelta(hours=1),
            paging=BY_PAGE,
            most_rows=1000,  # docs/TRACKSOLID_API.md#limits
            longest_window=timedelta(days=3),
            every=timedelta(minutes=5),
        ),
        # FIX-M14: the trail between the sweeps. The timeout is long because one call took 137 s
        # (docs/TRACKSOLID_API.md#track_list).
        Endpoint(
            table=TRAIL,
            method="jimi.device.track.list",
            records=("result",),
            per="device",
            subject_parameter="imei",
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
            subject_parameter="account",
            paging=Paging("page_no", size=50),
            total=("result", "total"),
        ),
        Endpoint(
            table="fence_detail",
            method="jimi.open.platform.fence.detail",
            records=("result",),
            per="value",
            subject_parameter="fence_id",
            values_from=("fence_list", "fence_id"),
        ),
        *(
            (
                Endpoint(
                    table="obd_list",
                    method="jimi.device.obd.list",
                    records=("data", "result"),
                    per="batch",
                    subject_parameter="imeis",
                    account_parameter="account",
                    window=("start_time", "end_time"),
                    look_back=timedelta(hours=1),
                    paging=BY_PAGE,
                    total=("data", "totalRecord"),
                    every=timedelta(minutes=15),
                ),
            )
            if settings.poll_obd
            else ()
        ),
    )


# FIX-M15: the newest fix of chosen devices. It is fetched on demand and has no schedule
# (docs/TRACKSOLID_API.md#location_get).
LOCATION_GET = Endpoint(
    table="location_get",
    method="jimi.device.location.get",
    records=("result",),
    per="batch",
    subject_parameter="imeis",
    answers_each=True,
)

# All tables of raw that polls and imports fill; pushes.py lists those of the pushes.
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
    "services",
)
