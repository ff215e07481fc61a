"""Other people's weights: files read without their frameworks, renamed, and merged by name into variables."""

from pawjax.weights.files import read_tensors
from pawjax.weights.merge import Merge, merge
from pawjax.weights.names import read_weights, variant_of

__all__ = ["Merge", "merge", "read_tensors", "read_weights", "variant_of"]
