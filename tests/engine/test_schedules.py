"""Learning rates, computed by hand."""

import math

import pytest

from engine.schedules import Schedule

DOUYIN = Schedule(type="COSINE", base_lr=0.01, warmup_steps=500, warmup_lr=0.04, min_lr=0.0, max_iter=15010)


@pytest.mark.parametrize(
    ("iteration", "rate"),
    [
        (0, 0.01),
        (250, 0.025),
        (499, 0.01 + 0.03 * 499 / 500),
        (500, 0.04),
        (500 + 7255, 0.02),  # half of the 14,510 iterations after the warm-up
        (15010, 0.0),
    ],
)
def test_warm_up_then_cosine(iteration: int, rate: float) -> None:
    assert DOUYIN.rate(iteration) == pytest.approx(rate, abs=1e-12)


def test_cosine_without_warm_up_ends_at_min_lr() -> None:
    schedule = Schedule(type="COSINE", base_lr=0.1, min_lr=0.001, max_iter=100)
    assert schedule.rate(0) == 0.1
    assert schedule.rate(25) == pytest.approx(0.001 + 0.099 * (1 + math.cos(math.pi / 4)) / 2)
    assert schedule.rate(100) == pytest.approx(0.001)


def test_step_changes_at_its_iterations() -> None:
    schedule = Schedule(type="STEP", base_lr=0.02, max_iter=90, lr_steps=(20, 40), lr_mults=(0.1, 0.5))
    assert [schedule.rate(i) for i in (0, 19, 20, 39, 40, 89)] == pytest.approx([0.02, 0.02, 2e-3, 2e-3, 1e-3, 1e-3])


def test_step_after_a_warm_up_starts_from_warmup_lr() -> None:
    schedule = Schedule(
        type="STEP", base_lr=0.0, warmup_steps=10, warmup_lr=0.1, max_iter=90, lr_steps=(50,), lr_mults=(0.1,)
    )
    assert [schedule.rate(i) for i in (0, 5, 10, 49, 50)] == pytest.approx([0.0, 0.05, 0.1, 0.1, 0.01])


def test_poly() -> None:
    schedule = Schedule(type="POLY", base_lr=0.1, max_iter=10, power=2.0)
    assert [schedule.rate(i) for i in (0, 5, 10)] == pytest.approx([0.1, 0.025, 0.0])
