"""What a first month costs in three ways: hauled, drawn in the region, or kept there."""

import datetime
from dataclasses import dataclass

from origin.economics import price_book
from origin.economics.costs import bill as billed
from origin.economics.forecast import (
    Demand,
    Generator,
    hauling,
    rehydrating,
    replicating,
)

_DEVICE = "the machine that draws"


@dataclass(frozen=True)
class Prices:
    """``images_a_month``: how many misses of the edge a region answers."""

    images_a_month: float
    dollars_per_gb: float  # of the middle mile
    dollars_per_hour: float  # of the machine that draws
    dollars_per_gb_month: float = 0.023  # of keeping bytes in a region

    def in_a_book(self) -> price_book.Prices:
        return price_book.Prices(
            since=datetime.date.min,
            middle_mile=(price_book.Tier(self.dollars_per_gb),),
            device_per_hour={_DEVICE: self.dollars_per_hour},
            storage_per_gb_month=self.dollars_per_gb_month,
        )


@dataclass(frozen=True)
class Bill:
    """Dollars in the first month, in which everything is new to one region. ``drawn`` has a share
    of a machine that has other work too; ``idle`` is what one for nothing else costs more."""

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
    demand = Demand(images, image_bytes, prices.images_a_month, change=1.0)
    book = prices.in_a_book()
    shared, alone = (
        billed(
            rehydrating(
                demand, Generator(_DEVICE, images_per_s, model_bytes, record_bytes, shared=shared)
            ),
            book,
            _DEVICE,
        )
        for shared in (True, False)
    )
    return Bill(
        hauled=billed(hauling(demand), book, _DEVICE),
        drawn=shared,
        idle=alone - shared,
        kept=billed(replicating(demand), book, _DEVICE),
    )
