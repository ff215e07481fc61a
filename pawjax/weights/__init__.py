"""Published weights: read without their frameworks, renamed, and merged by name into a network's variables.

Files: .pth, .pt, .safetensors and .npz. Weights that load:

- ResNets and VGG-16 of torchvision and timm;
- EfficientNet-Lite of efficientnet_lite_pytorch;
- torchvision's Faster R-CNN on a ResNet (C4) or VGG-16; with a feature pyramid, only its backbone;
- snapshots of DeepLabCut 3 (PyTorch);
- TF-slim's ResNets and DeepLabCut's TensorFlow snapshots, as .npz from `third_party/tf_slim/convert.py`.
"""

from pawjax.weights.files import read_tensors
from pawjax.weights.merge import Merge, merge
from pawjax.weights.names import read_weights, variant_of

__all__ = ["Merge", "merge", "read_tensors", "read_weights", "variant_of"]
