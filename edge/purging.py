"""Purges: what this edge and the caches in front of it are told to drop, or to take as stale."""

import asyncio
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from edge.flow import Edge
from edge.fronts import Fronts
from kvsync.errors import BadRequest
from kvsync.key import read_request, read_whole
from kvsync.property import Property, property_of_host
from kvsync.wire import Purge


class EdgePurge(Purge, frozen=True, forbid_unknown_fields=True):
    """JSON body of an edge's ``POST /v1/purge``.

    ``urls`` are absolute; each stands for its asset in every form. ``soft``: what is met is stale
    from now on instead of gone, and served on only as far as its own stale-while-revalidate and
    stale-if-error go.
    """

    urls: tuple[str, ...] = ()
    soft: bool = False


async def purge(edge: Edge, fronts: Fronts, sites: Mapping[str, Property], asked: EdgePurge) -> int:
    """Purge the store that all workers share, then the caches in front; how many answers of the
    store that were.

    The fronts drop what is purged softly, too: they ask this edge, which has it. Raises
    :class:`BadRequest` for a URL that is none of a property's, and
    :class:`edge.fronts.FrontUnavailable`.
    """
    tags = tuple(dict.fromkeys((*asked.tags, *(tag_of(url, sites) for url in asked.urls))))
    wanted = Purge(tags=tags, everything=asked.everything)
    # A purge of many takes its time, which the requests of this worker need not wait for.
    count = await asyncio.to_thread(edge.purge, wanted, time.time() if asked.soft else None)
    await fronts.purge(None if asked.everything else tags)
    return count


def tag_of(url: str, sites: Mapping[str, Property]) -> str:
    """The tag of all that is kept of a URL: its asset key in hex."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest(f"purge {url[:100]!r}: name a whole URL, with scheme and host")
    site = property_of_host(parts.netloc, sites)
    read = read_whole if site.pass_through else read_request
    target = parts.path or "/"
    return read(site, target.encode(), parts.query.encode()).key.hex()
