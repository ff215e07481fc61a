"""Networks: Flax modules that take arrays and return arrays, and know nothing of losses, decoding or chips.

A backbone turns images into feature maps of several strides; `backbones` has its interface and the registry.
Each method's network consists of a backbone and heads: `pose_net` (DeepLabCut), `detector` with `box_heads` (Faster
R-CNN). `layers` holds the common layers; `fold` folds batch norm into kernels for prediction.
"""
