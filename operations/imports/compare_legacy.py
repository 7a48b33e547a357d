"""Compares the old and the new system while both run: km, trips, alarms per vehicle and day."""

from dataclasses import dataclass, field
from datetime import date

from operations.imports.old_system import LegacyError, OldSystem
from warehouse.database import Database

# Both systems get the same query. {own} leaves out the new system's imported rows.
TRIPS = """
    select (start_time at time zone '{zone}')::date::text, imei::text, sum({km})::float8, count(*)
    from tracksolid.trips
    where start_time >= {start} and start_time < {end} and {own}
    group by 1, 2
"""
ALARMS = """
    select (alarm_time at time zone '{zone}')::date::text, imei::text, null, count(*)
    from tracksolid.alarms
    where alarm_time >= {start} and alarm_time < {end} and {own}
    group by 1, 2
"""
PLATES = "select imei, coalesce(vehicle_number, device_name) from tracksolid.devices"
OLD_KM = {"distance_km": "distance_km", "distance_m": "distance_m / 1000000.0"}  # BUG-02


@dataclass
class DayTotals:
    """The totals of a vehicle's day in one system; `km` is None if no trip has a distance."""

    km: float | None = None
    trips: int = 0
    alarms: int = 0


@dataclass
class VehicleDay:
    """A vehicle's day in both systems; `day` is YYYY-MM-DD."""

    day: str
    imei: str
    plate: str | None
    old: DayTotals = field(default_factory=DayTotals)
    new: DayTotals = field(default_factory=DayTotals)

    @property
    def differs(self) -> bool:
        """True if km differ by more than 1 % and 100 m, or if trips or alarms differ in number."""
        old, new = self.old.km or 0.0, self.new.km or 0.0
        return (
            abs(old - new) > max(0.1, 0.01 * max(old, new))
            or self.old.trips != self.new.trips
            or self.old.alarms != self.new.alarms
        )


def compare(
    old: OldSystem, database: Database, zone: str, first: date, last: date
) -> list[VehicleDay]:
    """Return each vehicle's day from `first` to `last` (both included) with data in either system.

    A day runs from midnight to midnight in `zone`. Raises LegacyError if the old system cannot be
    read or nothing is built here.
    """
    km = [text for column, text in OLD_KM.items() if column in old.columns.get("trips", ())]
    if not km or "alarms" not in old.columns:
        raise LegacyError(
            f"{old.name} has no tracksolid.trips with a distance, or no tracksolid.alarms:"
            " check the database's name in --from"
        )
    given = {
        "zone": zone,
        "start": f"'{first}'::timestamp at time zone '{zone}'",
        "end": f"('{last}'::date + 1)::timestamp at time zone '{zone}'",
    }
    found: dict[tuple[str, str], VehicleDay] = {}
    with database.connect() as connection:
        if connection.execute("select to_regclass('tracksolid.trips')").fetchone() == (None,):
            raise LegacyError("nothing is built here yet: run orchestrate.py build first")
        plates: dict[str, str | None] = dict(connection.execute(PLATES.encode()).fetchall())

        def ours(text: str) -> list[tuple[object, ...]]:
            return connection.execute(text.encode()).fetchall()

        for system, ask, more in (
            ("old", old.query, {"km": f"coalesce({', '.join(km)})", "own": "true"}),
            ("new", ours, {"km": "distance_km", "own": "source <> 'legacy'"}),
        ):
            for counted, text in (("trips", TRIPS), ("alarms", ALARMS)):
                for day, imei, distance, count in ask(text.format(**given, **more)):
                    key = (str(day), str(imei))
                    both = found.setdefault(key, VehicleDay(*key, plates.get(key[1])))
                    totals: DayTotals = getattr(both, system)
                    setattr(totals, counted, count)
                    if isinstance(distance, float):
                        totals.km = distance
    return [found[key] for key in sorted(found)]
