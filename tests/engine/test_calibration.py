"""Likelihood, calibration and intervals, against numbers worked out by hand."""

import numpy as np
import pytest

from engine.calibration import (
    bootstrap_interval,
    calibration_error,
    mean_class_interval,
    negative_log_likelihood,
    reliability_curve,
)
from engine.metrics import per_class_accuracy

PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.75, 0.25]])
LABELS = np.array([0, 1, 1, 0])


def test_the_likelihood_is_the_mean_of_four_logarithms() -> None:
    by_hand = -(np.log(0.9) + np.log(0.2) + np.log(0.7) + np.log(0.75)) / 4  # 0.5898
    assert negative_log_likelihood(PROBABILITIES, LABELS) == pytest.approx(by_hand)
    assert negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(27.631, abs=1e-3)


def test_the_calibration_error_of_four_videos() -> None:
    """Of five bins (0.6, 0.8] holds 0.8 (wrong), 0.7 and 0.75 (right), (0.8, 1] holds 0.9 (right)."""
    curve = reliability_curve(PROBABILITIES, LABELS, bins=5)
    assert [each.videos for each in curve] == [0, 0, 0, 3, 1]
    assert curve[3].confidence == pytest.approx(0.75)
    assert curve[3].accuracy == pytest.approx(2 / 3)
    assert np.isnan(curve[0].accuracy)
    assert calibration_error(curve) == pytest.approx((3 * (0.75 - 2 / 3) + 0.1) / 4)


def test_fifteen_bins_cover_everything_from_zero_to_one() -> None:
    curve = reliability_curve(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 0]))
    assert (len(curve), curve[0].low, curve[-1].high, curve[-1].videos) == (15, 0.0, 1.0, 1)
    assert sum(each.videos for each in curve) == 2


def test_an_interval_is_that_of_the_binomial() -> None:
    """50 of 100 right: the normal approximation gives 0.5 +- 1.96 * 0.05."""
    low, high = bootstrap_interval(np.repeat([True, False], 50))
    assert low == pytest.approx(0.402, abs=0.015)
    assert high == pytest.approx(0.598, abs=0.015)
    assert bootstrap_interval(np.repeat([True, False], 50)) == (low, high)
    assert bootstrap_interval(np.ones(5)) == (1.0, 1.0)


def test_the_interval_over_classes_weighs_each_class_alike() -> None:
    """90 videos of one class all right, 10 of another all wrong: 0.5 whatever is drawn, unless a class is not."""
    right, labels = np.repeat([True, False], [90, 10]), np.repeat([0, 3], [90, 10])
    assert mean_class_interval(right, labels) == (0.5, 0.5)


def test_accuracies_per_class_with_a_class_that_has_no_video() -> None:
    scores = np.array([[3.0, 1, 0], [1, 3, 0], [0, 1, 3]])
    values = per_class_accuracy(scores, np.array([0, 0, 2]))
    assert values[[0, 2]].tolist() == [0.5, 1.0]
    assert np.isnan(values[1])
