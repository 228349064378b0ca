"""From settings to a listening service; whatever is wrong with them is said in one line."""

import asyncio
import signal
import socket
import sys
from collections.abc import Collection
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop
from httpx2 import AsyncClient, Timeout

from kvsync.blobs import BlobStore
from kvsync.errors import InputError
from kvsync.property import read_properties
from kvsync.signing import Keyring
from kvsync.spool import Spool
from kvsync.store import ValkeyStore
from regional_gpu.generator.runtime import read_runtime
from regional_gpu.service.app import create_app
from regional_gpu.service.batcher import Batcher, BatchLimits
from regional_gpu.service.calibration import Calibration
from regional_gpu.service.generation import (
    Generate,
    Load,
    generate,
    load_generator,
    set_threads,
)
from regional_gpu.service.ledger import RegionLedger
from regional_gpu.service.metrics import RegionMetrics
from regional_gpu.service.models import ModelPlace, Models
from regional_gpu.service.payloads import PayloadPlace, Payloads
from regional_gpu.service.region import Region
from regional_gpu.service.renditions import Renditions
from regional_gpu.service.schedule import Pace
from regional_gpu.settings import RegionSettings

# The origin may be far and busy, but a model is worth waiting for; silence this long is an outage.
ORIGIN_TIMEOUT = Timeout(10.0, connect=3.0)
# Near, but a miss can wait for it: the caller's deadline is what bounds the answer.
STORE_TIMEOUT_S = 1.0
BACKLOG = 1_024
STOP_SECONDS = 5


def build_region(
    settings: RegionSettings, load: Load = load_generator, generate: Generate = generate
) -> Region:
    """A region that is not started yet; :class:`InputError` for a setting that cannot work."""
    keys = Keyring.read(settings.trusted_keys)
    properties = read_properties(settings.properties_dir)
    ledger = _ledger(settings, properties)
    pace, metrics = Pace(), RegionMetrics(ledger.device)
    _demand_writable(settings.models_dir)
    renditions = Renditions(BlobStore(settings.renditions_dir, settings.renditions_bytes))
    metrics.cache_bytes.set_function(lambda: renditions.bytes_used)
    metrics.cache_faults.set_function(lambda: renditions.faults)
    origin, *neighbours = (
        AsyncClient(base_url=url, timeout=ORIGIN_TIMEOUT)
        for url in (settings.origin_url, *settings.neighbours)
    )
    place = ModelPlace(
        origin,
        keys,
        settings.models_dir,
        settings.model_memory_bytes,
        settings.models_disk_bytes,
        tuple(neighbours),
        ledger.carried,
    )
    prepare = partial(set_threads, settings.threads)
    runtime = partial(read_runtime, settings.device)
    payloads = Payloads(
        PayloadPlace(
            (origin, *neighbours),
            settings.payloads_dir,
            settings.payloads_disk_bytes,
            ledger.carried,
        ),
        metrics,
    )
    calibration = Calibration(settings.models_dir, keys, payloads, generate, runtime, metrics)
    models = Models(
        place, partial(load, device=settings.device), calibration, prepare, pace, metrics
    )
    ledger.keeps = (models.bytes_on_disk, payloads.bytes_on_disk)
    limits = BatchLimits(settings.max_batch, settings.batch_window_ms / 1_000, settings.max_queue)
    batcher = Batcher(generate, prepare, limits, pace, metrics)
    return Region(
        settings.name,
        keys,
        properties,
        models,
        payloads,
        batcher,
        renditions,
        pace,
        metrics,
        settings.decoded_check_every,
        _open_store(settings.store_url),
        ledger,
    )


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; :class:`InputError` when the port is taken or not allowed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror}; set REGION_HOST, REGION_PORT"
        ) from error
    return bound


class _Server(uvicorn.Server):
    """uvicorn's server; it waits to be told to stop instead of asking ten times a second, which
    is much of what a region does that waits for work."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told_to_stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._told_to_stop.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told_to_stop.set)


def serve(settings: RegionSettings) -> None:
    """Run until SIGTERM or SIGINT, then finish what was begun, for :data:`STOP_SECONDS` at most."""
    # Also reached when all is closed: uvicorn raises the signal that stopped it once more.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with listen(settings.host, settings.port) as bound:
        app = create_app(build_region(settings))
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=STOP_SECONDS,
            # Nobody reads them, and the date would have to be kept.
            date_header=False,
            server_header=False,
        )
        uvloop.run(_Server(config).serve(sockets=[bound]))


def _ledger(settings: RegionSettings, properties: Collection[str]) -> RegionLedger:
    spool = Spool(settings.ledger_dir, settings.ledger_keep_s)
    return RegionLedger(settings.name, settings.device, properties, spool)


def _open_store(url: str) -> ValkeyStore | None:
    return ValkeyStore(url, timeout_s=STORE_TIMEOUT_S) if url else None


def _demand_writable(folder: Path) -> None:
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"{folder}: cannot keep models there: {error.strerror}") from error
