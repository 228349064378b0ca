"""Images made of records are shown only as long as the region would know of a revocation."""

import asyncio
import logging
from collections.abc import Mapping

from edge.flow import Edge
from edge.fronts import Fronts, FrontUnavailable
from edge.purging import EdgePurge, purge
from edge.reply import rehydrated_tag
from kvsync.property import Property

_log = logging.getLogger(__name__)
LOOK_EVERY_S = 1.0


async def watch_renewals(edge: Edge, fronts: Fronts, sites: Mapping[str, Property]) -> None:
    """Purge what was rehydrated of a property once its bound has passed, for ever."""
    lapsed: set[str] = set()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        for site in {one.id: one for one in sites.values() if not one.pass_through}.values():
            if await edge.records.renewed(site, now=edge.clock()):
                lapsed.discard(site.id)
            elif site.id not in lapsed:
                tags = (rehydrated_tag(site.id),)
                try:
                    count = await purge(edge, fronts, sites, EdgePurge(tags=tags))
                except FrontUnavailable as error:
                    _log.error("property %s lapsed, and a front shows it still: %s", site.id, error)
                    continue
                lapsed.add(site.id)
                _log.error(
                    "property %s: its log was not heard of for %d s; %d images dropped, the "
                    "origin answers until it is",
                    site.id,
                    site.goes_on_s,
                    count,
                )
