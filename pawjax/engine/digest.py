"""Hashes of a tree of arrays, which tell whether the arrays read from a checkpoint are those that were saved."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from pawjax.errors import listed

MOST_NAMES = 2  # in a message


def digests(trees: dict[str, Any]) -> dict[str, dict[str, str]]:
    """{name of a tree: two SHA-256: 'arrays', of the names, shapes, dtypes and bytes of its leaves, and 'form', without
    the bytes}.

    They are the same on any number of devices and processes, each of which must hold the whole arrays. A leaf that
    several trees share is read once.
    """
    named = {name: _named(tree) for name, tree in trees.items()}
    leaves = {id(leaf): leaf for arrays in named.values() for leaf in arrays.values()}
    with ThreadPoolExecutor() as pool:  # hashing large arrays releases the interpreter
        hashes = dict(zip(leaves, pool.map(_sha256, leaves.values()), strict=True))
    return {
        name: {
            "arrays": _sha256_of_lines(f"{path} {_form(leaf)} {hashes[id(leaf)]}" for path, leaf in arrays.items()),
            "form": form_digest(trees[name]),
        }
        for name, arrays in named.items()
    }


def digest(tree: Any) -> dict[str, str]:
    """`digests` of one tree."""
    return digests({"": tree})[""]


def form_digest(tree: Any) -> str:
    """The 'form' of `digest`; the leaves may be shapes without data."""
    return _sha256_of_lines(f"{name} {form}" for name, form in forms(tree).items())


def forms(tree: Any) -> dict[str, str]:
    """{name of a leaf: its dtype and shape}, e.g. {'params/conv1/kernel': 'float32 [7, 7, 3, 64]'}."""
    return {name: _form(leaf) for name, leaf in _named(tree).items()}


def difference(saved: dict[str, str], wanted: dict[str, str]) -> str:
    """How two results of `forms` differ, for a message; empty if they do not."""
    words = [
        f"{name} is {saved.get(name, 'absent')} there and {wanted.get(name, 'absent')} here"
        for name in sorted(saved.keys() | wanted.keys())
        if saved.get(name) != wanted.get(name)
    ]
    return listed(words, MOST_NAMES, "; ")


def _named(tree: Any) -> dict[str, Any]:
    """The leaves by name, in the order of the names; keys of random streams as the integers that are saved."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): _plain(leaf) for path, leaf in leaves}
    return dict(sorted(named.items()))


def _plain(leaf: Any) -> Any:
    if not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    return jax.random.key_data(leaf) if isinstance(leaf, jax.Array) else jax.eval_shape(jax.random.key_data, leaf)


def _form(leaf: Any) -> str:
    return f"{leaf.dtype} {list(leaf.shape)}"


def _sha256(leaf: jax.Array) -> str:
    values = np.ascontiguousarray(leaf.addressable_data(0))  # this process's copy
    return hashlib.sha256(values.reshape(-1).view(np.uint8)).hexdigest()


def _sha256_of_lines(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
