"""What a month came to, and what rehydration saved of it: one function for the ledger's past,
forecasts and what-ifs. Derived in docs/economics.md.
"""

from dataclasses import dataclass
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError
from origin.economics.price_book import Prices

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """One calendar month (or its part so far) of one property in one region.

    Bytes and requests over the middle mile: ``hauled`` crossed it, ``avoided`` would have.
    ``sync_bytes`` are records and tombstones, ``model_bytes`` models pulled, ``replica_bytes``
    originals pulled to be kept. Device seconds are allocated ones of the region, in their two
    parts, and ``qa_s`` those that the origin's machine took to make pictures for people to judge.
    ``stored_gb_months`` is what the region keeps: records, models, replicas.

    Arrays of one shape are many such months: what is computed from them is, too.
    """

    hauled_bytes: float = 0.0
    hauled_requests: float = 0.0
    avoided_bytes: float = 0.0
    avoided_requests: float = 0.0
    sync_bytes: float = 0.0
    model_bytes: float = 0.0
    replica_bytes: float = 0.0
    busy_s: float = 0.0
    idle_s: float = 0.0
    qa_s: float = 0.0
    stored_gb_months: float = 0.0

    @property
    def crossed_bytes(self) -> float:
        return self.hauled_bytes + self.sync_bytes + self.model_bytes + self.replica_bytes

    def as_hauled(self) -> Self:
        """The same demand with nothing but hauling."""
        return type(self)(
            hauled_bytes=self.hauled_bytes + self.avoided_bytes,
            hauled_requests=self.hauled_requests + self.avoided_requests,
        )

    def __add__(self, other: Self) -> Self:
        names = self.__slots__
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True, slots=True)
class Statement:
    """Money: what hauling would have added, less what was spent so that it did not."""

    currency: str
    haul_avoided: float
    busy: float
    idle: float
    qa: float
    sync: float
    models: float
    replicas: float
    storage: float

    @property
    def spent(self) -> float:
        devices = self.busy + self.idle + self.qa
        return devices + self.sync + self.models + self.replicas + self.storage

    @property
    def saved(self) -> float:
        """Negative where the honest answer is a loss."""
        return self.haul_avoided - self.spent

    def __add__(self, other: Self) -> Self:
        """Raises :class:`InputError` for another currency."""
        return self._with(other, 1.0)

    def __sub__(self, other: Self) -> Self:
        """What came after ``other``: tiers are by the month, so parts of one are differences."""
        return self._with(other, -1.0)

    def summed(self) -> Self:
        """All that are in arrays, as one."""
        return type(self)(
            self.currency, *(float(np.sum(getattr(self, name))) for name in self.__slots__[1:])
        )

    def _with(self, other: Self, sign: float) -> Self:
        if other.currency != self.currency:
            raise InputError(f"{self.currency} and {other.currency} cannot be added")
        return type(self)(
            self.currency,
            self.haul_avoided + sign * other.haul_avoided,
            self.busy + sign * other.busy,
            self.idle + sign * other.idle,
            self.qa + sign * other.qa,
            self.sync + sign * other.sync,
            self.models + sign * other.models,
            self.replicas + sign * other.replicas,
            self.storage + sign * other.storage,
        )


def one_by_one(array: NDArray[np.float64]) -> float:
    """An array where a number is meant: arithmetic on it is arithmetic on each of its own."""
    return cast(float, array)


def bill(usage: Usage, prices: Prices, device: str) -> float:
    """All that ``usage`` costs; of arrays, one by one."""
    allocated_h = (usage.busy_s + usage.idle_s + usage.qa_s) / HOUR_S
    return (
        prices.hauling(usage.crossed_bytes)
        + _fees(usage.hauled_requests, prices)
        + (allocated_h * prices.device(device) if np.any(allocated_h) else 0.0)
        + usage.stored_gb_months * prices.storage_per_gb_month
    )


def saved(usage: Usage, prices: Prices, device: str, currency: str) -> Statement:
    """What was saved and what that took; ``saved`` is the difference of two bills, exactly:
    ``bill(usage.as_hauled()) - bill(usage)``.

    Of tiered bytes each part counts at the margin, images that crossed first, then records,
    models, replicas.
    """
    synced = usage.hauled_bytes + usage.sync_bytes
    held = synced + usage.model_bytes
    all_hauled = prices.hauling(usage.hauled_bytes + usage.avoided_bytes)
    with_images, with_records, with_models, with_all = (
        prices.hauling(crossed)
        for crossed in (usage.hauled_bytes, synced, held, held + usage.replica_bytes)
    )
    hourly = _hourly(usage, prices, device)
    return Statement(
        currency,
        haul_avoided=all_hauled - with_images + _fees(usage.avoided_requests, prices),
        busy=usage.busy_s / HOUR_S * hourly,
        idle=usage.idle_s / HOUR_S * hourly,
        qa=usage.qa_s / HOUR_S * hourly,
        sync=with_records - with_images,
        models=with_models - with_records,
        replicas=with_all - with_models,
        storage=usage.stored_gb_months * prices.storage_per_gb_month,
    )


def _hourly(usage: Usage, prices: Prices, device: str) -> float:
    """A device that was not held needs no price."""
    if device in prices.device_per_hour:
        return prices.device_per_hour[device]
    held = np.any(usage.busy_s + usage.idle_s + usage.qa_s)
    return prices.device(device) if held else 0.0


def _fees(requests: float, prices: Prices) -> float:
    return requests / 1e6 * prices.per_million_requests
