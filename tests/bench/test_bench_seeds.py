"""What 64 seeds find of a gallery's shots, as figures."""

from bench.seeds import Found, summary

SHOTS = [Found("red.jpg", [80.0, 60.0, 40.0]), Found("teal.jpg", [90.0, 70.0, 10.0])]


def test_the_lead_is_how_far_the_best_seed_is_above_the_median_one() -> None:
    assert [one.lead for one in SHOTS] == [20.0, 20.0]


def test_the_figures_say_what_the_best_the_second_and_the_median_seed_give() -> None:
    figures = summary(SHOTS, 500_000, 12.5)
    assert figures["best_median"] == 85.0 and figures["best_min"] == 80.0
    assert figures["second_best_median"] == 65.0 and figures["median_seed"] == 65.0
    assert figures["least_lead"] == 20.0 and figures["pass_the_gate"] == 2


def test_what_was_not_trained_took_no_minutes() -> None:
    assert summary(SHOTS, 500_000, None)["train_minutes"] is None
