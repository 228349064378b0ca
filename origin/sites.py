"""The properties that this origin serves: those with an asset store, one made just now included."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from kvsync.errors import InputError
from kvsync.property import read_properties
from origin.settings import OriginSettings, open_dam, store_of
from origin.site import Site, open_sites

_log = logging.getLogger("sites")
# A name that nobody knows costs a look at the folder of properties this often.
_LOOK_S: Final = 1.0


class Sites(Mapping[str, Site]):
    """Properties by id. One that gets its file and its store while the program runs is found
    without a restart; what is open already stays as it was opened.

    :class:`kvsync.errors.InputError` for an asset store of a property that has no file.
    """

    def __init__(self, settings: OriginSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        properties = read_properties(settings.properties_dir)
        dams = {name: open_dam(where, settings.s3_endpoint) for name, where in settings.dam.items()}
        self._open = open_sites(properties, dams)
        self._find_new()

    def __getitem__(self, property: str) -> Site:
        if property not in self._open:
            self._look()
        return self._open[property]

    def __iter__(self) -> Iterator[str]:
        self._look()
        return iter(list(self._open))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def begin_store(self, property: str) -> None:
        """Make a place for a new property's originals, and find it at once."""
        kind, _, folder = self._settings.stores.partition(":")
        if kind == "folder":
            try:
                Path(folder, property).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"ORIGIN_STORES: {folder}: {error.strerror}") from error
        with self._lock:
            self._find_new()

    def _look(self) -> None:
        with self._lock:
            if time.monotonic() - self._looked >= _LOOK_S:
                self._looked = time.monotonic()
                try:
                    self._find_new()
                except InputError as error:
                    # One file that is wrong must not take away what is served already.
                    _log.error("no new property is served: %s", error)

    def _find_new(self) -> None:
        for name, rules in read_properties(self._settings.properties_dir).items():
            where = None if name in self._open else store_of(self._settings, name)
            if where is not None:
                dam = open_dam(where, self._settings.s3_endpoint)
                self._open = {**self._open, name: Site(rules, dam)}
