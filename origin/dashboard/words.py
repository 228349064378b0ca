"""Figures as people read them."""

from collections.abc import Iterable
from datetime import date
from math import floor, log10
from typing import Final

_SIGNS: Final = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
MINUS: Final = "−"
_LEAST: Final = 1e-10


def sign(currency: str) -> str:
    return _SIGNS.get(currency, f"{currency} ")


def grain(amounts: Iterable[float]) -> float:
    """The least that is told of amounts which stand together: a cent, or the third digit of the
    largest where that is below ten cents."""
    largest = max(map(abs, amounts), default=0.0)
    return 0.01 if largest >= 0.1 or largest < _LEAST else 10.0 ** (floor(log10(largest)) - 2)


def money(amount: float, currency: str, least: float | None = None) -> str:
    """In cents; what is less in two digits that say something, however small it is.

    Among others all have the decimals of ``least``, their :func:`grain`; below it, "<" and that.
    """
    # Of differences of sums something is left that is no money.
    size = abs(amount) if abs(amount) >= _LEAST else 0.0
    if least is not None:
        if 0 < size < least / 2:
            minus = MINUS if amount < 0 else ""
            return f"{minus}<{sign(currency)}{least:.{_decimals(least)}f}"
        text = f"{size:,.{_decimals(least) if size else 2}f}"
    elif 0 < size < 0.01:
        digits = min(12, 1 - floor(log10(size)))
        text = f"{size:.{digits}f}"
    else:
        text = f"{size:,.2f}"
    return f"{MINUS if amount < 0 and float(text.replace(',', '')) else ''}{sign(currency)}{text}"


def _decimals(least: float) -> int:
    return max(2, round(-log10(least)))


def share(part: float | None) -> str:
    """In tenths of a percent; what is less in two digits that say something."""
    if part is None:
        return "–"
    if 0 < abs(part) < 0.0005:
        return f"{100 * part:.{1 - floor(log10(100 * abs(part)))}f} %".replace("-", MINUS)
    return f"{100 * part:.1f} %".replace("-", MINUS)


def count(number: float | None) -> str:
    if number is None:
        return "–"
    if number and abs(number) < 10 and number != round(number):
        return f"{number:.2f}"
    return f"{number:,.0f}"


def size(bytes: float | None) -> str:
    if bytes is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if bytes < 1000 or unit == "TB":
            break
        bytes /= 1000
    return f"{bytes:,.0f} {unit}" if unit == "B" or bytes >= 100 else f"{bytes:.1f} {unit}"


def day(name: date | str) -> str:
    """A day, or a month as the ledger names them: 2026-11-01 is 1 Nov 2026, 2026-11 Nov 2026."""
    if isinstance(name, date):
        name = name.isoformat()
    if len(name) == len("2026-11"):
        return date.fromisoformat(f"{name}-01").strftime("%b %Y")
    found = date.fromisoformat(name)
    return f"{found.day} {found.strftime('%b %Y')}"


def seconds(length: float | None) -> str:
    """A time that somebody waits."""
    if length is None:
        return "–"
    if length < 0.9995:
        return f"{1000 * length:.0f} ms" if length >= 0.01 else f"{1000 * length:.1f} ms"
    return f"{length:.1f} s"


def span(length: float) -> str:
    """A time that a machine is held."""
    for unit, long in (("days", 86_400), ("hours", 3_600), ("min", 60)):
        if length >= 2 * long:
            return f"{length / long:.1f} {unit}"
    return f"{length:.1f} s"


def figure(value: object) -> str:
    """A stored value: numbers with their thousands apart, text as it is."""
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)
