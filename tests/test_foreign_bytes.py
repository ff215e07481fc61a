"""Damaged and hostile files end in one sentence: no other exception, no signal, no hang, no gigabytes."""

import pytest

from tests.fuzz.foreign_bytes import CASES, fuzz

MOST_MEMORY = 500  # MB beyond what the imports take


def _require_sentences(kind: str, cases: int, seed: int) -> None:
    counts, faults, memory = fuzz(kind, cases, seed)
    assert not faults and memory < MOST_MEMORY, (faults, memory)
    assert counts["read"] and counts["read"] + counts["sentence"] == cases


@pytest.mark.parametrize(
    ("kind", "cases"), [("pickles", 1000), ("weights", 250), ("tables", 250), ("calibrations", 250)]
)
def test_some_files(kind, cases):
    _require_sentences(kind, cases, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_many_files(kind):
    _require_sentences(kind, CASES[kind], seed=2)
