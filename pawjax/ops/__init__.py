"""Pure functions of arrays: no Flax, no parameters.

Most are plain JAX. `chip` decides at trace time whether a program runs on a CPU; these files hold forms that CPUs run
faster: `conv` and `winograd` (convolutions), `dense` (products), `norm`, `residual` and `chains` (sub-batches that run
in parallel). Every other chip gets plain XLA operations.
"""
