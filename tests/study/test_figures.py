import numpy as np
import pytest
from PIL import Image

from framedose.evaluation.summary import NetworkResult
from framedose.study.figures import (
    area_figure,
    detection_figure,
    headline_figure,
    histograms_figure,
    learning_curves_figure,
    null_figure,
    outline_figure,
    reliability_figure,
)
from framedose.study.frame_figures import examples_figure, overlay_figure

CURVES = [
    area_figure,
    headline_figure,
    null_figure,
    detection_figure,
    outline_figure,
    reliability_figure,
    histograms_figure,
]


def assert_picture(path):
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = np.asarray(Image.open(path))[..., :3]
    assert min(pixels.shape[:2]) > 200
    assert pixels.std() > 10
    assert list(path.parent.iterdir()) == [path]  # nothing left of the writing


def without(network, **changes):
    return NetworkResult.model_validate(network.model_dump() | changes)


@pytest.mark.parametrize("draw", CURVES)
def test_curves_are_drawn(draw, networks, tmp_path):
    draw(networks, tmp_path / "figure.png")
    assert_picture(tmp_path / "figure.png")


def test_no_two_of_twelve_curves_look_alike(networks, monkeypatch):
    drawn = []
    monkeypatch.setattr("framedose.study.figures.write_figure", lambda figure, path: drawn.append(figure))
    some = next(iter(networks.values()))
    detection_figure({f"network {index}": some for index in range(12)}, "not written.png")
    lines = [line for line in drawn[0].axes[0].get_lines() if line.get_label().startswith("network ")]
    assert len(lines) == 12
    assert len({line.get_marker() for line in lines}) == 12
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 12


def test_limits_that_do_not_exist_are_left_out(networks, tmp_path):
    limit = {"value": None, "low": None, "high": None, "level": 0.95, "at_or_below": False}
    area_figure(networks, tmp_path / "both.png")
    both = np.asarray(Image.open(tmp_path / "both.png"))
    area_figure(
        {name: without(n, dose_converged=None, dose_50_area=limit) for name, n in networks.items()},
        tmp_path / "both.png",
    )
    assert_picture(tmp_path / "both.png")
    assert not np.array_equal(np.asarray(Image.open(tmp_path / "both.png")), both)


def test_null_figure_without_support_has_one_panel(networks, tmp_path):
    null_figure(networks, tmp_path / "null.png")
    width = np.asarray(Image.open(tmp_path / "null.png")).shape[1]
    network = networks["unet"]
    curves = network.curves.model_dump() | {"support_false_area": None}
    null_figure({"own": without(network, curves=curves, support_false_area_max=None)}, tmp_path / "null.png")
    assert_picture(tmp_path / "null.png")
    assert np.asarray(Image.open(tmp_path / "null.png")).shape[1] < 0.7 * width


def test_learning_curves_are_drawn(tmp_path):
    steps = [10, 20, 30]
    curve = {"step": steps, "train_loss": [0.7, 0.4, 0.3], "validation_loss": [0.6, 0.5, 0.4]}
    path = tmp_path / "learning.png"
    learning_curves_figure({"unet": curve | {"validation_f1": [0.1, 0.2, 0.8]}}, path)
    assert_picture(path)


def test_pictures_show_what_they_are_given(frames, tmp_path):
    images, doses, mask, predicted = frames
    path = tmp_path / "picture.png"
    examples_figure(images, doses, mask, 0.3, path)
    assert_picture(path)
    overlay_figure(images, doses, mask, predicted, 0.3, path)
    assert_picture(path)
    red, green, blue = np.asarray(Image.open(path))[..., :3].astype(int).transpose(2, 0, 1)
    assert np.sum((red > blue + 60) & (green > blue + 30)) > 1000  # filled in orange
    assert np.sum((blue > red + 100) & (green > red + 100)) > 1000  # outlined in cyan


def test_a_mask_without_pixels_can_be_drawn(frames, tmp_path):
    images, doses, mask, _ = frames
    overlay_figure(images, doses, mask, {"unet": np.zeros((4, 128, 128))}, 0.3, tmp_path / "picture.png")
    assert_picture(tmp_path / "picture.png")
