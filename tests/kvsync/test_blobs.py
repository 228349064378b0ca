"""The blob cache: bounded, and never in the way of an answer."""

import random
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from kvsync.blobs import BlobStore
from kvsync.errors import InputError
from tests.kvsync.blob_world import KB, kilobyte


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
