"""Computes the fleet's KPIs in Python, from the sandbox's truth and the stored fixes.

test_kpis.py compares gold with it. It shares no code with the SQL.
"""

import csv
import math
from collections import Counter, defaultdict
from datetime import date, timedelta
from statistics import fmean, median

import psycopg
from fleets import PRICES
from test_pipeline import days, haversine_km

from sandbox import World
from sandbox.entities import Stop, StopKind, Trip
from sandbox.geometry import GeoPoint
from sandbox.instants import HOUR, eat_bounds
from settings import ROOT

with (ROOT / "dbt_fireside/seeds/operating_rules.csv").open() as seed:
    RULES = {row["rule"]: float(row["value"]) for row in csv.DictReader(seed) if row["value"]}
CITIES = {"Nairobi": (-1.2864, 36.8172, 30), "Mombasa": (-4.0435, 39.6682, 25)}
CITIES["Kampala"] = (0.3136, 32.5811, 25)
PRIMARY = (
    "select imei, vehicle_id, vehicle_class from dwh_gold.dim_vehicles where is_primary_device"
)


class TrueVehicle:
    """A vehicle whose device has reported: its truth and its stored trail."""

    def __init__(self, world: World, gold: psycopg.Connection, row: tuple[str, str, str]) -> None:
        self.imei, self.id, kind = row
        self.limit_kmh = RULES[f"speed_limit_{kind}"]
        self.interval_km = RULES[f"service_interval_{kind}"]
        account = world.devices[self.imei].account.rpartition("_")[2].title()
        self.city = "Nairobi" if account == "Fleet" else account
        self.world = world
        self.fixes = gold.execute(
            "select extract(epoch from gps_time)::float, latitude::float, longitude::float,"
            " speed_kmh::float, heading_deg::float from tracksolid.position_history"
            " where imei = %s order by gps_time",
            [self.imei],
        ).fetchall()

    def trips(self, day: date) -> tuple[Trip, ...]:
        truth = self.world.truth(self.imei, day)
        return truth.trips if truth else ()

    def shift_trips(self, day: date) -> list[Trip]:
        """The trips of a day without those that end the shift of the day before."""
        earliest_h = RULES["shift_start"] - RULES["departure_before_shift"]
        return [t for t in self.trips(day) if t.start >= eat_bounds(day)[0] + earliest_h * HOUR]

    def departure_h(self, day: date) -> float | None:
        """Hour of the day at which the vehicle departs for its shift."""
        for trip in self.shift_trips(day)[:1]:
            hour = (trip.start - eat_bounds(day)[0]) / HOUR
            if has_shift(day) and hour < RULES["shift_start"] + RULES["shift_length"]:
                return hour
        return None

    def service_stops(self, day: date, depots: list) -> list[Stop]:
        truth = self.world.truth(self.imei, day)
        shortest, longest = (60 * RULES[f"service_stop_{n}"] for n in ("shortest", "longest"))
        return [
            stop
            for stop in (truth.stops if truth else ())
            if stop.kind is StopKind.PARKED
            and shortest <= stop.end - stop.start <= longest
            and not at_depot(stop.point, depots)
        ]

    def deadhead_m(self, day: date, depots: list) -> float | None:
        """Distance to the first service stop, if the day begins in a depot."""
        trips = self.shift_trips(day)
        stops = [s for s in self.service_stops(day, depots) if trips and s.start >= trips[0].start]
        if not stops or not at_depot(trips[0].start_point, depots):
            return None
        return sum(trip.distance_m for trip in trips if trip.start < stops[0].start)

    def steps(self, day: date) -> list[tuple]:
        """(fix, previous fix, seconds between them) for each fix of a day."""
        start, end = eat_bounds(day)
        pairs = zip(self.fixes[1:], self.fixes, strict=False)
        return [(fix, prior, fix[0] - prior[0]) for fix, prior in pairs if start <= fix[0] < end]


def has_shift(day: date) -> bool:
    return RULES["shift_first_weekday"] <= day.isoweekday() <= RULES["shift_last_weekday"]


def at_depot(point: tuple, depots: list) -> bool:
    return any(km(point, place) <= radius for *place, radius in depots)


def km(one: tuple, other: tuple) -> float:
    return haversine_km((None, *one[:2]), (None, *other[:2]))


def complete_days(world: World) -> list[date]:
    """Days that the API serves from midnight on; the last one is today so far."""
    return days(world)[1:]


def driving_events(vehicle: TrueVehicle, day: date) -> dict[str, float]:
    """Count of speeding events; seconds, km and worst excess of speeding."""
    counts, last_fast = defaultdict(float), -math.inf
    for fix, _, step_s in vehicle.steps(day):
        at, *_, speed, _ = fix
        if speed > vehicle.limit_kmh and step_s <= 120:
            counts["speeding"] += at - last_fast > 120
            last_fast = at
            counts["speeding_s"] += step_s
            counts["speeding_km"] += speed * step_s / HOUR
            counts["worst"] = max(counts["worst"], speed - vehicle.limit_kmh)
    return counts


def penalty_points(harsh_alarms: int, speeding_alarms: int) -> float:
    """What the driving score takes off per 100 km, for so many alarms."""
    weights = RULES["score_weight_harsh_driving"], RULES["score_weight_speeding"]
    return weights[0] * harsh_alarms + weights[1] * speeding_alarms


def last_position(vehicle: TrueVehicle, day: date) -> tuple[float, float]:
    """The vehicle's position at the end of the day."""
    end = eat_bounds(day)[1]
    return [fix for fix in vehicle.fixes if fix[0] < end][-1][1:3]


def mean(numbers: list[float]) -> float | None:
    return fmean(numbers) if numbers else None


def reporting_price(city: str) -> float:
    """Price of a litre in KES."""
    return PRICES[city] * (RULES["exchange_rate_ugx"] if city == "Kampala" else 1)


def ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


class FleetModel:
    """The fleet's KPIs of a day: kpi_id -> (value, tolerance)."""

    def __init__(
        self,
        world: World,
        gold: psycopg.Connection,
        vehicles: list[TrueVehicle],
        depots: list,
        figure,
    ) -> None:
        self.world, self.vehicles, self.depots, self.figure = world, vehicles, depots, figure
        with (ROOT / "dbt_fireside/seeds/alarm_types.csv").open() as file:
            types = {row["alarm_type"]: row for row in csv.DictReader(file)}
        self.classes = {kind: row["alarm_class"] for kind, row in types.items()}
        self.manoeuvres = {kind: row["manoeuvre"] or kind for kind, row in types.items()}
        self.devices = {
            (imei, day): row
            for imei, day, *row in gold.execute(
                "select imei, day, has_reported, fixes_count, fuel_l::float,"
                " fuel_estimated_l::float from dwh_gold.fact_daily_fleet_metrics"
            )
        }
        self.volts = dict(
            gold.execute(
                "select (gps_time at time zone 'Africa/Nairobi')::date,"
                " min(external_voltage_v)::float from tracksolid.position_history group by 1"
            )
        )
        self.primary = [imei for imei, *_ in gold.execute(PRIMARY.encode())]
        self.carried = gold.execute("select imei, vehicle_id from dwh_gold.dim_vehicles").fetchall()
        self.spans = {vehicle.id: self._spans(vehicle) for vehicle in vehicles}

    def day(self, day: date, values: dict) -> dict[str, tuple[float | None, float]]:
        known = [v for v in self.vehicles if self.devices[v.imei, day][0]]
        truths = {v.id: self.world.truth(v.imei, day) for v in known}
        return (
            self._utilisation(day, known, truths, values)
            | self._productivity(day, known)
            | self._behaviour(day, known, truths, values)
            | self._dispatch(day, known)
            | self._fuel(day, known, truths, values)
            | self._health(day)
            | self._zones(day)
            | self._quality(day)
        )

    def _utilisation(self, day: date, known: list, truths: dict, values: dict) -> dict:
        start, end = eat_bounds(day)
        km_of = {name: truth.distance_m / 1000 for name, truth in truths.items()}
        driving_s = sum(truth.driving_s for truth in truths.values())
        idling_s = sum(truth.idling_s for truth in truths.values())
        moved = sum(km >= 1 for km in km_of.values())
        active = sum(
            km_of[name] >= 1 or truth.driving_s + truth.idling_s > 300
            for name, truth in truths.items()
        )
        heard = [v for v in self.vehicles if v.fixes and v.fixes[0][0] < end]
        monday = day - timedelta(days=day.weekday())
        before = [values["fleet.distance", d] or 0 for d in days(self.world) if monday <= d < day]
        is_shift = has_shift(day)
        shift_s = len(known) * RULES["shift_length"] * HOUR if is_shift else 0
        deadheads = [
            distance_m / 1000
            for v in known
            if (distance_m := v.deadhead_m(day, self.depots)) is not None
        ]
        departures = [hour for v in known if (hour := v.departure_h(day)) is not None]
        returns = [(t[-1].end - start) / HOUR for v in known if (t := v.shift_trips(day))]
        return {
            "fleet.vehicles": (len(self.primary), 0),
            "fleet.vehicles_moved": (moved, 0),
            "fleet.active_vehicles": (active, 0),
            "fleet.not_moved": (len(heard) - moved, 0),
            "fleet.distance": (sum(km_of.values()), 1),
            "fleet.distance_week": (sum(km_of.values()) + sum(before), 1),
            "fleet.driving_time": (driving_s / HOUR, 0.01),
            "fleet.idle_time": (idling_s / HOUR, 0.01),
            "fleet.utilisation": (ratio(100 * driving_s, shift_s), 0.01),
            "fleet.idle_share": (ratio(100 * idling_s, driving_s + idling_s), 0.01),
            "fleet.idle_of_shift": (ratio(100 * idling_s, shift_s), 0.01),
            "fleet.off_shift_use": (None if is_shift else ratio(100 * moved, len(known)), 0.01),
            "fleet.trips_per_vehicle": (
                sum(len(truth.trips) for truth in truths.values()) / len(known),
                0.01,
            ),
            "fleet.first_departure": (mean(departures), 0.01),
            "fleet.last_return": (mean(returns), 0.01),
            "fleet.deadhead": (mean(deadheads), 0.05),
        }

    def _productivity(self, day: date, known: list) -> dict:
        stops = [stop for v in known for stop in v.service_stops(day, self.depots)]
        on_site_s = sum(stop.end - stop.start for stop in stops)
        departures = [hour for v in known if (hour := v.departure_h(day)) is not None]
        late = [max(0.0, 60 * (hour - RULES["shift_start"])) for hour in departures]
        beyond = sum(minutes > RULES["tardiness_grace"] for minutes in late)
        return {
            "technician.service_stops": (len(stops), 0),
            "technician.service_stops_per_vehicle": (len(stops) / len(known), 0.01),
            "technician.time_on_site": (on_site_s / HOUR, 0.01),
            "technician.time_on_site_per_stop": (ratio(on_site_s / 60, len(stops)), 0.01),
            "technician.late_departures": (beyond if late else None, 0),
            "technician.late_departures_share": (ratio(100 * beyond, len(late)), 0.01),
            "technician.tardiness": (mean(late), 0.01),
        }

    def _behaviour(self, day: date, known: list, truths: dict, values: dict) -> dict:
        trips = [trip for truth in truths.values() for trip in truth.trips]
        km = sum(trip.distance_m for trip in trips) / 1000
        late = [t for t in trips if not 5 <= (t.start + 3 * HOUR) % 86400 / HOUR < 20]
        counts, over = defaultdict(float), [0.0]
        for vehicle in known:
            for kind, amount in driving_events(vehicle, day).items():
                counts[kind] += amount
            over.append(counts.pop("worst", 0.0))
        alarms = self._vehicle_alarms(day, {v.id for v in known})
        rate = 100 / km if km >= RULES["score_min_distance"] else None
        points = penalty_points(alarms["harsh_driving"], alarms["speeding"])
        score = max(0.0, 100 - rate * points) if rate else None
        week = [day - timedelta(days=n) for n in range(1, 8)]
        before = [s for d in week if (s := values.get(("driver.score", d))) is not None]
        change = score - mean(before) if score is not None and before else None
        return {
            "driver.distance": (km, 1),
            "driver.after_hours_distance": (sum(t.distance_m for t in late) / 1000, 0.1),
            "driver.after_hours_trips": (len(late), 0),
            "driver.weekend_distance": (km if day.isoweekday() > 5 else 0, 1),
            "driver.speeding_events": (counts["speeding"], 0),
            "driver.speeding_time": (counts["speeding_s"] / 60, 0.01),
            "driver.speeding_distance": (counts["speeding_km"], 0.2),
            "driver.worst_speeding": (max(over) or None, 0.01),
            "driver.speeding_alarms": (alarms["speeding"], 0),
            "driver.harsh_alarms": (rate and rate * alarms["harsh_driving"], 0.01),
            "driver.score": (score, 0.02),
            "driver.score_change": (change, 0.03),
            # The trail has a fix in 15 to 25 s, which cannot tell harsh driving.
            "driver.harsh_acceleration": (None, 0),
            "driver.harsh_braking": (None, 0),
            "driver.harsh_cornering": (None, 0),
        }

    def _dispatch(self, day: date, known: list) -> dict:
        outside = sum(
            self.figure("kpi_dispatch_daily", "outside_city_count", day, v) or 0 for v in known
        )
        nights = [d for d in days(self.world) if d <= day]
        judged = []
        for vehicle in known:
            places = [last_position(vehicle, d) for d in nights if self.devices[vehicle.imei, d][0]]
            if at_depot(places[-1], self.depots):
                judged.append(False)
            elif len(places) > 5:
                usual = tuple(median([place[n] for place in places[:-1]]) for n in (0, 1))
                judged.append(km(places[-1], usual) > RULES["overnight_distance"])
        return {
            "dispatch.outside_city": (outside, 0),
            "dispatch.city_drift": (100 * outside / len(known), 0.01),
            "dispatch.unexpected_overnight": (sum(judged) if judged else None, 0),
        }

    def _fuel(self, day: date, known: list, truths: dict, values: dict) -> dict:
        """Sums over the vehicles; the fuel of each is compared in test_fuel_kpis_match_truth."""
        litres, estimated, fuelled_km, cost, idle_cost = [], 0.0, 0.0, 0.0, 0.0
        for vehicle in known:
            *_, used_l, estimated_l = self.devices[vehicle.imei, day]
            price = reporting_price(vehicle.city)
            idle_cost += truths[vehicle.id].idling_s / HOUR * RULES["idle_fuel"] * price
            if used_l is not None:
                litres.append(used_l)
                estimated += estimated_l
                fuelled_km += truths[vehicle.id].distance_m / 1000
                cost += used_l * price
        total_l = sum(litres)
        idle_l = sum(t.idling_s for t in truths.values()) / HOUR * RULES["idle_fuel"]
        unknown = len(known) - len(litres)
        month = [d for d in days(self.world) if d.month == day.month and d < day]
        return {
            "fuel.volume": (total_l, 0.1),
            "fuel.estimated_share": (ratio(100 * estimated, total_l), 0.05),
            "fuel.per_100km": (ratio(100 * total_l, fuelled_km if fuelled_km >= 1 else 0), 0.05),
            "fuel.co2": (total_l * RULES["co2_per_litre"], 0.3),
            "fuel.idle_volume": (idle_l, 0.01),
            "fuel.vehicles_without_fuel": (unknown, 0),
            "fuel.vehicles_without_cost": (unknown, 0),
            "fuel.cost": (cost, 1),
            "fuel.cost_per_km": (ratio(cost, fuelled_km if fuelled_km >= 1 else 0), 0.05),
            "fuel.idle_cost": (idle_cost, 1),
            "fuel.idle_cost_month": (
                idle_cost + sum(values["fuel.idle_cost", d] or 0 for d in month),
                1,
            ),
        }

    def _health(self, day: date) -> dict:
        mart = "kpi_vehicle_health_daily"
        read = [v for v in self.vehicles if self.figure(mart, "odometer_km", day, v) is not None]
        left_km = {v.id: self.figure(mart, "km_to_service", day, v) for v in read}
        since = [d for d in complete_days(self.world) if d <= day]
        in_days = []
        for vehicle in read:
            truths = [self.world.truth(vehicle.imei, d) for d in since]
            per_day_km = mean([truth.distance_m / 1000 for truth in truths])
            if per_day_km and per_day_km >= 0.1:
                in_days.append(left_km[vehicle.id] / per_day_km)
        alarms = self._vehicle_alarms(day, {vehicle for _, vehicle in self.carried})
        cuts = self._alarms(day, set(self.world.devices), of="type")["2"]
        return {
            "health.odometer": (
                mean([self.figure(mart, "odometer_km", day, v) for v in read]),
                0.01,
            ),
            "health.km_to_service": (min(left_km.values()), 0.01),
            "health.days_to_service": (min(in_days), 0.2),
            "health.battery": (90, 0),  # the value that the stand-in's heartbeats send
            "health.low_batteries": (0, 0),
            "health.supply_voltage": (self.volts.get(day), 0.001),
            "health.fault_codes": (cuts, 0),
            "health.alarms": (sum(alarms.values()), 0),
            "health.power_alarms": (alarms["power"], 0),
            "health.tamper_alarms": (alarms["tamper"], 0),
        }

    def _zones(self, day: date) -> dict:
        start, end = eat_bounds(day)
        dwell, counts = defaultdict(float), defaultdict(int)
        for spans in self.spans.values():
            inside: dict[str, float] = {}  # zone -> end of its last span of the day
            for begun, until, zones, after in spans:
                first, last = max(begun, start), min(until, end)
                if first >= last:
                    continue
                for zone in zones:
                    dwell[zone == "outside"] += last - first
                    is_entry = inside.get(zone) != first and first != start
                    counts["visits"] += is_entry and zone != "outside"
                    counts["returns"] += is_entry and zone.endswith("depot")
                    is_left = after is not None and zone not in after and until <= end
                    counts["departures"] += is_left and zone.endswith("depot")
                    inside[zone] = last
        return {
            "zone.visits": (counts["visits"], 1),
            "zone.dwell": (dwell[False] / HOUR, 0.2),
            "zone.outside": (dwell[True] / HOUR, 0.2),
            "zone.depot_departures": (counts["departures"], 0),
            "zone.depot_returns": (counts["returns"], 0),
        }

    def _spans(self, vehicle: TrueVehicle) -> list[tuple]:
        """(start, end, zones, zones of the next fix if the span lasts until then)."""
        spans = []
        zones = [self._zones_at(fix[1:3]) for fix in vehicle.fixes]
        pairs = zip(vehicle.fixes, vehicle.fixes[1:], zones, zones[1:], strict=False)
        for fix, after, here, there in pairs:
            stood = math.dist(fix[1:3], after[1:3]) * 111.2 < RULES["same_place_distance"]
            stale = math.inf if stood else fix[0] + RULES["fresh_fix_age"] * HOUR
            until = min(after[0], stale)
            spans.append((fix[0], until, here, there if until == after[0] else None))
        return spans

    def _zones_at(self, place: tuple[float, float]) -> tuple[str, ...]:
        point = GeoPoint(*place)
        return tuple(f.name for f in self.world.fences if f.holds(point)) or ("outside",)

    def _quality(self, day: date) -> dict:
        devices = self.world.devices.values()
        reported = [d for d in devices if self.devices[d.imei, day][0]]
        truths = {d.imei: self.world.truth(d.imei, day) for d in reported}
        driving = [imei for imei, truth in truths.items() if truth and truth.driving_s >= 60]
        fixes = sum(self.devices[imei, day][1] for imei in driving)
        hours = sum(truths[imei].driving_s for imei in driving) / HOUR
        never = sum(self.world.last_fix(d.imei) is None for d in devices)
        share = 100 / len(devices)
        # A norm belongs to the vehicle: the dashcam beside a tracker has it, too.
        normed = {d.plate for d in devices if d.fuel_100km}
        with_norm = sum(d.plate in normed for d in devices)
        return {
            "quality.devices": (len(devices), 0),
            "quality.reporting": (share * len(reported), 0.01),
            "quality.silent": (len(devices) - len(reported) - never, 0),
            "quality.never_reported": (never, 0),
            "quality.driver_names": (share * sum(bool(d.driver) for d in devices), 0.01),
            "quality.plates": (share * sum(bool(d.plate) for d in devices), 0.01),
            "quality.cost_centres": (100, 0),
            "quality.fuel_norms": (share * with_norm, 0.01),
            "quality.fix_density": (ratio(fixes, hours), 0.01),
            "quality.trail_to_trips": (100 if hours else None, 3),
        }

    def _alarms(self, day: date, imeis: set[str], of: str = "class") -> Counter:
        found: Counter[str] = Counter()
        for imei in imeis:
            truth = self.world.truth(imei, day)
            for kind, count in truth.alarms.items() if truth else ():
                found[self.classes.get(kind, "unknown") if of == "class" else kind] += count
        return found

    def _vehicle_alarms(self, day: date, vehicles: set[str]) -> Counter:
        """Counts by class, over both devices of a vehicle; one manoeuvre counts once."""
        start, end = eat_bounds(day)
        raised = {
            (vehicle, self.manoeuvres[alarm.alarm_type], alarm.at): self.classes[alarm.alarm_type]
            for imei, vehicle in self.carried
            if vehicle in vehicles and self.world.last_fix(imei)
            for alarm in self.world.alarms(imei, start, end - 1)
        }
        return Counter(raised.values())
