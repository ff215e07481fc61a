"""The layers that every network here is built from: convolutions, normalised or not, and a deconvolution head.

Arrays are [B, H, W, C], or the `Parts` of such a batch (`pawjax.ops.chains`), whose bands only statistics join; kernels
are [kh, kw, in, out], float32, cast to the input's type for the arithmetic.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from pawjax.ops.chains import Parts, over_rows, whole
from pawjax.ops.conv import conv2d, conv_transpose_3x3_stride2, prepare_kernel
from pawjax.ops.norm import affine_of, batch_norm, group_norm

EPSILON = 1e-5  # of torchvision, timm and TF-slim alike
GROUPS = 32
NORMS = ("batch", "frozen", "group")


def channels(x: Parts) -> int:
    """C of [B, H, W, C], or of the parts of a batch."""
    return jax.tree.leaves(x)[0].shape[-1]


class ConvNorm(nn.Module):
    """Convolution without bias, a normalisation, and optionally a ReLU.

    Attributes:
      features: number of output channels.
      size, stride, dilation: of the square kernel; padding is (size - 1) * dilation / 2, as in torchvision.
      norm: 'batch' (statistics of the batch in training, running ones otherwise), 'frozen' (running statistics
        always, scale and bias trained: DeepLabCut's TensorFlow recipe) or 'group' (32 groups).
      momentum: share of the old running statistics kept at a training step.
      axis_name: mapped axis over which batch statistics are averaged (pmap).
      scale_init: initial scale; zeros make a residual block start as the identity.
    """

    features: int
    size: int = 1
    stride: int = 1
    dilation: int = 1
    norm: str = "batch"
    momentum: float = 0.9
    axis_name: str | None = None
    scale_init: Callable = nn.initializers.ones

    @nn.compact
    def __call__(self, x: Parts, train: bool, relu: bool = True, then: Callable | None = None) -> Parts:
        """[B, H, W, I] -> [B, ceil(H / stride), ceil(W / stride), features], or what `then` makes of that.

        `then` comes between the convolution and the normalisation. Live batch norm and group norm join bands of rows:
        their statistics are of whole images.
        """
        live = train and self.norm == "batch"
        x = whole(x) if live or self.norm == "group" else x
        shape = (self.size, self.size, channels(x), self.features)
        kernel = self.param("kernel", nn.initializers.variance_scaling(2.0, "fan_out", "normal"), shape)
        scale = self.param("scale", self.scale_init, (self.features,))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        margin = (self.size - 1) * self.dilation // 2

        def convolve(x: jax.Array, kernel: jax.Array, rows: tuple[int, int] = (margin, margin)) -> jax.Array:
            padding = (rows, (margin, margin))
            y = conv2d(x, kernel, stride=self.stride, padding=padding, dilation=self.dilation)
            return then(y) if then else y

        if self.norm == "group":
            weights = kernel if train else _prepared(self, "weights", lambda: prepare_kernel(kernel, self.stride))
            return jax.tree.map(lambda x: group_norm(convolve(x, weights), scale, bias, GROUPS, EPSILON, relu=relu), x)
        mean = self.variable("batch_stats", "mean", jnp.zeros, (self.features,))
        var = self.variable("batch_stats", "var", jnp.ones, (self.features,))
        if live:
            y = jax.tree.map(lambda x: convolve(x, kernel), x)
            y, *moments = batch_norm(y, scale, bias, EPSILON, relu=relu, axis_name=self.axis_name)
            if not self.is_initializing():
                for running, moment in zip((mean, var), moments, strict=True):
                    running.value = self.momentum * running.value + (1 - self.momentum) * moment
            return y
        # Constant statistics are folded into the kernel, which is far smaller than the map.
        gain, offset = affine_of(scale, bias, mean.value, var.value, EPSILON)
        folded = kernel * gain
        if not train:
            folded = _prepared(self, "weights", lambda weights=folded: prepare_kernel(weights, self.stride))
            offset = _prepared(self, "offset", lambda value=offset: value)

        def apply(x: jax.Array, rows: tuple[int, int]) -> jax.Array:
            y = convolve(x, folded, rows) + offset.astype(x.dtype)
            return nn.relu(y) if relu else y

        return over_rows(apply, x, window=2 * margin + 1, stride=self.stride, margins=(margin, margin))


class Convolution(nn.Module):
    """Convolution of stride 1 with a bias, padded to keep the size; `size` of the square kernel is odd."""

    features: int
    size: int = 1
    kernel_init: Callable = nn.initializers.normal(0.01)

    @nn.compact
    def __call__(self, x: Parts) -> Parts:
        """[B, H, W, I] -> [B, H, W, features]."""
        kernel = self.param("kernel", self.kernel_init, (self.size, self.size, channels(x), self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        if self.has_variable("prepared", "weights") or self.is_mutable_collection("prepared"):
            kernel = _prepared(self, "weights", lambda: prepare_kernel(kernel, stride=1))
        margin = self.size // 2

        def apply(x: jax.Array, rows: tuple[int, int]) -> jax.Array:
            return conv2d(x, kernel, padding=(rows, (margin, margin))) + bias.astype(x.dtype)

        return over_rows(apply, x, window=self.size, stride=1, margins=(margin, margin))


class Deconvolution(nn.Module):
    """Transposed convolution 3x3, stride 2, SAME, with bias: DeepLabCut's head.

    The centre tap of feature cell i lands on map cell 2i + 1. Kernel [3, 3, out, in], TensorFlow's own layout.
    """

    features: int
    kernel_init: Callable = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform", in_axis=-1, out_axis=-2)
    bias_init: float = 0.0

    @nn.compact
    def __call__(self, x: Parts) -> Parts:
        """[B, H, W, I] -> float32 [B, 2H, 2W, features]."""
        kernel = self.param("kernel", self.kernel_init, (3, 3, self.features, channels(x)))
        bias = self.param("bias", nn.initializers.constant(self.bias_init), (self.features,))

        def apply(x: jax.Array) -> jax.Array:
            return conv_transpose_3x3_stride2(x, kernel.astype(x.dtype)).astype(jnp.float32) + bias

        return jax.tree.map(apply, x)


def _prepared(module: nn.Module, name: str, make: Callable[[], jax.Array]) -> jax.Array:
    """What prediction needs of the variables alone: kept in the collection 'prepared' where there is one."""
    if module.has_variable("prepared", name):
        return module.get_variable("prepared", name)
    value = make()
    if module.is_mutable_collection("prepared") and not module.is_initializing():
        module.put_variable("prepared", name, value)
    return value
