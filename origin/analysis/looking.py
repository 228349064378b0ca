"""Look at what waits: read, find exact duplicates, decode, describe. A pool of processes does it in
batches, a few at a time, so that memory stays flat however much waits.
"""

import hashlib
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from kvsync.errors import OriginUnavailable
from origin.analysis.descriptor import Pixels, Unfit, describe, small_picture, thumbnail
from origin.analysis.network import FeatureNetwork
from origin.analysis.place import Place
from origin.analysis.store import Content, Store
from origin.dam import media_type_of

BATCH: Final = 64
WAITING_PER_WORKER: Final = 2
# A larger file than this is no web image, and a few of them would fill memory.
MOST_BYTES: Final = 64 << 20
_UNSAID: Final = "application/octet-stream"


@dataclass
class Looked:
    """What a batch of paths showed: the digest of each, contents met first here, troubles."""

    digests: list[tuple[str, bytes]] = field(default_factory=list)
    contents: list[Content] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """``rate`` is of the last seconds, assets a second; ``left_s`` what the rest takes at it."""

    done: int
    total: int
    rate: float

    @property
    def left_s(self) -> float:
        return (self.total - self.done) / self.rate if self.rate else 0.0


Told = Callable[[Progress], None]


def look_at(
    paths: Iterable[tuple[str, int]], place: Place, knows: Callable[[bytes], str | None]
) -> Looked:
    """Look at assets by path and size; what has been decoded before, of which ``knows`` has the
    media type ("" where it was unfit), is not again.

    A pure function of the place, but for what is known. Anything wrong with one is in the
    answer, never raised.
    """
    looked = Looked()
    met: dict[bytes, str] = {}
    thumbnails = []
    for path, size in paths:
        if trouble := _not_worth_reading(path, size):
            looked.troubles.append((path, trouble))
            continue
        try:
            data = place.read(path)
        except (OSError, OriginUnavailable) as error:
            looked.troubles.append((path, f"unreadable: {error}"))
            continue
        digest = hashlib.blake2b(data, digest_size=16).digest()
        shows = met.get(digest) or knows(digest)
        if shows is None:
            content, small = _content(digest, data)
            met[digest] = shows = content.media_type
            looked.contents.append(content)
            if small is not None:
                thumbnails.append(small)
        if shows and media_type_of(path) not in (shows, _UNSAID):
            said = f"mislabelled: named as {media_type_of(path)}, but it is {shows}"
            looked.troubles.append((path, said))
        else:
            looked.digests.append((path, digest))
    if thumbnails:
        found = iter(describe(np.stack(thumbnails)))
        looked.contents = [
            one if one.why else _with_descriptor(one, next(found).tobytes())
            for one in looked.contents
        ]
    return looked


def look_at_all(
    store: Store, customer: str, place: Place, workers: int, told: Told = lambda progress: None
) -> int:
    """Look at everything of a customer that waits, and note it batch by batch; how many were read
    to their end."""
    total = store.count_waiting(customer)
    batches = _batches((path, size) for path, _, size in store.waiting(customer))
    read, done, moments = 0, 0, deque([(time.monotonic(), 0)], maxlen=32)
    for looked in _spread(batches, place, store, workers if total > BATCH else 0):
        store.add_looks(customer, looked.digests, looked.contents, looked.troubles)
        read += len(looked.digests)
        done += len(looked.digests) + len(looked.troubles)
        moments.append((time.monotonic(), done))
        (began, before), (now, after) = moments[0], moments[-1]
        told(Progress(done, total, (after - before) / max(now - began, 1e-9)))
    return read


def embed_all(
    store: Store, customer: str, place: Place, network: FeatureNetwork, told: Told
) -> None:
    """Ask a network of every content of a customer that it was not asked of, batch by batch.

    What cannot be read now has no answer, and is asked for the next time.
    """
    waiting = store.not_embedded(customer, network.name)
    began = time.monotonic()
    for begin in range(0, len(waiting), BATCH):
        batch = waiting[begin : begin + BATCH]
        read = [(digest, shown) for path, digest in batch for shown in _shown(place, path, network)]
        if read:
            found = network.embed([shown for _, shown in read])
            rows = ((digest, one.tobytes()) for (digest, _), one in zip(read, found, strict=True))
            store.add_embeddings(network.name, rows)
        done = begin + len(batch)
        told(Progress(done, len(waiting), done / max(time.monotonic() - began, 1e-9)))


def _shown(place: Place, path: str, network: FeatureNetwork) -> Iterator[Pixels]:
    """The picture at a path, small; nothing where it cannot be read."""
    with suppress(OSError, OriginUnavailable, Unfit):
        yield small_picture(place.read(path), network.side)


def _spread(
    batches: Iterator[list[tuple[str, int]]], place: Place, store: Store, workers: int
) -> Iterator[Looked]:
    """Batches as looked at, in order; in this process with no workers."""
    if not workers:
        for batch in batches:
            yield look_at(batch, place, store.knows)
        return
    # Fresh processes: a fork would share what threads of this one hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start, (place, store.path)) as pool:
        ahead: deque[Future[Looked]] = deque()
        for batch in batches:
            ahead.append(pool.submit(_look, batch))
            if len(ahead) > WAITING_PER_WORKER * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


_here: list[tuple[Place, Store]] = []


def _start(place: Place, path: Path) -> None:
    """In a worker, once."""
    os.nice(5)
    _here.append((place, Store(path)))


def _look(batch: list[tuple[str, int]]) -> Looked:
    place, store = _here[0]
    return look_at(batch, place, store.knows)


def _not_worth_reading(path: str, size: int) -> str:
    named = media_type_of(path)
    if named == "image/svg+xml" or not named.startswith(("image/", _UNSAID)):
        return f"not-an-image: named as {named}"
    return f"too-large: {size} bytes" if size > MOST_BYTES else ""


def _content(digest: bytes, data: bytes) -> tuple[Content, Pixels | None]:
    try:
        small, media_type, width, height, turned = thumbnail(data)
    except Unfit as error:
        return Content(digest, "", 0, 0, "", error.kind, str(error), b""), None
    note = "turned" if turned else ""
    return Content(digest, media_type, width, height, note, "", "", b""), small


def _with_descriptor(one: Content, descriptor: bytes) -> Content:
    return Content(
        one.digest, one.media_type, one.width, one.height, one.note, one.why, one.said, descriptor
    )


def _batches(paths: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    endless = iter(paths)
    while batch := list(islice(endless, BATCH)):
        yield batch
