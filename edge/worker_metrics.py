"""Metrics of all workers of a PoP, whichever of them is scraped.

Each worker keeps its samples in a file of its own, mapped into memory and as large as it will ever
be from the start: a full disk does not stop it. A worker that was killed is still counted, since
what it did was done; :func:`begin_anew` forgets all of them.
"""

import asyncio
import logging
import mmap
import os
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from prometheus_client import Metric, generate_latest
from prometheus_client.registry import Collector

from kvsync.encoding import UNREADABLE
from kvsync.errors import InputError

_log = logging.getLogger(__name__)
_FILE_BYTES = 512 << 10
# Length and CRC-32 of what follows.
_HEADER = struct.Struct(">II")
_TRIES = 5
_EVERY_S = 1.0


class Sample(msgspec.Struct, frozen=True, array_like=True):
    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True, array_like=True):
    name: str
    text: str
    kind: str
    samples: list[Sample]


class WorkerMetrics(Collector):
    """``own`` is this worker's registry. Counts are summed over workers, of gauges the largest
    counts: workers share what most of them measure.

    Raises :class:`InputError` when the folder cannot be used.
    """

    def __init__(self, folder: Path, own: Collector) -> None:
        self._folder = folder
        self._own = own
        self._encoder = msgspec.msgpack.Encoder()
        self._file = folder / f"{os.getpid()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._file.open("w+b") as file:
                os.posix_fallocate(file.fileno(), 0, _FILE_BYTES)
                self._map = mmap.mmap(file.fileno(), _FILE_BYTES)
        except OSError as error:
            raise InputError(f"{folder}: cannot keep metrics there: {error.strerror}") from error

    def publish(self) -> None:
        """Let the other workers know what this one has counted so far."""
        told = self._encoder.encode(list(_families(self._own)))
        if len(told) > _FILE_BYTES - _HEADER.size:
            _log.error("%s: %d bytes of metrics do not fit any more", self._file, len(told))
            return
        header = _HEADER.pack(len(told), zlib.crc32(told))
        self._map[: _HEADER.size + len(told)] = header + told

    async def keep_publishing(self) -> None:
        """Publish every second, for ever."""
        while True:
            await asyncio.sleep(_EVERY_S)
            self.publish()

    def exposition(self) -> bytes:
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """The families of all workers, merged."""
        told = [list(_families(self._own))]
        for file in self._folder.iterdir():
            if file != self._file:
                told.append(_read(file))
        yield from merged(told)

    def close(self) -> None:
        self.publish()
        self._map.close()


def begin_anew(folder: Path) -> None:
    """Forget the workers of an earlier run; before any of this one has begun."""
    shutil.rmtree(folder, ignore_errors=True)


def merged(told: Iterable[Iterable[Family]]) -> Iterator[Metric]:
    """One metric per family; counters and histograms summed, of gauges the largest."""
    families: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for worker in told:
        for family in worker:
            families.setdefault(family.name, family)
            of_family = values.setdefault(family.name, {})
            for sample in family.samples:
                series = (sample.name, tuple(sample.labels.items()))
                before = of_family.get(series)
                if before is None:
                    of_family[series] = sample.value
                elif family.kind == "gauge" or sample.name.endswith("_created"):
                    of_family[series] = max(before, sample.value)
                else:
                    of_family[series] = before + sample.value
    for family in families.values():
        metric = Metric(family.name, family.text, family.kind)
        for (name, labels), value in values[family.name].items():
            metric.add_sample(name, dict(labels), value)
        yield metric


def _families(own: Collector) -> Iterator[Family]:
    for metric in own.collect():
        samples = [Sample(one.name, dict(one.labels), one.value) for one in metric.samples]
        yield Family(metric.name, metric.documentation, metric.type, samples)


def _read(file: Path) -> list[Family]:
    """What another worker has told; nothing when it is about to."""
    for _ in range(_TRIES):
        raw = file.read_bytes()
        if len(raw) < _HEADER.size:
            return []
        length, crc = _HEADER.unpack_from(raw)
        told = raw[_HEADER.size : _HEADER.size + length]
        if length == 0:
            return []
        # Another process may be writing just now, which takes it microseconds.
        if zlib.crc32(told) != crc:
            continue
        try:
            return msgspec.msgpack.decode(told, type=list[Family])
        except UNREADABLE:
            return []
    return []
