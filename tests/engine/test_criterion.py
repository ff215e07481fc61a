"""Which evaluation is the best by each criterion, and when a run ends early."""

import numpy as np
import pytest

from pawjax.config import CHECKPOINT_BY, default_config
from pawjax.engine.criterion import ERRORS, judged, no_patience_left
from pawjax.metrics import capped_mean
from pawjax.report.curves import bias_and_variance
from pawjax.run_files import CRITERION, criterion_of

EVALUATED = {"dev/rmse_px": 9.0, "dev/mean_error_px": 4.0, "dev/capped_px": 3.0, "dev/median_px": 2.0}


def config_with(**fields):
    config = default_config()
    config.update(fields)
    return config


def test_every_criterion_is_judged_by_its_error():
    assert {*ERRORS, "last"} == set(CHECKPOINT_BY)
    numbers = {by: criterion_of(judged(config_with(checkpoint_by=by), 70, EVALUATED)) for by in CHECKPOINT_BY}
    assert numbers == {"rmse": 9, "mean_error": 4, "capped": 3, "median": 2, "last": -70}


def test_capped_mean():
    assert capped_mean(np.array([1.0, np.nan, 300.0, 5.0]), 20.0) == pytest.approx(26 / 3)
    assert capped_mean(np.array([np.nan]), 20.0) is None


def test_the_curve_marks_the_checkpoint_that_is_the_best():
    series = {
        "train/rmse_px": (np.array([5, 10, 15]), np.array([3.0, 2.0, 1.0])),
        "dev/rmse_px": (np.array([5, 10, 15]), np.array([4.0, 5.0, 6.0])),
    }
    assert bias_and_variance(series) == (5, 3.0, 1.0)
    judged_by = (np.array([5, 10, 15]), np.array([9.0, 7.0, 8.0]))
    assert bias_and_variance(series | {CRITERION: judged_by}) == (10, 2.0, 3.0)


def test_patience_ends_after_evaluations_without_a_better_one():
    config = config_with(patience=3, steps=100)
    errors = (8.0, 5.0, 6.0, 5.0, 7.0, 4.0)
    records = [{"step": 10 * (i + 1), "dev/rmse_px": error} for i, error in enumerate(errors)]
    ends = [bool(no_patience_left(config, records[:n])) for n in range(7)]
    assert ends == [False, False, False, False, False, True, False]
    words = no_patience_left(config, records[:5])
    assert words.startswith(
        "the error on dev (rmse) was least at step 20, 5.00 px, and has not fallen in 3 evaluations"
    )
    assert not no_patience_left(config_with(patience=0), records)
    assert not no_patience_left(config_with(patience=3, steps=50), records[:5]), "it is the last step anyway"
