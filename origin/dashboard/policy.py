"""Which way each family's misses are answered: chosen by a person, or by what is cheapest.

What was chosen, and what ``economical`` comes to now, go to every edge through the log
(:mod:`origin.sync.ways`).
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, get_args

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from kvsync.errors import InputError, RehydrationError
from kvsync.property import Policy, Way, Ways
from origin.dashboard.ways import FamilyWays, forecasts
from origin.database import Database
from origin.economics.chosen_books import Books, read_books
from origin.economics.price_book import PriceBook
from origin.ledger.reading import Reader
from origin.ledger.spans import read_zone, today
from origin.qa import audit
from origin.sync.ways import change_ways, ways_of

_log = logging.getLogger(__name__)

MEANINGS: Final[dict[Policy, str]] = {
    "always": "Rehydrate every miss that has a record.",
    "economical": "Whatever the ledger's forecast says is cheapest: haul, replica or rehydrate.",
    "resilience": "Haul as long as the origin is quick; rehydrate when it is slow or down.",
}


def policy_named(name: str) -> Policy:
    for policy in get_args(Policy):
        if policy == name:
            return policy  # type: ignore[no-any-return]
    raise InputError(f"no policy {name[:40]!r}; there is {', '.join(MEANINGS)}")


def way_of(policy: Policy, family: FamilyWays | None) -> Way:
    """What a policy comes to: without ``economical`` rehydration, whenever its turn comes."""
    if policy == "economical" and family is not None:
        for way in get_args(Way):
            if way == family.cheapest:
                return way  # type: ignore[no-any-return]
    return "rehydrate"


def choose(
    database: Database,
    properties_dir: Path,
    families: Iterable[FamilyWays],
    property: str,
    family: str,
    policy: Policy,
    by: str,
) -> bool:
    """Have a family answered by a policy from now on; whether that changes anything.

    It is in the audit, whoever asks. :class:`InputError` where the property's file has ways of its
    own, or the property is not known.
    """
    forecast = next((one for one in families if one.family == family), None)
    chosen = Ways(policy, way_of(policy, forecast))
    changed = change_ways(
        database, properties_dir, property, lambda before: {**before, family: chosen}
    )
    with database.writing() as session:
        audit(session, by, "policy", f"{property}/{family}", policy=policy, way=chosen.way)
    return changed


def _still_economical(cheapest: Mapping[str, Way], now_set: Mapping[str, Ways]) -> dict[str, Ways]:
    """Somebody may have chosen another policy while forecasts were made."""
    return {
        family: Ways("economical", way)
        for family, way in cheapest.items()
        if family in now_set and now_set[family].policy == "economical"
    }


class Deciding:
    """Compares families of the policy ``economical`` anew, and tells edges what is cheapest."""

    def __init__(
        self, database: Database, properties_dir: Path, default: PriceBook, zone: str
    ) -> None:
        self._reader = Reader(database)
        self._database = database
        self._properties_dir = properties_dir
        self._default = default
        self._zone = read_zone(zone)

    async def run(self, properties: Iterable[str], every_s: float) -> None:
        """Again and again, for ever; a property that cannot be decided leaves the others."""
        names = list(properties)
        while True:
            for name in names:
                try:
                    await run_in_threadpool(self.decide, name)
                except (RehydrationError, SQLAlchemyError) as error:
                    _log.error("the policy of %s could not be decided: %s", name, error)
            await asyncio.sleep(every_s)

    def decide(self, property: str) -> dict[str, Way]:
        """Families whose way changed, and to what."""
        before = ways_of(self._database, self._properties_dir, property)
        economical = {family for family, ways in before.items() if ways.policy == "economical"}
        if not economical:
            return {}
        now = time.time()
        found = forecasts(
            self._reader, self._books(), property, now, today(now, self._zone), exact=False
        )
        cheapest = {one.family: way_of("economical", one) for one in found if one.cheapest}
        changed = {
            family: cheapest[family]
            for family in economical & cheapest.keys()
            if cheapest[family] != before[family].way
        }
        if changed:
            change_ways(
                self._database,
                self._properties_dir,
                property,
                lambda now_set: {**now_set, **_still_economical(changed, now_set)},
            )
            with self._database.writing() as session:
                for family, way in changed.items():
                    audit(session, "forecast", "policy", f"{property}/{family}", way=way)
        return changed

    def _books(self) -> Books:
        with self._database.reading() as session:
            return read_books(session, self._default)
