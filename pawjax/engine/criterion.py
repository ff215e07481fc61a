"""Which checkpoint is the best, `config.checkpoint_by`, and when training ends early, `config.patience`."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from pawjax.run_files import BY_DEFAULT, CRITERION, criterion_of

ERRORS = {"rmse": BY_DEFAULT, "mean_error": "dev/mean_error_px", "capped": "dev/capped_px", "median": "dev/median_px"}


def judged(config: ConfigDict, step: int, evaluated: dict[str, float]) -> dict[str, float]:
    """An evaluation by `Monitor` with the number that `run_files.criterion_of` reads."""
    if config.checkpoint_by == "rmse":
        return evaluated
    return evaluated | {CRITERION: -step if config.checkpoint_by == "last" else evaluated[ERRORS[config.checkpoint_by]]}


def no_patience_left(config: ConfigDict, evaluations: Sequence[dict[str, float]]) -> str:
    """Why training ends early, in words; '' if it does not.

    Args:
      config: the run's.
      evaluations: those so far, of all steps since the first; each has its 'step'.
    """
    if not config.patience or not evaluations:
        return ""
    best = min(evaluations, key=criterion_of)
    since = sum(record["step"] > best["step"] for record in evaluations)
    if since < config.patience or evaluations[-1]["step"] >= config.steps:
        return ""
    return (
        f"the error on dev ({config.checkpoint_by}) was least at step {best['step']}, {criterion_of(best):.2f} px, and "
        f"has not fallen in {since} evaluations since (config.patience)"
    )
