"""Pictures on disk, and originals decoded apart."""

import datetime
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvsync.errors import InputError
from origin.console.decoding import Decoding
from origin.console.desk import Desk
from origin.console.pictures import Pictures, name_of, open_pictures
from origin.console.queue import Wanted, page_of
from origin.console.tables import Role
from origin.ledger.own_work import THE_ORIGIN
from origin.ledger.reading import Reader, Row
from origin.ledger.spans import Period
from origin.ledger.tables import DAY_S
from origin.qa import recipe_of
from tests.origin.console.visitor import Visitor


def test_the_oldest_pictures_go_when_the_folder_is_full(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, 1_000)
    for number in range(12):
        pictures.keep(f"{number}", bytes(100))
    assert pictures.find("0") is None and pictures.find("11") == bytes(100)
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) <= 1_000


def test_the_worker_leaves_thumbnails_so_that_the_queue_draws_none(
    drawn: Desk, logged_in: Callable[[Role], Visitor]
) -> None:
    (first, *_) = page_of(drawn, Wanted("rumba"), 1).rows
    kept = open_pictures(drawn.settings).find(name_of("thumb", first.model, recipe_of(first)))
    shown = logged_in("viewer").get(f"/candidates/{first.id}/thumb.webp")
    assert kept is not None and shown.content == kept
    assert len(kept) < 20_000 and Image.open(BytesIO(kept)).size == (256, 256)


def test_an_original_is_decoded_in_another_process_whose_faults_are_told() -> None:
    pixels = np.full((40, 30, 3), 200, np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    with Decoding() as decoding:
        assert (decoding.decode(out.getvalue(), "one.png") == pixels).all()
        with pytest.raises(InputError, match=r"two\.png is not a JPEG"):
            decoding.decode(b"GIF89a", "two.png")
        assert decoding.decode(out.getvalue(), "three.png").shape == (40, 30, 3)


def test_what_is_drawn_for_a_look_is_a_cost_in_the_ledger_and_once(
    drawn: Desk, logged_in: Callable[[Role], Visitor]
) -> None:
    (first, *_) = page_of(drawn, Wanted("rumba"), 1).rows
    now = int(time.time())
    day = Period(now - DAY_S, now + DAY_S, datetime.date(2026, 11, 21))
    before = _drawn_for_qa(drawn, day)
    for kept in (drawn.settings.folder / "pictures").iterdir():
        kept.unlink()  # another test may have looked before
    viewer = logged_in("viewer")
    for kind in ("generated", "original", "generated"):
        shown = viewer.get(f"/candidates/{first.id}/{kind}.webp")
        assert shown.status_code == 200, shown.text
    after = _drawn_for_qa(drawn, day)
    assert after["images"] == before["images"] + 1
    assert after["generate_s"] > before["generate_s"]


def _drawn_for_qa(desk: Desk, day: Period) -> Row:
    labels = ("region", "property", "family", "purpose")
    (row,) = Reader(desk.database).work(labels, day)
    assert row.labels == (THE_ORIGIN, "rumba", "rumba", "qa")
    return row
