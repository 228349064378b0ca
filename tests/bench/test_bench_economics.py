"""The seed case's arithmetic can be checked from what it prints."""

import math

import pytest

from bench import economics


@pytest.mark.slow
def test_the_seed_cases_figures_follow_from_the_measured_rate() -> None:
    found = economics.run()
    assert set(found) == {
        "haul_usd",
        "replica_usd",
        "rehydrate_gpu_usd",
        "rehydrate_cpu_usd",
        "break_even_misses_per_image_month",
        "hosts_cpu",
        "images_per_s_used",
    }
    rate, hosts = found["images_per_s_used"], found["hosts_cpu"]
    assert isinstance(rate, float) and isinstance(hosts, int)
    peak_per_s = 200e6 / (30 * 86_400) * 5
    # The rate is printed with one decimal.
    assert math.ceil(peak_per_s / (0.7 * (rate + 0.05))) <= hosts
    assert hosts <= math.ceil(peak_per_s / (0.7 * (rate - 0.05)))
    assert found["haul_usd"] == 500.0
    assert found["rehydrate_gpu_usd"] == 2160.0
    assert found["rehydrate_cpu_usd"] == pytest.approx(hosts * 28.8, abs=0.01)
