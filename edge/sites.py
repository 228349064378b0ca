"""The properties that an edge serves, read again when their files change.

A file is checked before anything uses it. While one is wrong, all of the running ones stay, and
what is wrong is logged, counted and shown to operators.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kvsync.errors import InputError
from kvsync.property import Property, hosts_to_properties, read_properties

_log = logging.getLogger(__name__)
_Signature = tuple[tuple[str, int, int, int], ...]


class Sites(Mapping[str, Property]):
    """Properties by host name (lower case).

    Raises :class:`InputError` when there is none to begin with. ``fault`` is what keeps the files
    as they are now from being used, empty when nothing does.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signature = _signature(folder)
        self._by_host: Mapping[str, Property] = {}
        self.ids: tuple[str, ...] = ()
        self.loaded_at = 0.0
        self.fault = ""
        self.refused = 0
        self._use()

    def look(self) -> bool:
        """Read the files again if they changed; whether other properties are in force now."""
        signature = _signature(self._folder)
        if signature == self._signature:
            return False
        self._signature = signature
        try:
            self._use()
        except InputError as error:
            self.refused += 1
            self.fault = str(error)
            _log.error("properties as they were stay in force: %s", error)
            return False
        return True

    async def watch(self, every_s: float, changed: Callable[[], None]) -> None:
        """Look every ``every_s`` seconds, for ever; ``changed`` when others are in force."""
        while True:
            await asyncio.sleep(every_s)
            if self.look():
                changed()

    def __getitem__(self, host: str) -> Property:
        return self._by_host[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_host)

    def __len__(self) -> int:
        return len(self._by_host)

    def _use(self) -> None:
        properties = read_properties(self._folder)
        self._by_host = hosts_to_properties(properties.values())
        self.ids, self.loaded_at, self.fault = tuple(properties), time.time(), ""


def _signature(folder: Path) -> _Signature:
    """What changes when a file is written, replaced, added or removed."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        try:
            status = path.stat()
        except OSError:
            continue  # gone since it was listed: the next look sees the folder without it
        found.append((path.name, status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)
