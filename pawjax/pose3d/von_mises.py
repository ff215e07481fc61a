"""Draws of the von Mises distribution on the circle, density proportional to exp(kappa cos(angle - mean))."""

import math

import jax
import jax.numpy as jnp


def sample(key: jax.Array, mean: jax.Array, kappa: jax.Array) -> jax.Array:
    """Draws an angle [...] for each mean [...], radians, and concentration kappa [...] >= 0; exact.

    Rejection from a wrapped Cauchy distribution (Best and Fisher, Applied Statistics 28, 1979), of half-angle tangent
    c tan(pi (uniform - 1/2)) with c = 1 / sqrt(1 + 4 kappa): two in three draws are kept or more. Written by
    x = sin(angle / 2)^2, of which the ratio of the densities is exp(-2 kappa x) (1 + 4 kappa x), it keeps its digits
    in float32 for any kappa.
    """
    tangent = 1 / jnp.sqrt(1 + 4 * kappa)
    best = jnp.minimum(1, 1 / jnp.maximum(4 * kappa, jnp.finfo(kappa.dtype).tiny))  # x where the ratio is largest

    def attempt(carry):
        key, angle, done = carry
        key, direction, chance = jax.random.split(key, 3)
        half = tangent * jnp.tan(math.pi * (jax.random.uniform(direction, kappa.shape, kappa.dtype) - 0.5))
        x = half**2 / (1 + half**2)
        ratio = jnp.exp(-2 * kappa * (x - best)) * (1 + 4 * kappa * x) / (1 + 4 * kappa * best)
        keep = ~done & (jax.random.uniform(chance, kappa.shape, kappa.dtype) < ratio)
        return key, jnp.where(keep, 2 * jnp.arctan(half), angle), done | keep

    start = key, jnp.zeros_like(kappa), jnp.zeros(kappa.shape, bool)
    _, angle, _ = jax.lax.while_loop(lambda carry: ~carry[2].all(), attempt, start)
    return mean + angle
