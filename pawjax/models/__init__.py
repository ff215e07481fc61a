"""Networks: Flax modules that take arrays and return arrays, and know nothing of losses, decoding or chips.

A backbone turns images into feature maps of several strides; `backbones` has their contract and the registry. The
networks of the methods are composed of one and its heads: `pose_net` (DeepLabCut) and `detector` with `box_heads`
(Faster R-CNN). `layers` holds the common layers, `fold` folds batch norm into kernels for prediction.
"""
