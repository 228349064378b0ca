"""The log's wire format: what follows what, and what is refused."""

from collections.abc import Callable

import msgspec
import pytest

from kvsync.errors import (
    BadRequest,
    BadSignature,
    Gap,
    KeyNotAllowed,
    MalformedRecord,
    Replayed,
    RolledBack,
    Truncated,
    WrongChain,
)
from kvsync.log import (
    Announce,
    Batch,
    Bury,
    Configure,
    Cursor,
    Entry,
    Heartbeat,
    Put,
    Skipped,
)
from kvsync.log_answer import LogAnswer
from kvsync.ranges import RangeDigests, RangeEntries, RangeSums, entry_hash, range_of
from kvsync.report import PropertyReport, RegionReport, ReportAnswer
from kvsync.signing import Keyring, SigningKey
from kvsync.snapshot import SnapshotManifest, pack_piece, piece_of, unpack_piece
from tests.kvsync.golden import NOW, example_key

KEY = example_key()
KEYS = Keyring((KEY.trusted_for(["shop"]),))
NOW_MS = NOW * 1_000


def puts(first: int, last: int) -> list[Entry]:
    return [Put(seq, seq.to_bytes(16, "big"), b"record %d" % seq) for seq in range(first, last + 1)]


def sealed(entries: list[Entry], after: Cursor) -> Batch:
    return Batch.seal(KEY, "shop", entries, after=after, made_at_ms=NOW_MS)


def opened(signed: bytes, after: Cursor, property: str = "shop") -> Batch:
    return Batch.from_signed(signed, KEYS, property=property, after=after)


FIRST = sealed(puts(1, 3), Cursor())
SECOND = sealed(puts(4, 5), FIRST.cursor)


def forged(kind: object, *fields: object) -> bytes:
    """Validly signed bytes of any content."""
    return KEY.sign(msgspec.msgpack.encode([kind, *fields]))


def test_batches_are_read_in_order_as_they_were_sealed() -> None:
    every: list[Entry] = [
        Put(1, bytes(16), b"record"),
        Bury(2, bytes(16), b"tombstone"),
        Configure(3, b'id = "shop"'),
        Announce(4, b"announcement"),
    ]
    batch = sealed(every, Cursor())
    assert opened(batch.signed, Cursor()) == batch
    assert batch.entries == tuple(every)
    assert opened(SECOND.signed, opened(FIRST.signed, Cursor()).cursor) == SECOND


@pytest.mark.parametrize(
    ("signed", "after", "error"),
    [
        (FIRST.signed, FIRST.cursor, Replayed),
        (SECOND.signed, Cursor(), Gap),
        (SECOND.signed, Cursor(2, FIRST.digest), Gap),
        (SECOND.signed, Cursor(3, bytes(32)), WrongChain),
        (SECOND.signed, Cursor(4, FIRST.digest), WrongChain),
    ],
)
def test_what_does_not_follow_is_refused(signed: bytes, after: Cursor, error: type) -> None:
    with pytest.raises(error):
        opened(signed, after)


@pytest.mark.parametrize("at", range(0, len(FIRST.signed), 7))
def test_no_byte_of_a_batch_can_be_changed(at: int) -> None:
    changed = bytearray(FIRST.signed)
    changed[at] ^= 1
    with pytest.raises((BadSignature, KeyNotAllowed, MalformedRecord)):
        opened(bytes(changed), Cursor())


@pytest.mark.parametrize("length", range(0, len(FIRST.signed), 11))
def test_a_batch_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(MalformedRecord):
        opened(FIRST.signed[:length], Cursor())


def test_a_batch_counts_only_for_its_property_and_its_keys() -> None:
    two = Keyring((KEY.trusted_for(["shop", "hats"]),))
    with pytest.raises(MalformedRecord, match="of shop came"):
        Batch.from_signed(FIRST.signed, two, property="hats", after=Cursor())
    with pytest.raises(KeyNotAllowed):
        opened(FIRST.signed, Cursor(), property="hats")
    stranger = Batch.seal(
        SigningKey.generate(), "shop", puts(1, 1), after=Cursor(), made_at_ms=NOW_MS
    )
    with pytest.raises(KeyNotAllowed):
        opened(stranger.signed, Cursor())


def test_a_record_or_heartbeat_cannot_pass_for_a_batch() -> None:
    heartbeat = Heartbeat.make("shop", FIRST.cursor, NOW_MS).sign(KEY)
    with pytest.raises(MalformedRecord):
        opened(heartbeat, Cursor())
    with pytest.raises(MalformedRecord):
        Heartbeat.from_signed(FIRST.signed, KEYS, property="shop")


def test_one_entry_that_is_unknown_or_broken_stops_nothing() -> None:
    entries = [
        ["put", 1, bytes(16), b"record"],
        ["splat", 2, {"of": "tomorrow"}],
        ["put", 3, b"short", b"record"],
        ["put", 4, bytes(16), bytes(5_000)],
        7,
        ["tombstone", 6, bytes(16), b"tombstone", "added later"],
    ]
    batch = opened(forged("batch", "shop", 1, 6, bytes(32), NOW_MS, entries), Cursor())
    assert batch.entries == (
        Put(1, bytes(16), b"record"),
        Skipped(2, "splat", "unsupported"),
        Skipped(3, "put", "malformed"),
        Skipped(4, "put", "malformed"),
        Skipped(5, "", "malformed"),
        Bury(6, bytes(16), b"tombstone"),
    )
    assert batch.cursor.seq == 6


@pytest.mark.parametrize(("first", "last"), [(1, 2), (1, 4), (0, 2), (2, 4)])
def test_a_batch_has_the_entries_that_it_says(first: int, last: int) -> None:
    entries = [["put", seq, bytes(16), b"record"] for seq in (1, 2, 3)]
    with pytest.raises(MalformedRecord):
        after = Cursor(first - 1) if first else Cursor()
        opened(forged("batch", "shop", max(first, 1), last, bytes(32), 0, entries), after)


def test_entries_out_of_order_are_not_sealed() -> None:
    for wrong in ([], puts(2, 3), [*puts(1, 1), *puts(3, 3)]):
        with pytest.raises(Gap):
            sealed(wrong, Cursor())


def test_a_heartbeat_says_where_the_log_ended() -> None:
    signed = Heartbeat.make("shop", SECOND.cursor, NOW_MS).sign(KEY)
    found = Heartbeat.from_signed(signed, KEYS, property="shop")
    assert (found.seq, found.digest, found.at_ms) == (5, SECOND.digest, NOW_MS)


def test_an_answer_holds_a_heartbeat_and_batches() -> None:
    for answer in (LogAnswer(b"beat"), LogAnswer(b"beat", (FIRST.signed, SECOND.signed))):
        assert LogAnswer.decode(answer.encode()) == answer


def test_an_answer_that_ends_too_early_is_noticed() -> None:
    whole = LogAnswer(b"beat", (b"first", b"second")).encode()
    ends = {len(LogAnswer(b"beat", some).encode()) for some in ((), (b"first",))}
    for length in set(range(len(whole))) - ends:
        with pytest.raises(Truncated):
            LogAnswer.decode(whole[:length])
    with pytest.raises(Truncated):
        LogAnswer.decode(b"\xff\xff\xff\xff")


def test_range_digests_depend_on_no_order_and_follow_changes() -> None:
    entries = [(bytes([n]) * 16, b"record %d" % n) for n in range(200)]
    one, other = RangeSums(), RangeSums()
    for key, signed in entries:
        one.add(key, entry_hash(key, signed, buried=False))
    for key, signed in reversed(entries):
        other.add(key, entry_hash(key, signed, buried=False))
    assert one.encode() == other.encode()
    key, signed = entries[171]
    other.remove(key, entry_hash(key, signed, buried=False))
    other.add(key, entry_hash(key, b"tombstone", buried=True))
    here, there = (RangeDigests.make("shop", 900, sums) for sums in (one, other))
    assert list(here.differing(there)) == [range_of(key)] == [0xABA]
    other.remove(key, entry_hash(key, b"tombstone", buried=True))
    other.add(key, entry_hash(key, signed, buried=False))
    assert one.encode() == other.encode()


def test_digests_and_ranges_are_signed() -> None:
    digests = RangeDigests.make("shop", 5, RangeSums())
    assert RangeDigests.from_signed(digests.sign(KEY), KEYS, property="shop") == digests
    held: list[Put | Bury] = [Put(3, bytes(16), b"record"), Bury(5, bytes(16), b"tombstone")]
    signed = RangeEntries.make("shop", 0, 5, held).sign(KEY)
    found = RangeEntries.from_signed(signed, KEYS, property="shop", number=0)
    assert found.read() == tuple(held) and found.seq == 5
    with pytest.raises(MalformedRecord, match="another range"):
        RangeEntries.from_signed(signed, KEYS, property="shop", number=1)
    with pytest.raises(MalformedRecord):
        RangeDigests.from_signed(signed, KEYS, property="shop")


def manifest(packed: bytes, seq: int = 5) -> SnapshotManifest:
    return SnapshotManifest("snapshot", "shop", seq, bytes(32), NOW_MS, 1, 2, (piece_of(packed),))


def test_a_snapshot_is_read_piece_by_piece() -> None:
    entries: list[Entry] = [*puts(1, 2000), Configure(2001, b'id = "shop"')]
    packed = pack_piece(entries)
    signed = manifest(packed).sign(KEY)
    found = SnapshotManifest.from_signed(signed, KEYS, property="shop", not_before=5)
    assert found.cursor == Cursor(5, bytes(32))
    assert unpack_piece(packed, found.pieces[0]) == tuple(entries)


def test_a_snapshot_older_than_what_is_known_is_refused() -> None:
    signed = manifest(b"packed").sign(KEY)
    with pytest.raises(RolledBack):
        SnapshotManifest.from_signed(signed, KEYS, property="shop", not_before=6)


@pytest.mark.parametrize(
    "damage",
    [lambda packed: packed[:-1], lambda packed: packed[:-1] + b"!", lambda packed: b"not zstd"],
)
def test_a_damaged_piece_is_refused(damage: Callable[[bytes], bytes]) -> None:
    packed = pack_piece(puts(1, 20))
    broken = damage(packed)
    with pytest.raises(MalformedRecord):
        unpack_piece(broken, piece_of(packed))
    with pytest.raises(MalformedRecord):
        unpack_piece(broken, piece_of(broken))


def test_a_report_and_its_answer_are_json() -> None:
    one = PropertyReport(seq=9, readable_seq=8, purged_seq=7, records=5, refused={"gap": 1})
    report = RegionReport("asia-east", NOW_MS, {"shop": one})
    assert RegionReport.decode(report.encode()) == report
    answer = ReportAnswer(NOW_MS, {"shop": 3})
    assert ReportAnswer.decode(answer.encode()) == answer
    for wrong in (b"", b"{}", b'{"region": "../x", "at_ms": 1, "properties": {}}'):
        with pytest.raises(BadRequest):
            RegionReport.decode(wrong)
