"""The numbers in metrics.json: by hand, by their properties, and never NaN."""

import json

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from pawjax.errors import InputError
from pawjax.metrics import absence, fit_calibration, reliability, roc_auc, summarize


def random_case(seed, n=12, k=3, a=1):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, (n, a, k, 2))
    predicted = truth + rng.normal(0, 10, (n, a, k, 2))
    return truth, rng.uniform(size=(n, a, k)) < 0.7, predicted, rng.uniform(size=(n, a, k))


def test_summary_by_hand():
    truth = np.zeros((2, 1, 2, 2))
    predicted = np.array([[[[3.0, 4.0], [0.0, 0.0]]], [[[0.0, 60.0], [9.0, 9.0]]]])
    labelled = np.array([[[True, True]], [[True, False]]])
    likelihood = np.array([[[0.9, 0.2]], [[0.7, 1.0]]])
    numbers = summarize(truth, labelled, predicted, likelihood, ("paw", "nose"), 0.6)
    assert (numbers["n_images"], numbers["n_points"], numbers["n_over_50px"]) == (2, 3, 1)
    assert numbers["rmse_px"] == pytest.approx(np.sqrt((25 + 0 + 3600) / 3))
    assert numbers["mean_error_px"] == pytest.approx(65 / 3)
    assert (numbers["median_px"], numbers["max_px"]) == (5, 60)
    assert numbers["pck"] == {
        "2": pytest.approx(1 / 3),
        "5": pytest.approx(2 / 3),
        "10": pytest.approx(2 / 3),
        "20": pytest.approx(2 / 3),
    }
    assert numbers["per_bodypart"]["nose"]["mean_error_px"] == 0
    assert numbers["with_pcutoff"]["n_points"] == 2
    assert numbers["with_pcutoff"]["mean_error_px"] == pytest.approx(32.5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_summary_properties(seed):
    truth, labelled, predicted, likelihood = random_case(seed)
    numbers = summarize(truth, labelled, predicted, likelihood, "abc", 0.5)
    if labelled.any():
        assert numbers["max_px"] >= numbers["rmse_px"] >= numbers["mean_error_px"] >= 0
    order = np.random.default_rng(seed).permutation(len(truth))
    again = summarize(truth[order], labelled[order], predicted[order], likelihood[order], "abc", 0.5)
    assert again["rmse_px"] == pytest.approx(numbers["rmse_px"])
    double = summarize(2 * truth, labelled, 2 * predicted, likelihood, "abc", 0.5)
    assert double["mean_error_px"] == pytest.approx(2 * numbers["mean_error_px"])
    hidden = np.where(labelled[..., None], truth, np.nan)
    assert summarize(hidden, labelled, predicted, likelihood, "abc", 0.5) == numbers, "unlabelled points are not read"


def test_two_animals_are_one_set_of_points():
    two = random_case(1, a=2)
    as_frames = [np.concatenate([values[:, :1], values[:, 1:]]) for values in two]
    numbers, pooled = summarize(*two, "abc", 0.5), summarize(*as_frames, "abc", 0.5)
    assert (numbers.pop("n_images"), pooled.pop("n_images")) == (12, 24)
    flat, expected = jax.tree.flatten(numbers)[0], jax.tree.flatten(pooled)[0]
    assert flat == pytest.approx(expected, rel=1e-12)
    alone = [summarize(*(values[:, [a]] for values in two), "abc", 0.5) for a in (0, 1)]
    for name, values in numbers["per_bodypart"].items():
        assert values["n_points"] == sum(one["per_bodypart"][name]["n_points"] for one in alone)
        assert values["max_px"] == max(one["per_bodypart"][name]["max_px"] for one in alone)


def test_mismatched_shapes_are_refused():
    truth, labelled, predicted, likelihood = random_case(0)
    with pytest.raises(ValueError, match=r"must be \[N,A,K,2\]"):
        summarize(truth[:, 0], labelled[:, 0], predicted[:, 0], likelihood[:, 0], "abc", 0.5)
    with pytest.raises(ValueError, match="do not fit likelihood"):
        summarize(truth, labelled, predicted, likelihood[:, 0], "abc", 0.5)


def test_thresholds_are_inclusive():
    """An error of exactly 50 px is not a gross miss; a likelihood exactly at the cutoff counts."""
    errors = np.linspace(0, 50, 21)
    truth, predicted = np.zeros((21, 1, 1, 2)), np.stack([errors, 0 * errors], axis=-1)[:, None, None]
    numbers = summarize(truth, np.ones((21, 1, 1), bool), predicted, np.full((21, 1, 1), 0.5), ("paw",), 0.5)
    assert numbers["n_over_50px"] == 0 and numbers["with_pcutoff"]["n_points"] == 21
    assert numbers["p95_px"] == pytest.approx(47.5)  # 95 % of the range, for evenly spaced errors


def test_summary_without_labels_is_null_not_nan():
    truth, labelled, predicted, likelihood = random_case(0)
    numbers = summarize(truth, np.zeros_like(labelled), predicted, likelihood, "abc", 0.5)
    assert numbers["n_points"] == 0 and numbers["rmse_px"] is None and numbers["pck"]["5"] is None
    json.dumps(numbers, allow_nan=False)


def test_diverged_prediction_is_refused():
    truth, labelled, predicted, likelihood = random_case(0)
    predicted[labelled.any((1, 2)).argmax()] = np.nan
    with pytest.raises(InputError, match="diverged"):
        summarize(truth, labelled, predicted, likelihood, "abc", 0.5)


def test_reliability_by_hand():
    d = np.array([[1.0, 11.0], [2.0, np.nan], [30.0, 3.0]])
    found = reliability(d, np.array([[0.95, 0.91], [1.0, 0.5], [0.05, 0.0]]))
    assert found["bins"] == [
        {"low": 0.0, "high": 0.1, "n": 2, "likelihood": pytest.approx(0.025), "right": 0.5},
        {"low": 0.9, "high": 1.0, "n": 3, "likelihood": pytest.approx(0.9533, abs=1e-4), "right": pytest.approx(2 / 3)},
    ]
    assert found["expected_error"] == pytest.approx((2 * 0.475 + 3 * (0.9533333 - 2 / 3)) / 5)
    assert reliability(np.full((2, 2), np.nan), np.ones((2, 2)))["temperature"] is None


def test_calibration_needs_thirty_points():
    p, right = np.full(30, 0.75), np.arange(30) > 0
    assert fit_calibration(p[1:], right[1:]) is None and fit_calibration(p, right) is not None


def test_calibration_by_a_bias_alone():
    """Where likelier points are not more often right, the mean likelihood becomes the share that is right."""
    p = np.linspace(0.3, 0.9, 160)
    right = np.arange(160) != 150  # one wrong, among the likeliest
    temperature, bias = fit_calibration(p, right)
    calibrated = 1 / (1 + np.exp(-np.log(p / (1 - p)) - bias))
    assert temperature == 1 and calibrated.mean() == pytest.approx((159 * 160 / 161 + 1 / 3) / 160, abs=1e-3)


def test_calibration_of_a_set_without_errors_is_finite():
    """0.75 that is right 100 times in 100 becomes the rule of succession's 101 in 102, not 1."""
    temperature, bias = fit_calibration(np.full(100, 0.75), np.ones(100, bool))
    assert 1 / (1 + np.exp(-np.log(3) / temperature - bias)) == pytest.approx(101 / 102, abs=2e-3)


def test_calibration_is_the_minimum_of_the_cross_entropy():
    """Against scipy's minimizer, on points of the kind that short trainings give: low, and right all the same."""
    rng = np.random.default_rng(3)
    p = rng.beta(3, 4, 200)
    right = rng.uniform(size=200) < 1 / (1 + np.exp(-1.5 * np.log(p / (1 - p)) - 1.2))
    target = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))

    def loss(weights):
        z = weights[0] * np.log(p / (1 - p)) + weights[1]
        return (target * np.logaddexp(0, -z) + (1 - target) * np.logaddexp(0, z)).sum()

    slope, bias = optimize.minimize(loss, (1.0, 0.0)).x
    assert fit_calibration(p, right) == (pytest.approx(1 / slope, abs=2e-3), pytest.approx(bias, abs=2e-3))
    assert bias > 0.5


def test_calibration_is_fitted_before_one_is_applied():
    rng = np.random.default_rng(1)
    raw = rng.uniform(0.02, 0.98, (400, 1))
    d = np.where(rng.uniform(size=raw.shape) < raw, 1.0, 100.0)
    found = reliability(d, raw**2, raw_likelihood=raw)
    assert found["temperature"] == reliability(d, raw)["temperature"]
    assert found["bins"] == reliability(d, raw**2)["bins"]


def test_absent_points_are_wrong_wherever_they_are_put():
    d, absent = np.array([[1.0], [np.nan], [np.nan]]), np.array([[False], [True], [False]])
    (bin_,) = reliability(d, np.full((3, 1), 0.7), absent)["bins"]
    assert (bin_["n"], bin_["right"]) == (2, 0.5), "the unknown third point does not count"


def test_area_under_the_roc_curve_counts_every_pair():
    """Against the definition: the share of pairs in the right order, ties counting half."""
    rng = np.random.default_rng(0)
    for digits in (1, 6):  # with many ties, and without
        there, gone = rng.beta(3, 1, 60).round(digits), rng.beta(1, 2, 25).round(digits)
        pairs = there[:, None] - gone
        assert roc_auc(there, gone) == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2, abs=1e-12)
    assert roc_auc(np.array([0.8, 0.4]), np.array([0.4, 0.1])) == 7 / 8


def test_absent_bodyparts_by_hand():
    likelihood = np.array([[[0.9, 0.7]], [[0.8, 0.6]], [[0.2, np.nan]]])
    labelled = np.array([[[True, False]], [[True, True]], [[False, False]]])
    absent = np.array([[[False, True]], [[False, False]], [[True, True]]])
    assert absence(likelihood, labelled, absent & False, ("paw", "tongue"), 0.6) is None
    found = absence(likelihood, labelled, absent, ("paw", "tongue"), 0.6)
    assert (found["n_points"], found["n_found"], found["roc_auc"]) == (3, 1, pytest.approx(8 / 9))
    assert found["per_bodypart"]["paw"] == {"n_points": 1, "n_found": 0, "roc_auc": 1.0}
    assert found["per_bodypart"]["tongue"] == {"n_points": 2, "n_found": 1, "roc_auc": 0.5}
    nothing = absence(likelihood, labelled & False, absent, ("paw", "tongue"), 0.6)
    assert nothing["roc_auc"] is None
    truth = np.zeros((3, 1, 2, 2))
    assert summarize(truth, labelled, truth, likelihood, ("paw", "tongue"), 0.6, absent)["absent"] == found


def test_reliability_recovers_the_temperature():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.02, 0.98, (4000, 1))
    d = np.where(rng.uniform(size=truth.shape) < truth, 1.0, 100.0)
    sharp = 1 / (1 + ((1 - truth) / truth) ** 2.0)  # logits doubled
    assert reliability(d, truth)["temperature"] == pytest.approx(1, abs=0.1)
    assert reliability(d, sharp)["temperature"] == pytest.approx(2, abs=0.2)
    assert reliability(d, truth)["expected_error"] < 0.03 < reliability(d, sharp)["expected_error"]
