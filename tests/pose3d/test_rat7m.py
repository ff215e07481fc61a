"""On a real rat the models follow each other in the order of what they know (slow)."""

import json
import sys

import pytest

from launch import rat7m


@pytest.mark.slow
def test_each_model_beats_the_one_before(shared_data, tmp_path, monkeypatch, capsys):
    folder, report = shared_data / "rat7m-extract", tmp_path / "report.json"
    monkeypatch.setattr(sys, "argv", ["rat7m", f"--data={folder}", f"--json={report}", "--turns=1"])
    rat7m.main()
    table = capsys.readouterr().out
    assert table.count("after Procrustes") == 5
    models = json.loads(report.read_text())["models"]
    for kind, most in (("raw_mm", 4.75), ("procrustes_mm", 3.75)):
        found = [models[name][kind] for name in ("model0", "model1", "model2", "gimbal")]
        assert found == sorted(found, reverse=True) and found[-1] < most and found[0] < 12.5
    assert all(models[name]["converged"] for name in ("model0", "model1", "model2", "gimbal"))
