import json
import multiprocessing
import os

import numpy as np
import pytest

from framedose.atomic import locked, write_aside, write_json
from framedose.config import Range, Settings, build, digest, merged, read_yaml
from framedose.errors import CalibrationError, ConfigurationError, ImageError, OutputExistsError
from framedose.metrics import overlap
from framedose.micrograph import Micrograph
from framedose.random import generator
from framedose.units import wavelength


class Inner(Settings):
    size: int = 3


class Outer(Settings):
    inner: Inner = Inner()
    dose: Range = Range(low=1, high=10, scale="log")


def test_settings_merge_and_refuse_unknown_keys():
    values = merged({"inner": {"size": 1}, "dose": {"low": 2, "high": 5}}, {"dose": {"high": 9}})
    outer = build(Outer, values, where="settings")
    assert (outer.inner.size, outer.dose.low, outer.dose.high) == (1, 2, 9)
    with pytest.raises(ConfigurationError, match="unknown key 'inner.sise'.*did you mean 'size'"):
        build(Outer, {"inner": {"sise": 1}}, where="settings")
    with pytest.raises(ConfigurationError, match="low must not exceed high"):
        build(Outer, {"dose": {"low": 3, "high": 1}}, where="settings")
    with pytest.raises(ConfigurationError, match="dose"):
        build(Outer, {"dose": {"low": float("nan"), "high": 1}}, where="settings")


def test_digest_depends_on_content_only():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert Outer().digest() != Outer(inner=Inner(size=4)).digest()


def test_log_range_is_uniform_in_the_logarithm():
    draws = np.log10([Range(low=1e2, high=1e6, scale="log").draw(generator(0, "r", i)) for i in range(2000)])
    counts, _ = np.histogram(draws, bins=4, range=(2, 6))
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500 * 0.75)


def test_yaml_errors_are_one_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: [1")
    with pytest.raises(ConfigurationError, match="cannot be read") as error:
        read_yaml(path)
    assert "\n" not in str(error.value)
    path.write_text("- 1")
    with pytest.raises(ConfigurationError, match="must hold a mapping"):
        read_yaml(path)
    path.write_text("")
    assert read_yaml(path) == {}


def test_generators_are_independent_streams():
    draws = {generator(0, *key).integers(2**60) for key in [("a", 1), ("a", 11), ("a1", 1), ("a", "1"), ("a",)]}
    assert len(draws) == 5
    assert generator(1, "a").integers(2**60) != generator(0, "a").integers(2**60)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), write_aside(path) as aside:
        aside.write_text("half")
        raise RuntimeError
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["x.json"]


def _try_lock(folder, queue):
    try:
        with locked(folder):
            queue.put("held")
    except OutputExistsError as error:
        queue.put(str(error))


def test_a_folder_has_one_owner(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    with locked(tmp_path):
        process = context.Process(target=_try_lock, args=(tmp_path, queue))
        process.start()
        assert "in use" in queue.get(timeout=60)
        process.join()
    with locked(tmp_path):
        pass


def test_overlap_scores():
    found = overlap(np.array([[1, 1, 1, 0]]), np.array([[0, 1, 1, 0]]))
    assert (found.f1, found.area_ratio, found.precision, found.recall) == (0.8, 1.5, 2 / 3, 1.0)
    assert overlap([[0]], [[0]]).f1 == 1.0
    assert np.isnan(overlap([[1]], [[0]]).area_ratio)
    with pytest.raises(ValueError, match="same shape"):
        overlap([[1]], [[1, 0]])


def test_wavelength_against_published_values():
    """Williams & Carter, Transmission Electron Microscopy (2009), table 1.2: pm with relativity."""
    for energy, picometre in ((100e3, 3.70), (200e3, 2.51), (300e3, 1.97)):
        assert wavelength(energy) * 100 == pytest.approx(picometre, abs=0.005)


def test_micrographs_refuse_what_cannot_be_used():
    good = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert Micrograph(good, 0.3).sampling == 0.3
    with pytest.raises(ImageError, match="shape"):
        Micrograph(good[0], 0.3)
    with pytest.raises(ImageError, match="NaN"):
        Micrograph(np.where(good == 3, np.nan, good), 0.3)
    with pytest.raises(ImageError, match="every pixel"):
        Micrograph(np.ones_like(good), 0.3)
    for sampling in (0.0, -1.0, float("nan")):
        with pytest.raises(CalibrationError, match="positive"):
            Micrograph(good, sampling)
