"""Until when what a region holds may be used: its log's newest heartbeat, against the bound.

The origin signs that at a certain time a property's log ended at a certain entry; the region's
agent keeps that with the records once it has applied as much. Who uses records looks there.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from kvsync.errors import NotRenewed
from kvsync.log import Heartbeat
from kvsync.property import Property
from kvsync.signing import Keyring
from kvsync.store import RecordStore

_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Word:
    """What a store says of a property's log: it was heard of at ``until``, in Unix seconds by the
    origin's clock, and ended at ``seq`` then; the region's caches confirmed to have dropped all
    that changed up to ``purged``. ``until`` is None where no log is followed, as in a store that
    was filled by hand: nothing is bounded there."""

    until: float | None = None
    seq: int = 0
    purged: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    heartbeat: bytes
    word: Word
    looked_at: float


class Renewals:
    """Up to when the region knows of every revocation, by property; read from the store at most
    once a second. ``clock`` is monotonic, in seconds."""

    def __init__(
        self, store: RecordStore, keys: Keyring, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._keys, self._clock = store, keys, clock
        self._seen: dict[str, _Seen] = {}

    async def look(self, property: str) -> Word:
        """Raises :class:`kvsync.errors.StoreUnavailable`, or a
        :class:`kvsync.errors.RecordError` for a heartbeat that is a forgery."""
        seen = self._seen.get(property)
        now = self._clock()
        if seen is not None and now - seen.looked_at < _LOOK_EVERY_S:
            return seen.word
        state = await self._store.state(property)
        if seen is not None and seen.heartbeat and state.heartbeat == seen.heartbeat:
            word = replace(seen.word, purged=state.purged)
        elif state.heartbeat:
            beat = Heartbeat.from_signed(state.heartbeat, self._keys, property=property)
            word = Word(beat.at_ms / 1_000, beat.seq, state.purged)
        else:
            word = Word(0.0 if state.cursor else None)
        self._seen[property] = _Seen(state.heartbeat, word, now)
        return word

    def last(self, property: str) -> float | None:
        """``until`` as :meth:`look` found it last, for when the store cannot be asked; None if it
        never did or nothing is bounded."""
        seen = self._seen.get(property)
        return None if seen is None else seen.word.until


def demand_renewed(site: Property, until: float | None, now: float) -> None:
    """:class:`NotRenewed` past the property's bound after ``until`` (see :class:`Word`). A clock
    that is off by more than the bound is no clock to measure it by."""
    if until is not None and abs(now - until) > site.goes_on_s:
        raise NotRenewed(
            f"property {site.id!r}: its log was heard of {now - until:.0f} s ago, more than "
            f"{site.goes_on_s} s: what was revoked since is not known"
        )
