"""`python -m sandbox`: serve a stand-in Tracksolid until SIGTERM or Ctrl-C."""

from __future__ import annotations

import shlex
import signal
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Annotated

import requests
import typer

from sandbox.faults import Fault
from sandbox.instants import HOUR, iso
from sandbox.profiles import baseline, fleet
from sandbox.sent_pushes import pushes, send
from sandbox.stand_in import Sandbox
from sandbox.traces import Traces
from sandbox.world import World


class Profile(StrEnum):
    """The fleets of sandbox.profiles, as the command line names them."""

    FLEET = "fleet"
    BASELINE = "baseline"


def _script(rules: list[str]) -> list[tuple[str, Fault, float]]:
    """(method, fault, rate) per rule METHOD:FAULT:RATE, e.g. `*:rate_limited:0.1`.

    Raises typer.BadParameter for any other form and for an unknown fault.
    """
    try:
        parts = [rule.rsplit(":", 2) for rule in rules]
        return [(method, Fault(fault), float(rate)) for method, fault, rate in parts]
    except ValueError as error:
        names = ", ".join(Fault)
        raise typer.BadParameter(f"{error}; use METHOD:FAULT:RATE; faults: {names}") from None


def main(
    profile: Annotated[Profile, typer.Option(help="The fleet to simulate.")] = Profile.FLEET,
    seed: Annotated[int, typer.Option(help="Another seed makes another fleet.")] = 1,
    devices: Annotated[int, typer.Option(min=10, help="Devices of the profile fleet.")] = 82,
    days: Annotated[int, typer.Option(min=0, help="Days of history before the data clock.")] = 14,
    now: Annotated[
        datetime | None, typer.Option(help="Fixed data clock, UTC. Default: the real time.")
    ] = None,
    traces: Annotated[
        Path | None, typer.Option(exists=True, help="Recorded fixes to serve instead of a profile.")
    ] = None,
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 = any free port.")] = 0,
    token_life: Annotated[
        float | None, typer.Option(help="Longest life of a token, seconds.")
    ] = None,
    login_interval: Annotated[
        float, typer.Option(help="Seconds between two logins; 0 = no limit.")
    ] = 60.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help=f"METHOD:FAULT:RATE, repeatable; METHOD may be *. Faults: {', '.join(Fault)}."
        ),
    ] = None,
    push_to: Annotated[
        str | None,
        typer.Option(
            help="Push the last hours to this receiver before serving; an alarm is pushed twice,"
            " at times of its own."
        ),
    ] = None,
    push_token: Annotated[str, typer.Option(help="Token that the receiver expects.")] = "",
    push_hours: Annotated[
        float, typer.Option(min=0, help="Hours before the data clock to push, from a full hour.")
    ] = 24.0,
    env_file: Annotated[
        Path | None, typer.Option(help="Write the settings of a client to this file.")
    ] = None,
) -> None:
    """Serve a stand-in Tracksolid until SIGTERM or Ctrl-C; print the settings of a client first.

    Always: plates in two spellings, N/A as a plate, at most 100 trips a call.
    For trips without paging: --fault jimi.device.track.mileage:repeated_page:1

    Example: python -m sandbox --profile baseline --fault "*:rate_limited:0.05"
    """
    script = _script(fault or [])
    clock = None if now is None else int(now.replace(tzinfo=UTC).timestamp())
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    world: World
    if traces:
        world = Traces(traces, now=clock)
    elif profile is Profile.BASELINE:
        world = baseline(seed=seed, days=days, now=clock)
    else:
        world = fleet(seed=seed, days=days, now=clock, devices=devices)
    sandbox = Sandbox(
        world,
        host=host,
        port=port,
        token_life_seconds=token_life,
        login_interval_seconds=login_interval,
        seed=seed,
    )
    for method, name, rate in script:
        sandbox.misbehave(method, name, rate=rate)
    if push_to:
        start = world.now() - int(push_hours * HOUR)
        messages = pushes(world, start - start % HOUR, world.now())
        with requests.Session() as session:
            send(push_to, push_token, messages, session=session)
    with sandbox:
        span = {"SANDBOX_FIRST": iso(world.first), "SANDBOX_LAST": iso(world.now())}
        values = sandbox.environment | span
        settings = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
        if env_file:
            # The file gets its name when it is complete, so that a reader never finds half a file.
            unfinished = env_file.with_suffix(".unfinished")
            unfinished.write_text("\n".join(settings) + "\n")
            unfinished.replace(env_file)
        typer.echo(" ".join(settings))
        stop.wait()


if __name__ == "__main__":
    typer.run(main)
