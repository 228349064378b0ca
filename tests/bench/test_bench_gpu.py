"""What a generated picture costs beside its haul."""

import pytest

from bench.gpu import cost_vs_haul


def test_at_break_even_generating_costs_what_hauling_costs() -> None:
    # A GPU at $3/h must make 333 images of 50 KB a second at $0.05/GB.
    assert cost_vs_haul(333.3, 50_000, 3.0, 0.05) == pytest.approx(1.0, rel=0.001)
    assert cost_vs_haul(3333, 50_000, 3.0, 0.05) == pytest.approx(0.1, rel=0.001)
