"""Layers of all networks: convolutions with or without normalisation, normalisation alone, a deconvolution head.

Arrays are [B, H, W, C]; kernels are [kh, kw, in, out], float32, cast to the input's type for the arithmetic.
"""

import math
from collections.abc import Callable, Iterable

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.ops.conv import conv2d, conv_transpose_3x3_stride2
from pawjax.ops.norm import affine_of, batch_norm, group_norm
from pawjax.ops.relu import rectify

EPSILON = 1e-5  # of the variance, in torchvision, timm and TF-slim; a network with another has a field `epsilon`
GROUPS = 32  # of group norm; fewer where 32 do not divide the channels
NORMS = ("batch", "frozen", "group")


def standardize(
    images: jax.Array, mean: tuple[float, float, float], std: tuple[float, float, float], dtype: jnp.dtype
) -> jax.Array:
    """Images [B, H, W, 1 or 3] in 0..255 -> [B, H, W, 3] of `dtype`: (RGB in 0..1 - mean) / std; grey becomes RGB."""
    x = images.astype(jnp.float32) / 255.0
    return ((x - jnp.array(mean)) / jnp.array(std)).astype(dtype)


class ConvNorm(nn.Module):
    """Convolution without bias, a normalisation, and optionally a ReLU.

    Attributes:
      features: number of output channels.
      size, stride, dilation: of the square kernel.
      depthwise: whether each channel has a kernel of its own, [kh, kw, 1, features].
      same_padding: pad as TensorFlow's SAME, on an even size more at the end if the stride is 2; otherwise by
        (size - 1) * dilation / 2 on each side, as torchvision.
      norm: 'batch' (statistics of the batch in training, running ones otherwise), 'frozen' (running statistics
        always, scale and bias trained: DeepLabCut's TensorFlow recipe), 'group' (32 groups), or 'none' (only a bias,
        for variables from `pawjax.models.fold`).
      epsilon: added to the variance.
      momentum: share of the old running statistics kept in a training step.
      ceiling: of the ReLU, see `pawjax.ops.relu`.
      axis_name: mapped axis over which batch statistics are averaged (pmap).
      scale_init: initial scale; zeros make a residual block start as the identity.
    """

    features: int
    size: int = 1
    stride: int = 1
    dilation: int = 1
    depthwise: bool = False
    same_padding: bool = False
    norm: str = "batch"
    epsilon: float = EPSILON
    momentum: float = 0.9
    ceiling: float = math.inf
    axis_name: str | None = None
    scale_init: Callable = nn.initializers.ones

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        train: bool,
        relu: bool = True,
        between: Callable[[jax.Array], jax.Array] | None = None,
    ) -> jax.Array:
        """[B, H, W, I] -> [B, ceil(H / stride), ceil(W / stride), features].

        `between` maps the convolution's output before it is normalised: a C4 detector crops regions there.
        """
        inputs, mode = (1, "fan_in") if self.depthwise else (x.shape[-1], "fan_out")
        init = nn.initializers.variance_scaling(2.0, mode, "normal")
        kernel = self.param("kernel", init, (self.size, self.size, inputs, self.features))
        scale = None if self.norm == "none" else self.param("scale", self.scale_init, (self.features,))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        activation = dict(relu=relu, ceiling=self.ceiling)

        def convolve(kernel: jax.Array, bias: jax.Array | None = None, relu: bool = False) -> jax.Array:
            padding = tuple(map(self._padding, x.shape[1:3]))
            geometry = dict(stride=self.stride, padding=padding, dilation=self.dilation)
            if between is None:
                return conv2d(x, kernel, bias, relu=relu, ceiling=self.ceiling, **geometry)
            y = between(conv2d(x, kernel, **geometry))
            y = y if bias is None else y + bias.astype(x.dtype)
            return rectify(y, self.ceiling) if relu else y

        if self.norm == "group":
            groups = math.gcd(GROUPS, self.features)
            return group_norm(convolve(kernel), scale, bias, groups, self.epsilon, **activation)
        if self.norm != "none":
            mean, var = _running(self, self.features)
            if train and self.norm == "batch":
                y, *moments = batch_norm(
                    convolve(kernel), scale, bias, self.epsilon, axis_name=self.axis_name, **activation
                )
                _update(self, (mean, var), moments)
                return y
            # Constant statistics are folded into the kernel, which is far smaller than the map.
            gain, bias = affine_of(scale, bias, mean.value, var.value, self.epsilon)
            kernel = kernel * gain
        return convolve(kernel, bias, relu)

    def _padding(self, n: int) -> tuple[int, int]:
        """Zeros before and after an axis of n pixels."""
        total = (self.size - 1) * self.dilation
        if self.same_padding:
            total = max(total - (n - 1) % self.stride, 0)
            return total // 2, total - total // 2
        return total // 2, total // 2


class NormRelu(nn.Module):
    """A normalisation and a ReLU before a convolution: a pre-activation (He et al. 2016, "Identity mappings").

    Attributes:
      norm: see `ConvNorm`; with 'none' scale and bias remain.
      epsilon, momentum, axis_name: see `ConvNorm`.
    """

    norm: str = "batch"
    epsilon: float = EPSILON
    momentum: float = 0.9
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """[B, H, W, C] -> the same shape and dtype."""
        channels = x.shape[-1]
        gain = scale = self.param("scale", nn.initializers.ones, (channels,))
        offset = bias = self.param("bias", nn.initializers.zeros, (channels,))
        if self.norm == "group":
            return group_norm(x, scale, bias, math.gcd(GROUPS, channels), self.epsilon, relu=True)
        if self.norm != "none":
            mean, var = _running(self, channels)
            if train and self.norm == "batch":
                y, *moments = batch_norm(x, scale, bias, self.epsilon, relu=True, axis_name=self.axis_name)
                _update(self, (mean, var), moments)
                return y
            gain, offset = affine_of(scale, bias, mean.value, var.value, self.epsilon)
        return rectify(x * gain + offset).astype(x.dtype)


def _running(layer: nn.Module, channels: int) -> tuple[nn.Variable, nn.Variable]:
    """The running mean and variance of a layer's channels."""
    mean = layer.variable("batch_stats", "mean", jnp.zeros, (channels,))
    return mean, layer.variable("batch_stats", "var", jnp.ones, (channels,))


def _update(layer: nn.Module, running: Iterable[nn.Variable], moments: Iterable[jax.Array]) -> None:
    """Moves the running statistics of a layer toward those of a training batch."""
    if not layer.is_initializing():
        for old, moment in zip(running, moments, strict=True):
            old.value = layer.momentum * old.value + (1 - layer.momentum) * moment


class Convolution(nn.Module):
    """Convolution of stride 1 with a bias, padded to keep the map's size; the kernel is square, its `size` odd."""

    features: int
    size: int = 1
    kernel_init: Callable = nn.initializers.normal(0.01)
    bias_init: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, relu: bool = False) -> jax.Array:
        """[B, H, W, I] -> [B, H, W, features]."""
        kernel = self.param("kernel", self.kernel_init, (self.size, self.size, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.constant(self.bias_init), (self.features,))
        margin = self.size // 2
        return conv2d(x, kernel, bias, padding=((margin, margin), (margin, margin)), relu=relu)


class Deconvolution(nn.Module):
    """Transposed convolution 3x3, stride 2, SAME, with bias: DeepLabCut's head.

    The centre tap of feature cell i lands on map cell 2i + 1. Kernel [3, 3, out, in], TensorFlow's layout.
    """

    features: int
    kernel_init: Callable = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform", in_axis=-1, out_axis=-2)
    bias_init: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, I] -> float32 [B, 2H, 2W, features]."""
        kernel = self.param("kernel", self.kernel_init, (3, 3, self.features, x.shape[-1]))
        bias = self.param("bias", nn.initializers.constant(self.bias_init), (self.features,))
        return conv_transpose_3x3_stride2(x, kernel.astype(x.dtype)).astype(jnp.float32) + bias
