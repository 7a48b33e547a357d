"""The colours of the dashboards: each has one meaning, and a word or number is always beside it."""

# White text on these colours, and dark text on ORANGE, has a contrast of 4.5:1 or more in both
# themes. Colour-blind readers can distinguish them: they differ in lightness or in blue.
GREEN = "#007D5B"  # as it should be: moving, within target, passed
ORANGE = "#F5B53D"  # needs attention: idle, warning, late
RED = "#BF4300"  # act now: critical, failed, speeding
BLUE = "#2074B0"  # at rest, and that is fine: parked, stationary
GREY = "#6E6E6E"  # nothing is known: no signal, no value
DARK_GREY = "#4D4D4D"  # nothing was ever known: a device that never reported
PLAIN = "#607087"  # a figure that nobody judges: no band is agreed, no target, low severity
MEANINGS = {
    GREEN: "as it should be",
    ORANGE: "needs attention",
    RED: "act now",
    BLUE: "at rest",
    GREY: "nothing is known",
    DARK_GREY: "nothing was ever known",
    PLAIN: "not judged",
}

# Value in gold -> (word, colour).
Looks = dict[str, tuple[str, str]]
STATES: Looks = {
    "driving": ("moving", GREEN),
    "idling": ("idle", ORANGE),
    "parked": ("parked", BLUE),
    "no_signal": ("no signal", GREY),
    "never_reported": ("never reported", DARK_GREY),
}
CODES: Looks = {str(code): look for code, look in enumerate(STATES.values(), start=1)}
# vehicle_trail compares each fix with the speed limit in operating_rules.
SPEEDS: Looks = {"1": ("stationary", BLUE), "2": ("moving", GREEN), "3": ("speeding", RED)}
WORDS: Looks = {
    **{word: (word, GREEN) for word in ("ok", "success", "pass", "arrived", "within target")},
    **{
        word: (word, ORANGE)
        for word in ("warn", "warning", "medium", "late", "running", "skipped", "stopped")
    },
    **{word: (word, RED) for word in ("critical", "high", "failed", "error", "fail", "overdue")},
    **{word: (word, PLAIN) for word in ("no target", "low", "info")},
    "gated": ("no value", GREY),
    "no band": ("not judged", PLAIN),
    "due soon": ("due soon", ORANGE),
    "later": ("later", "transparent"),
}
COLOURED = {"state": STATES, "state_code": CODES, "speed_code": SPEEDS} | dict.fromkeys(
    ("severity", "status", "service_status"), WORDS
)

# Counts of vehicles in a state have that state's colour and word.
COUNTS: Looks = {f"{state}_count": look for state, look in STATES.items()}
# Counts of vehicles that break an operating rule: coloured from 1 on.
VIOLATIONS: Looks = {
    "too_fast_count": ("speeding", RED),
    "outside_city_count": ("outside city", ORANGE),
}
# Flags whose "yes" needs attention; the others are words without a colour.
WARNING_FLAGS = {"is_after_hours", "is_battery_low", "is_outside_city", "is_too_fast"}
# Faults of the service: 0 is as it should be.
FAULTS: Looks = {
    "missed_sweeps_count": ("minutes without positions", RED),
    "failing_jobs_count": ("jobs that fail", RED),
    "failed_nights_count": ("nightly runs that failed", RED),
    "stale_sources_count": ("kinds of data that are too old", RED),
    "waiting_pushes_count": ("pushes that wait too long", RED),
    "rejected_records_count": ("records lost in the last hour", RED),
}
YES_NO: Looks = {"true": ("yes", ORANGE), "false": ("no", "transparent")}
