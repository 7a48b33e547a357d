"""Sums a month up in sentences; a sentence whose figures are not known is left out."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from analyst.report.figures import Figure, month_name

MOVERS = 3  # KPIs that are named as most improved and most worsened

# {kpi_id} is its value with its unit, :bare the number alone, :change the month before.
PART = re.compile(r"\{(\w+\.\w+):?(bare|change)?\}")
SENTENCES = (
    "{place} drove {fleet.distance}{fleet.distance:change}; {fleet.active_vehicles:bare} of "
    "{fleet.vehicles} were active on a mean day.",
    "Driving filled {fleet.utilisation} of the shift{fleet.utilisation:change}, and "
    "{fleet.idle_share} of the time with the engine on was idling{fleet.idle_share:change}.",
    "There were {technician.service_stops:bare} service stops{technician.service_stops:change}, "
    "of {technician.time_on_site_per_stop} each.",
    "{field_service.jobs_closed:bare} jobs were closed{field_service.jobs_closed:change}, "
    "{field_service.first_time_fix} of them at the first visit.",
    "The driving score was {driver.score:bare} of 100{driver.score:change}, with "
    "{driver.speeding_events:bare} events of speeding{driver.speeding_events:change}.",
    "Fuel came to {fuel.volume}{fuel.volume:change}, {fuel.estimated_share} of it estimated.",
    "{quality.reporting} of the devices reported on a mean day; {quality.never_reported:bare} "
    "of {quality.devices} never did.",
)


def sentences(figures: Sequence[Figure], month: date, city: str | None) -> list[str]:
    """Return sentences: the main figures, the largest changes, how many KPIs are empty."""
    known = {figure.kpi_id: figure for figure in figures if figure.value is not None}
    before = month_name((month - timedelta(days=1)).replace(day=1))
    place = f"The fleet of {city}" if city else "The fleet"
    filled = [sentence.replace("{place}", place) for sentence in _filled(known, before)]
    return [*filled, *_moved(list(known.values()), before), *_unknown(figures)]


def _filled(known: dict[str, Figure], before: str) -> Iterator[str]:
    def part(match: re.Match[str]) -> str:
        figure, form = known[match[1]], match[2]
        if form == "bare":
            return figure.shown_value
        if form is None:
            return figure.with_unit
        if figure.daily_change is None:
            return ""
        per_day = " a day" if figure.month_rollup == "sum" else ""
        return f" ({figure.shown_change}{per_day} against {before})"

    for sentence in SENTENCES:
        if all(match[1] in known for match in PART.finditer(sentence)):
            yield PART.sub(part, sentence)


def _moved(known: Sequence[Figure], before: str) -> Iterator[str]:
    # A KPI that adds up from Monday or the 1st depends on the weekday the month ends on.
    compared = [
        f for f in known if f.tone and f.change_pct is not None and f.month_rollup != "last"
    ]
    if not any(figure.daily_change is not None for figure in known):
        yield f"Nothing of {before} is in the data, so no change is shown."
    compared.sort(key=lambda figure: abs(figure.change_pct), reverse=True)
    for tone, opening in (("better", "Most improved"), ("worse", "Most worsened")):
        movers = [figure for figure in compared if figure.tone == tone][:MOVERS]
        if movers:
            named = "; ".join(
                f"{figure.label} ({figure.shown_change}, to {figure.with_unit})"
                for figure in movers
            )
            yield f"{opening} against {before}: {named}."


def _unknown(figures: Sequence[Figure]) -> Iterator[str]:
    reasons = Counter(figure.gate_reason for figure in figures if figure.value is None)
    if reasons:
        reason, most = reasons.most_common(1)[0]
        yield (
            f"{reasons.total()} of {len(figures)} KPIs have no value yet. The most frequent "
            f"reason ({most} KPIs): {reason}"
        )
    if not any(figure.has_band for figure in figures):
        yield "No band or target is agreed yet, so no figure is judged as good or bad."
