"""Trees over bodyparts (pictorial structures, Felzenszwalb & Huttenlocher 2005): learned from labels, applied to maps.

`learning` fits a tree, `messages` finds the likeliest places of all bodyparts together and the probability of every
place, and `points` makes keypoints of them. If a network predicts where bodyparts are relative to each other
(`pairwise`, fitted by `pair_learning`), `candidates` takes the place of `messages`. `animals` finds several animals
among the `peaks` of the maps.
"""

from pawjax.structure.animals import animal_points
from pawjax.structure.learning import learn_tree
from pawjax.structure.pair_learning import PairExamples, fit_pairs, learn_offsets, pair_examples
from pawjax.structure.pairwise import Pairwise, pair_parts, untrained
from pawjax.structure.points import structured_points
from pawjax.structure.tree import FILE, Tree, read_tree, tree_of_one, write_tree

__all__ = [
    "FILE",
    "PairExamples",
    "Pairwise",
    "Tree",
    "animal_points",
    "fit_pairs",
    "learn_offsets",
    "learn_tree",
    "pair_examples",
    "pair_parts",
    "read_tree",
    "structured_points",
    "tree_of_one",
    "untrained",
    "write_tree",
]
