"""A span of a continuous attribute is approved by a drawn sample, each asset for itself."""

import time

import msgspec
import pytest
from typer.testing import CliRunner, Result

from kvsync.errors import InputError
from kvsync.record import Original, PromptRecipe
from origin.cli import app
from origin.inventory import note_asset
from origin.qa import list_candidates
from origin.ranges import Span, approve_range, draw, parse_value
from origin.tables import CandidateRow
from origin.workplace import Workplace

ANGLES = range(0, 360, 10)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def turning(place: Workplace) -> Workplace:
    """A proposed candidate for each of 36 angles; the one at 50 degrees scores worst."""
    original = Original('"v1"', bytes(32), "image/jpeg", 1_000)
    with place.database.writing() as session:
        for angle in ANGLES:
            attributes = {"angle": angle, "paint": f"#{angle % 256:02x}0000"}
            path = f"/rumba/turn-{angle}.jpg"
            asset = note_asset(session, place.site, path, "chairs", attributes, original)
            recipe = PromptRecipe(b"\x01" * 32, f"{angle} degrees", 1, 96, 96)
            session.add(
                CandidateRow(
                    asset_id=asset.id,
                    original=bytes(32),
                    model=recipe.model,
                    recipe=msgspec.msgpack.encode(recipe),
                    algorithm="grid1",
                    fingerprint=b"\x01" * 100,
                    ssimulacra2=70.0 if angle == 50 else 90.0 - angle / 100,
                    delta_e=1.0,
                    psnr=40.0,
                    seeds_tried=1,
                    state="proposed",
                    made_at=int(time.time()),
                )
            )
    return place


def approved(place: Workplace) -> dict[str, CandidateRow]:
    return {one.asset.path: one for one in list_candidates(place.database, "rumba", "approved")}


def test_a_sample_is_spread_over_the_range_with_both_ends(turning: Workplace) -> None:
    span = Span((0.0,), (100.0,))
    _, sample = draw(turning.database, "rumba", "chairs", "angle", span, count=3)
    assert [one.asset.attributes["angle"] for one in sample] == [0, 50, 100]


def test_a_span_of_angles_passes_through_north(turning: Workplace) -> None:
    span = Span((340.0,), (20.0,), turns=True)
    _, sample = draw(turning.database, "rumba", "chairs", "angle", span, count=9)
    assert [one.asset.attributes["angle"] for one in sample] == [340, 350, 0, 10, 20]


def test_a_colours_span_is_a_box_of_its_channels() -> None:
    span = Span((16.0, 0.0, 0.0), (64.0, 32.0, 0.0))
    assert parse_value("#201000") in span and parse_value("#203000") not in span
    assert (
        parse_value("plum") is None and parse_value(True) is None and parse_value("7.5") == (7.5,)
    )


def test_approving_the_sample_approves_the_range_asset_by_asset(turning: Workplace) -> None:
    told = run("range", "draw", "angle", "60", "160", "--family", "chairs", "--count", "3")
    assert told.exit_code == 0 and "range 1: look at these 3" in told.output
    for angle in (60, 110, 160):
        assert run("qa", "approve", f"turn-{angle}.jpg", "--by", "Ada").exit_code == 0
    told = run("range", "approve", "1", "--by", "Ada")
    assert "8 more approved by Ada within range 1" in told.output
    found = approved(turning)
    assert set(found) == {f"/rumba/turn-{angle}.jpg" for angle in range(60, 161, 10)}
    assert found["/rumba/turn-70.jpg"].reason == "range 1 of angle"


def test_what_scores_worse_than_all_that_was_seen_is_left_to_a_person(turning: Workplace) -> None:
    run("range", "draw", "angle", "40", "60", "--family", "chairs", "--count", "2")
    run("qa", "approve", "turn-40.jpg", "turn-60.jpg", "--by", "Ada")
    assert "0 more approved" in run("range", "approve", "1", "--by", "Ada").output
    assert "/rumba/turn-50.jpg" not in approved(turning)


def test_a_range_waits_for_every_one_of_its_sample(turning: Workplace) -> None:
    run("range", "draw", "angle", "60", "160", "--family", "chairs", "--count", "3")
    run("qa", "approve", "turn-60.jpg", "--by", "Ada")
    refused = run("range", "approve", "1", "--by", "Ada")
    assert refused.exit_code == 1 and "must be approved by a person" in refused.output


def test_a_range_that_holds_nothing_or_was_never_drawn_is_refused(turning: Workplace) -> None:
    with pytest.raises(InputError, match="no proposed candidate"):
        draw(turning.database, "rumba", "chairs", "angle", Span((1.0,), (2.0,)), count=3)
    with pytest.raises(InputError, match="not drawn here"):
        approve_range(turning.database, "rumba", 7, by="Ada")
    bad = run("range", "draw", "paint", "#000000", "red", "--family", "chairs")
    assert bad.exit_code == 1 and "two colours" in bad.output
