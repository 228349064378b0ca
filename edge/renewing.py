"""Images made of records are shown only as long as this edge would know of a revocation.

Two ways there are not to know: the property's log is not heard of any more, or the agent's purges
do not come. Either way what was made of records is dropped before the bound has passed.
"""

import asyncio
import logging
from collections.abc import Mapping

from edge.flow import Edge
from edge.fronts import SECOND_ROUND_S, Fronts, FrontUnavailable
from edge.purging import EdgePurge, purge
from edge.reply import rehydrated_tag
from kvsync.property import Property
from kvsync.renewals import Word

_log = logging.getLogger(__name__)
LOOK_EVERY_S = 1.0
# Looking and a front's second round take their time; of a short bound no more than a tenth.
_BEFORE_S = LOOK_EVERY_S + SECOND_ROUND_S
_BEFORE_SHARE = 0.1


class Shown:
    """Up to when (``at``, Unix seconds) this edge has dropped all that was changed or revoked.

    A heartbeat of the log counts once the region's caches have confirmed the purges up to where
    the log ended then, or this edge has dropped everything since.
    """

    def __init__(self, at: float) -> None:
        self.at = at
        self._clean_seq = 0
        self._next: tuple[int, float] | None = None
        self._dropped_in_vain = False

    def hear(self, word: Word | None, now: float) -> None:
        """Take in what the store says, None where it says nothing."""
        if word is None:
            return
        if word.until is None:
            self.at = now
            return
        self._clean_seq = max(self._clean_seq, word.purged)
        if self._next is not None and self._next[0] <= self._clean_seq:
            self.at, self._next = self._next[1], None
        if word.seq <= self._clean_seq:
            self.at = word.until
        elif self._next is None:
            self._next = (word.seq, word.until)

    def must_drop(self, site: Property, now: float) -> bool:
        """Whether everything has to go now. A clock that is off by more than the bound is no clock
        to measure it by."""
        before_s = min(_BEFORE_S, _BEFORE_SHARE * site.goes_on_s)
        late = abs(now - self.at) > site.goes_on_s - before_s
        self._dropped_in_vain &= late
        return late and not self._dropped_in_vain

    def dropped(self, word: Word | None) -> None:
        """Everything is gone that was kept before ``word``; what comes is as right as that is."""
        self._dropped_in_vain = True
        if word is not None and word.until is not None:
            self.at, self._next = word.until, None
            self._clean_seq = max(self._clean_seq, word.seq)


async def watch_renewals(edge: Edge, fronts: Fronts, sites: Mapping[str, Property]) -> None:
    """Purge what was rehydrated of a property before its bound has passed, for ever."""
    shown: dict[str, Shown] = {}
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        for site in {one.id: one for one in sites.values() if not one.pass_through}.values():
            if site.id not in shown:
                shown[site.id] = Shown(edge.records.shown_at(site.id))
            await _look(edge, fronts, sites, (site, shown[site.id]))


async def _look(
    edge: Edge, fronts: Fronts, sites: Mapping[str, Property], what: tuple[Property, Shown]
) -> None:
    site, shown = what
    word = await edge.records.word(site.id)
    shown.hear(word, edge.clock())
    if shown.must_drop(site, edge.clock()):
        try:
            tags = (rehydrated_tag(site.id),)
            count = await purge(edge, fronts, sites, EdgePurge(tags=tags))
        except FrontUnavailable as error:
            _log.error("property %s lapsed, and a front shows it still: %s", site.id, error)
            return
        shown.dropped(word)
        _log.error(
            "property %s: for nearly %d s its log was not heard of, or purges did not come; %d "
            "images dropped",
            site.id,
            site.goes_on_s,
            count,
        )
    edge.records.note_shown(site.id, shown.at)
