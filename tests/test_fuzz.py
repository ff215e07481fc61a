"""Damaged projects, run folders and weight files: no traceback, no hang, no signal, no silent change."""

import pytest

from tests.fuzz.__main__ import BAD, KINDS, ROOT, run


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_ends_badly(kind, tmp_path):
    cases = run(kind, KINDS[kind], 0, ROOT, tmp_path)
    bad = [(case, verdict, words, message) for case, verdict, words, message in cases if verdict in BAD]
    assert bad == []
