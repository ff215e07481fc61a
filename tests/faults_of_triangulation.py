"""Faults of the way from files of tracks to files of points and draws in space; see `tests/faults.py`."""

from tests.faults_of_numbers import fault

RECORDING, DIAGNOSTICS = "pawjax/reconstruction/recording.py", "pawjax/pose3d/diagnostics.py"
LEARNING, EXPECTATION = "pawjax/pose3d/learning.py", "pawjax/pose3d/expectation.py"
POINTS, SLEAP, VIEWS = "pawjax/tracks/points3d.py", "pawjax/tracks/sleap_read.py", "pawjax/pose3d/views.py"
TRIANGULATING = "tests/inference/test_triangulating.py -k "

FAULTS = (
    fault(
        "a late camera is moved the wrong way",
        "tests/inference/test_recording.py -k offset",
        (RECORDING, "np.arange(frames) + offset", "np.arange(frames) - offset"),
    ),
    fault(
        "every file of tracks is taken in the order of the first",
        "tests/inference/test_recording.py -k order",
        (RECORDING, "[tracks.bodyparts.index(name) for name in bodyparts]", "list(range(len(bodyparts)))"),
    ),
    fault(
        "tracks of different lengths are cut without a word",
        TRIANGULATING + "bad_input",
        (RECORDING, "    if most != least:", "    if False:"),
    ),
    fault(
        "frames of another size are taken",
        TRIANGULATING + "bad_input",
        (RECORDING, "if 0 not in tracks.size and tracks.size != size[::-1]:", "if False:"),
    ),
    fault(
        "files of the user are overwritten",
        TRIANGULATING + "overwritten",
        ("pawjax/reconstruction/request.py", "if there and not request.overwrite:", "if False:"),
    ),
    fault(
        "anipose's error is that of all views",
        TRIANGULATING + "every_format",
        (POINTS, "return _mean(self.residual, self.used)", "return _mean(self.residual, np.isfinite(self.residual))"),
    ),
    fault(
        "SLEAP's x and y are exchanged",
        "tests/tracks/test_sleap_read.py -k again",
        (SLEAP, "points.transpose(3, 0, 2, 1)", "points.transpose(3, 0, 2, 1)[..., ::-1]"),
    ),
    fault(
        "the lens is left out of the covariance",
        "tests/pose3d/test_learning.py -k lenses",
        (VIEWS, "slope = np.stack(columns, -1)", "slope = np.eye(2) + 0 * np.stack(columns, -1)"),
    ),
    fault(
        "points are taken to lie as far from their own views as from others",
        "tests/pose3d/test_expectation.py -k dense",
        (EXPECTATION, "- pixels) ** 2).sum(-1) + spread", "- pixels) ** 2).sum(-1)"),
    ),
    fault(
        "positions of successive frames are taken to be independent",
        "tests/pose3d/test_expectation.py -k dense",
        (EXPECTATION, " - 2 * jnp.trace(between, axis1=-2, axis2=-1)", ""),
    ),
    fault(
        "the covariance of tracks is learned once more",
        "tests/pose3d/test_expectation.py -k again",
        (EXPECTATION, "expected.squared - known, 0", "expected.squared, 0"),
    ),
    fault(
        "outliers by likelihood are learned once more",
        "tests/pose3d/test_expectation.py -k again",
        (EXPECTATION, "by_rate = expected.outlier * rate / np.maximum(either, SUREST)", "by_rate = expected.outlier"),
    ),
    fault(
        "limbs vary as much as the points that they are learned from",
        "tests/pose3d/test_learning.py -k limbs",
        (LEARNING, "limbs.variance - np.nanmean(spread, 0)", "limbs.variance"),
    ),
    fault(
        "points that jump there and back teach the prior",
        "tests/pose3d/test_learning.py -k jump",
        (LEARNING, "np.where(jumped[..., None], np.nan, points)", "points"),
    ),
    fault(
        "likelihoods replace the rates of outliers",
        "tests/pose3d/test_learning.py -k likelihoods",
        (LEARNING, "1 - (1 - rate) * (1 - said)", "said"),
    ),
    fault(
        "a slight gain counts as a swap",
        "tests/pose3d/test_diagnostics.py -k exactly",
        (DIAGNOSTICS, "wrong = (exchanged < MUCH_LESS * as_they_are) & (", "wrong = (exchanged < as_they_are) | ("),
    ),
    fault(
        "a camera is compared with a triangulation that it took part in",
        "tests/pose3d/test_diagnostics.py -k late",
        (DIAGNOSTICS, "others[camera] = np.nan", "pass"),
    ),
    fault(
        "bodyparts without a limb hang on the root",
        "tests/pose3d/test_skeleton.py",
        ("pawjax/pose3d/skeleton.py", "if own != group[root]]", "if own < 0]"),
    ),
    fault(
        "points that a model filled look like seen ones in DeepLabCut's table",
        TRIANGULATING + "filled",
        (POINTS, "np.where(points.few_views[..., None], np.nan, ", "np.where(False, np.nan, "),
    ),
    fault(
        "sessions lie around the origin of the first",
        "tests/pose3d/test_gimbal.py -k sessions",
        ("pawjax/pose3d/gimbal.py", "mean=in_world(part.mean, origin)", "mean=in_world(part.mean, origins[0])"),
    ),
    fault(
        "sampling: proposals are accepted too often",
        "tests/pose3d/test_gibbs.py -k transition",
        ("pawjax/pose3d/hamiltonian.py", "jnp.exp(jnp.minimum(gain, 0))", "jnp.exp(jnp.minimum(0.9 * gain, 0))"),
    ),
    fault(
        "sampling: a heading follows from the height of limbs too",
        "tests/pose3d/test_gibbs.py -k grid",
        ("pawjax/pose3d/sweeps.py", "cosine = (natural * drawn)[..., :2]", "cosine = (natural * drawn)"),
    ),
    fault(
        "sampling: pose states are drawn by the transitions' transpose",
        "tests/pose3d/test_joint.py -k keep",
        (
            "pawjax/pose3d/hidden_markov.py",
            "probabilities * transitions[:, state]",
            "probabilities * transitions[state]",
        ),
    ),
    fault(
        "sampling: an outlier pulls as an inlier does",
        "tests/pose3d/test_forces.py",
        ("pawjax/pose3d/forces.py", "share / measured.outlier * off", "share * off"),
    ),
)
