"""The two ready-made fleets: `fleet`, which works, and `baseline`, the client's on 2026-04-12."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from sandbox.entities import Account, Device, Fence
from sandbox.fleet import Fitting, Fleet
from sandbox.geometry import GeoPoint
from sandbox.instants import DAY, instant
from sandbox.road_map import DEPOTS, JUNCTIONS
from sandbox.roads import site_at
from sandbox.vehicles import Vehicle

PARENT = "sandbox_fleet"
ACCOUNTS = (
    Account(PARENT, "Sandbox fleet"),
    Account(f"{PARENT}_mombasa", "Sandbox Mombasa", PARENT),
    Account(f"{PARENT}_kampala", "Sandbox Kampala", PARENT),
)
_CITY_ACCOUNTS = {"Nairobi": PARENT, "Mombasa": f"{PARENT}_mombasa", "Kampala": f"{PARENT}_kampala"}
_ACTIVATED = instant(2025, 10, 1)
_NAMES = ("Achieng", "Barasa", "Cherono", "Hamisi", "Kamau", "Mutua", "Nakato", "Otieno", "Wanjiru")
_BASELINE_NOON = instant(2026, 4, 12, 9)


def fleet(*, seed: int = 1, days: int = 14, now: int | None = None, devices: int = 82) -> Fleet:
    """A working fleet in three cities. The last two devices are dashcams in the first two vehicles.

    One of 27 devices has never reported. The sixth device has expired. The seventh has had no GPS
    since 2026-04-09, but its heartbeats continue. Raises ValueError for fewer than 10 devices.
    """
    if devices < 10:
        raise ValueError("the fleet profile needs at least 10 devices")
    rng = Random(f"fleet/{seed}")
    count = devices - 2
    cities = {number: _city_of(number) for number in range(count)}
    registry: dict[Device, Fitting] = {}
    for number, city in cities.items():
        device = _device(rng, "1", number, city, is_expired=number == 5)
        registry[device] = Fitting(
            number,
            has_reported=number % 27 != 13,
            silent_from=_BASELINE_NOON - 3 * DAY if number == 6 else None,
            has_heartbeats=number == 6,
            odometer_m=rng.uniform(5e6, 180e6),
        )
    for number, tracker in enumerate(list(registry)[:2]):
        registry[_dashcam(tracker, count + number)] = Fitting(number, odometer_m=1e6)
    vehicles = {number: Vehicle(city, is_steady=number == 6) for number, city in cities.items()}
    fences = _fences(list(registry))
    return Fleet(
        registry, vehicles, accounts=ACCOUNTS, fences=fences, seed=seed, days=days, now=now
    )


def baseline(*, seed: int = 1, days: int = 14, now: int | None = None) -> Fleet:
    """The client's fleet on 2026-04-12: 63 devices, 2 fresh, 17 stale, 44 never reported.

    The counts are right for any data clock from 2026-04-12 on: the stale devices fell silent
    earlier, and the two fresh ones never lose signal or power.
    """
    rng = Random(f"baseline/{seed}")
    registry: dict[Device, Fitting] = {}
    vehicles: dict[int, Vehicle] = {}
    for number in range(63):
        city = "Mombasa" if 48 <= number < 58 else "Kampala" if number == 4 else "Nairobi"
        name, odometer_m = _NAMED.get(number, (None, rng.uniform(5e6, 180e6)))
        account = ACCOUNTS[1 if number >= 48 else 0].account if number < 58 else ACCOUNTS[2].account
        device = _device(rng, "2", number, city, account=account, name=name, has_people=False)
        silent_from = _BASELINE_NOON - rng.randrange(DAY // 8, 45 * DAY) if number >= 2 else None
        if number == _KAMPALA:
            silent_from = instant(2026, 4, 3, 22, 10)
        registry[device] = Fitting(
            number, has_reported=number < 19, silent_from=silent_from, odometer_m=odometer_m
        )
        home = site_at("Bwebajja") if number == _KAMPALA else None
        vehicles[number] = Vehicle(city, home, is_steady=True)
    return Fleet(registry, vehicles, accounts=ACCOUNTS, seed=seed, days=days, now=now)


_KAMPALA = 4
_NAMED = {
    2: ("KDK 829A GP", 239_264_000.0),
    3: ("Belta KCU-647D", 235_000_000.0),
    _KAMPALA: ("X3-63282", 61_480_000.0),
}


def _city_of(number: int) -> str:
    """Of ten vehicles, seven are in Nairobi, two in Mombasa and one in Kampala."""
    return ("Nairobi", "Mombasa", "Kampala")[(number % 10 >= 7) + (number % 10 == 9)]


def _device(
    rng: Random,
    series: str,
    number: int,
    city: str,
    *,
    account: str | None = None,
    name: str | None = None,
    has_people: bool = True,
    is_expired: bool = False,
) -> Device:
    """A tracker. Its plate and driver are often empty, as in the vendor's web site."""
    model = rng.choice(("AT4", "AT4", "X3", "GT06E"))
    imei = f"860000{series}{number:08}"
    country = "UB" if city == "Kampala" else f"K{rng.choice('CD')}"
    plate = f"{country}{rng.choice('ABCDEFGH')} {rng.randrange(100, 1000)}{rng.choice('ABKPX')}"
    has_plate = has_people and rng.random() < 0.75
    has_driver = has_people and rng.random() < 0.55
    return Device(
        imei=imei,
        name=name
        or (f"{plate} {rng.choice(_NAMES)}" if rng.random() < 0.3 else f"{model}-{imei[-5:]}"),
        model=model,
        account=account or _CITY_ACCOUNTS[city],
        icon="mtc" if model == "X3" else "automobile",
        plate=plate if has_plate else None,
        driver=f"{rng.choice('ABCDEJKMNPS')}. {rng.choice(_NAMES)}" if has_driver else None,
        phone=f"+000{number:09}" if has_driver else None,
        group=f"{city} field" if has_people else "Default group",
        fuel_100km=rng.choice(("3.1", "9", "11.5")) if has_plate else None,
        activated=_ACTIVATED + number * 3607,
        is_expired=is_expired,
    )


def _dashcam(tracker: Device, number: int) -> Device:
    """The second device of a vehicle, with the same plate and people and an IMEI of its own."""
    imei = f"8600001{number:08}"
    return Device(
        imei=imei,
        name=f"JC400P-{imei[-5:]}",
        model="JC400P",
        account=tracker.account,
        plate=tracker.plate,
        driver=tracker.driver,
        phone=tracker.phone,
        group=tracker.group,
        activated=tracker.activated + DAY,
    )


def _fences(devices: Sequence[Device]) -> tuple[Fence, ...]:
    """A depot each in Nairobi and Mombasa, the centre of Nairobi, the island of Mombasa."""
    nairobi = tuple(device.imei for device in devices if device.account == PARENT)
    mombasa = tuple(device.imei for device in devices if device.account == f"{PARENT}_mombasa")
    centre = ((-1.2790, 36.8120), (-1.2790, 36.8290), (-1.2950, 36.8290), (-1.2950, 36.8120))
    island = ((-4.0380, 39.6520), (-4.0380, 39.6850), (-4.0850, 39.6850), (-4.0850, 39.6520))
    depots = {city: (JUNCTIONS[junction],) for city, junction in DEPOTS.items()}
    return (
        Fence(f"{1:032x}", "Nairobi depot", PARENT, depots["Nairobi"], 600, "in,out", nairobi),
        Fence(f"{2:032x}", "Nairobi centre", PARENT, _points(centre), None, "in", nairobi),
        Fence(f"{3:032x}", "Mombasa depot", PARENT, depots["Mombasa"], 400, "in,out", mombasa),
        Fence(f"{4:032x}", "Mombasa island", PARENT, _points(island), None, "in,out", mombasa),
    )


def _points(pairs: Sequence[tuple[float, float]]) -> tuple[GeoPoint, ...]:
    return tuple(GeoPoint(*pair) for pair in pairs)
