"""A family looked at more closely: some of its members decoded, and what they say of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from kvsync.errors import OriginUnavailable
from origin.analysis.descriptor import Unfit, thumbnail
from origin.analysis.faces import has_face
from origin.analysis.families import Family
from origin.analysis.place import Place
from regional_gpu.generator.encode import decode

Floats = NDArray[np.float32]

SAMPLED: Final = 48
CODED: Final = 6
QUALITY: Final = 80
# 8-bit levels (standard deviation over members) below which a pixel stays.
STAYS: Final = 6.0
# 8-bit levels between members below which they are one picture, coded anew.
SAME: Final = 6.0
_LEAST_REGION: Final = 0.005
_COPYRIGHT: Final = 0x8298
_SKIN: Final = 0.1


@dataclass(frozen=True)
class Sample:
    """Of members that lie alike: ``stays`` is the share of pixels that none changes, ``regions``
    the parts in which the others lie, ``varies`` by how many levels.

    ``unexplained``: levels (RMS, 64x64) by which pictures differ from what effects of the
    attributes add up to in their arrangement. ``coded``: bytes of a member as WebP of quality 80.
    ``copyright`` is what files say, ``skin`` the share of members with much of skin's colours,
    ``text`` that of members which seem to bear lines of text, ``faces`` that of those with a face.
    """

    stays: float
    regions: int
    varies: float
    unexplained: float
    coded: float
    copyright: str
    skin: float
    text: float
    faces: float


def sample(family: Family, place: Place) -> Sample | None:
    """Look at up to 48 members; None where too few can be read now."""
    rows = _spread(len(family.members), SAMPLED)
    smalls, read = [], []
    for row in rows:
        path = family.members[row].path
        try:
            data = place.read(path)
            smalls.append(thumbnail(data)[0])
        except (OSError, OriginUnavailable, Unfit):
            continue  # changed or gone since it was looked at: others speak for the family
        read.append(row)
        if len(read) <= CODED:
            first = data
    if len(read) < 2:
        return None
    pictures = np.stack(smalls).astype(np.float32)
    arrangements = [family.arrangements[row] for row in read]
    stays, regions, varies = _what_moves(pictures, arrangements)
    wholes = [
        decode(place.read(family.members[row].path), family.members[row].path)
        for row in read[:: max(1, len(read) // CODED)][:CODED]
    ]
    return Sample(
        stays=stays,
        regions=regions,
        varies=varies,
        unexplained=_unexplained(pictures, arrangements, [family.attributes[row] for row in read]),
        coded=float(np.mean([_webp_bytes(whole) for whole in wholes])),
        copyright=_copyright(first),
        skin=_skin(pictures),
        text=float(np.mean([_has_text(whole) for whole in wholes])),
        faces=float(np.mean([has_face(whole) for whole in wholes])),
    )


def in_words(found: Sample) -> str:
    """What the sample shows, for the list."""
    if found.varies < SAME:
        return "the same picture throughout, coded or scaled anew"
    where = "1 region" if found.regions == 1 else f"{found.regions} regions"
    return (
        f"{found.stays:.0%} of pixels stay; the rest change colour in {where} and keep their edges"
    )


def _what_moves(pictures: Floats, arrangements: Sequence[int]) -> tuple[float, int, float]:
    """Share of pixels that stay, regions of the others, and levels: within arrangements."""
    spreads = []
    for own in sorted(set(arrangements)):
        rows = [at for at, one in enumerate(arrangements) if one == own]
        if len(rows) > 1:
            spreads.append(pictures[rows].std(axis=0).max(axis=-1))
    if not spreads:
        spreads = [pictures.std(axis=0).max(axis=-1)]
    stays = float(np.mean([(spread < STAYS).mean() for spread in spreads]))
    counts = []
    for spread in spreads:
        labels, count = ndimage.label(spread >= STAYS)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        counts.append(int((sizes >= _LEAST_REGION * spread.size).sum()))
    # Beside the hundredth that varies most: an edge rings in every coding.
    largest = max(float(np.quantile(spread, 0.99)) for spread in spreads)
    return stays, round(float(np.median(counts))) or 1, largest


def _unexplained(
    pictures: Floats, arrangements: Sequence[int], attributes: Sequence[Mapping[str, str]]
) -> float:
    """RMS of what effects of an arrangement and of every attribute's values do not add up to, by
    ridge regression, each picture foretold from the others (leave-one-out)."""
    columns = [np.equal(arrangements, own) for own in sorted(set(arrangements))]
    for name in attributes[0] if all(attributes) else ():
        values = [one[name] for one in attributes]
        columns += [np.equal(values, value) for value in sorted(set(values))]
    design = np.stack(columns, axis=1).astype(np.float64)
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)
    flat = flat - flat.mean(axis=0)
    inverse = np.linalg.inv(design.T @ design + 0.1 * np.eye(design.shape[1]))
    hat = design @ inverse @ design.T
    left = (flat - hat @ flat) / np.maximum(1 - np.diag(hat), 0.05)[:, None]
    return float(np.sqrt(np.square(left).mean()))


def _webp_bytes(pixels: NDArray[np.uint8]) -> int:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.tell()


def _copyright(data: bytes) -> str:
    with Image.open(BytesIO(data)) as image:
        if image.format == "PNG" and "exif" not in image.info:
            return ""
        return str(image.getexif().get(_COPYRIGHT, "")).strip()[:80]


def _skin(pictures: Floats) -> float:
    """The share of pictures with a tenth of their pixels in the colours of skin (Kovac et al. 2003,
    daylight): of people all have it, of coloured things those of some colours."""
    red, green, blue = np.moveaxis(pictures, -1, 0)
    spread = pictures.max(axis=-1) - pictures.min(axis=-1)
    skin = (red > 95) & (green > 40) & (blue > 20) & (spread > 15)
    skin &= (np.abs(red - green) > 15) & (red > green) & (red > blue)
    return float((skin.mean(axis=(1, 2)) >= _SKIN).mean())


def _has_text(pixels: NDArray[np.uint8]) -> bool:
    """Whether there is a line of marks of one height, closely spaced, of one darkness."""
    image = Image.fromarray(pixels).convert("L")
    image.thumbnail((512, 512))
    grey = np.asarray(image, np.float32)
    beside = grey - ndimage.uniform_filter(grey, 31)
    return max(_longest_line(_marks(beside > 40)), _longest_line(_marks(beside < -40))) >= _LETTERS


def _marks(where: NDArray[np.bool_]) -> list[tuple[slice, slice]]:
    """Boxes of what may be letters by their size, line by line."""
    labels, count = ndimage.label(where)
    boxes: list[tuple[slice, slice]] = [
        (rows, columns)
        for rows, columns in ndimage.find_objects(labels, count)
        if 6 <= rows.stop - rows.start <= 48 and 2 <= columns.stop - columns.start <= 60
    ]
    return sorted(boxes, key=lambda box: (box[0].stop // 4, box[1].start))


_LETTERS: Final = 8


def _longest_line(boxes: Sequence[tuple[slice, slice]]) -> int:
    """Most marks that stand on one line, each within its own height of the one before."""
    longest = run = 0
    for before, after in zip(boxes, boxes[1:], strict=False):
        height = before[0].stop - before[0].start
        beside = 0 <= after[1].start - before[1].stop <= height
        level = abs(after[0].stop - before[0].stop) <= max(2, height // 5)
        run = run + 1 if beside and level else 0
        longest = max(longest, run + 1)
    return longest


def _spread(of: int, most: int) -> list[int]:
    count = min(of, most)
    return [at * of // count for at in range(count)]
