"""Scatter plots with a logarithmic abscissa, drawn as SVG that is legible on light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 470
HEIGHT: Final = 430
LEFT: Final = 46
TOP: Final = 54
BOTTOM: Final = 46
STYLE: Final = """
text { fill: #1c2430; font: 12px system-ui, sans-serif }
text.title { font-weight: 600; font-size: 14px }
.grid { stroke: #d5dae3 } .axis { stroke: #5b6779 }
.mark { stroke: #5b6779; stroke-dasharray: 4 3 }
.c0 { --c: #b3541e } .c1 { --c: #2b6cb0 } .c2 { --c: #0a7d55 } .c3 { --c: #8a4bbf }
.c4 { --c: #8a6d00 } .c5 { --c: #c2185b }
path.line { fill: none; stroke: var(--c); stroke-width: 1.6 }
circle, rect.dot { fill: var(--c) } text.name { fill: var(--c); font-weight: 600 }
@media (prefers-color-scheme: dark) {
text { fill: #e4e8ef } .grid { stroke: #38414f } .axis, .mark { stroke: #98a4b6 }
.c0 { --c: #f0955a } .c1 { --c: #7fb3ec } .c2 { --c: #4fc79a } .c3 { --c: #c79bf0 }
.c4 { --c: #d9bd4d } .c5 { --c: #ff7fab } }
"""


@dataclass(frozen=True)
class Curve:
    """Points, (abscissa, score), joined in order; ``colour`` is one of six."""

    name: str
    points: tuple[tuple[float, float], ...]
    colour: int


@dataclass(frozen=True)
class Panel:
    """``marks``: upright lines at an abscissa, for what has a cost but no score."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    marks: tuple[tuple[str, float], ...] = ()


def draw(panels: Sequence[Panel], low: float, high: float, label: str) -> str:
    """Panels side by side over one ordinate, ``low`` to ``high``."""
    whole = WIDTH * len(panels)
    body = "".join(
        f'<g transform="translate({at * WIDTH} 0)">{_panel(panel, low, high)}</g>'
        for at, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">\n<style>{STYLE}</style>\n{body}</svg>\n'
    )


def _panel(panel: Panel, low: float, high: float) -> str:
    xs = [x for curve in panel.curves for x, _ in curve.points] + [x for _, x in panel.marks]
    first, last = math.log10(min(xs)) - 0.15, math.log10(max(xs)) + 0.15

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * (math.log10(x) - first) / (last - first)

    def down(y: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / (high - low)

    parts = [f'<text class="title" x="{LEFT}" y="24">{escape(panel.title)}</text>']
    for score in range(math.ceil(low / 5) * 5, int(high) + 1, 5):
        parts.append(_line("grid", LEFT, down(score), WIDTH - 20, down(score)))
        parts.append(_text(LEFT - 8, down(score) + 4, str(score), "end"))
    for power in range(math.ceil(first), math.floor(last) + 1):
        parts.append(_line("grid", across(10**power), TOP, across(10**power), HEIGHT - BOTTOM))
        parts.append(_text(across(10**power), HEIGHT - BOTTOM + 18, _tick(power), "middle"))
    parts.append(_line("axis", LEFT, HEIGHT - BOTTOM, WIDTH - 20, HEIGHT - BOTTOM))
    parts.append(_text(WIDTH - 20, HEIGHT - 8, panel.unit, "end"))
    for name, x in panel.marks:
        parts.append(_line("mark", across(x), TOP, across(x), HEIGHT - BOTTOM))
        parts.append(_text(across(x) - 4, HEIGHT - BOTTOM - 8, name, "end"))
    for curve in panel.curves:
        places = [(across(x), down(y)) for x, y in curve.points if low <= y <= high]
        parts.append(_curve(curve, places))
    return "\n".join(parts)


def _curve(curve: Curve, places: Sequence[tuple[float, float]]) -> str:
    if not places:
        return ""
    track = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>' for x, y in places)
    x, y = places[0]
    # Below the lowest point of a curve, and right of a lonely one, nothing else is.
    alone = len(places) == 1
    anchor, x, y = ("start", x + 8, y + 4) if alone else ("middle", x, y + 17)
    name = f'<text class="name" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">'
    name += f"{escape(curve.name)}</text>"
    return f'<g class="c{curve.colour}"><path class="line" d="{track}"/>{dots}{name}</g>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _tick(power: int) -> str:
    if power >= 0:
        return f"{10**power:,}"
    return "10" + "".join("⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".index(digit)] for digit in str(power))
