"""What a family varies in is found also where only some of its combinations are at hand."""

import numpy as np
from PIL import Image

from origin.training.layouts import find_layouts
from origin.training.measure import find_content
from tests.origin.signs import PAINTS, SHAPES, picture


def _found(seed: int) -> bool:
    """With three paints of each shape, of the first two only two."""
    draw = np.random.default_rng(seed)
    attributes = [
        {"shape": shape, "paint": str(paint)}
        for at, shape in enumerate(SHAPES)
        for paint in draw.permutation(list(PAINTS))[2 if at < 2 else 1 :]
    ]
    pictures = [Image.fromarray(picture(one["shape"], one["paint"])) for one in attributes]
    small = np.stack([np.asarray(one.resize((32, 32)), np.float32).ravel() for one in pictures])
    content = find_content(small, attributes, find_layouts(small, attributes, 0), 0)
    return content is not None and content.by == ("shape",)


def test_two_thirds_of_the_combinations_tell_what_changes_the_content() -> None:
    assert sum(_found(seed) for seed in range(12)) >= 10
