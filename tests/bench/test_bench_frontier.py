"""The frontier's picture is well-formed and shows every way that was measured."""

from xml.etree import ElementTree

from bench._plot import Curve, Panel, draw
from bench.frontier import SD_TURBO_DOLLARS, Point, _picture

SVG = "{http://www.w3.org/2000/svg}"


def test_points_lie_where_their_figures_say() -> None:
    curve = Curve("JPEG", ((10.0, 70.0), (1000.0, 90.0)), 0)
    root = ElementTree.fromstring(draw([Panel("title", "bytes", (curve,))], 60, 95, "label"))
    dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in root.iter(f"{SVG}circle")]
    assert dots[0][0] < dots[1][0] and dots[0][1] > dots[1][1]


def test_what_has_no_cost_is_only_beside_bytes() -> None:
    points = [
        Point("JPEG", "75", 80.0, 30_000, 1.5e-6),
        Point("JPEG", "92", 89.0, 50_000, 2.5e-6),
        Point("floor", "12 components", 89.7, 25_000, None),
        Point("our model", "CPU", 90.7, 2_000, 3e-7),
    ]
    svg = _picture(points)
    ElementTree.fromstring(svg)
    assert svg.count(">JPEG<") == 2 and svg.count(">our model<") == 2
    assert svg.count(">floor<") == 1 and svg.count(">SD-Turbo<") == 1
    assert "prefers-color-scheme: dark" in svg


def test_sd_turbo_costs_seven_hauls() -> None:
    assert SD_TURBO_DOLLARS == 2 / 3600 / 33
    assert 6 < SD_TURBO_DOLLARS / 2.5e-6 < 7
