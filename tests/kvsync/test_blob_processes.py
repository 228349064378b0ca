"""One blob cache of several processes, whichever of them is killed."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from kvsync.blobs import BlobStore
from tests.kvsync.blob_world import KB

HELD_READER = """
import sys, lmdb
env = lmdb.open(sys.argv[1], max_dbs=6, map_size=1 << 30)
txn = env.begin()
txn.stat()
print("reading", flush=True)
sys.stdin.read()
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    return process


def test_a_reader_that_holds_on_to_space_costs_room_not_errors(folder: Path) -> None:
    store = BlobStore(folder, 1 << 20)
    store.put(b"a", bytes(100_000))
    reader = start(HELD_READER, folder)
    assert reader.stdout and reader.stdout.readline() == "reading\n"
    kept = [store.put(b"%d" % number, bytes(100_000)) for number in range(300)]
    assert kept[0] and not kept[-1]
    reader.kill()
    reader.wait()
    assert store.put(b"b", b"after") and store.get(b"b") == b"after"
    store.close()


SHARER = """
import sys
from pathlib import Path
from kvsync.blobs import BlobStore
store = BlobStore(Path(sys.argv[1]), 65536)
print("ready", flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


def test_two_processes_share_one_cache(folder: Path) -> None:
    mine = BlobStore(folder, 64 * KB)
    with start(SHARER, folder) as other:

        def ask(call: str) -> str:
            assert other.stdin and other.stdout
            other.stdin.write(call + "\n")
            return other.stdout.readline().strip()

        assert other.stdout and other.stdout.readline() == "ready\n"
        mine.put(b"a", b"mine", ["shop"])
        assert ask("store.get(b'a')") == "b'mine'"
        assert ask("store.put(b'b', b'theirs', ['shop'])") == "True"
        assert mine.get(b"b") == b"theirs"
        assert ask("store.purge(['shop'])") == "2"
        assert mine.get(b"a") is None and len(mine) == 0
        assert ask("[store.put(b'%d' % n, bytes(8000)) for n in range(20)][-1]") == "True"
        for number in range(20, 40):
            mine.put(b"%d" % number, bytes(8_000))
        assert mine.bytes_used <= 64 * KB and ask("len(store)") == str(len(mine))
        assert other.stdin
        other.stdin.close()
    mine.close()


WRITER = """
import sys
from pathlib import Path
from kvsync.blobs import BlobStore
store = BlobStore(Path(sys.argv[1]), 1 << 20)
number = 0
while True:
    number += 1
    store.put(b"%d" % (number % 50), bytes([number % 256]) * (number * 7919 % 60000), ["shop"])
    if number == 50:
        print("writing", flush=True)
"""


def test_killed_in_the_middle_of_writing_a_cache_stays_whole(folder: Path) -> None:
    for _ in range(4):
        writer = start(WRITER, folder)
        assert writer.stdout and writer.stdout.readline() == "writing\n"
        writer.kill()
        writer.wait()
        store = BlobStore(folder, 1 << 20)
        found = [blob for n in range(50) if (blob := store.get(b"%d" % n)) is not None]
        assert found and all(len(set(blob)) <= 1 for blob in found)
        assert store.bytes_used == sum(max(len(blob), 512) for blob in found) <= 1 << 20
        assert store.put(b"a", b"after")
        store.close()


def test_a_writer_killed_while_another_lives_does_not_lock_it_out(folder: Path) -> None:
    store = BlobStore(folder, 1 << 20)
    writer = start(WRITER, folder)
    assert writer.stdout and writer.stdout.readline() == "writing\n"
    writer.kill()
    writer.wait()
    assert store.put(b"a", b"after") and store.get(b"a") == b"after"
    store.close()


CHECKED_WRITER = """
import hashlib, random, sys
from pathlib import Path
from kvsync.blobs import BlobStore
store, rng = BlobStore(Path(sys.argv[1]), 2 << 20), random.Random(int(sys.argv[2]))
for number in range(1 << 60):
    body = rng.randbytes(rng.randrange(60_000))
    key = b"%d" % rng.randrange(40)
    store.put(key, hashlib.sha256(body).digest() + body, ["shop"], since=store.mark())
    if number % 50 == 49:
        store.purge(["shop"], soft_at=1.0 if number % 100 == 99 else None)
    if number == 10:
        print("writing", flush=True)
"""


@pytest.mark.slow
def test_no_reader_ever_finds_a_torn_blob_while_writers_are_killed(folder: Path) -> None:
    store, found = BlobStore(folder, 2 << 20), 0
    for round_ in range(12):
        writers = [start(CHECKED_WRITER, folder, 3 * round_ + number) for number in range(3)]
        for writer in writers:
            assert writer.stdout and writer.stdout.readline() == "writing\n"
        for writer in writers:
            for number in range(200):
                blob = store.get(b"%d" % (number % 40))
                if blob is not None:
                    found += 1
                    assert hashlib.sha256(blob[32:]).digest() == blob[:32]
            writer.kill()
            writer.wait()
        assert store.put(b"after", b"the kill") and store.get(b"after") == b"the kill"
        assert store.bytes_used <= 2 << 20
    assert found > 1_000
    store.close()
