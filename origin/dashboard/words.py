"""Figures as people read them."""

from math import floor, log10
from typing import Final

_SIGNS: Final = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
MINUS: Final = "−"
_LEAST: Final = 1e-10


def sign(currency: str) -> str:
    return _SIGNS.get(currency, f"{currency} ")


def money(amount: float, currency: str) -> str:
    """In cents; what is less in two digits that say something, however small it is."""
    # Of differences of sums something is left that is no money.
    size = abs(amount) if abs(amount) >= _LEAST else 0.0
    if 0 < size < 0.01:
        digits = min(12, 1 - floor(log10(size)))
        text = f"{size:.{digits}f}"
    else:
        text = f"{size:,.2f}"
    return f"{MINUS if amount < 0 and float(text.replace(',', '')) else ''}{sign(currency)}{text}"


def share(part: float | None) -> str:
    if part is None:
        return "–"
    return f"{100 * part:.1f} %".replace("-", MINUS)


def count(number: float | None) -> str:
    if number is None:
        return "–"
    if number and abs(number) < 10 and number != round(number):
        return f"{number:.2f}"
    return f"{number:,.0f}"


def seconds(length: float | None) -> str:
    """A time that somebody waits."""
    if length is None:
        return "–"
    if length < 0.9995:
        return f"{1000 * length:.0f} ms" if length >= 0.01 else f"{1000 * length:.1f} ms"
    return f"{length:.1f} s"


def span(length: float) -> str:
    """A time that a machine is held."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if length >= 2 * size:
            return f"{length / size:.1f} {unit}"
    return f"{length:.1f} s"


def figure(value: object) -> str:
    """A stored value: numbers with their thousands apart, text as it is."""
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)
