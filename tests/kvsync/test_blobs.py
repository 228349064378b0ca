"""The blob cache: bounded, shared by processes, and never in the way of an answer."""

import contextlib
import hashlib
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from kvsync.blobs import BlobStore, short
from kvsync.errors import InputError

KB = 1 << 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def blobs(folder: Path) -> Iterator[BlobStore]:
    """Room for eight blobs of 1 KB."""
    store = BlobStore(folder, 8 * KB)
    yield store
    store.close()


def kilobyte(number: int) -> bytes:
    return bytes([number]) * KB


def test_what_was_put_is_found(blobs: BlobStore) -> None:
    assert blobs.get(b"a") is None
    assert blobs.put(b"a", b"one") and blobs.put(b"k" * 10_000, b"")
    assert blobs.get(b"a") == b"one" and blobs.get(b"k" * 10_000) == b""
    assert len(blobs) == 2


def test_a_later_blob_replaces_the_earlier_and_its_tags(blobs: BlobStore) -> None:
    blobs.put(b"a", kilobyte(1), ["old"])
    blobs.put(b"a", kilobyte(2), ["new"])
    assert blobs.get(b"a") == kilobyte(2) and len(blobs) == 1 and blobs.bytes_used == KB
    assert blobs.purge(["old"]) == 0 and blobs.purge(["new"]) == 1


def test_a_blob_is_deleted_once(blobs: BlobStore) -> None:
    blobs.put(b"a", kilobyte(1))
    assert blobs.delete(b"a") and not blobs.delete(b"a")
    assert blobs.get(b"a") is None and blobs.bytes_used == 0


def test_a_blob_over_an_eighth_of_the_cache_is_not_kept(blobs: BlobStore) -> None:
    assert blobs.put(b"a", bytes(KB)) and not blobs.put(b"b", bytes(KB + 1))
    assert len(blobs) == 1


def test_a_tiny_blob_counts_as_its_book_keeping(blobs: BlobStore) -> None:
    for number in range(100):
        blobs.put(b"%d" % number, b"x")
    assert len(blobs) == 16 and blobs.bytes_used == 8 * KB


def test_a_cache_with_no_room_keeps_nothing(folder: Path) -> None:
    store = BlobStore(folder, 0)
    assert not store.put(b"a", b"x") and not store.put(b"a", b"") and len(store) == 0
    store.close()


def test_the_oldest_blob_leaves_first(blobs: BlobStore) -> None:
    for number in range(10):
        blobs.put(b"%d" % number, kilobyte(number))
    assert [blobs.get(b"%d" % number) is None for number in range(10)] == [True] * 2 + [False] * 8


def test_a_blob_that_was_read_gets_one_more_turn(blobs: BlobStore) -> None:
    for number in range(8):
        blobs.put(b"%d" % number, kilobyte(number))
    blobs.get(b"0")
    blobs.put(b"8", kilobyte(8))
    assert blobs.get(b"1") is None and blobs.get(b"0") == kilobyte(0)
    for number in range(9, 17):  # read again just now, so it outlives the other seven only once
        blobs.put(b"%d" % number, kilobyte(number))
    assert blobs.get(b"0") is not None
    for number in range(17, 33):
        blobs.put(b"%d" % number, kilobyte(0))
    assert blobs.get(b"0") is None


def test_when_every_blob_was_read_the_oldest_still_leaves(blobs: BlobStore) -> None:
    for number in range(8):
        blobs.put(b"%d" % number, kilobyte(number))
    for number in range(8):
        blobs.get(b"%d" % number)
    assert blobs.put(b"8", kilobyte(8))
    assert blobs.get(b"0") is None and len(blobs) == 8


def test_a_purge_drops_what_carries_a_tag(blobs: BlobStore) -> None:
    blobs.put(b"a", b"1", ["shop", "rumba"])
    blobs.put(b"b", b"2", ["shop", "tango", "tango"])
    blobs.put(b"c", b"3")
    assert blobs.purge(["rumba", "unknown"]) == 1 and blobs.get(b"a") is None
    assert blobs.purge(["shop", "tango"]) == 1 and blobs.get(b"b") is None
    assert blobs.purge([]) == 0 and blobs.get(b"c") == b"3"


def test_an_evicted_blob_leaves_no_tag_behind(blobs: BlobStore) -> None:
    for number in range(20):
        blobs.put(b"%d" % number, kilobyte(number), ["shop", f"asset-{number}"])
    assert blobs.purge(["asset-0"]) == 0 and blobs.purge(["shop"]) == 8
    assert len(blobs) == 0 and blobs.bytes_used == 0


def test_a_cleared_cache_is_empty_and_used_again(blobs: BlobStore) -> None:
    blobs.put(b"a", kilobyte(1), ["shop"])
    assert blobs.clear() == 1 and blobs.clear() == 0
    assert len(blobs) == 0 and blobs.bytes_used == 0 and blobs.purge(["shop"]) == 0
    assert blobs.put(b"a", b"2") and blobs.get(b"a") == b"2"


def test_a_cache_survives_its_process(folder: Path) -> None:
    first = BlobStore(folder, 8 * KB)
    first.put(b"a", kilobyte(1), ["shop"])
    first.close()
    second = BlobStore(folder, 8 * KB)
    assert second.get(b"a") == kilobyte(1) and second.purge(["shop"]) == 1
    second.close()


def test_a_smaller_bound_holds_from_the_next_blob_on(folder: Path) -> None:
    first = BlobStore(folder, 80 * KB)
    for number in range(40):
        first.put(b"%d" % number, kilobyte(number))
    first.close()
    second = BlobStore(folder, 8 * KB)
    second.put(b"new", kilobyte(0))
    assert second.bytes_used == 8 * KB
    second.close()


class AgainstADictionary(RuleBasedStateMachine):
    """Any sequence of calls keeps the bound, and what is found is what was put last."""

    folder: Path
    made = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1
        self.store = BlobStore(self.folder / str(self.made), 64 * KB)
        self.put_last: dict[bytes, tuple[bytes, frozenset[str]]] = {}

    keys = st.integers(0, 30).map(lambda number: b"%d" % number)
    tags = st.frozensets(st.sampled_from(["shop", "rumba", "tango"]))

    @rule(key=keys, size=st.integers(0, 9 * KB), fill=st.integers(0, 255), tags=tags)
    def put(self, key: bytes, size: int, fill: int, tags: frozenset[str]) -> None:
        blob = bytes([fill]) * size
        if self.store.put(key, blob, tags):
            self.put_last[key] = (blob, tags)
            assert self.store.get(key) == blob

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        found = self.store.get(key)
        assert found is None or found == self.put_last[key][0]

    @rule(key=keys)
    def delete(self, key: bytes) -> None:
        was_there = self.store.get(key) is not None
        assert self.store.delete(key) == was_there
        assert self.store.get(key) is None

    @rule(tag=st.sampled_from(["shop", "rumba", "tango"]))
    def purge(self, tag: str) -> None:
        self.store.purge([tag])
        for key, (_, tags) in self.put_last.items():
            assert tag not in tags or self.store.get(key) is None

    @invariant()
    def the_bound_holds_and_the_books_are_right(self) -> None:
        kept = [blob for key, (blob, _) in self.put_last.items() if self.store.get(key) is not None]
        assert len(kept) == len(self.store)
        assert self.store.bytes_used == sum(max(len(blob), 512) for blob in kept) <= 64 * KB

    def teardown(self) -> None:
        self.store.close()


def test_any_sequence_of_calls_keeps_the_bound(tmp_path: Path) -> None:
    AgainstADictionary.folder = tmp_path
    run_state_machine_as_test(
        AgainstADictionary,
        settings=settings(max_examples=25, stateful_step_count=40, deadline=None),
    )


@pytest.mark.parametrize(
    ("smallest", "largest", "bound", "puts"),
    [
        pytest.param(0, 40, 1 << 20, 12_000, id="a few bytes"),
        pytest.param(1_500, 2_300, 4 << 20, 6_000, id="just over half a page"),
        pytest.param(500, 1_000_000, 8 << 20, 600, id="every size"),
        pytest.param(40_000, 60_000, 16 << 20, 1_500, id="pictures"),
    ],
)
def test_many_blobs_of_many_sizes_never_fill_the_file(
    folder: Path, smallest: int, largest: int, bound: int, puts: int
) -> None:
    store = BlobStore(folder, bound)
    rng = random.Random(1)
    for number in range(puts):
        blob = bytes(rng.randint(smallest, largest))
        assert store.put(b"%d" % number, blob, ["shop", f"asset-{number}"])
        if number % 50 == 0:
            store.purge([f"asset-{number // 2}"])
    assert store.bytes_used <= bound
    assert (folder / "data.mdb").stat().st_size < 2.6 * bound + (2 << 20)
    store.close()


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


@pytest.mark.parametrize("damage", ["noise", "text", "cut", "cut short of a page", "empty"])
def test_a_damaged_cache_starts_again_from_empty(folder: Path, damage: str) -> None:
    store = BlobStore(folder, 1 << 20)
    for number in range(20):
        store.put(b"%d" % number, bytes(40_000))
    store.close()
    (folder / "mine.txt").write_text("not the cache's")
    file = folder / "data.mdb"
    whole = file.read_bytes()
    file.write_bytes(
        {
            "noise": random.Random(1).randbytes(len(whole)),
            "text": b"not a database",
            "cut": whole[: len(whole) // 2],
            "cut short of a page": whole[:-100],
            "empty": b"",
        }[damage]
    )
    again = BlobStore(folder, 1 << 20)
    assert len(again) == 0 and again.get(b"1") is None
    assert again.put(b"1", b"new") and again.get(b"1") == b"new"
    again.close()
    assert (folder / "mine.txt").read_text() == "not the cache's"


def test_a_healthy_cache_is_never_taken_for_a_damaged_one(folder: Path) -> None:
    rng = random.Random(1)
    for number in range(60):
        store = BlobStore(folder, 1 << 20)
        assert number == 0 or store.get(b"last") == b"%d" % (number - 1)
        for _ in range(rng.randint(1, 10)):
            store.put(b"%d" % rng.randrange(40), bytes(rng.randint(0, 100_000)), ["shop"])
            store.delete(b"%d" % rng.randrange(40))
        store.put(b"last", b"%d" % number)
        store.close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(InputError, match=f"{folder}: cannot keep a cache there"):
            BlobStore(folder, 1 << 20)


def test_a_folder_opened_twice_in_one_process_is_refused(blobs: BlobStore, folder: Path) -> None:
    with pytest.raises(InputError, match="already open in this process"):
        BlobStore(folder, 8 * KB)


def soft_at(blobs: BlobStore, key: bytes) -> float:
    found = blobs.read(short(key))
    assert found is not None
    return found.soft_at


def test_a_soft_purge_marks_what_carries_the_tag_and_drops_nothing(blobs: BlobStore) -> None:
    blobs.put(b"a", b"1", ["shop"])
    blobs.put(b"b", b"2")
    assert blobs.purge(["shop"], soft_at=123.5) == 1
    assert blobs.get(b"a") == b"1" and soft_at(blobs, b"a") == 123.5 and soft_at(blobs, b"b") == 0
    blobs.put(b"a", b"3", ["shop"])
    assert soft_at(blobs, b"a") == 0


def test_everything_is_marked_at_once_and_what_comes_later_is_not(blobs: BlobStore) -> None:
    blobs.put(b"a", b"1")
    assert blobs.clear(soft_at=9.0) == 1
    blobs.put(b"b", b"2")
    assert soft_at(blobs, b"a") == 9.0 and soft_at(blobs, b"b") == 0


def test_a_marked_blob_stays_marked_in_its_next_turn(blobs: BlobStore) -> None:
    for number in range(8):
        blobs.put(b"%d" % number, kilobyte(number), ["shop"])
    blobs.purge(["shop"], soft_at=5.0)
    blobs.get(b"0")
    blobs.put(b"8", kilobyte(8))
    assert soft_at(blobs, b"0") == 5.0


@pytest.mark.parametrize(
    ("purge", "kept", "marked"),
    [
        (lambda blobs: blobs.purge(["tango"]), True, 0.0),
        (lambda blobs: blobs.purge(["shop"]), False, 0.0),
        (lambda blobs: blobs.clear(), False, 0.0),
        (lambda blobs: blobs.purge(["shop", "tango"], soft_at=7.0), True, 7.0),
        (lambda blobs: blobs.clear(soft_at=7.0), True, 7.0),
    ],
)
def test_what_was_begun_before_a_purge_meets_it_on_arrival(
    blobs: BlobStore, purge: Callable[[BlobStore], int], kept: bool, marked: float
) -> None:
    begun = blobs.mark()
    purge(blobs)
    assert blobs.put(b"a", b"made before", ["shop"], since=begun) == kept
    assert not kept or soft_at(blobs, b"a") == marked
    assert blobs.put(b"b", b"made after", ["shop"], since=blobs.mark())
    assert soft_at(blobs, b"b") == 0


def test_what_was_begun_before_more_purges_than_are_remembered_is_refused(
    blobs: BlobStore,
) -> None:
    begun = blobs.mark()
    blobs.purge([f"tag-{number}" for number in range(1025)])
    assert not blobs.put(b"a", b"1", since=begun) and blobs.put(b"a", b"1", since=begun + 1)


def test_a_purge_of_many_takes_all_of_them(folder: Path) -> None:
    store = BlobStore(folder, 1 << 20)
    for number in range(1_000):
        store.put(b"%d" % number, b"x", ["shop", "odd" if number % 2 else "even"])
    assert store.purge(["even"]) == 500 and len(store) == 500
    assert store.purge(["shop"], soft_at=1.0) == 500 and store.clear() == 500
    assert len(store) == 0 and store.bytes_used == 0
    store.close()


def test_a_version_stands_for_all_that_was_read(blobs: BlobStore) -> None:
    blobs.put(b"a", b"1", ["shop"])
    read, version = blobs.read(short(b"a")), blobs.version()
    assert read is not None
    name, then = short(b"a"), (read.number, read.soft_at)
    assert blobs.get(b"a") and blobs.version() == version
    blobs.put(b"b", b"2")
    assert blobs.version() > version and blobs.same(name, *then)
    blobs.purge(["shop"], soft_at=3.0)
    assert not blobs.same(name, *then)
    blobs.put(b"a", b"1", ["shop"])
    assert not blobs.same(name, *then)
    blobs.clear()
    assert not blobs.same(name, *then)


def test_a_cache_of_another_layout_is_replaced(folder: Path) -> None:
    with lmdb.open(str(folder), max_dbs=6) as old:
        with old.begin(db=old.open_db(b"blobs"), write=True) as txn:
            txn.put(b"name", b"blob")
    store = BlobStore(folder, 1 << 20)
    assert len(store) == 0 and store.put(b"a", b"1")
    store.close()
    again = BlobStore(folder, 1 << 20)
    assert again.get(b"a") == b"1"
    again.close()


@contextlib.contextmanager
def unwritable() -> Iterator[None]:
    """A disk that takes nothing, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_purge_that_the_disk_does_not_take_leaves_nothing_to_be_read(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, 1 << 20)
    store.put(b"revoked", b"x", ["tag"])
    store.put(b"other", b"y")
    version = store.version()
    with unwritable():
        assert store.purge(["tag"]) == 0
        assert store.sealed and store.version() != version
        assert store.get(b"revoked") is None and store.get(b"other") is None
    # The disk is well again, but the purge was never written.
    assert store.get(b"revoked") is None
    store.close()
    again = BlobStore(tmp_path, 1 << 20)
    assert again.get(b"revoked") is None
    assert again.put(b"new", b"z") and not again.sealed
    assert again.get(b"new") == b"z"
    assert again.get(b"revoked") is None and again.get(b"other") is None
    again.close()


def test_a_sealed_store_opens_with_a_purge_of_everything(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, 1 << 20)
    store.put(b"a", b"x", ["tag"])
    with unwritable():
        assert store.clear() == 0 and store.get(b"a") is None
    assert store.clear() == 1 and not store.sealed
    assert store.get(b"a") is None
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


def test_a_store_opens_again_on_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, 1 << 20)
    store.put(b"a", b"x")
    store.close()
    with unwritable():
        again = BlobStore(tmp_path, 1 << 20)
        assert again.get(b"a") == b"x"
        again.close()
