"""Traffic as an image site has it: few images are asked for often, and which ones changes.

The k-th most popular asset is asked for in proportion to k^-skew (Breslau et al. 1999, "Web caching
and Zipf-like distributions", found 0.64 to 0.83 at proxies; a shop's own images lie near 0.9).
After every ``churn_every`` requests one of the popular makes room: a random asset takes a random
rank, and those between move down by one.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

# What browsers send for an image, and how often: the newest formats first.
ACCEPTS = (
    ("image/avif,image/webp,image/apng,*/*;q=0.8", 0.75),
    ("image/webp,*/*;q=0.5", 0.15),
    ("image/jpeg,image/png;q=0.8,*/*;q=0.5", 0.10),
)


@dataclass(frozen=True)
class Wanted:
    """An image as one client asks for it; ``width`` in pixels."""

    path: str
    accept: str
    width: int


@dataclass(frozen=True)
class Shape:
    skew: float = 0.9
    churn_every: int = 50


def trace(
    paths: Sequence[str], widths: Sequence[int], seed: int, shape: Shape | None = None
) -> Iterator[Wanted]:
    """Requests without end; the same for the same seed."""
    shape = shape or Shape()
    dice = random.Random(seed)
    ranked = list(paths)
    dice.shuffle(ranked)
    weights = list(accumulate((rank + 1) ** -shape.skew for rank in range(len(ranked))))
    accepts, shares = [accept for accept, _ in ACCEPTS], [share for _, share in ACCEPTS]
    number = 0
    while True:
        number += 1
        if number % shape.churn_every == 0:
            risen = ranked.pop(dice.randrange(len(ranked)))
            ranked.insert(dice.randrange(len(ranked) + 1), risen)
        (path,) = dice.choices(ranked, cum_weights=weights)
        (accept,) = dice.choices(accepts, weights=shares)
        yield Wanted(path, accept, dice.choice(widths))
