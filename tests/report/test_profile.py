from types import SimpleNamespace as Fake

import jax
import jax.numpy as jnp
import pytest

from pawjax.report import profile


def test_trace_names_the_operations(tmp_path):
    square = jnp.ones((256, 256))
    calls = []

    @jax.jit
    def products(x):
        return x @ x @ x

    def step():
        calls.append(0)
        return products(square).block_until_ready()

    step()
    seconds = profile.trace_calls(step, tmp_path, 4)
    assert len(calls) == 5
    assert 0 < len(seconds) < 3 and min(seconds.values()) > 0  # both products under one name


def test_operations_are_summed_by_kind_for_one_call(tmp_path, monkeypatch):
    def event(operation, milliseconds):
        return Fake(stats=[("hlo_op", operation)] if operation else [], duration_ns=1e6 * milliseconds)

    lines = [[event("dot.1", 2), event(None, 50), event("add_fusion.3.clone", 10)], [event("dot.2", 4)]]
    trace = Fake(planes=[Fake(lines=[Fake(events=events) for events in lines])])
    monkeypatch.setattr(profile, "ProfileData", Fake(from_file=lambda path: trace))
    seconds = profile.trace_calls(lambda: None, tmp_path, 2)
    assert list(seconds) == ["add_fusion", "dot"]  # longest first
    assert seconds == pytest.approx({"add_fusion": 0.005, "dot": 0.003})


def test_operation_numbers_are_dropped():
    names = ("dot.3", "loop_add_fusion.12.clone", "cudnn-conv-bw-filter.7.remat", "while")
    assert [profile.kind_of(name) for name in names] == ["dot", "loop_add_fusion", "cudnn-conv-bw-filter", "while"]
