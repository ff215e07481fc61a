"""Faster R-CNN: settings, training targets, decoding, and the method that combines them."""

from pawjax.methods.faster_rcnn.method import FasterRCNN, make
from pawjax.methods.faster_rcnn.settings import Settings

__all__ = ["FasterRCNN", "Settings", "make"]
