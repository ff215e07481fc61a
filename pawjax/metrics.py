"""Distances of predicted points from their labels: the numbers in `metrics.json`, in plain numpy."""

from collections.abc import Sequence

import numpy as np

from pawjax.errors import InputError

PCK_THRESHOLDS = (2, 5, 10, 20)  # px
SATISFICING_PX = 10.0  # the error the project asks of a tracker (seeds: satisficing metric)
FEWEST_TO_FIT = 30  # points; fewer do not tell what a likelihood is worth
STEPS_OF_FIT = 50
DAMPING = 1e-3  # pulls towards no change where the points leave a direction open, e.g. if all are equally likely
GROSS_MISS = 50  # px; one such point outweighs hundreds of good ones in a root mean square


def distances(keypoints_true: np.ndarray, labelled: np.ndarray, keypoints_pred: np.ndarray) -> np.ndarray:
    """Euclidean distance of every predicted point from its label.

    Args:
      keypoints_true: [N,A,K,2] (x, y) pixels of the original image, A animals; read only where labelled.
      labelled: bool [N,A,K].
      keypoints_pred: [N,A,K,2] (x, y) in the same coordinates, animals in the same order.

    Returns:
      float64 [N,A,K] px: d = sqrt((x_pred - x_true)^2 + (y_pred - y_true)^2), NaN where not labelled.

    Raises:
      InputError: a labelled point whose prediction is not finite (a diverged model); dropping it silently
        would improve every number.
      ValueError: shapes that do not match, or a label that is not finite.
    """
    keypoints_true = np.asarray(keypoints_true, np.float64)
    keypoints_pred = np.asarray(keypoints_pred, np.float64)
    labelled = np.asarray(labelled, bool)
    if keypoints_true.ndim != 4 or keypoints_true.shape[3] != 2:
        raise ValueError(f"keypoints_true must be [N,A,K,2], not {list(keypoints_true.shape)}")
    if keypoints_pred.shape != keypoints_true.shape or labelled.shape != keypoints_true.shape[:3]:
        raise ValueError(
            f"shapes differ: truth {list(keypoints_true.shape)}, prediction {list(keypoints_pred.shape)}, "
            f"labelled {list(labelled.shape)}"
        )
    if not np.isfinite(keypoints_true[labelled]).all():
        raise ValueError("keypoints_true is not finite at a point marked as labelled")
    bad = labelled & ~np.isfinite(keypoints_pred).all(-1)
    if bad.any():
        raise InputError(
            f"the prediction of {int(bad.sum())} of {int(labelled.sum())} labelled points is not finite: the "
            "checkpoint has diverged; evaluate an earlier one or train with a lower learning rate"
        )
    difference = np.where(labelled[..., None], keypoints_pred - keypoints_true, np.nan)
    return np.hypot(difference[..., 0], difference[..., 1])


def summarize(
    keypoints_true: np.ndarray,
    labelled: np.ndarray,
    keypoints_pred: np.ndarray,
    likelihood: np.ndarray,
    bodyparts: Sequence[str],
    pcutoff: float,
    absent: np.ndarray | None = None,
    raw_likelihood: np.ndarray | None = None,
) -> dict:
    """The numbers of one evaluation, ready for JSON.

    With d_1..d_n the Euclidean distances in pixels of the n labelled points selected (`distances`):

      n_points       n
      rmse_px        sqrt(1/n sum d_i^2), the root mean square
      mean_error_px  1/n sum d_i, what DeepLabCut reports as "RMSE"
      median_px      50th percentile of d
      p95_px         95th percentile of d, linear between the two nearest order statistics
      max_px         largest d
      n_over_50px    number of d_i > 50 px, the gross misses
      pck            {"2","5","10","20"}: share of d_i <= that many px (percentage of correct keypoints, 0..1)

    Points are pooled over images, animals and bodyparts, so a bodypart counts as often as it is labelled.

    Args:
      keypoints_true: [N,A,K,2] (x, y) pixels of the original image, A animals; read only where labelled.
      labelled: bool [N,A,K].
      keypoints_pred: [N,A,K,2] (x, y) in the same coordinates, animals in the same order.
      likelihood: [N,A,K]; NaN counts as below every cut-off.
      bodyparts: K names.
      pcutoff: minimum likelihood of a trusted prediction.
      absent: bool [N,A,K], the bodyparts known not to be seen; None for none.
      raw_likelihood: [N,A,K], the likelihood before they were calibrated; None if none was.

    Returns:
      The numbers above for all labelled points, `n_images` = N, `per_bodypart` {name: the numbers}, `reliability` as
      returned by that function, `absent` as returned by `absence`, `pcutoff`, and `with_pcutoff`: the numbers and
      their `per_bodypart` over the labelled points with likelihood >= pcutoff; its `n_points` is how many were kept.
      If a selection is empty, its counts are 0 and everything else is None (null in JSON).

    Raises:
      InputError, ValueError: as `distances`.
    """
    d = distances(keypoints_true, labelled, keypoints_pred)
    likelihood = np.asarray(likelihood, np.float64)
    if likelihood.shape != d.shape or len(bodyparts) != d.shape[2]:
        raise ValueError(
            f"{list(d.shape)} points do not fit likelihood {list(likelihood.shape)} and {len(bodyparts)} bodyparts"
        )
    labelled = np.isfinite(d)
    absent = np.zeros_like(labelled) if absent is None else np.asarray(absent, bool)
    return {
        "n_images": len(d),
        **_selection(d, labelled, bodyparts),
        "absent": absence(likelihood, labelled, absent, bodyparts, pcutoff),
        "reliability": reliability(d, likelihood, absent, raw_likelihood),
        "pcutoff": float(pcutoff),
        "with_pcutoff": _selection(d, labelled & (likelihood >= pcutoff), bodyparts),
    }


def absence(
    likelihood: np.ndarray, labelled: np.ndarray, absent: np.ndarray, bodyparts: Sequence[str], pcutoff: float
) -> dict | None:
    """Does the likelihood tell bodyparts that are there from bodyparts that are not?

    Args:
      likelihood: [N,A,K], 0..1; NaN counts as less than any.
      labelled, absent: bool [N,A,K].
      bodyparts: K names.
      pcutoff: minimum likelihood of a trusted prediction.

    Returns:
      None if no point is absent. Otherwise `n_points`, the absent ones; `n_found`, those of them with a likelihood of
      at least `pcutoff`; `roc_auc`, the probability that a labelled point is likelier than an absent one, ties
      counting half (the area under the ROC curve), None without labelled points; and `per_bodypart` {name: the same}
      for the bodyparts that are absent somewhere.
    """

    def numbers(p: np.ndarray, there: np.ndarray, gone: np.ndarray) -> dict:
        auc = roc_auc(p[there], p[gone]) if there.any() else None
        return {"n_points": int(gone.sum()), "n_found": int((p[gone] >= pcutoff).sum()), "roc_auc": auc}

    if not absent.any():
        return None
    p = np.nan_to_num(np.asarray(likelihood, np.float64), nan=-1.0)
    columns = {name: (p[..., k], labelled[..., k], absent[..., k]) for k, name in enumerate(bodyparts)}
    per_bodypart = {name: numbers(*column) for name, column in columns.items() if column[2].any()}
    return {**numbers(p, labelled, absent), "per_bodypart": per_bodypart}


def roc_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The area under the ROC curve of two sets of scores, by the ranks of the positive ones (Mann and Whitney 1947)."""
    _, places, counts = np.unique(np.concatenate([positive, negative]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]  # from 1; equal scores share the mean of theirs
    n, m = len(positive), len(negative)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def reliability(
    d: np.ndarray,
    likelihood: np.ndarray,
    absent: np.ndarray | None = None,
    raw_likelihood: np.ndarray | None = None,
) -> dict:
    """Is a likelihood of 0.9 right nine times in ten? Right means within 10 px, the project's satisficing bar.

    Args:
      d: [N,A,K] px as returned by `distances`, NaN where not labelled.
      likelihood: [N,A,K], 0..1.
      absent: bool [N,A,K], points that count as wrong wherever they are; None for none.
      raw_likelihood: [N,A,K], the likelihood before they were calibrated; None if none was.

    Returns:
      `right_px`; `bins`, ten of equal width, the empty ones left out: {low, high, n, likelihood (their mean), right
      (share)}; `expected_error`, the mean over the points of |likelihood - right| of their bin (Naeini et al. 2015,
      ECE), None without points; `temperature` and `bias`, which fit the raw likelihoods, see `fit_calibration`.
    """
    counted = np.isfinite(d) if absent is None else np.isfinite(d) | absent
    p, right = np.asarray(likelihood, np.float64)[counted], d[counted] <= SATISFICING_PX
    raw = p if raw_likelihood is None else np.asarray(raw_likelihood, np.float64)[counted]
    bins = []
    for low in np.arange(10) / 10:
        chosen = (p >= low) & ((p < low + 0.1) | (low == 0.9))
        if chosen.any():
            values = {
                "n": int(chosen.sum()),
                "likelihood": float(p[chosen].mean()),
                "right": float(right[chosen].mean()),
            }
            bins.append({"low": float(low), "high": round(float(low) + 0.1, 1), **values})
    expected = sum(b["n"] * abs(b["likelihood"] - b["right"]) for b in bins) / len(p) if len(p) else None
    temperature, bias = fit_calibration(raw, right) or (None, None)
    fitted = {"temperature": temperature, "bias": bias}
    return {"right_px": SATISFICING_PX, "expected_error": expected, **fitted, "bins": bins}


def fit_calibration(p: np.ndarray, right: np.ndarray) -> tuple[float, float] | None:
    """Temperature and bias for which sigmoid(logit(p) / temperature + bias) says best how often points are right.

    They minimize the cross entropy (Platt 1999), with Platt's targets: n right points count as right with probability
    (n + 1) / (n + 2), m wrong ones with 1 / (m + 2), so that a set without errors has a finite fit too. Without the
    bias (Guo et al. 2017) a likelihood never crosses 1/2, where the peaks of short trainings that are right lie.

    Args:
      p: likelihoods [n], 0..1.
      right: bool [n].

    Returns None for fewer than 30 points. If no temperature between 0.1 and 10 is best, because likelier points are not
    more often right, the bias alone is fitted, with a temperature of 1: the mean likelihood is right then.
    """
    if len(p) < FEWEST_TO_FIT:
        return None
    p = np.asarray(p, np.float64).clip(1e-6, 1 - 1e-6)
    logit, (n, m) = np.log(p / (1 - p)), (right.sum(), (~right).sum())
    target = np.where(right, (n + 1) / (n + 2), 1 / (m + 2))
    slope, bias = _fit_logistic(np.stack([logit, np.ones(len(p))]), np.zeros(len(p)), target, np.array([1.0, 0.0]))
    if not 0.1 < slope < 10:
        slope, (bias,) = 1.0, _fit_logistic(np.ones((1, len(p))), logit, target, np.zeros(1))
    return round(1 / float(slope), 3), round(float(bias), 3)


def _fit_logistic(inputs: np.ndarray, offset: np.ndarray, target: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The weights [M] of sigmoid(weights @ inputs [M, n] + offset [n]) with the least cross entropy, near `prior`."""
    weights = prior
    for _ in range(STEPS_OF_FIT):  # Newton's; the loss is convex
        found = 1 / (1 + np.exp(-weights @ inputs - offset))
        gradient = inputs @ (found - target) + DAMPING * (weights - prior)
        hessian = (inputs * found * (1 - found)) @ inputs.T + DAMPING * np.eye(len(prior))
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step / max(1.0, np.abs(step).max())
    return weights


def capped_mean(d: np.ndarray, cap: float) -> float | None:
    """The mean of distances [...], NaN where not labelled, each counted as at most `cap`; None without any."""
    known = d[np.isfinite(d)]
    return float(np.minimum(known, cap).mean()) if known.size else None


def _selection(d: np.ndarray, selected: np.ndarray, bodyparts: Sequence[str]) -> dict:
    """The numbers over the selected points, and the same for each bodypart."""
    per_bodypart = {name: _numbers(d[..., k][selected[..., k]]) for k, name in enumerate(bodyparts)}
    return {**_numbers(d[selected]), "per_bodypart": per_bodypart}


def _numbers(d: np.ndarray) -> dict:
    """The numbers over distances d [n]; None for those undefined for an empty selection."""
    values = dict.fromkeys(("rmse_px", "mean_error_px", "median_px", "p95_px", "max_px"))
    pck: dict[str, float | None] = {str(t): None for t in PCK_THRESHOLDS}
    if d.size:
        values = {
            "rmse_px": float(np.sqrt(np.mean(d**2))),
            "mean_error_px": float(np.mean(d)),
            "median_px": float(np.median(d)),
            "p95_px": float(np.percentile(d, 95)),
            "max_px": float(np.max(d)),
        }
        pck = {str(t): float(np.mean(d <= t)) for t in PCK_THRESHOLDS}
    return {"n_points": int(d.size), **values, "n_over_50px": int(np.sum(d > GROSS_MISS)), "pck": pck}
