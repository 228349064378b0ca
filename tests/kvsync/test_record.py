"""The record and the tombstone: what is accepted, and every way to be refused."""

import hashlib
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from kvsync.errors import (
    BadSignature,
    ExpiredRecord,
    KeyNotAllowed,
    MalformedRecord,
    RecordError,
    RevokedRecord,
    Unsupported,
    WrongAsset,
)
from kvsync.record import (
    MAX_SIGNED_BYTES,
    Check,
    Record,
    RecordBody,
    Tombstone,
)
from kvsync.signing import Envelope, Keyring, SigningKey
from tests.kvsync.conftest import Trust, fields, read
from tests.kvsync.golden import NOW

encode = msgspec.msgpack.encode


def test_v1_body_bytes_never_change(body: RecordBody) -> None:
    digest = hashlib.blake2b(encode(body), digest_size=16).hexdigest()
    assert (len(encode(body)), digest) == (386, "9b98c16732ffca2336990aab0c8e1c6b")


def test_what_was_signed_is_what_is_read(body: RecordBody, trust: Trust) -> None:
    signed = body.sign(trust.key)
    record = read(signed, trust, body)
    assert record.body == body and record.signed == signed
    assert record.digest == hashlib.blake2b(encode(body), digest_size=16).digest()


def test_a_prompt_record_with_its_signature_takes_at_most_512_bytes(
    body: RecordBody, trust: Trust
) -> None:
    longest = replace(
        body,
        seq=65_535,
        recipe=replace(body.recipe, prompt="p" * 96, seed=2**32 - 1),
    )
    assert len(body.sign(trust.key)) == 466
    assert len(longest.sign(trust.key)) == 511


def test_a_record_is_written_in_the_communitys_one_line(body: RecordBody) -> None:
    assert body.recipe.one_line() == (
        "rumba shoe, red laces, white sole, three-quarter view, Steps: 4, Sampler: Euler, "
        "CFG scale: 1, Seed: 1985738629, Size: 768x768, Model hash: 00010203"
    )


def test_a_longer_prompt_makes_a_longer_record_up_to_4_kb(body: RecordBody, trust: Trust) -> None:
    long = replace(body, recipe=replace(body.recipe, prompt="p" * 3_600))
    assert len(read(long.sign(trust.key), trust, body).body.recipe.prompt) == 3_600
    with pytest.raises(MalformedRecord, match="shorten the prompt"):
        replace(body, recipe=replace(body.recipe, prompt="p" * 4_000)).sign(trust.key)


def test_a_changed_body_is_refused(body: RecordBody, trust: Trust) -> None:
    envelope = Envelope.parse(body.sign(trust.key))
    forged = envelope.body.replace(b"red laces", b"tan laces")
    with pytest.raises(BadSignature):
        read(encode(replace(envelope, body=forged)), trust, body)


def test_a_strangers_signature_is_refused(body: RecordBody, trust: Trust) -> None:
    with pytest.raises(KeyNotAllowed):
        read(body.sign(SigningKey.generate()), trust, body)


def test_a_strangers_signature_under_a_known_key_id_is_refused(
    body: RecordBody, trust: Trust
) -> None:
    envelope = Envelope.parse(body.sign(SigningKey.generate()))
    with pytest.raises(BadSignature):
        read(encode(replace(envelope, key_id=trust.key.key_id)), trust, body)


def test_a_key_of_another_property_is_refused(body: RecordBody, trust: Trust) -> None:
    ring = Keyring((trust.key.trusted_for(["other"]),))
    with pytest.raises(KeyNotAllowed, match="'shop'"):
        Record.from_signed(body.sign(trust.key), ring, key=body.key, property="shop", now=NOW)


def test_a_record_under_another_key_is_refused(body: RecordBody, trust: Trust) -> None:
    signed = replace(body, key=bytes(16)).sign(trust.key)
    with pytest.raises(WrongAsset):
        read(signed, trust, body)


def test_a_record_of_another_property_is_refused_though_its_key_may_sign_both(
    body: RecordBody, trust: Trust
) -> None:
    both = Trust(trust.key, Keyring((trust.key.trusted_for(["shop", "other"]),)))
    with pytest.raises(WrongAsset):
        read(replace(body, property="other").sign(trust.key), both, body)


def test_a_record_ends_at_its_not_after(body: RecordBody, trust: Trust) -> None:
    assert read(replace(body, not_after=NOW + 1).sign(trust.key), trust, body)
    with pytest.raises(ExpiredRecord):
        read(replace(body, not_after=NOW).sign(trust.key), trust, body)


def test_a_tombstone_revokes_its_sequence_and_all_before(body: RecordBody, trust: Trust) -> None:
    signed = body.sign(trust.key)
    assert read(signed, trust, body, buried_seq=body.seq - 1)
    for buried_seq in (body.seq, body.seq + 1):
        with pytest.raises(RevokedRecord):
            read(signed, trust, body, buried_seq=buried_seq)


def test_trailing_fields_of_a_later_version_are_ignored(body: RecordBody, trust: Trust) -> None:
    later = fields(body)
    for field in later:
        if isinstance(field, list):
            field.append("new")
    checks = later[6]
    assert isinstance(checks, list)
    checks.remove("new")
    checks[0].append({"new": 1})
    later += [None, {"new": [1]}]
    assert read(trust.key.sign(encode(later)), trust, body).body == body


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, "video"),
        (5, ["codebook", b"indices"]),
        (6, [[0, "grid2", {"cells": 9}]]),
        (6, [[0, "grid1", b"x"], [0, "wavelet1", b"y"]]),
    ],
)
def test_what_a_later_version_knows_is_unsupported_not_broken(
    body: RecordBody, trust: Trust, place: int, value: object
) -> None:
    later = fields(body)
    later[place] = value
    with pytest.raises(Unsupported):
        read(trust.key.sign(encode(later)), trust, body)


def damaged_bodies() -> list[tuple[str, list[int], object]]:
    recipe, check, original, approval = [5], [6, 0], [7], [8]
    return [
        ("key too short", [1], b"short"),
        ("key of text", [1], "k" * 16),
        ("property with a slash", [2], "a/b"),
        ("property with a line end", [2], "shop\n"),
        ("family with a comma", [3], "rumba,all"),
        ("family with a line end", [3], "rumba\r\nSet-Cookie: a"),
        ("negative sequence", [4], -1),
        ("sequence beyond 63 bits", [4], 2**63),
        ("sequence that is a truth value", [4], True),
        ("short model digest", [*recipe, 1], bytes(31)),
        ("prompt of bytes", [*recipe, 2], b"red"),
        ("negative seed", [*recipe, 3], -1),
        ("no width", [*recipe, 4], 0),
        ("a picture of gigapixels", [*recipe, 5], 1 << 20),
        ("no steps", [*recipe, 6], 0),
        ("a guidance that is no number", [*recipe, 8], math.nan),
        ("an infinite guidance", [*recipe, 8], math.inf),
        ("no checks", [6], []),
        ("empty check", [*check], []),
        ("a second unit", [*check, 0], 1),
        ("empty fingerprint", [*check, 2], b""),
        ("fingerprint of a kilobyte and more", [*check, 2], bytes(1_025)),
        ("validator with a line end", [*original, 0], '"a"\n'),
        ("long content digest", [*original, 1], bytes(33)),
        ("media type that is none", [*original, 2], "image/jpeg\r\nX: y"),
        ("negative length", [*original, 3], -1),
        ("approver of another length", [*approval, 0], b""),
        ("score that is no number", [*approval, 2], math.nan),
        ("infinite difference", [*approval, 3], math.inf),
        ("endless validity", [9], 2**64 - 1),
        ("kind of bytes", [0], b"still"),
        ("recipe of text", [5], "prompt"),
        ("checks of text", [6], "grid1"),
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [case[1:] for case in damaged_bodies()],
    ids=[case[0] for case in damaged_bodies()],
)
def test_a_signed_body_out_of_bounds_is_malformed(
    body: RecordBody, trust: Trust, path: list[int], value: object
) -> None:
    damaged = place = fields(body)
    for step in path[:-1]:
        inner = place[step]
        assert isinstance(inner, list)
        place = inner
    place[path[-1]] = value
    with pytest.raises(MalformedRecord):
        read(trust.key.sign(encode(damaged)), trust, body)


def test_nobody_signs_what_nobody_would_accept(body: RecordBody, trust: Trust) -> None:
    with pytest.raises(MalformedRecord):
        replace(body, checks=()).sign(trust.key)
    with pytest.raises(MalformedRecord):
        replace(body, key=b"short").sign(trust.key)
    with pytest.raises(Unsupported):
        replace(body, checks=(Check(0, "other", b"x"),)).sign(trust.key)


@pytest.mark.parametrize(
    "signed",
    [
        b"",
        b"\xc0",
        b"{}",
        b"\x91" * 4_000,
        b"\x93\xc4\x01a\xc4\x01a",
        b"\x94\xc4\x01a\xc4\x01a\xc4\x01a" + b"\x91" * 4_000 + b"\x90",
        b"\x93\xa1\xff\xa1\xff\xa1\xff",
        bytes(MAX_SIGNED_BYTES + 1),
    ],
)
def test_what_is_no_envelope_is_malformed(body: RecordBody, trust: Trust, signed: bytes) -> None:
    with pytest.raises(MalformedRecord):
        read(signed, trust, body)
    with pytest.raises(MalformedRecord):
        Tombstone.from_signed(signed, trust.ring, key=body.key, property="shop")


@pytest.mark.parametrize("raw", [b"", b"\x90", b"\xa1\xff", b"\x91\xa1\xff", b"\x91" * 2_000])
def test_a_signed_body_that_cannot_be_read_is_malformed(
    body: RecordBody, trust: Trust, raw: bytes
) -> None:
    with pytest.raises(MalformedRecord):
        read(trust.key.sign(raw), trust, body)


@given(cut=st.integers(0, 600))
def test_a_truncated_record_is_only_ever_refused(body: RecordBody, trust: Trust, cut: int) -> None:
    signed = body.sign(trust.key)
    with pytest.raises(RecordError):
        read(signed[: cut % len(signed)], trust, body)


@given(bit=st.integers(0))
def test_a_flipped_bit_is_only_ever_refused(body: RecordBody, trust: Trust, bit: int) -> None:
    signed = bytearray(body.sign(trust.key))
    place = bit % (len(signed) * 8)
    signed[place // 8] ^= 1 << place % 8
    with pytest.raises(RecordError):
        read(bytes(signed), trust, body)


@given(raw=st.binary(max_size=200))
def test_noise_is_only_ever_refused(body: RecordBody, trust: Trust, raw: bytes) -> None:
    for signed in (raw, trust.key.sign(raw)):
        with pytest.raises(RecordError):
            read(signed, trust, body)
        with pytest.raises(RecordError):
            Tombstone.from_signed(signed, trust.ring, key=body.key, property="shop")


@given(
    place=st.integers(0, 9),
    value=st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=60)
    | st.binary(max_size=40)
    | st.lists(st.integers(-5, 2**40) | st.lists(st.text(max_size=4), max_size=3), max_size=4),
)
def test_a_field_of_any_other_type_is_refused_or_kept_in_bounds(
    body: RecordBody, trust: Trust, place: int, value: object
) -> None:
    changed = fields(body)
    changed[place] = value
    try:
        record = read(trust.key.sign(encode(changed)), trust, body)
    except RecordError:
        return
    assert fields(record.body)[place] == value


def test_a_tombstone_is_read_as_signed(body: RecordBody, trust: Trust) -> None:
    tombstone = Tombstone("tombstone", body.key, "shop", 9)
    signed = tombstone.sign(trust.key)
    found = Tombstone.from_signed(signed, trust.ring, key=body.key, property="shop")
    assert asdict(found) == asdict(tombstone)


def test_a_tombstone_of_another_asset_or_signer_is_refused(body: RecordBody, trust: Trust) -> None:
    signed = Tombstone("tombstone", bytes(16), "shop", 9).sign(trust.key)
    with pytest.raises(WrongAsset):
        Tombstone.from_signed(signed, trust.ring, key=body.key, property="shop")
    with pytest.raises(KeyNotAllowed):
        Tombstone.from_signed(signed, Keyring(()), key=bytes(16), property="shop")


def test_one_kind_of_signed_body_never_passes_for_another(body: RecordBody, trust: Trust) -> None:
    tombstone = Tombstone("tombstone", body.key, "shop", 9).sign(trust.key)
    with pytest.raises(RecordError):
        read(tombstone, trust, body)
    with pytest.raises(MalformedRecord):
        Tombstone.from_signed(body.sign(trust.key), trust.ring, key=body.key, property="shop")
    renamed = Tombstone("still", body.key, "shop", 9).sign(trust.key)
    with pytest.raises(MalformedRecord):
        Tombstone.from_signed(renamed, trust.ring, key=body.key, property="shop")


@pytest.mark.parametrize("seq", [-1, 2**63])
def test_a_tombstone_has_a_sequence_in_bounds(body: RecordBody, trust: Trust, seq: int) -> None:
    signed = Tombstone("tombstone", body.key, "shop", seq).sign(trust.key)
    with pytest.raises(MalformedRecord):
        Tombstone.from_signed(signed, trust.ring, key=body.key, property="shop")
