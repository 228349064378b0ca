"""The log's half of the origin's service: what it is made of, and what it does by itself."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from kvsync.ending import end
from kvsync.errors import InputError, RehydrationError
from kvsync.signing import SigningKey
from origin.database import Database
from origin.payload_store import PayloadStore
from origin.settings import OriginSettings, open_model_bucket, open_snapshots
from origin.sync import chain
from origin.sync.reports import Reports
from origin.sync.sealer import Sealer
from origin.sync.snapshots import Snapshots
from origin.sync.stream import LogStream
from origin.sync.tokens import RegionTokens
from origin.sync.truth import Digests
from origin.sync.ways import publish_file

_log = logging.getLogger(__name__)
_SETTINGS_S = 1.0


@dataclass
class LogService:
    """Opened by :func:`open_log`; :meth:`running` does the work behind the routes."""

    database: Database
    key: SigningKey
    stream: LogStream
    reports: Reports
    tokens: RegionTokens
    snapshots: Snapshots
    payloads: PayloadStore
    digests: Digests
    sealer: Sealer
    properties_dir: Path
    snapshot_s: int
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _configured: dict[Path, bytes] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Seal, watch the properties' files and make snapshots until the block ends."""
        for work in (self.sealer.run(), self._watch_settings(), self._make_snapshots()):
            self.start(work)
        try:
            yield
        finally:
            await end(self._tasks)
            await self.stream.close()

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` as long as the service does."""
        self._tasks.append(asyncio.create_task(work))

    def check(self) -> None:
        """Raise what ended a part of the work that was never to end."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def _watch_settings(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.publish_settings)
            except (RehydrationError, SQLAlchemyError) as error:
                _log.error("a property's settings are not published: %s", error)
            await asyncio.sleep(_SETTINGS_S)

    def publish_settings(self) -> None:
        """Bring property files that changed into the log; :class:`InputError` names a bad one."""
        for path in sorted(self.properties_dir.glob("*.toml")):
            try:
                toml = path.read_bytes()
            except OSError as error:
                raise InputError(f"{path}: cannot read: {error.strerror}") from error
            if self._configured.get(path) == toml:
                continue
            self._configured[path] = toml
            publish_file(self.database, path)

    async def _make_snapshots(self) -> None:
        while True:
            await asyncio.sleep(self.snapshot_s)
            try:
                for property in await asyncio.to_thread(chain.heads, self.database):
                    await asyncio.to_thread(self._renew_snapshot, property)
            except (RehydrationError, SQLAlchemyError) as error:
                _log.error("no snapshot could be made: %s", error)

    def _renew_snapshot(self, property: str) -> None:
        """Make one if something was published since the last, and let go of what none has."""
        head = chain.head(self.database, property).seq
        last = self.snapshots.last(property)
        if head and (last is None or last.seq < head):
            self.snapshots.make(property)
        self.payloads.drop_unused(property)


def open_log(settings: OriginSettings, database: Database) -> LogService:
    """:class:`InputError` for a setting that cannot be met."""
    key = SigningKey.load_or_create(settings.signing_key)
    stream = LogStream(settings.log_url)
    return LogService(
        database,
        key,
        stream,
        Reports(stream),
        RegionTokens(settings.region_tokens),
        Snapshots(database, open_snapshots(settings), key),
        PayloadStore(database, open_model_bucket(settings)),
        Digests(database),
        Sealer(database, stream, key, settings.log_bytes),
        settings.properties_dir,
        settings.snapshot_s,
    )


def now_ms() -> int:
    return int(time.time() * 1_000)
