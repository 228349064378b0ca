"""An inventory from end to end: list, look, group. Stopped anywhere, it goes on from there."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from kvsync.errors import OriginUnavailable
from origin.analysis.families import Asset, Family, find_families
from origin.analysis.looking import Progress, embed_all, look_at_all
from origin.analysis.network import FeatureNetwork
from origin.analysis.place import Place
from origin.analysis.store import Counts, Store

Told = Callable[[str, Progress], None]
# Examples of each kind of trouble that are kept for the list.
_EXAMPLES = 5


@dataclass
class Inventory:
    """What a customer's place holds, and what of it cannot be used: counted by kind, with examples
    (path and what is wrong). ``read_now`` of what was looked at this run read: what is new or
    changed, and what a run that was stopped had left."""

    customer: str
    counts: Counts
    gone: int = 0
    read_now: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    turned: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        return self.counts.looked_at - self.counts.contents

    def note(self, kind: str, what: str) -> None:
        self.skipped[kind] = self.skipped.get(kind, 0) + 1
        shown = self.examples.setdefault(kind, [])
        if len(shown) < _EXAMPLES:
            shown.append(what)


def take_stock(
    store: Store,
    customer: str,
    name: str,
    place: Place,
    workers: int | None,
    told: Told,
    network: FeatureNetwork | None = None,
) -> Inventory:
    """List ``place`` (called ``name``) and look at what is new or changed, with ``network`` too.

    A listing that breaks off is told in the answer's ``errors``: what was listed is looked at, and
    the next call goes on behind it.
    """
    errors, gone = _list(store, customer, name, place, told)
    workers = workers or os.cpu_count() or 1
    read_now = look_at_all(
        store, customer, place, workers, lambda progress: told("looking", progress)
    )
    if network is not None:
        embed_all(store, customer, place, network, lambda progress: told("asking", progress))
    found = Inventory(customer, store.counts(customer), gone, read_now, errors=errors)
    for path, trouble in store.troubles(customer):
        found.note(trouble.partition(":")[0], f"{path}: {trouble}")
    for path, content in store.seen_without_descriptor(customer):
        found.note(content.why, f"{path}: {content.said}")
    found.turned = store.count_turned(customer)
    return found


def families_in(
    store: Store, together: Sequence[Sequence[str]] = (), network: str = ""
) -> list[Family]:
    """The families of everything that the store knows, and that ``network`` said of it."""
    names = [name for name, _ in store.customers()]
    return find_families(_assets(store, names, network), together)


def _list(
    store: Store, customer: str, name: str, place: Place, told: Told
) -> tuple[list[str], int]:
    after = store.begin_walk(customer, name)
    listed, began = 0, time.monotonic()
    try:
        for page in place.pages(after):
            store.add_page(customer, page)
            listed += len(page)
            rate = listed / max(time.monotonic() - began, 1e-9)
            told("listing", Progress(listed, listed, rate))
    except OriginUnavailable as error:
        return [*place.errors, f"the listing broke off: {error}"], 0
    gone = store.end_walk(customer, place.unlisted)
    return list(place.errors), gone


def _assets(store: Store, customers: Iterable[str], network: str) -> Iterator[Asset]:
    for customer in customers:
        for seen in store.seen(customer, network):
            content = seen.content
            if not content.why:
                layout = np.frombuffer(content.descriptor, np.int8)
                yield Asset(
                    customer,
                    seen.path,
                    content.digest,
                    seen.size,
                    content.width,
                    content.height,
                    layout,
                    np.frombuffer(seen.embedding, np.int8),
                )
