"""On a real rat the models follow each other in the order of what they know (slow)."""

import json
import sys

import pytest

from launch import rat7m


@pytest.mark.slow
def test_each_model_beats_the_one_before(shared_data, tmp_path, monkeypatch, capsys):
    folder, report = shared_data / "rat7m-extract", tmp_path / "report.json"
    monkeypatch.setattr(sys, "argv", ["rat7m", f"--data={folder}", f"--json={report}", "--turns=1", "--seeds=1"])
    rat7m.main()
    table = capsys.readouterr().out
    assert table.count("after Procrustes") == 7
    results = json.loads(report.read_text())
    models, kinds = results["models"], ("two_cameras_dropped", "share_dropped")
    for kind, most in (("raw_mm", 4.75), ("procrustes_mm", 3.75)):
        found = [models[name][kind] for name in ("model0", "model1", "model2", "gimbal")]
        assert found == sorted(found, reverse=True) and found[-1] < most and found[0] < 12.5
    assert all(models[name]["converged"] for name in ("model0", "model1", "model2", "gimbal"))
    for rows in (models, *(results[kind] for kind in kinds)):
        assert rows["ransac"]["raw_mm"] < rows["median"]["raw_mm"] and rows["gimbal"]["raw_mm"] < 6
    assert results["left_out_camera_px"].keys() == {"median", "ransac", "model0", "model1", "model2", "gimbal"}
    assert all(5 < value < 15 for value in results["left_out_camera_px"].values())
