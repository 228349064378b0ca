"""Yes or no, and why, in words for somebody who never saw this product."""

from dataclasses import dataclass
from math import prod
from typing import Final

from origin.gallery import Gallery
from origin.try_gallery import Guess
from origin.try_measure import Trial
from origin.try_money import Bill, Prices, bill

RECORD_BYTES: Final = 512  # at most, for a prompt record without its payload
ENOUGH: Final = 0.8
"""The share of pictures that must reach the least score."""


@dataclass(frozen=True)
class Answer:
    """``reasons`` are whole sentences; ``rows`` are headings and what belongs under them.
    ``by_part``: less certain, as not all of the pictures were tried."""

    yes: bool
    reasons: tuple[str, ...]
    rows: tuple[tuple[str, str], ...] = ()
    by_part: bool = False

    @property
    def headline(self) -> str:
        certainty = ", as far as a part of them shows" if self.by_part else ""
        return f"{'yes' if self.yes else 'no'}{certainty}: {' '.join(self.reasons)}"


def answer(
    guess: Guess, part: Gallery, trial: Trial, prices: Prices, least: float, machine: str
) -> Answer:
    """What the trial of a ``part`` of the guessed gallery says, or of all of it.

    ``least`` is the SSIMULACRA2 from which a picture would be proposed.
    """
    images = _images(guess)
    by_part = len(part.assets) < len(guess.gallery.assets)
    image_bytes = sum(asset.bytes for asset in guess.gallery.assets) / len(guess.gallery.assets)
    costs = bill(
        prices,
        image_bytes=image_bytes,
        images=images,
        images_per_s=trial.images_per_s,
        model_bytes=trial.report.model_bytes,
        record_bytes=RECORD_BYTES + trial.payload_bytes,
    )
    unseen, seen = trial.recall(least, unseen=True), trial.recall(least, unseen=False)
    recall = seen if unseen is None else unseen
    good = recall is not None and recall >= ENOUGH
    pays = costs.saving > 0
    reasons = (_on_recall(trial, least), _on_money(prices, costs))
    rows = (
        *_family(guess, images),
        *((("tried", _part(guess, part)),) if by_part else ()),
        ("recall", _recall(trial, least)),
        ("model", _model(trial, by_part)),
        ("speed", f"{trial.images_per_s:.0f} images/s, encoded, on {machine}"),
        ("a month", _month(prices, costs, image_bytes)),
        ("kept there", _kept(costs, images)),
        *(("note", note) for note in guess.notes),
    )
    return Answer(good and pays, reasons, rows, by_part)


def _on_recall(trial: Trial, least: float) -> str:
    unseen, seen = trial.recall(least, unseen=True), trial.recall(least, unseen=False) or 0.0
    if unseen is None:
        return (
            f"{seen:.0%} of its pictures come back at SSIMULACRA2 {least:g} or better; there were "
            "too few combinations to leave any out and see what it makes of new ones."
        )
    if unseen >= ENOUGH:
        return (
            f"{unseen:.0%} of the pictures that training never saw come back at SSIMULACRA2 "
            f"{least:g} or better."
        )
    if seen >= ENOUGH:
        return (
            f"pictures that it was trained on come back ({seen:.0%} at SSIMULACRA2 {least:g} or "
            f"better), but new combinations do not ({unseen:.0%})."
        )
    return (
        f"too few pictures come back at SSIMULACRA2 {least:g} or better: {seen:.0%} of those it "
        f"was trained on, {unseen:.0%} of new combinations."
    )


def _on_money(prices: Prices, costs: Bill) -> str:
    verb = "saves" if costs.saving > 0 else "loses"
    return (
        f"Drawing {verb} {_dollars(abs(costs.saving))} of the {_dollars(costs.hauled)} that "
        f"hauling {prices.images_a_month:,.0f} images a month costs."
    )


def _family(guess: Guess, images: int) -> tuple[tuple[str, str], ...]:
    gallery = guess.gallery
    pictures = (
        f"{len(gallery.assets)} of {gallery.width}x{gallery.height}; "
        f"{images:,} combinations of their attributes"
    )
    return ("pictures", pictures), ("attributes", "; ".join(_attributes(guess)))


def _part(guess: Guess, part: Gallery) -> str:
    fewer = [
        f"{len(part.values(name))} of {len(guess.gallery.values(name))} values of {name}"
        for name in part.attributes
        if len(part.values(name)) < len(guess.gallery.values(name))
    ]
    return f"{len(part.assets)} of the pictures: {', '.join(fewer) or 'drawn by lot'}"


def _model(trial: Trial, by_part: bool) -> str:
    whose = " for what was tried" if by_part else ""
    return f"{trial.report.model_bytes:,} bytes{whose}, trained in {trial.report.seconds:.0f} s"


def _attributes(guess: Guess) -> list[str]:
    told = []
    for name in guess.gallery.attributes:
        values = guess.gallery.values(name)
        shown = ", ".join(values[:4]) + (", …" if len(values) > 4 else "")
        told.append(f"{name} has {len(values)} values ({shown})")
    return [*told, f"from {'the ' if guess.source != 'pixels' else 'their '}{guess.source}"]


def _recall(trial: Trial, least: float) -> str:
    parts = []
    for unseen, whose in ((True, "left out of training"), (False, "trained on")):
        scores = trial.scores(unseen=unseen)
        if scores:
            parts.append(
                f"{trial.recall(least, unseen=unseen):.0%} of {len(scores)} {whose} (median "
                f"{trial.median(unseen=unseen):.1f}, worst {min(scores):.1f})"
            )
    if trial.payload_bytes:
        parts.append(
            f"each with {trial.payload_bytes} bytes of its own in the record: the place and light "
            "of the shot"
        )
    return "; ".join(parts)


def _month(prices: Prices, costs: Bill, image_bytes: float) -> str:
    return (
        f"{prices.images_a_month:,.0f} images of {image_bytes / 1e3:.0f} KB: hauled "
        f"{_dollars(costs.hauled)} at ${prices.dollars_per_gb:g}/GB, drawn "
        f"{_dollars(costs.drawn)} at ${prices.dollars_per_hour:g}/h on a machine that other "
        f"families share; one for this alone costs {_dollars(costs.idle)} more"
    )


def _kept(costs: Bill, images: int) -> str:
    best = costs.kept < costs.drawn
    return f"a copy of all {images:,} images in the region costs {_dollars(costs.kept)} a month" + (
        ": the cheapest, where somebody can render and sync them all" if best else ""
    )


def _images(guess: Guess) -> int:
    """How many different ones there are, or could be."""
    gallery = guess.gallery
    return max(len(gallery.assets), prod(len(gallery.values(name)) for name in gallery.attributes))


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 0.1 else f"${amount:.2g}"
