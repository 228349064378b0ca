"""Payloads too large for a record, and models: in a bucket that is a folder or on a real S3."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest

from kvsync.claims import claims_of
from kvsync.errors import MalformedRecord
from kvsync.log import Bury, Put
from kvsync.record import MAX_KEPT_PAYLOAD_BYTES, FittedRecipe, KeptPayload
from origin.approved import Approved
from origin.model_store import ModelNotFound
from origin.payload_store import PayloadNotFound
from origin.publish import Publisher
from origin.qa import export_approved, import_approved, newest_approved, recipe_of
from origin.revoke import withdraw_changed
from origin.service import create_app
from origin.sync import truth
from origin.sync.confirm import last_given
from origin.workplace import Workplace, open_workplace
from regional_gpu.generator.load import Job
from regional_gpu.generator.model_folder import describe

ApproveAll = Callable[[], list[Approved]]
LARGE = b"pose" * 1_000
NAME = KeptPayload.of(LARGE)


@pytest.fixture(params=["folder", "s3"])
def place(
    request: pytest.FixtureRequest,
    environment: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Workplace]:
    if request.param == "s3":
        url, root = request.getfixturevalue("s3_server")
        request.getfixturevalue("s3_credentials")
        prefix = f"{tmp_path.parent.name}-{tmp_path.name}"
        (root / prefix).mkdir()
        monkeypatch.setenv("ORIGIN_S3_ENDPOINT", url)
        monkeypatch.setenv("ORIGIN_MODELS", f"s3://bucket/{prefix}/models")
        monkeypatch.setenv("ORIGIN_MODELS_FETCHED", str(tmp_path / "fetched"))
    with open_workplace("rumba") as opened:
        yield opened


def approve(place: Workplace, approve_all: ApproveAll, payload: bytes = LARGE) -> None:
    """Approve every picture; the recipes of those in red name a payload."""
    entries = [
        msgspec.structs.replace(
            one, recipe=msgspec.structs.replace(one.recipe, method="fitted", payload=payload)
        )
        for one in approve_all()
        if "red" in one.path
    ]
    late = [msgspec.structs.replace(one, approved_at=one.approved_at + 1) for one in entries]
    import_approved(place.database, place.site, late)


def publish(place: Workplace) -> None:
    done = Publisher(place.site, place.database, place.models, place.key).publish()
    assert len(done.signed) == 4 and not done.refused


def in_bucket(place: Workplace) -> set[str]:
    return place.models.bucket.names("payloads/rumba")


def test_a_large_payload_is_named_in_the_record_and_kept_in_the_bucket(
    place: Workplace, approve_all: ApproveAll
) -> None:
    approve(place, approve_all)
    publish(place)
    end = last_given(place.database, "rumba")
    signed = [one.signed for one in truth.in_force(place.database, "rumba", end)]
    assert max(map(len, signed)) < 1_000
    assert [claims_of(one).payload for one in signed].count(NAME) == 2
    assert in_bucket(place) == {NAME.digest.hex()}
    assert place.models.payloads.read("rumba", NAME.digest.hex()) == LARGE
    for name in ("", "manifest", "../../model", NAME.digest.hex()[:-1] + "/", "0" * 64):
        with pytest.raises(PayloadNotFound):
            place.models.payloads.read("rumba", name)


def test_a_candidate_keeps_all_that_it_takes_to_generate_it(
    place: Workplace, approve_all: ApproveAll
) -> None:
    approve(place, approve_all)
    red = [one for one in newest_approved(place.database, "rumba") if "red" in one.asset.path]
    assert [Job.of(recipe_of(one)).payload for one in red] == [LARGE, LARGE]
    assert all(len(one.recipe) < 200 for one in red)
    lines = [one.recipe for one in export_approved(place.database, "rumba")]
    assert sum(line.payload == LARGE for line in lines) == 2
    import_approved(place.database, place.site, export_approved(place.database, "rumba"))
    assert len(newest_approved(place.database, "rumba")) == 4


def test_a_payload_stays_while_a_record_names_it(place: Workplace, approve_all: ApproveAll) -> None:
    approve(place, approve_all)
    publish(place)
    payloads = place.models.payloads
    assert payloads.drop_unused("rumba") == 0 and len(in_bucket(place)) == 1
    for path in ("red-white.jpg", "red-grey.jpg"):
        place.site.dam.put(path, b"another original")
        withdraw_changed(place.database, place.site, place.key, by="Ada")
        end = last_given(place.database, "rumba")
        buried = [one for one in truth.in_force(place.database, "rumba", end)]
        named = [claims_of(one.signed).payload for one in buried if isinstance(one, Put)]
        assert any(isinstance(one, Bury) for one in buried)
        assert payloads.drop_unused("rumba") == (0 if NAME in named else 1)
    assert in_bucket(place) == set()


def test_what_is_published_while_the_unused_are_looked_for_is_there_afterwards(
    place: Workplace, approve_all: ApproveAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(place, approve_all)
    place.models.payloads.keep("rumba", [LARGE])
    looked = truth.canaries

    def publishing(*asked: object) -> list[object]:
        publish(place)
        return looked(*asked)  # type: ignore[arg-type,return-value]

    monkeypatch.setattr(truth, "canaries", publishing)
    assert place.models.payloads.drop_unused("rumba") == 0
    assert in_bucket(place) == {NAME.digest.hex()}


def test_a_payload_beyond_all_bounds_is_no_candidate(
    place: Workplace, approve_all: ApproveAll
) -> None:
    with pytest.raises(MalformedRecord, match="bytes, more than"):
        approve(place, approve_all, bytes(MAX_KEPT_PAYLOAD_BYTES + 1))


def test_a_small_payload_lies_inside(place: Workplace, approve_all: ApproveAll) -> None:
    approve(place, approve_all, b"small")
    publish(place)
    assert in_bucket(place) == set()
    recipes = [recipe_of(one) for one in newest_approved(place.database, "rumba")]
    assert sum(isinstance(one, FittedRecipe) and one.carried == b"small" for one in recipes) == 2


def test_a_model_is_kept_loaded_and_removed(place: Workplace, model: Path) -> None:
    digest = Publisher(place.site, place.database, place.models, place.key).add_model(
        model, "squares"
    )
    assert place.models.holds(digest, place.key)
    assert describe(place.models.folder_of(digest)).digest == digest
    opened = place.models.open(digest.hex(), "decoder/weights.safetensors")
    assert b"".join(opened.pieces) == (model / "decoder" / "weights.safetensors").read_bytes()
    place.models.bucket.remove(digest.hex(), {"decoder/weights.safetensors"})
    assert not place.models.holds(digest, place.key)
    with pytest.raises(ModelNotFound, match="lost its file"):
        place.models.open(digest.hex(), "decoder/weights.safetensors")
    place.models.remove(digest)
    assert place.models.bucket.names(digest.hex()) == set()


async def test_regions_fetch_both_over_http(
    place: Workplace, approve_all: ApproveAll, model: Path
) -> None:
    approve(place, approve_all)
    publish(place)
    digest = describe(model).digest.hex()
    transport = httpx2.ASGITransport(create_app(place.settings))
    async with httpx2.AsyncClient(transport=transport, base_url="http://origin") as client:
        answer = await client.get(f"/v1/payloads/rumba/{NAME.digest.hex()}")
        assert answer.content == LARGE
        assert (await client.get(f"/v1/payloads/other/{NAME.digest.hex()}")).status_code == 404
        file = await client.get(f"/v1/models/{digest}/decoder/weights.safetensors")
        assert file.content == (model / "decoder" / "weights.safetensors").read_bytes()
        assert file.headers["content-length"] == str(len(file.content))
