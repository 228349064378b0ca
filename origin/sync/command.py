"""What operators ask of the log: whether regions have it, where they are, what differs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from kvsync.report import PropertyReport
from origin.settings import OriginSettings
from origin.sync import chain, truth
from origin.sync.confirm import (
    Standing,
    has,
    last_given,
    note_delivered,
    wait_for_regions,
)
from origin.sync.reports import Heard, Reports
from origin.sync.stream import LogStream
from origin.sync.tokens import RegionTokens
from origin.tables import AssetRow
from origin.workplace import Workplace


@dataclass(frozen=True)
class Status:
    """A property's log: the last sequence given and sealed, records in force, regions' words."""

    property: str
    given: int
    sealed: int
    records: int
    regions: dict[str, Heard | None]


def serving(settings: OriginSettings, property: str) -> list[str]:
    """The regions that were admitted for a property, by name."""
    regions = RegionTokens(settings.region_tokens).regions()
    return sorted(name for name, one in regions.items() if property in one.properties)


def confirm_published(place: Workplace) -> list[Standing]:
    """Wait until every region that can be heard has in force what was published last.

    What all regions have, be there any or none, is written down as delivered.
    """
    seq = last_given(place.database, place.site.id)
    found = _wait(place, has(seq, "readable", "purged"))
    if all(one.confirmed for one in found):
        note_delivered(place.database, place.site.id, seq)
    return found


def confirm_revoked(place: Workplace, seq: int) -> list[Standing]:
    """Wait until every region that can be heard has purged what was revoked up to ``seq``."""
    return _wait(place, has(seq, "purged"))


def standings(place: Workplace, reached: Callable[[PropertyReport], bool]) -> list[Standing]:
    """Where every region that serves the property is just now."""
    return _wait(place, reached, timeout_s=0)


def may_serve_until(place: Workplace, revoked_at: int) -> datetime:
    """When the last region that did not confirm stops rehydrating what was revoked.

    No heartbeat vouches for less than there was at its time: a region without the tombstone was
    last renewed before it was written, in the second ``revoked_at``, whoever passed that on.
    """
    return datetime.fromtimestamp(revoked_at + 1 + place.site.rules.goes_on_s, UTC)


def status(place: Workplace) -> Status:
    """Where the log and each region is."""
    property = place.site.id
    given, sealed = chain.heads(place.database).get(property, (0, 0))
    heard = asyncio.run(_heard(place.settings, property))
    regions = {name: heard.get(name) for name in serving(place.settings, property)}
    return Status(property, given, sealed, truth.count_in_force(place.database, property), regions)


def verify(place: Workplace, *, timeout_s: float) -> list[Standing]:
    """Have every region compare all its key ranges with the origin, and repair what differs."""
    return asyncio.run(_verify(place, timeout_s))


def paths_of(place: Workplace, keys: list[str]) -> dict[str, str]:
    """URL paths by the hex of their asset key, of those that are known."""
    raw = [bytes.fromhex(key) for key in keys]
    query = select(AssetRow.key, AssetRow.path).where(
        AssetRow.property == place.site.id, AssetRow.key.in_(raw)
    )
    with place.database.reading() as session:
        return {key.hex(): path for key, path in session.execute(query)}


def _wait(
    place: Workplace, reached: Callable[[PropertyReport], bool], *, timeout_s: float | None = None
) -> list[Standing]:
    async def wait() -> list[Standing]:
        async with _reports(place.settings) as reports:
            return await wait_for_regions(
                reports,
                place.site.id,
                regions,
                reached,
                timeout_s=place.settings.confirm_s if timeout_s is None else timeout_s,
            )

    regions = serving(place.settings, place.site.id)
    return asyncio.run(wait()) if regions else []


async def _verify(place: Workplace, timeout_s: float) -> list[Standing]:
    async with _reports(place.settings) as reports:
        request = await reports.ask_to_compare(place.site.id)
        return await wait_for_regions(
            reports,
            place.site.id,
            serving(place.settings, place.site.id),
            lambda report: report.compared_request >= request,
            timeout_s=timeout_s,
        )


async def _heard(settings: OriginSettings, property: str) -> dict[str, Heard]:
    async with _reports(settings) as reports:
        return dict(await reports.of(property))


@asynccontextmanager
async def _reports(settings: OriginSettings) -> AsyncIterator[Reports]:
    stream = LogStream(settings.log_url)
    try:
        yield Reports(stream)
    finally:
        await stream.close()
