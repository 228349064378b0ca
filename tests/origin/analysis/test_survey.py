"""An inventory is listed, looked at and grouped; interrupted, changed or damaged, it goes on."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from kvsync.errors import OriginUnavailable
from origin.analysis.listing import FolderPlace, open_place
from origin.analysis.looking import Progress
from origin.analysis.place import Listed
from origin.analysis.store import Store
from origin.analysis.survey import Inventory, families_in, take_stock

COLOURS = ("red", "green", "blue", "orange", "purple")


def silent(_doing: str, _progress: Progress) -> None:
    pass


def stock(store: Store, folder: Path, customer: str = "shop") -> Inventory:
    return take_stock(store, customer, str(folder), FolderPlace(folder), 1, silent)


def drawing(shape: int, colour: str) -> Image.Image:
    """Boxes where the shape's own random numbers say, in one colour on white."""
    draw = random.Random(shape)
    image = Image.new("RGB", (96, 96), "white")
    for _ in range(4):
        x, y = draw.randrange(60), draw.randrange(60)
        box = (x, y, x + draw.randrange(12, 36), y + draw.randrange(12, 36))
        ImageDraw.Draw(image).rectangle(box, fill=colour)
    return image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A family of three mugs in five colours, and four drawings that are none."""
    root = tmp_path / "shop"
    (root / "mugs").mkdir(parents=True)
    for shape, name in enumerate(("tall", "wide", "tiny")):
        for colour in COLOURS:
            drawing(shape, colour).save(root / f"mugs/{name}-{colour}.png")
    for at in range(4):
        drawing(100 + at, COLOURS[at]).save(root / f"IMG_{at:04}.png")
    return root


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "inventory.db") as opened:
        yield opened


def test_a_family_is_found_among_others_and_told_why(store: Store, folder: Path) -> None:
    found = stock(store, folder)
    assert (found.counts.assets, found.counts.looked_at, found.duplicates) == (19, 19, 0)
    (family,) = families_in(store)
    assert family.template == "/mugs/{part1}-{part2}.png" and len(family.members) == 15
    assert "same path template" in family.why[0]


def test_what_did_not_change_is_not_looked_at_again(store: Store, folder: Path) -> None:
    stock(store, folder)
    drawing(7, "black").save(folder / "mugs/wide-red.png")
    (folder / "IMG_0000.png").unlink()
    looked: list[int] = []

    def told(doing: str, progress: Progress) -> None:
        if doing == "looking":
            looked.append(progress.total)

    found = take_stock(store, "shop", str(folder), FolderPlace(folder), 1, told)
    assert looked == [1] and found.gone == 1 and found.counts.assets == 18


class Breaking(FolderPlace):
    """A folder whose listing may break off in its first page, and that notes what it is asked."""

    breaks = True
    asked: tuple[str, ...] = ()

    def pages(self, after: str) -> Iterator[list[Listed]]:
        self.asked += (after,)
        for page in super().pages(after):
            if self.breaks:
                yield page[:5]
                raise OriginUnavailable("the connection was lost")
            yield page


def test_a_listing_that_breaks_off_goes_on_where_it_stopped(store: Store, folder: Path) -> None:
    place = Breaking(folder)
    first = take_stock(store, "shop", str(folder), place, 1, silent)
    assert first.counts.looked_at == 5 and "the connection was lost" in first.errors[0]
    place.breaks = False
    second = take_stock(store, "shop", str(folder), place, 1, silent)
    assert place.asked == ("", "mugs/tall-blue.png") and second.errors == []
    assert second.counts.assets == 19 and second.gone == 0


def test_every_step_tells_how_far_and_how_fast_it_is(store: Store, folder: Path) -> None:
    told: dict[str, Progress] = {}
    take_stock(store, "shop", str(folder), FolderPlace(folder), 1, told.__setitem__)
    assert told.keys() == {"listing", "looking"}
    for progress in told.values():
        assert progress.done == progress.total == 19 and progress.rate > 0
        assert progress.left_s == 0


def test_exact_duplicates_are_decoded_once(store: Store, folder: Path) -> None:
    shutil.copytree(folder / "mugs", folder / "again")
    found = stock(store, folder)
    assert found.duplicates == 15
    (family,) = families_in(store)
    assert len(family.members) == 30 and family.copies == 15


def test_names_are_listed_in_the_order_of_their_code_points(tmp_path: Path) -> None:
    names = ["a-b/x.png", "a.png", "a/b.png", "a/c/d.png", "a0.png", "\N{BULLET}.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    place = open_place(str(tmp_path))
    assert [one.path for page in place.pages("") for one in page] == sorted(names)
    for at, name in enumerate(sorted(names)):
        rest = [one.path for page in place.pages(name) for one in page]
        assert rest == sorted(names)[at + 1 :]
