"""The fingerprint bench's question of seeds: where another seed shows, it is refused."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.fingerprint import Cases, other_seeds
from origin.gallery import read_gallery
from origin.training import train
from regional_gpu.generator.load import load

SIDE = 96


def lit_gallery(folder: Path, *, light: float) -> Path:
    """Squares in four inks on four papers, each shot lit from a side of its own by ``light``."""
    draw, assets = np.random.default_rng(1), []
    across = np.linspace(-0.5, 0.5, SIDE)[:, None]
    inks, papers = ("red", "blue", "black", "green"), ("white", "grey", "tan", "pink")
    for ink, paper in product(inks, papers):
        picture = Image.new("RGB", (SIDE, SIDE), paper)
        picture.paste(ink, (24, 24, 72, 72))
        lit = np.asarray(picture) * (0.8 + light * draw.standard_normal() * across)
        file = f"{ink}-{paper}.png"
        Image.fromarray(lit.clip(0, 255).astype(np.uint8)).save(folder / file)
        assets.append({"file": file, "attributes": {"ink": ink, "paper": paper}, "bytes": 1})
    (folder / "manifest.json").write_text(json.dumps({"family": "lit", "assets": assets}))
    return folder


@pytest.mark.slow
def test_another_seed_is_refused_where_it_shows(tmp_path: Path) -> None:
    gallery = read_gallery(lit_gallery(tmp_path, light=0.1))
    report = train(gallery, tmp_path / "model", progress=lambda doing, share: None)
    assert report.seeded
    cases: Cases = {}
    other_seeds(load(tmp_path / "model"), gallery, cases, full=False)
    found = cases["another seed, where it shows"]
    assert found.accepted == 0 and min(found.distances) > 2
