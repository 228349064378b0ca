"""What a month of images costs in three ways: hauled, drawn in the region, or kept there."""

from dataclasses import dataclass
from typing import Final

HOURS_A_MONTH: Final = 730
SECONDS_AN_HOUR: Final = 3600


@dataclass(frozen=True)
class Prices:
    """``images_a_month``: how many misses of the edge a region answers."""

    images_a_month: float
    dollars_per_gb: float  # of the middle mile
    dollars_per_hour: float  # of the machine that draws
    dollars_per_gb_month: float = 0.023  # of keeping bytes in a region


@dataclass(frozen=True)
class Bill:
    """Dollars a month, for one region. ``drawn`` counts the machine's time while it draws, and
    model and records hauled once; ``idle`` is what a machine kept for nothing else costs more."""

    hauled: float
    drawn: float
    idle: float
    kept: float

    @property
    def saving(self) -> float:
        """By drawing instead of hauling, on a machine that has other work too."""
        return self.hauled - self.drawn


def bill(
    prices: Prices,
    *,
    image_bytes: float,
    images: int,
    images_per_s: float,
    model_bytes: int,
    record_bytes: int,
) -> Bill:
    """``images``: how many different ones there are; ``images_per_s``: drawn and encoded."""
    busy_hours = prices.images_a_month / images_per_s / SECONDS_AN_HOUR
    once = (model_bytes + record_bytes * images) / 1e9 * prices.dollars_per_gb
    gallery_gb = image_bytes * images / 1e9
    return Bill(
        hauled=prices.images_a_month * image_bytes / 1e9 * prices.dollars_per_gb,
        drawn=busy_hours * prices.dollars_per_hour + once,
        idle=max(0.0, HOURS_A_MONTH - busy_hours) * prices.dollars_per_hour,
        kept=gallery_gb * (prices.dollars_per_gb_month + prices.dollars_per_gb),
    )
