"""What pictures show, found in their pixels alone: parts that change colour by themselves.

Pixels that change together, picture by picture, are one part. Where such a part takes few
colours again and again, they are the values of an attribute.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from regional_gpu.generator.colour import lab

Floats = NDArray[np.float32]
Labels = NDArray[np.intp]

# 8-bit levels by which a pixel must vary (standard deviation) to belong to a part.
VARIES: Final = 8.0
MOST_PARTS: Final = 4
MOST_ARRANGEMENTS: Final = 8
# Mean distance to the own cluster over that to the nearest other, from which clusters are real.
CLEAR_CUT: Final = 0.5
SAME_COLOUR_DELTA_E: Final = 8.0
ROUNDS: Final = 30


def arrangements(thumbnails: Floats) -> Labels:
    """Which pictures show things in the same places, (pictures,); ``thumbnails`` is
    (pictures, side, side, 3). All 0 where no clear groups are seen."""
    light = thumbnails.mean(axis=-1)
    edges = np.stack(np.gradient(light, axis=(1, 2)), axis=-1)
    # Where an edge is counts, not how strong its colours make it.
    strength = np.sqrt(np.abs(edges)).reshape(len(light), -1)
    strength /= np.linalg.norm(strength, axis=1, keepdims=True) + 1e-6
    best, found = CLEAR_CUT, np.zeros(len(light), np.intp)
    for count in range(2, min(MOST_ARRANGEMENTS, len(light) // 4) + 1):
        labels, centres = _clusters(strength, count)
        blur = _blur(strength, labels, centres)
        if np.bincount(labels, minlength=count).min() >= 4 and blur < best:
            best, found = blur, labels
    return found


def coloured_parts(thumbnails: Floats) -> list[dict[str, str]] | None:
    """For pictures in one arrangement, the colour of each part as ``#rrggbb``.

    None when no part takes few colours again and again.
    """
    pictures = thumbnails.reshape(len(thumbnails), -1, 3)
    varying = pictures.std(axis=0).max(axis=-1) > VARIES
    if varying.sum() < MOST_PARTS:
        return None
    changes = pictures[:, varying] - pictures[:, varying].mean(axis=0)
    series = changes.transpose(1, 0, 2).reshape(changes.shape[1], -1)
    series = series / np.linalg.norm(series, axis=1, keepdims=True)
    trials = []
    for count in range(1, MOST_PARTS + 1):
        labels, _ = _clusters(series, count)
        parts = [_colours(pictures[:, varying][:, labels == part]) for part in range(count)]
        if all(2 <= len(set(colours)) <= len(pictures) / 2 for colours in parts):
            trials.append((_left_over(changes, parts), parts))
    if not trials:
        return None
    # More values always explain more: take the fewest that do nearly as well as the best.
    enough = _nearly(changes, min(error for error, _ in trials))
    good = [parts for error, parts in trials if error <= enough]
    parts = _needed(changes, min(good, key=lambda parts: sum(len(set(part)) for part in parts)))
    return [
        {f"part{at}": colours[picture] for at, colours in enumerate(parts, 1)}
        for picture in range(len(pictures))
    ]


def _needed(changes: Floats, parts: list[list[str]]) -> list[list[str]]:
    """``parts`` less those whose colours follow from the others'."""
    for part in sorted(parts, key=lambda part: len(set(part))):
        others = [other for other in parts if other is not part]
        enough = _nearly(changes, _left_over(changes, parts))
        if others and _left_over(changes, others) <= enough:
            return _needed(changes, others)
    return parts


def _nearly(changes: Floats, error: float) -> float:
    """An error that is as good as ``error``: a quarter more, or next to nothing."""
    return max(1.25 * error, 0.002 * float(np.square(changes).sum()) / len(changes))


def _colours(pixels: Floats) -> list[str]:
    """The named colour of a part in each picture, from its pixels, (pictures, pixels, 3)."""
    means = np.rint(pixels.mean(axis=1)).astype(np.uint8)
    places = lab(means)
    groups: list[list[int]] = []
    for at in range(len(places)):
        near = [group for group in groups if _reach(places, group, at) < SAME_COLOUR_DELTA_E]
        if near:
            min(near, key=lambda group: _reach(places, group, at)).append(at)
        else:
            groups.append([at])
    names = [""] * len(places)
    for group in groups:
        red, green, blue = np.rint(means[group].mean(axis=0)).astype(int)
        for at in group:
            names[at] = f"#{red:02x}{green:02x}{blue:02x}"
    return names


def _reach(places: NDArray[np.float64], group: Sequence[int], at: int) -> float:
    return float(np.linalg.norm(places[list(group)] - places[at], axis=1).max())


def _left_over(changes: Floats, parts: Sequence[Sequence[str]]) -> float:
    """Squared error of additive effects of the parts' colours, per degree of freedom left."""
    columns = [
        [float(colour == value) for colour in part] for part in parts for value in sorted(set(part))
    ]
    design = np.array(columns, np.float32).T
    flat = changes.reshape(len(changes), -1)
    foretold = design @ (np.linalg.pinv(design, rcond=1e-3) @ flat)
    free = len(flat) - np.linalg.matrix_rank(design)
    return float(np.square(flat - foretold).sum()) / max(int(free), 1)


def _clusters(points: Floats, count: int) -> tuple[Labels, Floats]:
    """k-means from far-apart starts; (points,) labels and (count, features) centres."""
    centres = points[:1].copy()
    while len(centres) < count:
        nearest = _distances(points, centres).min(axis=1)
        centres = np.concatenate([centres, points[[int(nearest.argmax())]]])
    labels = np.zeros(len(points), np.intp)
    for _ in range(ROUNDS):
        labels = _distances(points, centres).argmin(axis=1)
        members = [points[labels == at] for at in range(count)]
        moved = np.stack(
            [own.mean(axis=0) if len(own) else centres[at] for at, own in enumerate(members)]
        )
        if np.array_equal(moved, centres):
            break
        centres = moved
    return labels, centres


def _blur(points: Floats, labels: Labels, centres: Floats) -> float:
    distances = np.sqrt(_distances(points, centres))
    own = distances[np.arange(len(points)), labels]
    distances[np.arange(len(points)), labels] = np.inf
    return float(np.mean(own / (distances.min(axis=1) + 1e-9)))


def _distances(points: Floats, centres: Floats) -> Floats:
    squares = np.square(points).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)[None]
    return np.asarray(np.maximum(squares - 2 * points @ centres.T, 0))
