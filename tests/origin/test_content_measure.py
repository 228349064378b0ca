"""What a family varies in is found also where only some of its combinations are at hand."""

from itertools import product

import numpy as np
import pytest
from PIL import Image

from origin.training.layouts import find_layouts
from origin.training.measure import find_content
from tests.origin.signs import PAINTS, SHAPES, picture


@pytest.mark.parametrize("seed", range(12))
def test_most_of_the_combinations_tell_what_changes_the_content(seed: int) -> None:
    every = list(product(SHAPES, PAINTS))
    shown = np.random.default_rng(seed).permutation(len(every))[4:]
    attributes = [dict(zip(("shape", "paint"), every[at], strict=True)) for at in shown]
    small = [Image.fromarray(picture(*every[at])).resize((32, 32)) for at in shown]
    thumbnails = np.stack([np.asarray(one, np.float32).reshape(-1) for one in small])
    content = find_content(thumbnails, attributes, find_layouts(thumbnails, attributes, 0), 0)
    assert content and content.by == ("shape",)
