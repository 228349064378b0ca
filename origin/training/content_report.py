"""What training measured of a family with content, and why it chose its capacity: in words."""

from origin.training.content import ContentTaken
from origin.training.content_model import SHARE


def content_report(taken: ContentTaken) -> str:
    """Some lines: the parting into cells, what each capacity scored, what was chosen."""
    content, chosen = taken.content, taken.chosen
    lines = [
        f"{' and '.join(content.by)} changes what is shown: {len(content.cells)} cells; "
        f"{' and '.join(taken.looks_by)} moves colours alike in all of them "
        f"({len(content.looks)} looks)",
        f"left-out pictures, reduced, are foretold within {content.error:.1f} levels; effects "
        f"without cells draw even the gallery's own no better than {content.layouts_error:.1f}",
        *(
            f"  {trial.way}: {trial.bytes_per_cell:,.0f} bytes a cell, SSIMULACRA2 "
            f"{trial.median:.1f} median, {trial.worst:.1f} worst on trial cells"
            for trial in taken.trials
        ),
        f"chosen: {chosen.way}, the best within {SHARE:.0%} of the gallery as WebP "
        f"({taken.gallery_webp_bytes:,} bytes)",
    ]
    if taken.quality is not None:
        lines.append(f"all cells together allow quality {taken.quality}")
    if taken.single:
        lines.append(
            f"{taken.single} cells have a single image: their base is that image as coded; it "
            "shares only its colours with the family"
        )
    return "\n".join(lines)
