"""Other people's weights: files read without their frameworks, renamed, and merged by name into variables."""

from pawjax.weights.files import read_tensors
from pawjax.weights.merge import Merge, merge
from pawjax.weights.names import lineage_of, to_pawjax

__all__ = ["Merge", "lineage_of", "merge", "read_tensors", "to_pawjax"]
