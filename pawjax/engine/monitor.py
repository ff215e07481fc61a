"""How a run does on dev, and on as many of its training frames, while it trains."""

import jax
import numpy as np
from ml_collections import ConfigDict

from pawjax import data, metrics
from pawjax.data.batches import FrameStore
from pawjax.inference import compiler
from pawjax.inference.stream import predict_store
from pawjax.inference.views import make_predict
from pawjax.methods import Method, Variables

CURVE_KEYS = ("rmse_px", "mean_error_px", "median_px")


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
          config: of the run; its seed draws the training frames.
          frames: all of them; `split` has the indices of 'train' and 'dev' among them, `stores` their images.
          on_device: whether the images are put on the device for good.
        """
        self._method, self._predict = method, None
        self._config, self._bodyparts = config, frames.bodyparts
        n_train, n_dev = len(stores["train"]), len(stores["dev"])
        some = np.sort(np.random.default_rng(config.seed).permutation(n_train)[:n_dev])
        chosen = {"train": split["train"][some], "dev": split["dev"]}
        self._truth = {part: (frames.keypoints[indices], frames.labelled[indices]) for part, indices in chosen.items()}
        self._stores = {"train": jax.tree.map(lambda x: x[some], stores["train"]), "dev": stores["dev"]}
        if on_device:
            self._stores = jax.device_put(self._stores)

    def evaluate(self, variables: Variables) -> dict[str, float]:
        """'train/rmse_px', 'dev/mean_error_px' and the like, pixels of the original frames."""
        values = {}
        method, variables = self._method.fold(variables)
        if self._predict is None:  # it is compiled once
            self._predict = compiler.jit(make_predict(method, self._config, self._bodyparts))
        for part, store in self._stores.items():
            predicted = predict_store(self._predict, variables, store, self._config.batch_size)
            summary = metrics.summarize(
                *self._truth[part],
                predicted.keypoints[:, None],  # of the only animal
                predicted.likelihood[:, None],
                self._bodyparts,
                self._config.pcutoff,
            )
            values |= {f"{part}/{key}": summary[key] for key in CURVE_KEYS}
        return values
