"""The payload of a fitted recipe: inside the record, or named by digest and length."""

import hashlib

import msgspec
import pytest
from msgspec.structs import replace

from kvsync.errors import MalformedRecord, Unsupported
from kvsync.record import MAX_KEPT_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES, FittedRecipe, KeptPayload
from tests.kvsync.conftest import Trust, fields, read
from tests.kvsync.golden import example_fitted_body, example_kept_body

encode = msgspec.msgpack.encode


def test_v1_fitted_body_bytes_never_change() -> None:
    raw = encode(example_fitted_body())
    digest = hashlib.blake2b(raw, digest_size=16).hexdigest()
    assert (len(raw), digest) == (412, "83a52de1a3f0c0e68e9963a23ebc5b1c")


def test_a_fitted_recipe_carries_its_payload(trust: Trust) -> None:
    body = example_fitted_body()
    recipe = read(body.sign(trust.key), trust, body).body.recipe
    assert isinstance(recipe, FittedRecipe) and recipe == body.recipe
    assert recipe.payload == bytes([1]) + bytes(range(54))
    assert recipe.one_line().endswith(", Model hash: 00010203, Payload hash: b92668f4")


def test_v1_bytes_of_a_body_that_names_its_payload_never_change() -> None:
    raw = encode(example_kept_body())
    digest = hashlib.blake2b(raw, digest_size=16).hexdigest()
    assert (len(raw), digest) == (398, "bd3ad5257317178d543ac488b5f91e41")


def test_a_recipe_that_names_its_payload_is_read_and_has_to_be_filled(trust: Trust) -> None:
    body = example_kept_body()
    recipe = read(body.sign(trust.key), trust, body).body.recipe
    assert recipe.kept is not None and recipe.kept.size == 4_096
    assert recipe.one_line().endswith(f"Payload hash: {recipe.kept.digest.hex()[:8]}")
    with pytest.raises(MalformedRecord, match="named, and not here"):
        _ = recipe.carried


def test_there_is_one_form_for_each_payload(trust: Trust) -> None:
    body = example_fitted_body()
    full = b"p" * MAX_PAYLOAD_BYTES
    assert body.recipe.with_payload(full).as_signed().carried == full
    assert body.recipe.with_payload(full + b"p").as_signed().kept is not None
    short = KeptPayload(bytes(32), MAX_PAYLOAD_BYTES)
    huge = KeptPayload(bytes(32), MAX_KEPT_PAYLOAD_BYTES + 1)
    for payload in (b"", full + b"p", short, huge):
        with pytest.raises(MalformedRecord):
            replace(body, recipe=body.recipe.with_payload(payload)).sign(trust.key)


@pytest.mark.parametrize("form", ["far", "", "kept2"])
def test_a_payload_of_an_unknown_form_is_unsupported(trust: Trust, form: str) -> None:
    body = example_kept_body()
    later = msgspec.msgpack.decode(encode(body))
    later[5][9] = [form, "anything"]
    with pytest.raises(Unsupported, match="payload"):
        read(trust.key.sign(encode(later)), trust, body)
    for broken in ([], [1], None, "text"):
        later[5][9] = broken
        with pytest.raises(MalformedRecord):
            read(trust.key.sign(encode(later)), trust, body)


def test_a_payload_of_1_kb_makes_a_record_of_at_most_1500_bytes(trust: Trust) -> None:
    body = example_fitted_body()
    full = replace(body, recipe=body.recipe.with_payload(bytes(1_024)))
    assert len(full.sign(trust.key)) <= 1_500


@pytest.mark.parametrize("size", [0, MAX_PAYLOAD_BYTES + 1])
def test_a_payload_is_1_byte_to_2_kb(trust: Trust, size: int) -> None:
    body = example_fitted_body()
    with pytest.raises(MalformedRecord):
        replace(body, recipe=body.recipe.with_payload(bytes(size))).sign(trust.key)


def test_a_fitted_recipe_may_have_fields_of_later_versions(trust: Trust) -> None:
    body = example_fitted_body()
    later = fields(body)
    recipe = later[5]
    assert isinstance(recipe, list)
    recipe.append({"new": 1})
    assert read(trust.key.sign(encode(later)), trust, body).body == body
