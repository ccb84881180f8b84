"""Open, segment, look, export, in a real window."""

import csv
import json
import threading

import numpy as np
import pytest
import tifffile

from framedose import segment_files
from framedose.camera.passport import load_passport
from framedose.files import read

pytest.importorskip("napari", reason="needs the extra napari")


def test_round_trip(viewer, panel, series, weights, finished, said, tmp_path, monkeypatch):
    box = panel.segmentation
    panel.micrograph.open_path(series)
    image = panel.micrograph.layer
    assert panel.micrograph.sampling.value() == pytest.approx(0.3)
    assert not panel.micrograph.sampling.isEnabled()
    box.choose_weights(weights)
    box.dose.setText("50")
    box.threshold.setValue(0.7)

    viewer.dims.set_point(0, 2)
    box.frame_button.click()
    finished()
    assert box.shown.stored.indices == [2]
    assert "dose 50 lies" not in box.said.text()
    assert "dose 50 e/Å2 lies outside" in box.said.text()
    viewer.dims.set_point(0, 1)
    assert "frame 1: not segmented yet" in box.said.text()

    box.series_button.click()
    finished()
    assert box.shown.stored.indices == [0, 1, 2, 3]
    probability, mask = (viewer.layers[f"series {name}"] for name in ("probability", "mask"))
    for layer in (probability, mask):
        assert layer.data.shape == image.data.shape
        assert layer.scale.tolist() == image.scale.tolist()
        assert layer.units == image.units
    values = np.asarray(probability.data)
    assert values.min() < 0.3
    assert values.max() > 0.9

    # No network runs for another threshold.
    monkeypatch.setattr("framedose.viewer.stored.predict", lambda *_: pytest.fail("the network has run"))
    for threshold in (0.3, 0.85):
        box.threshold.setValue(threshold)
        np.testing.assert_array_equal(np.asarray(mask.data), values >= threshold)
        area = (values[1] >= threshold).sum() * 0.03**2
        assert f"frame 1: area {area:.2f} nm²" in box.said.text()
    assert "hold it in 90% of such frames" in box.said.text()
    assert viewer.screenshot(canvas_only=True, flash=False).std() > 1

    box.export(tmp_path / "out")
    finished()
    # The same files as the command's.
    segment_files([series], network=weights, threshold=0.85, dose=50.0, out=tmp_path / "command")
    names = sorted(path.name for path in (tmp_path / "command").iterdir())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    for name in names:
        ours, theirs = ((tmp_path / folder / name).read_bytes() for folder in ("out", "command"))
        if name.endswith(".json"):
            ours, theirs = json.loads(ours), json.loads(theirs)
            assert {key: ours[key] for key in theirs if key != "allow_unequal"} | {"allow_unequal": False} == (
                theirs | {"sampling": ours["sampling"]}
            )
        else:
            assert ours == theirs, name
    assert read(tmp_path / "out" / "series_mask.tif")[0].sampling == pytest.approx(0.3)
    assert not said()

    # Nothing is overwritten.
    box.export(tmp_path / "out")
    finished()
    assert "nothing is overwritten" in said()[-1]
    assert "\n" not in said()[-1]


def test_a_frame_without_scale(viewer, panel, weights, finished, said, tmp_path):
    box = panel.segmentation
    np.save(tmp_path / "bare.npy", np.random.default_rng(1).normal(100, 10, (64, 80)).astype(np.float32))
    box.frame_button.click()
    assert said() == ["There is no micrograph: open one first."]
    panel.micrograph.open_path(tmp_path / "bare.npy")
    box.choose_weights(weights)
    box.frame_button.click()
    assert "no pixel size" in said()[-1]
    assert len(viewer.layers) == 1
    panel.micrograph.sampling.setValue(0.3)
    assert viewer.layers["bare"].scale.tolist() == pytest.approx([0.03, 0.03])
    box.dose.setText("many")
    box.frame_button.click()
    assert said()[-1] == "dose must be a number of e/Å2, got 'many'."
    box.dose.clear()
    box.frame_button.click()
    finished()
    assert viewer.layers["bare mask"].data.shape == (64, 80)

    # An empty mask is said aloud; another network replaces the result.
    box.threshold.setValue(0.99)
    panel.micrograph.sampling.setValue(0.29)
    assert viewer.layers["bare mask"].scale.tolist() == pytest.approx([0.029, 0.029])
    # Areas and files would be of the other pixel size.
    assert box.said.text() == "! Segmented at 0.3 Å/px, and the pixel size is 0.29 Å/px now: segment again."
    box.export(tmp_path / "outdated")
    assert "segment again" in said()[-1]
    assert not (tmp_path / "outdated").exists()
    box.network.addItem("nosuch")
    box.network.setCurrentText("nosuch")
    box.frame_button.click()
    finished()
    assert "nosuch" in said()[-1]
    panel.micrograph.sampling.setValue(2.0)
    box.choose_weights(weights)
    box.frame_button.click()
    finished()
    assert "too coarse" in said()[-1]
    assert all("\n" not in line and "--" not in line for line in said())

    viewer.layers.remove("bare")
    assert box.shown is None
    assert not box.said.text()
    assert not len(viewer.layers)


def test_a_passport_that_tells_no_dose_is_said(viewer, panel, weights, finished, series):
    panel.micrograph.open_path(series)
    panel.camera.use(load_passport("oneview"))
    panel.segmentation.choose_weights(weights)
    panel.segmentation.frame_button.click()
    finished()
    assert "! no dose: the passport of " in panel.segmentation.said.text()


def test_an_empty_mask_is_said(viewer, panel, tiny_weights, finished, series, tmp_path):
    panel.micrograph.open_path(series)
    panel.segmentation.choose_weights(tiny_weights(-20))
    panel.segmentation.frame_button.click()
    finished()
    assert "! empty mask" in panel.segmentation.said.text()
    panel.segmentation.export(tmp_path / "out")
    finished()
    with (tmp_path / "out" / "segmentation.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert "empty mask" in row["warning"]
    assert tifffile.imread(tmp_path / "out" / "series_mask.tif").shape == (64, 80)


def test_cancel_and_go_on(viewer, panel, series, weights, finished, qtbot, tmp_path, monkeypatch):
    from framedose.viewer import stored

    box, gate, predict = panel.segmentation, threading.Semaphore(1), stored.predict

    def slow(*arguments):
        assert gate.acquire(timeout=60)
        return predict(*arguments)

    monkeypatch.setattr(stored, "predict", slow)
    panel.micrograph.open_path(series)
    box.choose_weights(weights)
    box.series_button.click()
    qtbot.waitUntil(lambda: box.shown is not None, timeout=120_000)
    assert not box.series_button.isEnabled()
    assert panel.tasks.bar.isVisible()
    panel.tasks.cancel_button.click()
    gate.release()
    finished()
    assert box.shown.stored.indices == [0]
    assert box.series_button.isEnabled()
    gate.release(3)
    box.series_button.click()
    finished()
    assert box.shown.stored.indices == [0, 1, 2, 3]

    # An export that is cancelled leaves nothing.
    monkeypatch.setattr("framedose.inference.kept.write_overlay", lambda *_: (panel.tasks._stop.set(), gate.release()))
    before = sorted(tmp_path.iterdir())
    box.export(tmp_path / "out")
    finished()
    assert sorted(tmp_path.iterdir()) == before
