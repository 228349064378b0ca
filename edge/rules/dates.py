"""HTTP dates as caches must read them: three forms, any case, GMT only (RFC 9110 section 5.6.7,
RFC 9111 section 4.2). What is anything else is no date, and an Expires that is none has passed."""

import re
from datetime import UTC, datetime

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
_LONG_DAY = "(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE | re.ASCII)
    for form in (
        rf"{_DAY}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"{_LONG_DAY}, (?P<day>\d\d)-{_MONTH}-(?P<short>\d\d) {_TIME} GMT",
        rf"{_DAY} {_MONTH} (?P<day>\d\d| \d) {_TIME} (?P<year>\d{{4}})",
    )
)


def read_date(value: str | None, now: float) -> float | None:
    """A date in Unix seconds, None where it is not one. ``now`` (Unix seconds) places the two
    digits of a year: not more than 50 years ahead."""
    match = next((m for form in _FORMS if (m := form.fullmatch(value))), None) if value else None
    if match is None:
        return None
    parts = match.groupdict()
    year = int(parts["year"]) if parts.get("year") else _century(int(parts["short"]), now)
    month = _MONTHS.index(parts["month"].lower()) + 1
    second = int(parts["second"])
    try:
        # A leap second is the last that a clock without them can tell.
        clock = (int(parts["hour"]), int(parts["minute"]), 59 if second == 60 else second)
        return datetime(year, month, int(parts["day"]), *clock, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _century(short: int, now: float) -> int:
    this_year = datetime.fromtimestamp(now, UTC).year
    year = this_year - this_year % 100 + short
    return year - 100 if year > this_year + 50 else year
