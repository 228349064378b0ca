"""An edge's look-ups of records, at a steady rate, in a process of its own.

``python -m bench._sync_reader`` reads one line of JSON (:class:`Wanted`), says ``ready``, looks up
records until its input ends, and writes the milliseconds that each took as a line of JSON.
"""

import asyncio
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from edge.held import HeldEntries
from edge.records import Records
from kvsync.property import read_property
from kvsync.signing import Keyring
from kvsync.store import ValkeyStore

PER_SECOND = 200.0
# One that takes long is a figure, not a failure.
_PATIENCE_S = 60


class Wanted(msgspec.Struct, frozen=True):
    """What to look up: keys in hex, of the property in a file, in the store at a URL."""

    store_url: str
    property_file: str
    trusted_keys: str
    folder: str
    keys: tuple[str, ...]


async def read(wanted: Wanted) -> list[float]:
    """Milliseconds of each look-up: at its time, whatever the ones before it took."""
    site = read_property(Path(wanted.property_file))
    keys = [bytes.fromhex(key) for key in wanted.keys]
    records = Records(
        ValkeyStore(wanted.store_url, timeout_s=_PATIENCE_S),
        HeldEntries(Path(wanted.folder), 64 << 20),
        Keyring.read(Path(wanted.trusted_keys)),
        timeout_s=_PATIENCE_S,
        rest_s=1,
    )
    took: list[float] = []

    async def look_up(number: int) -> None:
        begun = time.perf_counter()
        found = await records.find(site, keys[number % len(keys)], now=time.time())
        took.append((time.perf_counter() - begun) * 1_000)
        if found is None:
            raise RuntimeError("a record that was published is not in the region's store")

    for number in range(int(PER_SECOND)):
        await look_up(number)
    took.clear()
    print("ready", flush=True)
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    begun, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while not over.done():
            number += 1
            await asyncio.sleep(begun + number / PER_SECOND - time.monotonic())
            group.create_task(look_up(number))
    await records.close()
    return took


def main() -> None:
    wanted = msgspec.json.decode(sys.stdin.readline(), type=Wanted)
    print(msgspec.json.encode(uvloop.run(read(wanted))).decode())


if __name__ == "__main__":
    main()
