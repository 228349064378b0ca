"""What a sample shows of a family, what is foretold from it, and what speaks against it."""

import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from bench._grouping import described
from origin.analysis.demand import Monthly
from origin.analysis.families import Family, find_families
from origin.analysis.forecast import left_out, recall_error, recall_of, trained_families
from origin.analysis.hits import Hit, Market, hit_of
from origin.analysis.listing import FolderPlace
from origin.analysis.sampling import in_words, sample
from origin.economics.price_book import preset

# Eileen Collins, by NASA: in the public domain.
PERSON = Path(__file__).with_name("person.jpg")
DAY = datetime.date(2026, 11, 21)
SHAPES = ("cup", "hat", "pen")
HUES = ("red", "green", "blue", "purple")


def written(folder: Path, text: str = "", artist: str = "") -> Path:
    """Three shapes in four colours, with a line of text or a copyright if any is given."""
    folder.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if artist:
        exif[0x8298] = artist
    for at, shape in enumerate(SHAPES):
        for hue in HUES:
            image = Image.new("RGB", (256, 256), "white")
            pen = ImageDraw.Draw(image)
            pen.rectangle((30 + 30 * at, 90, 130 + 30 * at, 200 - 20 * at), fill=hue)
            pen.ellipse((60, 120 + 10 * at, 200, 160), outline=hue, width=6)
            pen.text((16, 20), text, fill="black", font=ImageFont.load_default(22))
            image.save(folder / f"{shape}-{hue}.jpg", quality=92, exif=exif)
    return folder


def family_in(folder: Path) -> Family:
    (family,) = find_families(described(folder))
    return family


def hit(folder: Path, traffic: list[Monthly], book: str = "seed") -> Hit:
    return hit_of(family_in(folder), FolderPlace(folder), traffic, Market(preset(book), DAY))


def traffic(misses: float) -> list[Monthly]:
    return [Monthly("asia", misses, misses, 50_000 * misses)]


def test_a_sample_says_what_moves(tmp_path: Path) -> None:
    folder = written(tmp_path / "shop")
    found = sample(family_in(folder), FolderPlace(folder))
    assert found is not None and 0.5 < found.stays < 1 and found.varies > 50
    assert "of pixels stay; the rest change colour" in in_words(found)
    assert found.text == 0 and found.copyright == ""


def test_text_and_copyright_are_signs_against_it(tmp_path: Path) -> None:
    folder = written(tmp_path / "shop", text="SUMMER SALE TODAY", artist="Some Agency")
    against = " ".join(hit(folder, traffic(1e6)).why_not)
    assert "bear text" in against and "'Some Agency'" in against


def test_faces_are_found_and_told(tmp_path: Path) -> None:
    assert not any("people" in line for line in hit(written(tmp_path / "things"), []).why_not)
    folder = tmp_path / "shop"
    folder.mkdir()
    with Image.open(PERSON) as person:
        for lace in ("red", "green"):
            for sole in HUES:
                ImageDraw.Draw(person).rectangle((0, 120, 40, 160), fill=lace)
                ImageDraw.Draw(person).rectangle((120, 120, 160, 160), fill=sole)
                person.save(folder / f"cap-{lace}-{sole}.jpg", quality=92)
    assert any("a face in 100%" in line for line in hit(folder, []).why_not)


def test_too_few_misses_are_told(tmp_path: Path) -> None:
    folder = written(tmp_path / "shop")
    few, many = hit(folder, traffic(0.1)), hit(folder, traffic(1e7))
    assert few.saving is not None and many.saving is not None and few.saving < many.saving
    assert any("too few misses" in line for line in few.why_not)
    assert not any("too few misses" in line for line in many.why_not)


def test_free_traffic_and_unknown_traffic_are_told(tmp_path: Path) -> None:
    folder = written(tmp_path / "shop")
    assert any("free" in line for line in hit(folder, traffic(1e6), "s3-cloudfront").why_not)
    unknown = hit(folder, [])
    assert unknown.saving is None and any("no log" in line for line in unknown.why_not)


def test_one_picture_in_several_codings_needs_no_generator(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    image = Image.open(written(tmp_path / "other") / "cup-red.jpg")
    for quality in (60, 70, 80, 90, 95):
        image.save(folder / f"{quality * 7919:09}.jpg", quality=quality)
    assert any("several codings" in line for line in hit(folder, []).why_not)


def test_a_family_like_trained_ones_is_foretold_as_they_were() -> None:
    known = trained_families()
    # Three hands' drawings of the same trades came out differently, and nothing tells before.
    told_apart = [one for one in known if not one.family.startswith("trades")]
    for one in told_apart:
        assert abs(recall_of(one, known) - one.recall) < 0.1
    assert 0 < recall_error(told_apart) < 0.2 and recall_error(known) < 0.2
    assert recall_error(known) == pytest.approx(
        np.mean([abs(one.recall - foretold) for one, foretold in left_out(known)])
    )
