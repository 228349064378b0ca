"""Until when what a region holds may be used: its log's newest heartbeat, against the bound.

The origin signs that at a certain time a property's log ended at a certain entry; the region's
agent keeps that with the records once it has applied as much. Who uses records looks there.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from kvsync.errors import NotRenewed
from kvsync.log import Heartbeat
from kvsync.property import Property
from kvsync.signing import Keyring
from kvsync.store import RecordStore

_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Seen:
    heartbeat: bytes
    until: float | None
    looked_at: float


class Renewals:
    """Up to when the region knows of every revocation, by property; read from the store at most
    once a second. ``clock`` is monotonic, in seconds."""

    def __init__(
        self, store: RecordStore, keys: Keyring, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._keys, self._clock = store, keys, clock
        self._seen: dict[str, _Seen] = {}

    async def look(self, property: str) -> float | None:
        """Unix seconds, by the origin's clock; None where no log is followed, as in a store that
        was filled by hand: nothing is bounded there.

        Raises :class:`kvsync.errors.StoreUnavailable`, or a :class:`kvsync.errors.RecordError`
        for a heartbeat that is a forgery.
        """
        seen = self._seen.get(property)
        now = self._clock()
        if seen is not None and now - seen.looked_at < _LOOK_EVERY_S:
            return seen.until
        state = await self._store.state(property)
        if seen is not None and state.heartbeat == seen.heartbeat and seen.until is not None:
            until: float | None = seen.until
        elif state.heartbeat:
            beat = Heartbeat.from_signed(state.heartbeat, self._keys, property=property)
            until = beat.at_ms / 1_000
        else:
            until = 0.0 if state.cursor else None
        self._seen[property] = _Seen(state.heartbeat, until, now)
        return until

    def last(self, property: str) -> float | None:
        """What :meth:`look` said last, for when the store cannot be asked; None if it never did
        or nothing is bounded."""
        seen = self._seen.get(property)
        return None if seen is None else seen.until


def demand_renewed(site: Property, until: float | None, now: float) -> None:
    """:class:`NotRenewed` past the property's bound after ``until``, as :meth:`Renewals.look` has
    it. A clock that is off by more than the bound is no clock to measure it by."""
    if until is not None and abs(now - until) > site.goes_on_s:
        raise NotRenewed(
            f"property {site.id!r}: its log was heard of {now - until:.0f} s ago, more than "
            f"{site.goes_on_s} s: what was revoked since is not known"
        )
