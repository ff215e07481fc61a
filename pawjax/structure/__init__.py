"""Trees over bodyparts (pictorial structures, Felzenszwalb & Huttenlocher 2005): learned from labels, applied to maps.

`learning` fits a tree, `messages` finds the likeliest places of all bodyparts together and the probability of every
place, and `points` makes keypoints of them. `animals` finds several animals among the `peaks` of the maps.
"""

from pawjax.structure.animals import animal_points
from pawjax.structure.learning import learn_tree
from pawjax.structure.points import structured_points
from pawjax.structure.tree import FILE, Tree, read_tree, tree_of_one, write_tree

__all__ = [
    "FILE",
    "Tree",
    "animal_points",
    "learn_tree",
    "read_tree",
    "structured_points",
    "tree_of_one",
    "write_tree",
]
