"""Left-right symmetry: bodyparts that are swapped when a frame is mirrored."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from pawjax.data.names import nfc
from pawjax.errors import InputError, did_you_mean

Pairs = tuple[tuple[int, int], ...]


def pair_indices(pairs: Sequence[tuple[str, str]], bodyparts: Sequence[str]) -> Pairs:
    """Indices into `bodyparts` of pairs given by name, as in `config.data.symmetric_pairs`.

    Raises InputError for an unknown name.
    """
    known = [nfc(bodypart) for bodypart in bodyparts]
    for name in (name for pair in pairs for name in pair):
        if nfc(name) not in known:
            hint = did_you_mean(name, bodyparts, "write one of these names")
            raise InputError(
                f"config.data.symmetric_pairs: there is no bodypart '{name}' among {', '.join(bodyparts)}; {hint}"
            )
    return tuple((known.index(nfc(left)), known.index(nfc(right))) for left, right in pairs)


def swap_sides(values: jax.Array, pairs: Pairs, axis: int) -> jax.Array:
    """Swaps the two bodyparts of each pair along `axis`, which runs over all bodyparts."""
    order = list(range(values.shape[axis]))
    for left, right in pairs:
        order[left], order[right] = right, left
    return jnp.take(values, jnp.array(order), axis=axis)
