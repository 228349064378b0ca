"""What the metrics mean in words, and which of them a candidate is doubted for."""

from origin.tables import CandidateRow

# Each is the share of what none should reach, just as the database sorts by: origin.tables.DOUBT.
LEAST_SCORE, MOST_DELTA_E, LEAST_PSNR_DB = 80.0, 2.5, 30.0


def meaning(ssimulacra2: float) -> str:
    """The metric's authors' own words for a score."""
    for least, words in (
        (90, "cannot be told from the original, even side by side"),
        (85, "hard to tell apart, even in a flicker"),
        (80, "hard to tell apart side by side"),
        (70, "high quality: differences show when compared"),
        (50, "medium quality: slight differences are easy to see"),
    ):
        if ssimulacra2 >= least:
            return words
    return "low quality: differences are annoying"


def colour_meaning(delta_e: float) -> str:
    """CIEDE2000 in words: 1 is about a just noticeable difference."""
    for most, words in ((1.0, "not visible"), (2.0, "visible to a trained eye"), (3.5, "visible")):
        if delta_e <= most:
            return words
    return "another colour"


def noise_meaning(psnr_db: float) -> str:
    """Peak signal to noise ratio in words: the mean error of a pixel, of 255 levels."""
    if psnr_db == float("inf"):
        return "the very same pixels"
    error = 255 / 10 ** (psnr_db / 20)
    return f"a pixel is about {error:.1f} of 255 levels off"


def shares(row: CandidateRow) -> dict[str, float]:
    """How near ``score``, ``colour`` and ``noise`` are to their limits, which are at 1."""
    return {
        "score": (100 - row.ssimulacra2) / (100 - LEAST_SCORE),
        "colour": row.worst_delta_e / MOST_DELTA_E,
        "noise": (50 - row.psnr) / (50 - LEAST_PSNR_DB),
    }


def worst_metric(row: CandidateRow) -> str:
    """The metric that is nearest to its limit or past it."""
    near = shares(row)
    return max(near, key=lambda name: near[name])


def worst_attribute(row: CandidateRow) -> str:
    """The attribute whose colour is furthest off; ``colour`` where none was measured."""
    measured = row.region_delta_e or {}
    return max(measured, key=lambda name: float(measured[name]), default="colour")


def why_doubted(row: CandidateRow) -> str:
    """The worst metric beside its limit, as a person reads it."""
    return {
        "score": f"score {row.ssimulacra2:.1f}, where {LEAST_SCORE:.0f} is the least",
        "colour": f"{worst_attribute(row)} is ΔE {row.worst_delta_e:.2f} off, "
        f"where {MOST_DELTA_E} is the most",
        "noise": f"{row.psnr:.1f} dB, where {LEAST_PSNR_DB:.0f} is the least",
    }[worst_metric(row)]
