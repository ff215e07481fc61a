"""Evaluates a run on dev, and on as many training frames, while it trains."""

import functools

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import data, metrics
from pawjax.data.batches import FrameStore, evaluation_batches
from pawjax.engine.checkpoints import BIAS, TEMPERATURE
from pawjax.inference import compiler
from pawjax.inference.stream import predict_store, stream
from pawjax.inference.views import make_predict
from pawjax.methods import Method, Variables
from pawjax.structure import PairExamples, Pairwise, fit_pairs, learn_tree, pair_examples

CURVE_KEYS = ("rmse_px", "mean_error_px", "median_px")
MOST_TO_FIT = 128  # training frames that pairs of bodyparts are learned from


class Monitor:
    """Evaluates variables on the same frames every time."""

    def __init__(
        self,
        method: Method,
        config: ConfigDict,
        frames: data.LabelledFrames,
        split: dict[str, np.ndarray],
        stores: dict[str, FrameStore],
        on_device: bool,
    ):
        """
        Args:
          method: see `pawjax.methods`.
          config: the run's; its seed draws the training frames.
          frames: all frames; `split` holds the indices of 'train' and 'dev', `stores` their images.
          on_device: whether the images stay on the device.

        Raises InputError for a tree (`config.predict.structure`) that cannot be learned.
        """
        self._method, self._predict = method, None
        self._config, self._bodyparts, self._tree = config, frames.bodyparts, None
        if config.predict.structure:
            rows = split["train"]
            self._tree = learn_tree(frames.keypoints[rows], frames.labelled[rows], frames.bodyparts)
        n_train, n_dev = len(stores["train"]), len(stores["dev"])
        some = np.sort(np.random.default_rng(config.seed).permutation(n_train)[:n_dev])
        chosen = {"train": split["train"][some], "dev": split["dev"]}
        self._truth = {name: (frames.keypoints[rows], frames.labelled[rows]) for name, rows in chosen.items()}
        self._absent = {name: frames.absent[rows] for name, rows in chosen.items()}
        self._stores = {"train": jax.tree.map(lambda x: x[some], stores["train"]), "dev": stores["dev"]}
        self._train, self._fit = stores["train"], None
        if on_device:
            self._stores = jax.device_put(self._stores)

    def evaluate(self, variables: Variables) -> dict[str, float]:
        """'train/rmse_px', 'dev/mean_error_px' etc., in pixels of the frames, and 'dev/temperature' and 'dev/bias'.

        The last two are left out if they cannot be fitted, or `config.predict` sets them. 'dev/capped_px' is only there
        if `config.checkpoint_by` asks for it.
        """
        summaries, values = {}, {}
        method, variables = self._method.fold(variables)
        if self._predict is None:  # compiled once
            self._predict = compiler.jit(make_predict(method, self._config, self._bodyparts, self._tree))
        for split, store in self._stores.items():
            predicted = predict_store(self._predict, variables, store, self._config.batch_size)
            summaries[split] = summary = metrics.summarize(
                *self._truth[split],
                predicted.keypoints[:, None],  # one animal
                predicted.likelihood[:, None],
                self._bodyparts,
                self._config.pcutoff,
                self._absent[split],
            )
            values |= {f"{split}/{key}": summary[key] for key in CURVE_KEYS}
            if split == "dev" and self._config.checkpoint_by == "capped":
                d = metrics.distances(*self._truth[split], predicted.keypoints[:, None])
                values["dev/capped_px"] = metrics.capped_mean(d, self._config.checkpoint_cap)
        fitted = summaries["dev"]["reliability"]
        if fitted["temperature"] is None or self._config.predict.temperature:
            return values
        return values | {TEMPERATURE: fitted["temperature"], BIAS: fitted["bias"]}

    def fit_pairs(self, variables: Variables) -> Pairwise | None:
        """What these variables know of pairs of bodyparts, on at most MOST_TO_FIT training frames.

        None if the method has no pairwise terms.
        """
        model = self._method.pairwise(variables)
        if model is None:
            return None
        method, variables = self._method.fold(variables)
        if self._fit is None:  # compiled once

            def examples(variables: Variables, store: FrameStore) -> PairExamples:
                maps = method.score_maps(variables, store.image)
                return pair_examples(maps, store.keypoints[:, 0], store.labelled[:, 0])  # one animal

            self._fit = compiler.jit(examples), compiler.jit(fit_pairs)
        program, fit = self._fit
        some = np.sort(np.random.default_rng(self._config.seed).permutation(len(self._train))[:MOST_TO_FIT])
        rows = ((some[index], n) for index, n in evaluation_batches(len(some), self._config.batch_size))
        batches = ((jax.tree.map(lambda x, row=row: x[row], self._train), n) for row, n in rows)
        found = stream(functools.partial(program, variables), batches)
        return fit(model, jax.tree.map(lambda *parts: np.concatenate(parts), *found))

    @property
    def n_dev_points(self) -> int:
        """The points of dev that likelihoods are calibrated on."""
        return int((self._truth["dev"][1] | self._absent["dev"]).sum())
