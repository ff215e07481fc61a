"""Trees over bodyparts (pictorial structures, Felzenszwalb & Huttenlocher 2005): learned from labels, applied to maps.

`learning` fits a tree, `messages` finds the likeliest places of all bodyparts together and the probability of every
place, and `points` makes keypoints of them.
"""

from pawjax.structure.learning import learn_tree
from pawjax.structure.points import structured_points
from pawjax.structure.tree import FILE, Tree, read_tree, write_tree

__all__ = ["FILE", "Tree", "learn_tree", "read_tree", "structured_points", "write_tree"]
