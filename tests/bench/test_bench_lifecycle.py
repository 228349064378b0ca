"""What of a gallery is live before an upload, and what is uploaded."""

from pathlib import Path

import httpx2
import pytest

from bench.lifecycle import outcome, split
from kvsync.errors import InputError


def test_one_value_of_an_attribute_is_uploaded_and_the_others_are_live(cars: Path) -> None:
    upload = split(cars, "paint", "teal", None)
    assert sorted(upload.fresh) == ["teal-black.jpg", "teal-cream.jpg"]
    assert len(upload.live) == 6 and not set(upload.live) & set(upload.fresh)


def test_without_a_name_it_is_the_attributes_last_value(cars: Path) -> None:
    assert split(cars, "seat", "", None).value == "plum"


def test_a_short_walk_keeps_so_many_of_the_other_values(cars: Path) -> None:
    upload = split(cars, "paint", "red", 2)
    assert sorted(upload.live) == ["sand-black.jpg", "sand-cream.jpg", "teal-black.jpg"] + [
        "teal-cream.jpg"
    ]


@pytest.mark.parametrize(("attribute", "value"), [("wheel", ""), ("paint", "mauve")])
def test_an_attribute_or_value_that_the_gallery_lacks_is_refused(
    cars: Path, attribute: str, value: str
) -> None:
    with pytest.raises(InputError, match="beside two others"):
        split(cars, attribute, value, None)


@pytest.mark.parametrize("how", ["fwd=uri-miss; stored", "hit; ttl=86399"])
def test_an_answer_is_named_by_how_its_body_was_made(how: str) -> None:
    status = f"edge-1; {how}; detail=rehydrated"
    assert outcome(httpx2.Response(200, headers={"cache-status": status})) == "rehydrated"
